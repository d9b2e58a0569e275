#include "cache/fill/turn_ends.h"

#include <utility>

#include "model/boundary.h"

namespace quire::cache {

using model::CheckpointReason;
using model::NodeId;

namespace {

// Spans of 16 tokens over model::kTailReachTokens, and what hangs beside them: microseconds.
constexpr uint32_t kLookedAtForTurnEnds = 2048;

}  // namespace

bool TurnEnds::replaceable(const CacheSession& session, NodeId checkpoint) const {
  const PrefixTree& tree = store_->tree();
  const Node& node = tree.node(checkpoint);
  // Asked for at a distance: a turn end that happens to lie there serves as the one of the
  // interval, which nobody writes a second time.
  const bool of_interval = session.interval_units > 0 && node.units() % session.interval_units == 0;
  // Where the path branches another conversation resumes, whoever wrote the checkpoint.
  return !of_interval && node.owner_tag() == session.owner_tag && !node.is_kept() &&
         !tree.children(node.parent()).is_branch();
}

bool TurnEnds::added(CacheSession& session, CheckpointReason reason, NodeId node) {
  store_->tree().marks().set_owner_tag(node, session.owner_tag);
  store_->tree().marks().set_kept(node, reason == CheckpointReason::kInterval ||
                                            reason == CheckpointReason::kBranch ||
                                            reason == CheckpointReason::kOffered);
  // What lies before a tail drops nothing: the turn end that goes with it is still to come.
  if (reason != CheckpointReason::kTurnEnd) return false;
  bool superseded = false;
  if (session.has_previous_checkpoint) {
    const auto previous =
        store_->tree().find(session.root, NodeKind::kCheckpoint, session.previous_checkpoint);
    if (previous && *previous != node && replaceable(session, *previous)) {
      store_->supersede(*previous);
      superseded = true;
    }
  }
  session.has_previous_checkpoint = true;
  session.previous_checkpoint = store_->tree().key(node);
  if (session.tail_tokens == 0) return superseded;
  return thin_turn_ends(session, node) || superseded;
}

// Of the conversation's checkpoints on the path to a new turn end the deepest one before its tail
// stays; the others go. Looks at a bounded number of nodes: what lies further up waits for
// eviction.
bool TurnEnds::thin_turn_ends(const CacheSession& session, NodeId turn_end) {
  const PrefixTree& tree = store_->tree();
  const Root& root = names_->root(session.root);
  const uint32_t before_tail = model::tail_units(
      tree.node(turn_end).units(), root.layout->layout.unit_tokens, session.tail_tokens);
  bool superseded = false;
  uint32_t beside_units = 0;  // of the one that stays; 0: not met yet
  NodeId beside;
  const auto thin = [&](NodeId id) {
    const Node& node = tree.node(id);
    if (id == turn_end || node.is_superseded() || !replaceable(session, id)) return;
    NodeId goes = id;
    if (node.units() <= before_tail && node.units() > beside_units) {
      beside_units = node.units();
      std::swap(goes, beside);
    }
    if (!goes.valid()) return;
    store_->supersede(goes);
    superseded = true;
  };
  uint32_t budget = kLookedAtForTurnEnds;
  for (NodeId span = tree.parent(turn_end); budget > 0; span = tree.parent(span)) {
    --budget;
    if (tree.node(span).has_checkpoints()) tree.children(span).for_each_checkpoint(budget, thin);
    if (span == root.node) break;
  }
  return superseded;
}

bool TurnEnds::supersede(CacheSession& session, const ChainView& chain, uint32_t end_units) {
  if (end_units == 0 || end_units > chain.count()) return false;
  const auto node =
      store_->tree().find(session.root, NodeKind::kCheckpoint, chain.after(end_units));
  // The engine is told what became of it: a pinned one is refused, not marked to go later.
  if (!node || !replaceable(session, *node) || store_->tree().node(*node).is_pinned()) return false;
  store_->supersede(*node);
  return true;
}

}  // namespace quire::cache
