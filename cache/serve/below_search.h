// How much of a path lies below RAM, and from which tier it would come, without walking it: what a
// match says of tiers and load times.
//
// Between two holes (cache/objects/hole_table.h) a path is in RAM up to some depth and below it
// from there on, so binary search finds that depth: some twelve probes for a million tokens. A
// probe looks first where the span lies if its path was placed in one go, and believes nothing but
// the key. The same holds of the SSD, which is asked where the path may go on below it. Roots with
// holes at many depths, and paths of a few spans, are walked. Pure: reads the tree, pins nothing.
#pragma once

#include <array>
#include <cstdint>

#include "cache/objects/object_store.h"
#include "cache/tree/chain_view.h"
#include "cache/tree/namespace_table.h"
#include "model/ids.h"

namespace quire::cache {

// Spans of a path that are not in RAM.
struct BelowRam {
  uint32_t blocks = 0;
  uint32_t wanted_blocks = 0;  // of these, the ones behind what the engine holds
  // Of both, what no readable tier has but Presence::kHintTier.
  uint32_t hint_blocks = 0;
  uint32_t wanted_hint_blocks = 0;
  uint32_t steps = 0;  // nodes looked at and probes: what it cost
};

class BelowSearch {
 public:
  // The chain must be the one that `end` was found by. What a client makes of it meanwhile costs
  // steps and changes no answer but its own.
  BelowSearch(const ObjectStore& store, const Root& root, const ChainView& chain)
      : presence_(store.presence()), tree_(store.tree()), root_(root), chain_(chain) {}

  // Of the path to `end`, a span or the root, this one included.
  BelowRam count(model::NodeId end, uint32_t have_units);

 private:
  static constexpr uint32_t kFewBlocks = 8;    // are walked
  static constexpr uint32_t kManyDepths = 32;  // of holes: the path is walked

  // Positions (from, to] of the path that a tier does not have.
  struct Gap {
    uint32_t from_units = 0;
    uint32_t to_units = 0;
  };
  struct Gaps {
    model::TierId tier = model::TierId::kRam;
    std::array<Gap, kManyDepths + 1> list;
    uint32_t count = 0;
  };

  bool search_all(model::NodeId end);
  bool search(model::NodeId end, Gaps& gaps);
  bool search_part(uint32_t lower, model::NodeId last, Gaps& gaps);
  void walk(model::NodeId end);
  void add(const Gap& gap);
  void add_hint(const Gap& gap);
  uint32_t blocks_of(const Gap& gap) const;
  uint32_t wanted_of(const Gap& gap) const;
  model::NodeId guess(uint32_t units) const;
  model::NodeId span_at(uint32_t units);

  const Presence& presence_;
  const PrefixTree& tree_;
  const Root& root_;
  const ChainView& chain_;
  uint32_t per_block_ = 1;
  uint32_t have_units_ = 0;  // whole blocks
  model::NodeId known_;      // the span of the path that was found last
  BelowRam found_;
};

}  // namespace quire::cache
