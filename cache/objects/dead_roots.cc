#include "cache/objects/dead_roots.h"

#include "cache/objects/object_store.h"

namespace quire::cache {

using model::NodeId;
using model::RootId;

// Every unpin and every removal asks. As a rule no root is dead, and the root's record is not read.
bool DeadRoots::is_dead(RootId root) const {
  return !names_->dead_roots().empty() && names_->root(root).dead;
}

void DeadRoots::note_unpinned(RootId root) {
  if (is_dead(root)) changed_ = true;
}

// A node that the sweep stands at goes: the sweep goes on with its parent, whose other children
// have another sweep.
void DeadRoots::note_leaving(NodeId id) {
  const Node& node = store_->tree().node(id);
  if (is_dead(node.root())) changed_ = true;
  if (id != at_) return;
  at_ = node.parent();
  leaving_ = true;
}

// The first node of the next dead root; false when all have been swept and nothing changed.
bool DeadRoots::next_sweep() {
  const std::vector<RootId>& dead = names_->dead_roots();
  if (next_ >= dead.size()) {
    // Another sweep would meet the same pins. It waits for one of them to go, or for another dead
    // root.
    if (!changed_ && dead.size() == known_) return false;
    changed_ = false;
    known_ = dead.size();
    next_ = 0;
  }
  at_ = names_->root(dead[next_++]).node;
  leaving_ = false;
  return true;
}

// One node: down to its first child, or to its neighbour, or up.
void DeadRoots::sweep_node() {
  store_->work().add(1);
  const PrefixTree& tree = store_->tree();
  const NodeId id = at_;
  if (!leaving_ && !tree.is_leaf(id)) {
    at_ = tree.children(id).first();
    return;
  }
  if (tree.node(id).is_root()) {
    at_ = NodeId{};
    // It may be forgotten, and then another one stands at its place.
    const size_t before = names_->dead_roots().size();
    maybe_forget(tree.node(id).root());
    next_ -= before - names_->dead_roots().size();
    return;
  }
  const NodeId parent = tree.parent(id);
  const NodeId sibling = tree.children(parent).after(id);
  // Moved on before the drop, which frees this node. When the drop takes the parent along too,
  // note_leaving() goes further up.
  leaving_ = !sibling.valid();
  at_ = leaving_ ? parent : sibling;
  const bool given_up = names_->root(tree.node(id).root()).given_up;
  store_->drop(id, {given_up ? DepartureCause::kRootGivenUp : DepartureCause::kEpoch});
}

bool DeadRoots::reclaim(uint32_t budget) {
  const uint64_t end = store_->work().steps() + budget;
  while (store_->work().steps() < end && !names_->dead_roots().empty()) {
    if (at_.valid()) {
      sweep_node();
    } else if (!next_sweep()) {
      return false;
    }
  }
  return !names_->dead_roots().empty();
}

void DeadRoots::maybe_forget(RootId root) {
  const Root& record = names_->root(root);
  if (record.session_count > 0 || !store_->tree().is_leaf(record.node)) return;
  // The sweep may stand at the root's own node.
  note_leaving(record.node);
  store_->tree().remove(record.node);
  names_->forget(root);
}

}  // namespace quire::cache
