// Hands out node ids so that the nodes of one session lie adjacent: ids come in runs of 16 (512 B
// of links), a chain fills its run and goes on in the next one when that is free.
//
//   run:  empty (free list) <-> partly used (its colour's list, oldest first) <-> full (no list)
//
// A run has the colour of what came to it first, and gaps are filled by the same colour while that
// has some: so what different tenants have lies apart, and may leave a tier apart.
//
// A new run is opened only while the gaps in partly used runs stay below half of the ids in use:
// many short branches then share runs rather than grow memory. 0.75 B an id. Threads: core only.
#pragma once

#include <cstdint>
#include <optional>

#include "allocator/flat_array.h"
#include "model/ids.h"
#include "model/result.h"

namespace quire::cache {

class NodeRuns {
 public:
  // At most max_ids are in use at a time; their values stay below max_ids rounded up to a run.
  static model::Result<NodeRuns> create(uint64_t max_ids);

  static constexpr uint32_t kColors = 16;

  // Takes exactly this id; false when it is in use, or beyond the run that would be opened next.
  // `color`, of this and the next two: below kColors.
  bool take(model::NodeId id, uint32_t color = 0);
  // The first id of an empty run. nullopt: none left, or the gaps must be filled first.
  std::optional<model::NodeId> take_run_start(uint32_t color = 0);
  // Any free id: the last one of the oldest partly used run of the colour, where it is least in the
  // way of the chain that grows there; else of a new run, else of another colour's. nullopt:
  // max_ids are in use.
  std::optional<model::NodeId> take_filler(uint32_t color = 0);
  // Precondition: in use. Its run may become empty, and another chain's.
  void release(model::NodeId id);

  bool in_use(model::NodeId id) const;
  uint64_t max_id_count() const { return (runs_.max_count() - kListHeads) * kRunIds; }
  uint64_t used_count() const { return used_count_; }
  uint64_t free_count() const { return max_ids_ - used_count_; }
  uint32_t end_of_ids() const { return run_count_ * kRunIds; }  // ids ever used are below
  uint64_t resident_bytes() const { return runs_.held_bytes(run_count_ + kListHeads); }
  void check_invariants() const;

 private:
  static constexpr uint32_t kRunIds = 16;
  static constexpr uint16_t kFull = 0xffff;
  // The first places of runs_ are the heads of circular lists; run r is at place r + kListHeads.
  static constexpr uint32_t kFreeList = 0;
  static constexpr uint32_t kPartialLists = 1;  // by colour
  static constexpr uint32_t kListHeads = kPartialLists + kColors;
  // Gaps that are always allowed: below this it is not worth to break chains up.
  static constexpr uint64_t kFreeGaps = 1 << 16;

  struct Run {
    uint32_t next;
    uint32_t previous;
    uint16_t used;   // bit i: id 16 * r + i is in use
    uint16_t color;  // of a run that is not empty
  };
  static_assert(sizeof(Run) == 12);

  Run& run_of(model::NodeId id) { return runs_[id.value / kRunIds + kListHeads]; }
  const Run& run_of(model::NodeId id) const { return runs_[id.value / kRunIds + kListHeads]; }
  bool may_open_run() const;
  void open_run();
  void mark(model::NodeId id, uint32_t color);
  static uint32_t list_of(const Run& run) { return kPartialLists + run.color; }
  model::NodeId fill_gap(uint32_t list);
  void unlink(uint32_t place);
  void link_last(uint32_t list, uint32_t place);
  uint64_t check_list(uint32_t list) const;

  allocator::FlatArray<Run> runs_;
  uint64_t max_ids_ = 0;
  uint64_t used_count_ = 0;
  uint32_t run_count_ = 0;        // opened so far
  uint32_t empty_run_count_ = 0;  // of these, in the free list
};

}  // namespace quire::cache
