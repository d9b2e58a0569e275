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

bool is_visible_span(const NodeLink& link) {
  return kind_of(link) == NodeKind::kSpan && link.quarantined == 0;
}

bool may_have_children(const NodeLink& link) {
  return kind_of(link) == NodeKind::kRoot || kind_of(link) == NodeKind::kSpan;
}

}  // namespace

PrefixTree::PrefixTree(FlatArray<NodeLink> links, FlatArray<Hash256> keys, ChainIndex index,
                       NodeRuns runs)
    : links_(std::move(links)),
      keys_(std::move(keys)),
      index_(std::move(index)),
      runs_(std::move(runs)) {}

Result<std::unique_ptr<PrefixTree>> PrefixTree::create(uint64_t max_nodes, uint64_t seed) {
  NodeRuns runs = QUIRE_TRY(NodeRuns::create(max_nodes));
  ChainIndex index = QUIRE_TRY(ChainIndex::create(max_nodes, seed));
  // Ids stay below max_nodes rounded up to whole runs.
  const uint64_t places = runs.max_id_count();
  FlatArray<NodeLink> links = QUIRE_TRY(FlatArray<NodeLink>::reserve(places));
  FlatArray<Hash256> keys = QUIRE_TRY(FlatArray<Hash256>::reserve(places));
  return std::unique_ptr<PrefixTree>(
      new PrefixTree(std::move(links), std::move(keys), std::move(index), std::move(runs)));
}

std::optional<NodeId> PrefixTree::add_root(RootId root) {
  const std::optional<NodeId> node = runs_.take_filler();
  if (!node) return std::nullopt;
  NodeLink& added = links_[node->value];
  added = NodeLink{};
  QUIRE_CHECK(root.value <= UINT16_MAX);  // kMaxRoots
  added.root = static_cast<uint16_t>(root.value);
  added.kind = static_cast<uint32_t>(NodeKind::kRoot);
  return node;
}

std::optional<NodeId> PrefixTree::add(NodeId parent, NodeKind kind, const Hash256& key,
                                      uint32_t units) {
  QUIRE_CHECK(kind == NodeKind::kSpan || kind == NodeKind::kCheckpoint);
  NodeLink& above = links_[parent.value];
  QUIRE_CHECK(may_have_children(above));
  QUIRE_CHECK(units >= above.units && units < model::kMaxUnits);
  const std::optional<NodeId> node = take_place(parent, kind);
  if (!node) return std::nullopt;
  NodeLink& added = links_[node->value];
  added = NodeLink{};
  added.root = above.root;
  added.kind = static_cast<uint32_t>(kind) & 3;
  added.units = units & (model::kMaxUnits - 1);
  keys_[node->value] = key;
  if (kind == NodeKind::kSpan) {
    link_first(parent, *node);
  } else {
    above.has_checkpoints = 1;
    link_last(parent, *node);
  }
  index_.insert(table_hash(*node), *node);
  return node;
}

void PrefixTree::remove(NodeId node) {
  NodeLink& link = links_[node.value];
  QUIRE_CHECK(kind_of(link) != NodeKind::kFree);
  QUIRE_CHECK(is_leaf(node) && link.pins == 0);
  if (kind_of(link) != NodeKind::kRoot) {
    if (link.quarantined == 0) QUIRE_CHECK(index_.erase(table_hash(node), node));
    unlink(node);
  }
  link = NodeLink{};
  runs_.release(node);
}

void PrefixTree::hide(NodeId node) {
  NodeLink& link = links_[node.value];
  QUIRE_CHECK(kind_of(link) == NodeKind::kSpan || kind_of(link) == NodeKind::kCheckpoint);
  QUIRE_CHECK(link.quarantined == 0);
  QUIRE_CHECK(index_.erase(table_hash(node), node));
  link.quarantined = 1;
  const NodeId above = parent(node);
  unlink(node);
  link_last(above, node);
}

std::optional<NodeId> PrefixTree::find(RootId root, NodeKind kind, const Hash256& key) const {
  return index_.find(table_hash(root.value, kind, key), [&](NodeId node) {
    const NodeLink& link = links_[node.value];
    __builtin_prefetch(&link);  // its miss overlaps with the key's
    return keys_[node.value] == key && link.root == root.value && kind_of(link) == kind;
  });
}

void PrefixTree::prefetch(RootId root, NodeKind kind, const Hash256& key) const {
  index_.prefetch(table_hash(root.value, kind, key));
}

bool PrefixTree::is_leaf(NodeId node) const {
  const NodeLink& link = links_[node.value];
  return link.first_child == 0 || kind_of(link) == NodeKind::kCheckpoint;
}

// Constant time: spans that can be found stand first in the list.
bool PrefixTree::is_branch(NodeId node) const {
  if (is_leaf(node)) return false;
  const NodeLink& first = links_[links_[node.value].first_child - 1];
  if (!is_visible_span(first) || first.next_sibling == 0) return false;
  return is_visible_span(links_[first.next_sibling - 1]);
}

bool PrefixTree::has_span_child(NodeId node) const {
  return !is_leaf(node) && is_visible_span(links_[links_[node.value].first_child - 1]);
}

NodeId PrefixTree::last_child(NodeId node) const {
  if (is_leaf(node)) return {};
  return decode(links_[links_[node.value].first_child - 1].previous_sibling);
}

