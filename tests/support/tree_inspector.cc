#include "tests/support/tree_inspector.h"

namespace quire::tests {

using cache::NodeKind;
using model::NodeId;

namespace {

NodeKind node_kind(model::FillKind kind) {
  return kind == model::FillKind::kSpan ? NodeKind::kSpan : NodeKind::kCheckpoint;
}

}  // namespace

template <typename Visit>
void TreeInspector::for_each_node(Visit&& visit) const {
  for (uint32_t i = 0; i < tree_.end_of_nodes(); ++i) {
    const NodeKind kind = cache::kind_of(tree_.link(NodeId{i}));
    if (kind != NodeKind::kFree) visit(NodeId{i}, kind);
  }
}

std::optional<NodeId> TreeInspector::find(model::RootId root, model::FillKind kind,
                                          const model::Hash256& hash) const {
  return tree_.find(root, node_kind(kind), hash);
}

NodeId TreeInspector::find_anywhere(model::FillKind kind, const model::Hash256& hash) const {
  NodeId found;
  for_each_node([&](NodeId node, NodeKind present) {
    if (!found.valid() && present == node_kind(kind) && tree_.key(node) == hash) found = node;
  });
  return found;
}

std::vector<NodeId> TreeInspector::objects() const {
  std::vector<NodeId> found;
  for_each_node([&](NodeId node, NodeKind kind) {
    if (cache::is_object(kind)) found.push_back(node);
  });
  return found;
}

ObjectState TreeInspector::object(NodeId node) const {
  const cache::NodeLink& link = tree_.link(node);
  return {.units = link.units,
          .pins = link.pins,
          .in_ram = link.resident != 0,
          .on_ssd = link.on_ssd != 0,
          .moving = link.moving != 0,
          .quarantined = link.quarantined != 0,
          .may_have_checkpoints = link.has_checkpoints != 0};
}

uint64_t TreeInspector::pin_count() const {
  uint64_t pins = 0;
  for_each_node([&](NodeId node, NodeKind) { pins += object(node).pins; });
  return pins;
}

uint64_t TreeInspector::moving_count() const {
  uint64_t count = 0;
  for_each_node([&](NodeId node, NodeKind) { count += object(node).moving ? 1 : 0; });
  return count;
}

void TreeInspector::pin(NodeId node) { ++tree_.link(node).pins; }

// A checkpoint has no children, and keeps its owner where spans name their first one.
void TreeInspector::set_owner_tag(NodeId checkpoint, uint32_t tag) {
  tree_.link(checkpoint).first_child = tag;
}

}  // namespace quire::tests
