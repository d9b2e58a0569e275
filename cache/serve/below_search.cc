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
  if (few || units > chain_.count() || !search_all(end)) {
    // What the search counted so far is void; what it cost is not.
    found_ = {.steps = found_.steps};
    walk(end);
  }
  return found_;
}

bool BelowSearch::search_all(NodeId end) {
  constexpr model::TierId kPlaced = Presence::kPlacedTier;
  Gaps ram;
  if (!search(end, ram)) return false;
  for (uint32_t i = 0; i < ram.count; ++i) add(ram.list[i]);
  if (found_.blocks == 0) return true;
  // What stands there is found only if it can be read, so what is not on SSD is on the hint tier.
  if (!presence_.is_readable(kPlaced)) {
    for (uint32_t i = 0; i < ram.count; ++i) add_hint(ram.list[i]);
    return true;
  }
  if (presence_.count_fastest(Presence::kHintTier) == 0) return true;
  Gaps placed{.tier = kPlaced, .list = {}};
  if (!search(end, placed)) return false;
  for (uint32_t i = 0; i < ram.count; ++i) {
    for (uint32_t k = 0; k < placed.count; ++k) {
      const Gap both{std::max(ram.list[i].from_units, placed.list[k].from_units),
                     std::min(ram.list[i].to_units, placed.list[k].to_units)};
      if (both.from_units < both.to_units) add_hint(both);
    }
  }
  return true;
}

// False: too many holes, or a span was not found by its key.
bool BelowSearch::search(NodeId end, Gaps& gaps) {
  NodeId last = end;  // of the part that is not counted yet
  uint32_t depths = 0;
  bool found = true;
  known_ = end;
  const uint32_t deepest = tree_.node(end).units();
  const HoleTable& holes = presence_.holes(gaps.tier);
  holes.for_each_depth(tree_.node(end).root(), deepest, [&](uint32_t units) {
    const NodeId span = span_at(units);
    found = ++depths <= kManyDepths && span.valid();
    // It may be another path's.
    if (!found || !presence_.is_hole(span, gaps.tier)) return found;
    found = search_part(units, last, gaps);
    last = span;
    return found;
  });
  return found && search_part(0, last, gaps);
}

// The spans behind `lower` up to `last`: some on the tier, and from one on none.
bool BelowSearch::search_part(uint32_t lower, NodeId last, Gaps& gaps) {
  ++found_.steps;
  const uint32_t end = tree_.node(last).units();
  // Between two holes a tier is left from the deep end on: the last one is there, so all are.
  if (end == lower || tree_.node(last).is_in(gaps.tier)) return true;
  uint32_t there = lower;  // up to here, or nothing is
  uint32_t below = end;    // this one is not
  while (below - there > per_block_) {
    const uint32_t blocks = (below - there) / per_block_;
    const uint32_t middle = there + blocks / 2 * per_block_;
    // One of these is next, and far from here: its miss overlaps with this one's.
    tree_.prefetch(guess(there + blocks / 4 * per_block_));
    tree_.prefetch(guess(middle + blocks / 4 * per_block_));
    const NodeId span = span_at(middle);
    if (!span.valid()) return false;
    (tree_.node(span).is_in(gaps.tier) ? there : below) = middle;
  }
  gaps.list[gaps.count++] = {there, end};
  return true;
}

void BelowSearch::walk(NodeId end) {
  for (NodeId span = end; span != root_.node; span = tree_.parent(span)) {
    ++found_.steps;
    const Node& node = tree_.node(span);
    if (node.is_in_ram()) continue;
    const Gap gap{node.units() - per_block_, node.units()};
    add(gap);
    if (presence_.source_of(span) == Presence::kHintTier) add_hint(gap);
  }
}

uint32_t BelowSearch::blocks_of(const Gap& gap) const {
  return (gap.to_units - gap.from_units) / per_block_;
}

// What the engine holds already is not loaded.
uint32_t BelowSearch::wanted_of(const Gap& gap) const {
  const uint32_t wanted_from = std::max(gap.from_units, have_units_);
  return gap.to_units > wanted_from ? (gap.to_units - wanted_from) / per_block_ : 0;
}

void BelowSearch::add(const Gap& gap) {
  found_.blocks += blocks_of(gap);
  found_.wanted_blocks += wanted_of(gap);
}

void BelowSearch::add_hint(const Gap& gap) {
  found_.hint_blocks += blocks_of(gap);
  found_.wanted_hint_blocks += wanted_of(gap);
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
