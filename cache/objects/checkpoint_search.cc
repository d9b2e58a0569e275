#include "cache/objects/checkpoint_search.h"

#include <algorithm>

namespace quire::cache {

using model::NodeId;

bool CheckpointSearch::is_usable(NodeId checkpoint) const {
  const Node& node = tree_.node(checkpoint);
  return !node.is_quarantined() && (all_reachable_ || presence_.is_reachable(checkpoint)) &&
         tree_.key(checkpoint) == chain_.after(node.units());
}

NodeId CheckpointSearch::below(NodeId span, uint32_t reach) {
  const Node& node = tree_.node(span);
  const uint32_t first = std::max<uint32_t>(node.units(), 1);
  const uint32_t last = std::min(reach, chain_.count());
  if (!node.has_checkpoints() || last < first) return {};
  NodeId best;
  uint32_t best_units = first - 1;
  uint32_t looked_at = 0;
  const ChildList children = tree_.children(span);
  for (NodeId child = children.last(); child.valid(); child = children.before(child)) {
    const Node& below = tree_.node(child);
    // Spans that can be found stand before all others.
    if (ChildList::is_visible_span(below)) return best;
    if (is_spent()) return best;
    // There are more children than positions: from here on a probe a position costs less. What was
    // found so far is the deepest of those looked at, so only positions behind it are probed.
    if (looked_at > last - first) {
      const NodeId probed = probe(node, best_units, last);
      return probed.valid() ? probed : best;
    }
    ++steps_;
    ++looked_at;
    const bool deeper =
        below.is_checkpoint() && below.units() > best_units && below.units() <= last;
    if (!deeper || !is_usable(child)) continue;
    best = child;
    best_units = below.units();
  }
  return best;
}

// At positions (above, reach], the deepest first.
NodeId CheckpointSearch::probe(const Node& span, uint32_t above, uint32_t reach) {
  for (uint32_t units = reach; units > above && !is_spent(); --units) {
    ++steps_;
    const auto found = tree_.find(span.root(), NodeKind::kCheckpoint, chain_.after(units));
    if (found && tree_.node(*found).units() == units && is_usable(*found)) return *found;
  }
  return {};
}

}  // namespace quire::cache
