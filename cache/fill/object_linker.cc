#include "cache/fill/object_linker.h"

#include "cache/objects/path.h"

namespace quire::cache {

using model::FillKind;
using model::NodeId;

bool ObjectLinker::note_duplicate(CacheSession& session, const model::Hash256& key, NodeKind kind) {
  const auto node = store_->tree().find(session.root, kind, key);
  // What the SSD cannot deliver now is worth writing again.
  if (!node || !store_->presence().is_reachable(*node)) return false;
  board_->used(*node);
  if (kind == NodeKind::kSpan) advance_tip(session, *node);
  ++counters_.duplicates;
  return true;
}

// Found by its position too, which is below that of what waits for it: no circle can be made.
Fill* ObjectLinker::fill_of_parent(const CacheSession& session, const ParentSpan& parent) const {
  return fills_->find(session,
                      {.key = parent.key, .kind = FillKind::kSpan, .end_units = parent.units});
}

bool ObjectLinker::parent_known(const CacheSession& session, const ParentSpan& parent) const {
  if (parent.units == 0) return true;
  const PrefixTree& tree = store_->tree();
  // The session's own tip is the usual parent: no probe.
  const NodeId tip = session.tip.node();
  if (tip.valid() && tree.node(tip).units() == parent.units && tree.key(tip) == parent.key) {
    return true;
  }
  const auto present = tree.find(session.root, NodeKind::kSpan, parent.key);
  if (present && tree.node(*present).units() == parent.units) return true;
  return fill_of_parent(session, parent) != nullptr;
}

// Present on an SSD that cannot be read: the pages of the fill serve from now on.
FillOutcome ObjectLinker::serve_from_ram(Fill& fill, NodeId present) {
  store_->make_resident(present, fill.slots.slots());
  fill.slots.spend(fill.slots.count());  // the node has them
  if (fill.kind == FillKind::kSpan) advance_tip(*fill.session, present);
  return FillOutcome::kVisible;
}

FillOutcome ObjectLinker::link(Fill& fill, bool& superseded) {
  CacheSession& session = *fill.session;
  const Root& root = names_->root(session.root);
  const NodeKind kind = node_kind(fill.kind);
  if (root.dead) return FillOutcome::kNoParent;
  if (const auto present = store_->tree().find(session.root, kind, fill.key)) {
    // A node that is moving belongs to a transfer, which may be about to give it pages itself.
    const bool useful =
        !store_->presence().is_reachable(*present) && !store_->tree().node(*present).is_moving();
    if (useful) return serve_from_ram(fill, *present);
    note_duplicate(session, fill.key, kind);
    return FillOutcome::kDuplicate;
  }
  NodeId parent = root.node;
  if (fill.parent.units > 0) {
    // The tree first: another session may have brought the parent while this one's fill of it is
    // still open.
    const auto found = store_->tree().find(session.root, NodeKind::kSpan, fill.parent.key);
    if (!found) {
      Fill* parent_fill = fill_of_parent(session, fill.parent);
      if (parent_fill == nullptr) return FillOutcome::kNoParent;
      fills_->wait(fill, *parent_fill);
      return FillOutcome::kWaiting;
    }
    // The same hash at another position: a chain that lies about its order. Along spans depth grows
    // by one block.
    if (store_->tree().node(*found).units() != fill.parent.units) return FillOutcome::kNoParent;
    parent = *found;
  }
  const auto node = store_->add({.parent = parent,
                                 .kind = kind,
                                 .key = fill.key,
                                 .units = fill.end_units,
                                 .retention = session.retention.number()},
                                fill.slots.slots(), session.batch_class);
  if (!node) return FillOutcome::kNoNode;
  fill.slots.spend(fill.slots.count());  // the node has them
  count_committed(fill);
  if (fill.kind == FillKind::kSpan) {
    advance_tip(session, *node);
  } else {
    superseded = turn_ends_.added(session, fill.reason, *node);
  }
  return FillOutcome::kVisible;
}

void ObjectLinker::count_committed(const Fill& fill) {
  for (const model::PlannedPage& page :
       names_->root(fill.session->root).layout->plan(fill.kind, fill.end_units).pages) {
    counters_.committed_bytes += page.bytes;
  }
  ++(fill.kind == FillKind::kSpan ? counters_.committed_spans : counters_.committed_checkpoints);
}

void ObjectLinker::advance_tip(CacheSession& session, NodeId node) {
  const PrefixTree& tree = store_->tree();
  const NodeId tip = session.tip.node();
  if (tip.valid() && tree.node(tip).units() >= tree.node(node).units()) return;
  // The new pin is taken before the old one goes, so the path that they share is pinned throughout.
  session.tip = Pin(store_, node, PinKind::kPresence);
  // Without a tier below the whole path stays in RAM for its sake.
  if (!store_->has_lower_tier()) {
    session.tip_path = hold_path(*store_, names_->root(session.root), node);
  }
}

}  // namespace quire::cache
