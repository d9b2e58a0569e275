#include "cache/serve/checkpoint_search.h"

#include <algorithm>

namespace quire::cache {

using model::NodeId;

bool CheckpointSearch::is_usable(NodeId checkpoint) const {
  const NodeLink& link = tree_.link(checkpoint);
  return !link.quarantined && (!ram_only_ || link.resident) &&
         tree_.key(checkpoint) == chain_.after(link.units);
}

NodeId CheckpointSearch::below(NodeId span, uint32_t reach) {
  const NodeLink& link = tree_.link(span);
  const uint32_t first = std::max<uint32_t>(link.units, 1);
  const uint32_t last = std::min(reach, chain_.count());
  if (!link.has_checkpoints || last < first) return {};
  NodeId best;
  uint32_t best_units = first - 1;
  uint32_t looked_at = 0;
  for (NodeId child = tree_.last_child(span); child.valid(); child = tree_.sibling_before(child)) {
    const NodeLink& below = tree_.link(child);
    // Spans that can be found stand before all others.
    if (kind_of(below) == NodeKind::kSpan && !below.quarantined) return best;
    if (steps_ == kMaxSteps) return best;
    if (looked_at > last - first) {
      const NodeId probed = probe(link, best_units, last);
      return probed.valid() ? probed : best;
    }
    ++steps_;
    ++looked_at;
    const bool deeper =
        kind_of(below) == NodeKind::kCheckpoint && below.units > best_units && below.units <= last;
    if (!deeper || !is_usable(child)) continue;
    best = child;
    best_units = below.units;
  }
  return best;
}

// At positions (above, reach], the deepest first.
NodeId CheckpointSearch::probe(const NodeLink& span, uint32_t above, uint32_t reach) {
  for (uint32_t units = reach; units > above && steps_ < kMaxSteps; --units) {
    ++steps_;
    const auto found =
        tree_.find(model::RootId{span.root}, NodeKind::kCheckpoint, chain_.after(units));
    if (found && tree_.link(*found).units == units && is_usable(*found)) return *found;
  }
  return {};
}

}  // namespace quire::cache
