// Where a hit is decided: the longest prefix of a prompt that can be resumed (DESIGN section 3).
//
// Presence along a chain is prefix-closed, so the end of the run of spans is found by binary search
// (13 probes for a million tokens); the checkpoint is then looked for upwards from there
// (CheckpointSearch). Costs the number of blocks, and that search's bound.
// Pure: reads the tree, pins nothing.
#pragma once

#include <cstdint>

#include "cache/objects/presence.h"
#include "cache/tree/chain_view.h"
#include "cache/tree/namespace_table.h"
#include "cache/tree/prefix_tree.h"
#include "model/ring_frames.h"

namespace quire::cache {

struct PrefixMatch {
  model::NodeId span_node;        // deepest span present; the root node when none
  model::NodeId exact_node;       // span (or root) that ends at floor(exact / B) * B
  model::NodeId checkpoint_node;  // at exact; none for layouts without checkpoints
  uint32_t span_units = 0;
  uint32_t exact_units = 0;
  uint32_t reach_units = 0;   // the deepest position that the prompt and its spans allow
  uint32_t branch_units = 0;  // a checkpoint is wanted here; 0 = none
  bool diverged = false;      // an earlier session went on otherwise behind the spans
  // The prompt has a whole block behind the spans and could resume at their end, but for want of a
  // checkpoint.
  bool lacks_branch = false;
  model::MatchLimit limit = model::MatchLimit::kNoSpan;
  uint32_t limit_units = 0;
  uint32_t steps = 0;  // nodes looked at and probes: what it cost
};

// `prompt_tokens` >= 1. What is on a tier only that cannot be read counts as absent.
PrefixMatch find_prefix(const Presence& presence, const PrefixTree& tree, model::RootId root_id,
                        const Root& root, const ChainView& chain, uint32_t prompt_tokens);

// Whether another conversation ended inside the block behind the spans: the block never became a
// span, but a checkpoint of it lies there. `diverged` says nothing of it: policies that write no
// turn ends leave none, and what they are told must not depend on the one in force
// (CheckpointGhosts).
struct EndedBehind {
  bool found = false;
  uint32_t steps = 0;  // nodes looked at, the newest first; at most kMaxEndsLookedAt
};
inline constexpr uint32_t kMaxEndsLookedAt = 256;
// Precondition: match.lacks_branch, so that what ends behind the spans has other tokens than the
// prompt. `owner_tag`: of the conversation that asks, which does not part from itself.
EndedBehind ended_behind(const PrefixTree& tree, const PrefixMatch& match, uint32_t owner_tag);

// Where the deepest span ends that is present and can be delivered, in units; 0: none.
uint32_t known_units(const Presence& presence, const PrefixTree& tree, model::RootId root_id,
                     const Root& root, const ChainView& chain);

}  // namespace quire::cache
