#include "cache/objects/object_store.h"

#include "model/check.h"

namespace quire::cache {

using model::NodeId;
using model::SlotId;
using model::TierId;

void ObjectStore::offer(NodeId id) {
  ++counters_.offers;
  const Node& node = tree_->node(id);
  for (const TierId tier : model::kTiers) {
    if (!node.is_in(tier) || !presence_.may_leave(id, tier)) continue;
    listener_->offered(id, tier);
    if (tier == TierId::kRam) tell_waiting(node.root());
  }
}

// Asked for every node that may leave RAM. As a rule nobody waits, and the root need not be read.
void ObjectStore::tell_waiting(model::RootId root) {
  if (pool_->events().any_watched()) pool_->events().raise(names_->root(root).key.domain);
}

void ObjectStore::unpin(NodeId id, PinKind kind) {
  tree_->marks().remove_pin(id, kind);
  const Node& node = tree_->node(id);
  if (!node.is_pinned()) {
    dead_roots_.note_unpinned(node.root());
    // Both waited for this pin. drop() refuses while children are left; the last of them takes a
    // quarantined node along.
    if (node.is_quarantined() && drop(id, {DepartureCause::kDamaged})) return;
    if (node.is_superseded() && drop(id, {DepartureCause::kSuperseded})) return;
  }
  // While another pin of this kind is left, nothing may leave that could not before: a load gives
  // back thousands of pins and asks the tiers only for the last one of each node.
  if (!node.is_pinned(kind)) offer(id);
}

std::optional<NodeId> ObjectStore::add_node(const NewObject& object) {
  const auto node = tree_->add(object.parent, object.kind, object.key, object.units);
  if (!node) return std::nullopt;
  tree_->marks().set_retention(*node, object.retention);
  ++(object.kind == NodeKind::kSpan ? counters_.spans : counters_.checkpoints);
  return node;
}

std::optional<NodeId> ObjectStore::add(const NewObject& object, std::span<const SlotId> slots,
                                       bool batch) {
  const auto node = add_node(object);
  if (!node) return std::nullopt;
  // The index names the node since add_node(). Nobody can look before its pages are set: matches
  // run on this thread, after this call (law 2).
  presence_.set_pages(*node, slots);
  // Before the offer: a policy orders by facts that added() sets.
  listener_->added(*node, TierId::kRam);
  offer(*node);
  if (has_lower_tier_) note_fresh({*node, batch});
  return node;
}

void ObjectStore::note_fresh(const FreshNode& fresh) {
  if (fresh_.size() < kMaxFresh) {
    fresh_.push_back(fresh);
  } else {
    ++counters_.fresh_missed;
  }
}

std::optional<NodeId> ObjectStore::restore(const NewObject& object, TierId tier, CopyPlace place) {
  const auto node = add_node(object);
  if (!node) return std::nullopt;
  presence_.set_copy(*node, tier, place);
  // Not offered yet: while its children are still to be restored the node looks like a leaf.
  listener_->restored(*node, tier);
  return node;
}

// What a tier shared with others said it has. A transfer tells of the node's copies itself.
std::optional<NodeId> ObjectStore::join(const NewObject& object, bool& is_new) {
  constexpr TierId kTier = Presence::kHintTier;
  const model::RootId root = tree_->node(object.parent).root();
  std::optional<NodeId> node = tree_->find(root, object.kind, object.key);
  is_new = !node;
  if (is_new) {
    node = add_node(object);
    if (!node) return std::nullopt;
  } else if (tree_->node(*node).units() != object.units) {
    return std::nullopt;  // a chain that says otherwise of itself than the one that was written
  } else if (tree_->node(*node).is_in(kTier) || tree_->node(*node).is_moving()) {
    return node;
  }
  presence_.set_copy(*node, kTier, {});
  listener_->added(*node, kTier);
  offer(*node);
  return node;
}

void ObjectStore::offer_restored() {
  for (uint32_t i = 0; i < tree_->end_of_nodes(); ++i) {
    if (tree_->node(NodeId{i}).is_object()) offer(NodeId{i});
  }
}

void ObjectStore::gain_copy(NodeId node, TierId tier, CopyPlace place) {
  QUIRE_CHECK(tree_->node(node).is_in_ram());
  presence_.set_copy(node, tier, place);
  listener_->added(node, tier);
  // With a durable copy the node may leave RAM although it has children below.
  offer(node);
  tell_waiting(tree_->node(node).root());  // a path that was to leave RAM with it may, or may not
}

// The slot of the copy goes to its tier.
void ObjectStore::give_up(NodeId id) {
  const std::optional<CopyPlace> place = presence_.place(id);
  if (!place) return;
  const Node& node = tree_->node(id);
  given_up_.push_back({.slot = place->slot,
                       .root = node.root(),
                       .units = node.units(),
                       .unit_step = names_->root(node.root()).layout->units_per_block,
                       .kind = node.kind()});
}

uint64_t ObjectStore::print_of(NodeId id) const {
  const Node& node = tree_->node(id);
  return departures_->print_of(names_->root(node.root()).hash, node.kind(), tree_->key(id));
}

// What a drop of it will look for, by hashes: misses of the processor's caches that are then under
// way while others are dropped. In a large cache they are most of what an eviction costs.
void ObjectStore::prefetch_drop(NodeId id) const {
  tree_->prefetch_removal(id);
  if (departures_ != nullptr) departures_->prefetch(print_of(id));
}

// One branch where nobody remembers.
void ObjectStore::note_departure(NodeId id, TierId tier, const Departure& why, bool gone) {
  if (departures_ != nullptr) departures_->note(print_of(id), why, tier, gone);
}

void ObjectStore::lose_copy(NodeId node, TierId tier, const Departure& why) {
  // Slot and facts are read before clear_copy() forgets them. The parent has a child less on this
  // tier then, and may leave it.
  if (tier == Presence::kPlacedTier) give_up(node);
  note_departure(node, tier, why, false);
  listener_->left(node, tier, is_eviction(why.cause) ? Why::kEvicted : Why::kDropped,
                  heir_of(node));
  presence_.clear_copy(node, tier);
  offer_hint(node);
  offer(tree_->parent(node));
}

// A node that is on the hint tier only may be forgotten, which it could not be with another copy.
void ObjectStore::offer_hint(NodeId node) {
  if (tree_->node(node).is_in(Presence::kHintTier)) offer(node);
}

void ObjectStore::make_resident(NodeId node, std::span<const SlotId> slots) {
  presence_.set_pages(node, slots);
  ++counters_.promoted;
  listener_->added(node, TierId::kRam);
  offer(node);
}

void ObjectStore::leave_ram(NodeId node, const Departure& why) {
  note_departure(node, TierId::kRam, why, false);
  // The policy reads the node's facts, so it is told before the pages go.
  listener_->left(node, TierId::kRam, Why::kEvicted, heir_of(node));
  presence_.clear_pages(node);
  ++counters_.left_ram;
  offer_hint(node);
  offer(tree_->parent(node));
}

NodeId ObjectStore::heir_of(NodeId node) const {
  const NodeId parent = tree_->parent(node);
  return tree_->node(parent).is_span() ? parent : NodeId{};
}

void ObjectStore::count_drop(NodeKind kind, DepartureCause cause) {
  const bool span = kind == NodeKind::kSpan;
  --(span ? counters_.spans : counters_.checkpoints);
  if (is_eviction(cause)) {
    ++(span ? counters_.evicted_spans : counters_.evicted_checkpoints);
  } else if (cause == DepartureCause::kSuperseded) {
    ++counters_.superseded_checkpoints;
  } else if (!is_quarantine(cause)) {  // which was counted when it was found
    ++counters_.stale_dropped;
  }
}

// From every tier, and from the tree.
void ObjectStore::remove(NodeId id, const Departure& departure) {
  const Node& node = tree_->node(id);
  count_drop(node.kind(), departure.cause);
  // What was quarantined left when it was hidden; its key may have been another node's since.
  if (!node.is_quarantined()) {
    note_departure(id, node.fastest_tier(), departure, true);
  }
  give_up(id);  // before its pages go: the last of them knows where the copy lies
  // Only what made room is remembered by a history: it may come back, and its return teaches the
  // policy.
  const Why why = is_eviction(departure.cause) ? Why::kEvicted : Why::kDropped;
  // Every tier is told while the node's bits still stand.
  for (const TierId tier : model::kTiers) {
    if (node.is_in(tier)) listener_->left(id, tier, why, heir_of(id));
  }
  if (node.is_in_ram()) presence_.clear_pages(id);
  for (const TierId tier : model::kTiers) {
    if (node.is_in(tier)) presence_.clear_copy(id, tier);
  }
  // A sweep may stand at this node: it steps to the parent while the node still names it.
  dead_roots_.note_leaving(id);
  tree_->remove(id);
}

bool ObjectStore::drop(NodeId node, Departure why) {
  // A quarantined parent goes with its last dependant, and so on up the path.
  for (;;) {
    if (!presence_.may_drop(node)) return false;
    work_.add(1);
    const NodeId parent = tree_->parent(node);
    const model::RootId root = tree_->node(node).root();
    // Who makes room goes on with the parent, as a rule.
    if (is_eviction(why.cause) && !tree_->node(parent).is_root()) prefetch_drop(parent);
    remove(node, why);
    if (tree_->node(parent).is_root()) {
      // A root that no session has open goes with its last object.
      dead_roots_.maybe_forget(root);
      return true;
    }
    if (!tree_->node(parent).is_quarantined() || !presence_.may_drop(parent)) {
      offer(parent);
      return true;
    }
    node = parent;
    why = {DepartureCause::kDamaged};
  }
}

void ObjectStore::supersede(NodeId checkpoint) {
  tree_->marks().set_superseded(checkpoint);
  // Refused while it is pinned: unpin() tries again, by the mark.
  drop(checkpoint, {DepartureCause::kSuperseded});
}

void ObjectStore::quarantine(NodeId top, DepartureCause cause) {
  QUIRE_CHECK(is_quarantine(cause));
  // Hide the whole subtree first, deepest last; then let go what nobody holds, deepest first.
  std::vector<NodeId> subtree{top};
  for (size_t i = 0; i < subtree.size(); ++i) {
    if (!tree_->node(subtree[i]).is_quarantined()) {
      note_departure(subtree[i], tree_->node(subtree[i]).fastest_tier(), {cause}, true);
      // Before its key may be another object's.
      presence_.tell_hidden(subtree[i]);
      tree_->hide(subtree[i]);
      ++counters_.quarantined;
    }
    tree_->children(subtree[i]).for_each([&](NodeId child) { subtree.push_back(child); });
    work_.add(1);
  }
  for (auto node = subtree.rbegin(); node != subtree.rend(); ++node) {
    // A drop goes on to quarantined parents, so this one may be gone; a free node is not
    // quarantined.
    const bool still_there = tree_->node(*node).is_quarantined();
    if (still_there && presence_.may_drop(*node)) drop(*node, {cause});
  }
}

void ObjectStore::check_invariants() const {
  tree_->check_invariants();
  pool_->check_invariants();
  presence_.check_invariants();
  uint64_t spans = 0;
  uint64_t checkpoints = 0;
  for (uint32_t i = 0; i < tree_->end_of_nodes(); ++i) {
    spans += tree_->node(NodeId{i}).is_span() ? 1 : 0;
    checkpoints += tree_->node(NodeId{i}).is_checkpoint() ? 1 : 0;
  }
  QUIRE_CHECK(spans == counters_.spans && checkpoints == counters_.checkpoints);
}

}  // namespace quire::cache
