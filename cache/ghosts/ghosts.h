// "What would policy P, or 64 GiB more, have hit?", answered while the tier works: a cache of keys
// for each policy and size, beside the ceiling that an infinite cache would have hit.
//
//   prompt --> Ceiling, by block
//         \--> AnchorFinder: its conversation --> the group at the tier's own size
//                                            \--> the group at other sizes
//
// The group at the tier's own size, by which a policy is chosen, has most of the work's budget and
// so the larger sample. Threads: one owner. Bounds: `memory_bytes` in all.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cache/ghosts/anchor_finder.h"
#include "cache/ghosts/ceiling.h"
#include "cache/ghosts/ghost_group.h"
#include "cache/ghosts/hit_windows.h"
#include "model/result.h"

namespace quire::cache {

struct GhostsOptions {
  uint64_t memory_bytes = 64ull << 20;
  uint64_t capacity_bytes = 0;  // of the tier
  // As GhostOptions.
  bool asks_admission = false;
  uint32_t halvings = 0;  // of both samples, from the start on
  bool paced = true;      // samples also halve for the sake of time
  int64_t pace_period_us = 10'000'000;
};

class Ghosts {
 public:
  // kResourceExhausted: no address space. kInvalidArgument: too little memory to be of use.
  static model::Result<std::unique_ptr<Ghosts>> create(const GhostsOptions& options);

  void matched(const GhostPrompt& prompt);
  void committed(const GhostCommit& commit);
  // So much time is over, of which ghosts may take their share. Samples halve when it was more.
  void pace(int64_t elapsed_us);
  void set_capacity(uint64_t bytes);

  // A row for each policy and size, as of `now_us`; those at the tier's own size first.
  std::vector<GhostRow> rows(HitWindow window, int64_t now_us) const;
  // The same of the tier's own size only.
  std::vector<GhostRow> near_rows(HitWindow window, int64_t now_us) const;
  WindowTotals totals(HitWindow window, int64_t now_us) const {
    return near_->windows().totals(window, now_us);
  }
  // Of the group at the tier's own size, and of the other one.
  double near_rate() const { return near_->rate(); }
  double far_rate() const { return far_->rate(); }
  uint64_t calls() const { return near_->calls() + far_->calls(); }
  uint64_t held_bytes() const;
  void check_invariants() const;

 private:
  Ghosts() = default;

  UseClock clock_;
  AnchorFinder anchors_;
  Ceiling ceiling_;
  std::unique_ptr<GhostGroup> near_;
  std::unique_ptr<GhostGroup> far_;
};

}  // namespace quire::cache
