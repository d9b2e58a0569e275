// Ghosts that see one sample: a cache of keys for each policy, at some sizes, all fed with the same
// prompts.
//
//   prompt of a sampled conversation --> StretchTable: its path --> each Ghost --> HitWindows
//
// The sample begins with everything and halves when the stretches fill their table, or when the
// work of a time was above its share: small and quiet tiers are followed exactly. A conversation
// that is out of the sample is forgotten in steps; until that is done ghosts keep the old limits.
//
// A ghost that sees one conversation in eight has an eighth of the room; to be exact, the share
// that the sample has of what the tier did not find, so that blocks stay in it for as long as they
// would. Threads: one owner. Work of one call: the stretches of one prompt times the ghosts.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "cache/ghosts/anchor_finder.h"
#include "cache/ghosts/ghost.h"
#include "cache/ghosts/hit_windows.h"
#include "cache/ghosts/sample_rule.h"
#include "cache/ghosts/stretch_table.h"
#include "model/result.h"

namespace quire::cache {

// A prompt was matched.
struct GhostPrompt {
  int64_t time_us = 0;             // since any start; does not go back
  std::span<const uint64_t> keys;  // a word of each whole block's chain hash, from the first on
  BlockShape shape;
  uint32_t prompt_tokens = 0;
  uint32_t found_blocks = 0;  // by the tier
  // Are on the tier from now on, found_blocks at least. So is what any ghost has: what was computed
  // once and is asked for again is computed again. The rest comes with commits.
  uint32_t known_blocks = 0;
};

// A block was computed and is on the tier.
struct GhostCommit {
  int64_t time_us = 0;
  uint64_t parent_key = 0;  // 0: none, it is the first one
  uint64_t key = 0;
  BlockShape shape;
};

struct GhostRow {
  std::string_view policy;
  int size_percent = 0;  // more than the tier
  uint64_t capacity_bytes = 0;
  HitEstimate hits;
};

struct GroupOptions {
  uint64_t memory_bytes = 0;
  uint64_t capacity_bytes = 0;     // of the tier
  std::vector<int> size_percents;  // more than the tier
  uint64_t calls_per_second = 0;   // of policies, in the mean; 0: as many as it takes
  int64_t period_us = 10'000'000;  // over which that is looked at
  uint32_t halvings = 0;           // of the sample, from the start on
  bool asks_admission = false;     // as GhostOptions
};

class GhostGroup {
 public:
  // The clock outlives it. kResourceExhausted: no address space. kInvalidArgument: too little
  // memory to be of use.
  static model::Result<std::unique_ptr<GhostGroup>> create(const GroupOptions& options,
                                                           UseClock* clock);

  // `anchor`: nullptr where the prompt has no whole block.
  void matched(const GhostPrompt& prompt, const PromptHits& hits, const Anchor* anchor);
  void committed(const GhostCommit& commit);
  // So much time is over, of which ghosts may take their share.
  void pace(int64_t elapsed_us);
  void set_capacity(uint64_t bytes);

  const HitWindows& windows() const { return windows_; }
  // Appends one for each policy and size, those of one policy together.
  void add_rows(HitWindow window, int64_t now_us, std::vector<GhostRow>& rows) const;
  double rate() const { return rule_.rate(); }
  uint64_t calls() const;
  uint64_t held_bytes() const;
  void check_invariants() const;

 private:
  GhostGroup(const GroupOptions& options, UseClock* clock, uint32_t ghost_count,
             uint32_t max_stretches);
  uint64_t capacity_of(int size_percent) const;
  void note_traffic(const GhostPrompt& prompt, bool sampled);
  void serve(const GhostPrompt& prompt, const Anchor& anchor);
  // Into path_: what is known of the prompt, then what is new up to known_blocks.
  void find_path(const GhostPrompt& prompt, const Anchor& anchor);
  void add_new(const GhostPrompt& prompt, const Anchor& anchor, uint32_t begin);
  void split(EntryId id, uint32_t at);
  void share_path(uint32_t blocks_above);
  GhostVisit visit_of();
  void grow(EntryId id, uint32_t key);
  void add_below(std::optional<EntryId> parent, const GhostCommit& commit, uint32_t anchor);
  void halve(uint32_t times);
  bool is_out(EntryId id) const;
  void forget(EntryId id);
  void step_forgetting();

  GroupOptions options_;
  UseClock* clock_;
  SampleRule rule_;
  StretchTable stretches_;
  HitWindows windows_;
  std::vector<std::unique_ptr<Ghost>> ghosts_;
  std::vector<int> sizes_;   // by ghost
  uint32_t forgetting_ = 0;  // ids below are still to be looked at; 0: done
  // Bytes that the tier did not find, lately: of all prompts and of those in the sample.
  double all_missed_ = 0;
  double sampled_missed_ = 0;
  double room_rate_ = 1;  // of a ghost's room
  // Of the prompt that is served.
  std::vector<uint32_t> keys_;
  std::vector<EntryId> path_;
  std::vector<uint32_t> hits_;
  // Since work was last counted anew, and since it was looked at.
  int64_t elapsed_us_ = 0;
  int64_t unlooked_us_ = 0;
  uint64_t visits_ = 0;
  uint64_t work_before_ = 0;
};

}  // namespace quire::cache
