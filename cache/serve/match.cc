#include "cache/serve/match.h"

#include <algorithm>

#include "cache/objects/checkpoint_search.h"
#include "model/boundary.h"

namespace quire::cache {

using model::MatchLimit;
using model::NodeId;

namespace {

class Finder {
 public:
  Finder(const Presence& presence, const PrefixTree& tree, model::RootId root_id, const Root& root,
         const ChainView& chain, uint32_t prompt_tokens)
      : presence_(presence),
        tree_(tree),
        root_id_(root_id),
        root_(root),
        chain_(chain),
        checkpoints_(presence, tree, chain),
        unit_tokens_(root.layout->layout.unit_tokens),
        per_block_(root.layout->units_per_block),
        known_units_(std::min(chain.count(), prompt_tokens / unit_tokens_)),
        last_units_(std::min(
            known_units_,
            model::last_resume_point(root.layout->layout, prompt_tokens) / unit_tokens_)) {}

  PrefixMatch find() {
    PrefixMatch match;
    match.span_node = reachable_part(deepest_span());
    match.span_units = tree_.node(match.span_node).units();
    match.exact_node = match.span_node;
    if (root_.layout->needs_checkpoint) {
      find_checkpoint(match);
    } else {
      cut_to_last(match);
    }
    match.steps = steps_ + checkpoints_.steps();
    return match;
  }

  uint32_t known_units() { return tree_.node(reachable_part(deepest_span())).units(); }

 private:
  // The span that ends after `blocks` blocks. Its position is compared too: a chain that lies about
  // its own order finds nothing.
  NodeId span_at(uint32_t blocks) {
    ++steps_;
    const uint32_t units = blocks * per_block_;
    const auto node = tree_.find(root_id_, NodeKind::kSpan, chain_.after(units));
    return node && tree_.node(*node).units() == units ? *node : NodeId{};
  }

  NodeId deepest_span() {
    const uint32_t blocks = known_units_ / per_block_;
    if (blocks == 0) return root_.node;
    // A conversation that goes on finds all of its blocks as a rule: one probe.
    if (const NodeId whole = span_at(blocks); whole.valid()) return whole;
    NodeId best = root_.node;
    uint32_t present = 0;  // blocks [0, present) are there, block index `absent` is not
    uint32_t absent = blocks - 1;
    // Presence is prefix-closed, so a miss says that all behind it is absent. A client that changes
    // its hashes meanwhile misleads itself only: every node was found by a key of its own root.
    while (present < absent) {
      const uint32_t middle = present + (absent - present + 1) / 2;
      if (const NodeId node = span_at(middle); node.valid()) {
        best = node;
        present = middle;
      } else {
        absent = middle - 1;
      }
    }
    return best;
  }

  NodeId parent(NodeId node) {
    ++steps_;
    return tree_.parent(node);
  }

  // The deepest node of the path to `end` whose whole path can be delivered. As a rule all can.
  NodeId reachable_part(NodeId end) {
    if (!presence_.has_unreachable()) return end;
    NodeId deepest = end;
    for (NodeId node = end; node != root_.node; node = parent(node)) {
      if (!presence_.is_reachable(node)) deepest = tree_.parent(node);
    }
    return deepest;
  }

  // Append-only layouts resume at block ends; one token at least is left to compute.
  void cut_to_last(PrefixMatch& match) {
    match.reach_units = std::min(last_units_, match.span_units);
    while (tree_.node(match.exact_node).units() > last_units_) {
      match.exact_node = parent(match.exact_node);
    }
    match.exact_units = tree_.node(match.exact_node).units();
    const bool whole = match.exact_units == last_units_;
    match.limit = whole ? MatchLimit::kEndOfPrompt : MatchLimit::kNoSpan;
    match.limit_units = match.exact_units;
  }

  void find_checkpoint(PrefixMatch& match) {
    // The best position that the spans allow: inside the block behind the deepest one.
    const uint32_t reach = std::min(last_units_, match.span_units + per_block_ - 1);
    match.reach_units = reach;
    NodeId node = match.span_node;
    while (tree_.node(node).units() > reach) node = parent(node);
    for (;; node = parent(node)) {
      match.checkpoint_node = checkpoints_.below(node, reach);
      if (match.checkpoint_node.valid() || node == root_.node) break;
    }
    match.exact_node = match.checkpoint_node.valid() ? node : root_.node;
    match.exact_units =
        match.checkpoint_node.valid() ? tree_.node(match.checkpoint_node).units() : 0;
    set_checkpoint_limit(match);
    set_branch(match);
  }

  // A checkpoint is the limit only where spans would have allowed more: what lies in the block
  // behind them (a turn end with tail pages) is a gain, and its absence no loss.
  void set_checkpoint_limit(PrefixMatch& match) const {
    const uint32_t allowed = std::min(match.span_units, last_units_);
    if (match.exact_units < allowed) {
      match.limit = MatchLimit::kNoCheckpoint;
      match.limit_units = allowed;
    } else if (match.span_units >= model::block_floor_units(last_units_, per_block_)) {
      match.limit = MatchLimit::kEndOfPrompt;
      match.limit_units = match.exact_units;
    } else {
      match.limit = MatchLimit::kNoSpan;
      match.limit_units = match.span_units;
    }
  }

  // The prompt has a whole block behind s, and an earlier session went on there with another one.
  void set_branch(PrefixMatch& match) const {
    if (match.span_units == 0 || match.span_units > last_units_) return;
    const bool block_behind = model::block_floor_units(known_units_, per_block_) > match.span_units;
    // A span child that the prompt did not match: its own next block would have been found.
    match.diverged = block_behind && tree_.children(match.span_node).has_span();
    match.lacks_branch = block_behind && match.span_units > match.exact_units;
    if (match.diverged && match.lacks_branch) match.branch_units = match.span_units;
  }

  const Presence& presence_;
  const PrefixTree& tree_;
  const model::RootId root_id_;
  const Root& root_;
  const ChainView& chain_;
  CheckpointSearch checkpoints_;
  uint32_t steps_ = 0;
  const uint32_t unit_tokens_;
  const uint32_t per_block_;
  const uint32_t known_units_;  // of the prompt, with a hash
  const uint32_t last_units_;   // largest legal resume point
};

}  // namespace

PrefixMatch find_prefix(const Presence& presence, const PrefixTree& tree, model::RootId root_id,
                        const Root& root, const ChainView& chain, uint32_t prompt_tokens) {
  return Finder(presence, tree, root_id, root, chain, prompt_tokens).find();
}

EndedBehind ended_behind(const PrefixTree& tree, const PrefixMatch& match, uint32_t owner_tag) {
  EndedBehind ended;
  if (!tree.node(match.span_node).has_checkpoints()) return ended;
  uint32_t budget = kMaxEndsLookedAt;
  tree.children(match.span_node).for_each_checkpoint(budget, [&](NodeId id) {
    const Node& node = tree.node(id);
    ended.found |= node.units() > match.span_units && node.owner_tag() != owner_tag;
  });
  ended.steps = kMaxEndsLookedAt - budget;
  return ended;
}

uint32_t known_units(const Presence& presence, const PrefixTree& tree, model::RootId root_id,
                     const Root& root, const ChainView& chain) {
  const uint32_t tokens = chain.count() * root.layout->layout.unit_tokens;
  return Finder(presence, tree, root_id, root, chain, tokens).known_units();
}

}  // namespace quire::cache
