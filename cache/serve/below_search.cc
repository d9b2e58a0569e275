#include "cache/serve/below_search.h"

#include <algorithm>

#include "model/boundary.h"

namespace quire::cache {

using model::NodeId;

BelowRam BelowSearch::count(NodeId end, uint32_t have_units) {
  per_block_ = root_.layout->units_per_block;
  have_units_ = model::block_floor_units(have_units, per_block_);
  known_ = end;
  found_ = {};
  const uint32_t units = tree_.node(end).units();
  const bool few = units <= kFewBlocks * per_block_;
  // A walk needs no keys: the chain is not asked behind its end.
  if (few || units > chain_.count() || !search(end)) {
    // What the search counted so far is void; what it cost is not.
    found_ = {.steps = found_.steps};
    walk(end);
  }
  return found_;
}

// False: too many holes, or a span was not found by its key.
bool BelowSearch::search(NodeId end) {
  NodeId last = end;  // of the part that is not counted yet
  uint32_t depths = 0;
  bool found = true;
  const uint32_t deepest = tree_.node(end).units();
  presence_.holes().for_each_depth(tree_.node(end).root(), deepest, [&](uint32_t units) {
    const NodeId span = span_at(units);
    found = ++depths <= kManyDepths && span.valid();
    // It may be another path's.
    if (!found || !presence_.is_hole(span)) return found;
    found = search_part(units, last);
    last = span;
    return found;
  });
  return found && search_part(0, last);
}

// The spans behind `lower` up to `last`: some in RAM, and from one on none.
bool BelowSearch::search_part(uint32_t lower, NodeId last) {
  ++found_.steps;
  const uint32_t end = tree_.node(last).units();
  // Between two holes RAM is left from the deep end on: the last one is there, so all are.
  if (end == lower || tree_.node(last).is_in_ram()) return true;
  uint32_t in_ram = lower;  // up to here, or nothing is
  uint32_t below = end;     // this one is not
  while (below - in_ram > per_block_) {
    const uint32_t blocks = (below - in_ram) / per_block_;
    const uint32_t middle = in_ram + blocks / 2 * per_block_;
    // One of these is next, and far from here: its miss overlaps with this one's.
    tree_.prefetch(guess(in_ram + blocks / 4 * per_block_));
    tree_.prefetch(guess(middle + blocks / 4 * per_block_));
    const NodeId span = span_at(middle);
    if (!span.valid()) return false;
    (tree_.node(span).is_in_ram() ? in_ram : below) = middle;
  }
  add(in_ram, end);
  return true;
}

void BelowSearch::walk(NodeId end) {
  for (NodeId span = end; span != root_.node; span = tree_.parent(span)) {
    ++found_.steps;
    const Node& node = tree_.node(span);
    if (!node.is_in_ram()) add(node.units() - per_block_, node.units());
  }
}

// What the engine holds already is not loaded.
void BelowSearch::add(uint32_t from_units, uint32_t to_units) {
  found_.blocks += (to_units - from_units) / per_block_;
  const uint32_t wanted_from = std::max(from_units, have_units_);
  if (to_units > wanted_from) found_.wanted_blocks += (to_units - wanted_from) / per_block_;
}

// Where the span lies if it and the one found last were added one after the other.
NodeId BelowSearch::guess(uint32_t units) const {
  const int64_t ahead =
      (int64_t{units} - int64_t{tree_.node(known_).units()}) / int64_t{per_block_};
  const int64_t id = int64_t{known_.value} + ahead;
  return id < 0 || id >= tree_.end_of_nodes() ? known_ : NodeId{static_cast<uint32_t>(id)};
}

NodeId BelowSearch::span_at(uint32_t units) {
  ++found_.steps;
  const model::Hash256 key = chain_.after(units);
  const model::RootId root = tree_.node(known_).root();
  const NodeId guessed = guess(units);
  const Node& node = tree_.node(guessed);
  // A hidden one may have the key of one that was added since.
  const bool right = ChildList::is_visible_span(node) && node.units() == units &&
                     node.root() == root && tree_.key(guessed) == key;
  if (right) return known_ = guessed;
  const auto found = tree_.find(root, NodeKind::kSpan, key);
  if (!found || tree_.node(*found).units() != units) return {};
  return known_ = *found;
}

}  // namespace quire::cache
