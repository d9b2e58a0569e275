#include "tests/support/tree_inspector.h"

namespace quire::tests {

using cache::node_kind;
using cache::NodeKind;
using model::NodeId;

template <typename Visit>
void TreeInspector::for_each_node(Visit&& visit) const {
  for (uint32_t i = 0; i < tree_.end_of_nodes(); ++i) {
    const NodeKind kind = tree_.node(NodeId{i}).kind();
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

ObjectState TreeInspector::object(NodeId id) const {
  const cache::Node& node = tree_.node(id);
  const cache::NodeMarks& marks = tree_.marks();
  return {.units = node.units(),
          .pins = marks.pins(id, cache::PinKind::kPresence) +
                  marks.pins(id, cache::PinKind::kResidency),
          .in_ram = node.is_in_ram(),
          .on_ssd = node.is_in(model::TierId::kSsd),
          .on_cluster = node.is_in(model::TierId::kCluster),
          .moving = node.is_moving(),
          .quarantined = node.is_quarantined(),
          .may_have_checkpoints = node.has_checkpoints()};
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

void TreeInspector::pin(NodeId node) { tree_.marks().add_pin(node, cache::PinKind::kPresence); }

// A checkpoint has no children, and keeps its owner where spans name their first one.
void TreeInspector::set_owner_tag(NodeId checkpoint, uint32_t tag) {
  tree_.marks().set_owner_tag(checkpoint, tag);
}

}  // namespace quire::tests
