// The deepest checkpoint of a prompt below a span, among those that other prompts left there.
//
// A span's checkpoints are its last children. They are looked at newest first; where there are more
// of them than positions, each position is probed instead. So a span costs the smaller of both
// numbers, whatever the layout. All spans of one search together cost kMaxSteps; beyond it nothing
// more is found, which makes a hit shorter and nothing wrong.
#pragma once

#include <cstdint>

#include "cache/objects/presence.h"
#include "cache/tree/chain_view.h"
#include "cache/tree/prefix_tree.h"
#include "model/ids.h"

namespace quire::cache {

class CheckpointSearch {
 public:
  // Children looked at and positions probed: some 80 us. A prompt meets so many only behind
  // thousands of checkpoints that are not its own.
  static constexpr uint32_t kMaxSteps = 1024;

  // What is on a tier only that cannot be read counts as absent. `max_steps`: of all spans
  // together.
  CheckpointSearch(const Presence& presence, const PrefixTree& tree, const ChainView& chain,
                   uint32_t max_steps = kMaxSteps)
      : presence_(presence),
        tree_(tree),
        chain_(chain),
        all_reachable_(!presence.has_unreachable()),
        max_steps_(max_steps) {}

  // At most at position `reach`. Invalid: none.
  model::NodeId below(model::NodeId span, uint32_t reach);
  uint32_t steps() const { return steps_; }
  bool is_spent() const { return steps_ >= max_steps_; }

 private:
  bool is_usable(model::NodeId checkpoint) const;
  model::NodeId probe(const Node& span, uint32_t above, uint32_t reach);

  const Presence& presence_;
  const PrefixTree& tree_;
  const ChainView chain_;
  const bool all_reachable_;
  const uint32_t max_steps_;
  uint32_t steps_ = 0;
};

}  // namespace quire::cache