NodeId PrefixTree::sibling_before(NodeId child) const {
  const NodeLink& link = links_[child.value];
  if (links_[link.parent - 1].first_child == encode(child)) return {};
  return decode(link.previous_sibling);
}

uint64_t PrefixTree::resident_bytes() const {
  return links_.held_bytes(end_of_nodes()) + keys_.held_bytes(end_of_nodes()) +
         index_.resident_bytes() + runs_.resident_bytes();
}

uint64_t PrefixTree::table_hash(uint32_t root, NodeKind kind, const Hash256& key) const {
  return index_.hash(key, root << 2 | static_cast<uint32_t>(kind));
}

uint64_t PrefixTree::table_hash(NodeId node) const {
  const NodeLink& link = links_[node.value];
  return table_hash(link.root, kind_of(link), keys_[node.value]);
}

std::optional<NodeId> PrefixTree::take_place(NodeId parent, NodeKind kind) {
  // A checkpoint behind its span would break the chain that grows there.
  if (kind == NodeKind::kCheckpoint) return runs_.take_filler();
  const NodeId behind{parent.value + 1};
  if (runs_.take(behind)) return behind;
  const std::optional<NodeId> start = runs_.take_run_start();
  return start ? start : runs_.take_filler();
}

void PrefixTree::link_first(NodeId parent, NodeId child) {
  NodeLink& above = links_[parent.value];
  NodeLink& link = links_[child.value];
  link.parent = encode(parent);
  link.next_sibling = above.first_child;
  link.previous_sibling = encode(child);
  if (above.first_child != 0) {
    NodeLink& second = links_[above.first_child - 1];
    link.previous_sibling = second.previous_sibling;
    second.previous_sibling = encode(child);
  }
  above.first_child = encode(child);
}

void PrefixTree::link_last(NodeId parent, NodeId child) {
  NodeLink& above = links_[parent.value];
  if (above.first_child == 0) return link_first(parent, child);
  NodeLink& first = links_[above.first_child - 1];
  NodeLink& link = links_[child.value];
  link.parent = encode(parent);
  link.next_sibling = 0;
  link.previous_sibling = first.previous_sibling;
  links_[first.previous_sibling - 1].next_sibling = encode(child);
  first.previous_sibling = encode(child);
}

void PrefixTree::unlink(NodeId child) {
  const NodeLink& link = links_[child.value];
  NodeLink& above = links_[link.parent - 1];
  const bool is_first = above.first_child == encode(child);
  const bool is_last = link.next_sibling == 0;
  if (!is_last) links_[link.next_sibling - 1].previous_sibling = link.previous_sibling;
  if (is_last && !is_first) links_[above.first_child - 1].previous_sibling = link.previous_sibling;
  if (is_first) {
    above.first_child = link.next_sibling;
  } else {
    links_[link.previous_sibling - 1].next_sibling = link.next_sibling;
  }
}

void PrefixTree::check_invariants() const {
  runs_.check_invariants();
  index_.check_invariants();
  uint64_t linked = 0;
  uint64_t below_root = 0;
  uint64_t visible = 0;
  for (uint32_t id = 0; id < end_of_nodes(); ++id) {
    const NodeLink& link = links_[id];
    QUIRE_CHECK(runs_.in_use(NodeId{id}) == (kind_of(link) != NodeKind::kFree));
    if (kind_of(link) == NodeKind::kFree) continue;
    check_node(NodeId{id});
    linked += check_children(NodeId{id});
    if (kind_of(link) == NodeKind::kRoot) continue;
    ++below_root;
    visible += link.quarantined == 0 ? 1 : 0;
  }
  QUIRE_CHECK(linked == below_root);
  QUIRE_CHECK(visible == index_.size());
}

void PrefixTree::check_node(NodeId node) const {
  const NodeLink& link = links_[node.value];
  if (kind_of(link) == NodeKind::kRoot) {
    QUIRE_CHECK(link.units == 0 && link.parent == 0);
    return;
  }
  QUIRE_CHECK(link.parent != 0 && runs_.in_use(decode(link.parent)));
  const NodeLink& above = links_[link.parent - 1];
  QUIRE_CHECK(may_have_children(above) && above.root == link.root);
  if (kind_of(link) == NodeKind::kSpan) {
    QUIRE_CHECK(link.units > above.units);
    if (kind_of(above) == NodeKind::kSpan) {
      const NodeLink& before = links_[above.parent - 1];
      QUIRE_CHECK(link.units + before.units == 2 * above.units);
    }
  } else {
    QUIRE_CHECK(link.units >= above.units);
  }
  if (link.quarantined == 0) {
    QUIRE_CHECK(find(RootId{link.root}, kind_of(link), keys_[node.value]) == node);
  }
}

// Returns the number of children.
uint64_t PrefixTree::check_children(NodeId node) const {
  uint64_t count = 0;
  bool spans_ended = false;
  NodeId last{};
  for_each_child(node, [&](NodeId child) {
    const NodeLink& link = links_[child.value];
    QUIRE_CHECK(decode(link.parent) == node);
    QUIRE_CHECK(count == 0 || decode(link.previous_sibling) == last);
    QUIRE_CHECK(!(spans_ended && is_visible_span(link)));
    spans_ended = !is_visible_span(link);
    last = child;
    ++count;
  });
  if (count > 0) {
    const NodeLink& first = links_[links_[node.value].first_child - 1];
    QUIRE_CHECK(decode(first.previous_sibling) == last);
  }
  return count;
}

}  // namespace quire::cache
