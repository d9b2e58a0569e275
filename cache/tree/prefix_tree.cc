#include "cache/tree/prefix_tree.h"

#include <utility>

#include "model/check.h"
#include "model/limits.h"

namespace quire::cache {

using allocator::FlatArray;
using model::Hash256;
using model::NodeId;
using model::Result;
using model::RootId;

namespace {

model::NodeId decode(uint32_t plus_one) { return NodeId{plus_one - 1}; }
uint32_t encode(NodeId node) { return node.value + 1; }
bool is_visible_span(const Node& node) { return ChildList::is_visible_span(node); }

bool may_have_children(const Node& link) { return link.is_root() || link.is_span(); }

}  // namespace

PrefixTree::PrefixTree(FlatArray<Node> nodes, FlatArray<Hash256> keys, ChainIndex index,
                       NodeRuns runs)
    : nodes_(std::move(nodes)),
      keys_(std::move(keys)),
      index_(std::move(index)),
      runs_(std::move(runs)) {}

Result<std::unique_ptr<PrefixTree>> PrefixTree::create(uint64_t max_nodes, uint64_t seed) {
  NodeRuns runs = QUIRE_TRY(NodeRuns::create(max_nodes));
  ChainIndex index = QUIRE_TRY(ChainIndex::create(max_nodes, seed));
  // Ids stay below max_nodes rounded up to whole runs.
  const uint64_t places = runs.max_id_count();
  FlatArray<Node> nodes = QUIRE_TRY(FlatArray<Node>::reserve(places));
  FlatArray<Hash256> keys = QUIRE_TRY(FlatArray<Hash256>::reserve(places));
  return std::unique_ptr<PrefixTree>(
      new PrefixTree(std::move(nodes), std::move(keys), std::move(index), std::move(runs)));
}

// A root has no key and is not in the index: NamespaceTable knows its node.
std::optional<NodeId> PrefixTree::add_root(RootId root, uint32_t color) {
  const std::optional<NodeId> node = runs_.take_filler(color % NodeRuns::kColors);
  if (!node) return std::nullopt;
  Node& added = nodes_[node->value];
  added = Node{};
  QUIRE_CHECK(root.value <= UINT16_MAX);  // kMaxRoots
  added.root_ = static_cast<uint16_t>(root.value);
  added.kind_ = static_cast<uint32_t>(NodeKind::kRoot);
  if (colors_.size() <= root.value) colors_.resize(root.value + size_t{1});
  colors_[root.value] = static_cast<uint8_t>(color % NodeRuns::kColors);
  return node;
}

std::optional<NodeId> PrefixTree::add(NodeId parent, NodeKind kind, const Hash256& key,
                                      uint32_t units) {
  QUIRE_CHECK(kind == NodeKind::kSpan || kind == NodeKind::kCheckpoint);
  Node& above = nodes_[parent.value];
  QUIRE_CHECK(may_have_children(above));
  QUIRE_CHECK(units >= above.units_ && units < model::kMaxUnits);
  const std::optional<NodeId> node = take_place(parent, kind);
  if (!node) return std::nullopt;
  Node& added = nodes_[node->value];
  added = Node{};
  added.root_ = above.root_;
  added.kind_ = static_cast<uint32_t>(kind) & 3;
  added.units_ = units & (model::kMaxUnits - 1);
  keys_[node->value] = key;
  if (kind == NodeKind::kSpan) {
    link_first(parent, *node);
  } else {
    above.has_checkpoints_ = 1;
    link_last(parent, *node);
  }
  // Last: table_hash() reads root, kind and key back from the node.
  index_.insert(table_hash(*node), *node);
  return node;
}

void PrefixTree::remove(NodeId node) {
  Node& link = nodes_[node.value];
  QUIRE_CHECK(link.kind() != NodeKind::kFree);
  QUIRE_CHECK(is_leaf(node) && !link.is_pinned());
  if (link.kind() != NodeKind::kRoot) {
    // hide() has taken a quarantined one out of the index.
    if (link.quarantined_ == 0) QUIRE_CHECK(index_.erase(table_hash(node), node));
    unlink(node);
  }
  link = Node{};
  runs_.release(node);
}

void PrefixTree::hide(NodeId node) {
  Node& link = nodes_[node.value];
  QUIRE_CHECK(link.kind() == NodeKind::kSpan || link.kind() == NodeKind::kCheckpoint);
  QUIRE_CHECK(link.quarantined_ == 0);
  QUIRE_CHECK(index_.erase(table_hash(node), node));
  link.quarantined_ = 1;
  const NodeId above = parent(node);
  // To the end of the list: ChildList relies on it that spans that can be found stand in front.
  unlink(node);
  link_last(above, node);
}

std::optional<NodeId> PrefixTree::find(RootId root, NodeKind kind, const Hash256& key) const {
  // Tags are 32 bits, so a match of tags proves nothing: key, root and kind are compared whole (law
  // 1).
  return index_.find(table_hash(root.value, kind, key), [&](NodeId node) {
    const Node& link = nodes_[node.value];
    __builtin_prefetch(&link);  // its miss overlaps with the key's
    return keys_[node.value] == key && link.root_ == root.value && link.kind() == kind;
  });
}

void PrefixTree::prefetch(RootId root, NodeKind kind, const Hash256& key) const {
  index_.prefetch(table_hash(root.value, kind, key));
}

void PrefixTree::prefetch_removal(NodeId node) const { index_.prefetch(table_hash(node)); }

uint64_t PrefixTree::resident_bytes() const {
  return nodes_.held_bytes(end_of_nodes()) + keys_.held_bytes(end_of_nodes()) +
         index_.resident_bytes() + runs_.resident_bytes();
}

uint64_t PrefixTree::table_hash(uint32_t root, NodeKind kind, const Hash256& key) const {
  return index_.hash(key, root << 2 | static_cast<uint32_t>(kind));
}

uint64_t PrefixTree::table_hash(NodeId node) const {
  const Node& link = nodes_[node.value];
  return table_hash(link.root_, link.kind(), keys_[node.value]);
}

std::optional<NodeId> PrefixTree::take_place(NodeId parent, NodeKind kind) {
  const uint32_t color = colors_[nodes_[parent.value].root_];
  // A checkpoint behind its span would break the chain that grows there.
  if (kind == NodeKind::kCheckpoint) return runs_.take_filler(color);
  const NodeId behind{parent.value + 1};
  if (runs_.take(behind, color)) return behind;
  const std::optional<NodeId> start = runs_.take_run_start(color);
  return start ? start : runs_.take_filler(color);
}

void PrefixTree::link_first(NodeId parent, NodeId child) {
  Node& above = nodes_[parent.value];
  Node& link = nodes_[child.value];
  link.parent_ = encode(parent);
  link.next_sibling_ = above.first_child_;
  link.previous_sibling_ = encode(child);
  if (above.first_child_ != 0) {
    Node& second = nodes_[above.first_child_ - 1];
    link.previous_sibling_ = second.previous_sibling_;
    second.previous_sibling_ = encode(child);
  }
  above.first_child_ = encode(child);
}

void PrefixTree::link_last(NodeId parent, NodeId child) {
  Node& above = nodes_[parent.value];
  if (above.first_child_ == 0) return link_first(parent, child);
  Node& first = nodes_[above.first_child_ - 1];
  Node& link = nodes_[child.value];
  link.parent_ = encode(parent);
  link.next_sibling_ = 0;
  link.previous_sibling_ = first.previous_sibling_;
  nodes_[first.previous_sibling_ - 1].next_sibling_ = encode(child);
  first.previous_sibling_ = encode(child);
}

void PrefixTree::unlink(NodeId child) {
  const Node& link = nodes_[child.value];
  Node& above = nodes_[link.parent_ - 1];
  const bool is_first = above.first_child_ == encode(child);
  const bool is_last = link.next_sibling_ == 0;
  if (!is_last) nodes_[link.next_sibling_ - 1].previous_sibling_ = link.previous_sibling_;
  // The first child names the last one: it learns when the last one goes.
  if (is_last && !is_first)
    nodes_[above.first_child_ - 1].previous_sibling_ = link.previous_sibling_;
  if (is_first) {
    above.first_child_ = link.next_sibling_;
  } else {
    nodes_[link.previous_sibling_ - 1].next_sibling_ = link.next_sibling_;
  }
}

void PrefixTree::check_invariants() const {
  runs_.check_invariants();
  index_.check_invariants();
  uint64_t linked = 0;
  uint64_t below_root = 0;
  uint64_t visible = 0;
  for (uint32_t id = 0; id < end_of_nodes(); ++id) {
    const Node& link = nodes_[id];
    QUIRE_CHECK(runs_.in_use(NodeId{id}) == (link.kind() != NodeKind::kFree));
    if (link.kind() == NodeKind::kFree) continue;
    check_node(NodeId{id});
    linked += check_children(NodeId{id});
    if (link.kind() == NodeKind::kRoot) continue;
    ++below_root;
    visible += link.quarantined_ == 0 ? 1 : 0;
  }
  QUIRE_CHECK(linked == below_root);
  QUIRE_CHECK(visible == index_.size());
}

void PrefixTree::check_node(NodeId node) const {
  const Node& link = nodes_[node.value];
  if (link.kind() == NodeKind::kRoot) {
    QUIRE_CHECK(link.units_ == 0 && link.parent_ == 0);
    return;
  }
  QUIRE_CHECK(link.parent_ != 0 && runs_.in_use(decode(link.parent_)));
  const Node& above = nodes_[link.parent_ - 1];
  QUIRE_CHECK(may_have_children(above) && above.root_ == link.root_);
  if (link.kind() == NodeKind::kSpan) {
    QUIRE_CHECK(link.units_ > above.units_);
    if (above.kind() == NodeKind::kSpan) {
      const Node& before = nodes_[above.parent_ - 1];
      QUIRE_CHECK(link.units_ + before.units_ == 2 * above.units_);
    }
  } else {
    QUIRE_CHECK(link.units_ >= above.units_);
  }
  if (link.quarantined_ == 0) {
    QUIRE_CHECK(find(RootId{link.root_}, link.kind(), keys_[node.value]) == node);
  }
}

// Returns the number of children.
uint64_t PrefixTree::check_children(NodeId node) const {
  uint64_t count = 0;
  bool spans_ended = false;
  NodeId last{};
  children(node).for_each([&](NodeId child) {
    const Node& link = nodes_[child.value];
    QUIRE_CHECK(decode(link.parent_) == node);
    QUIRE_CHECK(count == 0 || decode(link.previous_sibling_) == last);
    QUIRE_CHECK(!(spans_ended && is_visible_span(link)));
    spans_ended = !is_visible_span(link);
    last = child;
    ++count;
  });
  if (count > 0) {
    const Node& first = nodes_[nodes_[node.value].first_child_ - 1];
    QUIRE_CHECK(decode(first.previous_sibling_) == last);
  }
  return count;
}

}  // namespace quire::cache
