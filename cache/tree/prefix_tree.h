// Spans and checkpoints as one tree per root (DESIGN sections 1 and 3).
//
//   root --- span --- span --- span          child lists are doubly linked through siblings;
//     \         \        \--- checkpoint     a checkpoint is a child of the span that ends at
//      \         \--- span ...               floor(h / B) * B and never has children
//
// 64 bytes a node in two flat arrays: the key (32 B, touched by probes only) and the link (32 B,
// touched by walks). Spans of one run are allocated adjacent, so that a walk over a million tokens
// reads adjacent memory; checkpoints and roots fill the gaps.
//
// Invariants (check_invariants): a node's parent is present and is a span or root; depth grows by
// one block along spans; child lists and parents agree; in a child list spans that can be found
// stand before checkpoints and hidden spans; a span or checkpoint is in the index exactly once
// unless it is quarantined. That pages of a node are kSealed and name it as owner is checked by the
// cache. Threads: core only. No memory is allocated per node.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "allocator/flat_array.h"
#include "cache/tree/chain_index.h"
#include "cache/tree/node_runs.h"
#include "model/hash256.h"
#include "model/ids.h"
#include "model/result.h"
#include "model/ring_frames.h"

namespace quire::cache {

enum class NodeKind : uint8_t { kFree = 0, kRoot = 1, kSpan = 2, kCheckpoint = 3 };

// All fields zero = a free node. "+1" fields: value + 1, 0 = none.
struct NodeLink {
  uint16_t root;              // RootId value
  uint16_t ssd_generation;    // on_ssd: low bits of the copy's generation
  uint32_t parent;            // NodeId + 1
  uint32_t first_child;       // NodeId + 1; a checkpoint keeps its owner tag here instead
  uint32_t next_sibling;      // NodeId + 1
  uint32_t previous_sibling;  // NodeId + 1; the first child's names the last one
  uint32_t first_page;        // resident: SlotId + 1; else the slot of its SSD copy + 1
  uint32_t pins : 22;  // leases, session tips, transfers; 0 <=> may leave RAM, or go when a leaf
  uint32_t resident_children : 6;  // children with pages in RAM; 63: NodeStore has the number
  uint32_t resident : 1;           // its pages are in RAM
  uint32_t on_ssd : 1;             // a durable copy is on the SSD
  uint32_t in_ssd_policy : 1;      // the SSD's eviction policy knows it as a candidate
  uint32_t moving : 1;             // a transfer to or from the SSD is under way (and pins it)
  uint32_t units : 24;             // position of its end, in units
  uint32_t kind : 2;               // NodeKind
  uint32_t quarantined : 1;        // out of the index; its pages go when the last pin does
  uint32_t has_checkpoints : 1;    // hint: a checkpoint child was added (may be gone)
  uint32_t kept : 1;               // checkpoint: interval or branch, never superseded
  uint32_t in_policy : 1;          // RAM's eviction policy knows it as a candidate
  uint32_t superseded : 1;         // checkpoint: goes when its last pin does
  uint32_t ssd_child : 1;          // a child has a copy; NodeStore counts them from two on
};
// 2^22 pins: 16,384 sessions' tips, and 65,536 leases of at most 17 pins on one node.
inline constexpr uint32_t kMaxPins = (1u << 22) - 1;
static_assert(sizeof(NodeLink) == 32);

inline NodeKind kind_of(const NodeLink& link) { return static_cast<NodeKind>(link.kind); }
// Spans and checkpoints: what holds pages.
inline bool is_object(NodeKind kind) {
  return kind == NodeKind::kSpan || kind == NodeKind::kCheckpoint;
}
inline model::FillKind fill_kind(NodeKind kind) {
  return kind == NodeKind::kSpan ? model::FillKind::kSpan : model::FillKind::kCheckpoint;
}

class PrefixTree {
 public:
  // `max_nodes` bounds address space only.
  static model::Result<std::unique_ptr<PrefixTree>> create(uint64_t max_nodes, uint64_t seed);

  // A root node (kind kRoot, position 0). nullopt: max_nodes reached.
  std::optional<model::NodeId> add_root(model::RootId root);
  // A node below `parent`; a span is placed behind it in memory when that place is free. A
  // checkpoint sets has_checkpoints in its parent. Preconditions: the parent is a root or span;
  // units is at least the parent's; no node with this (root, kind, key) can be found. nullopt:
  // max_nodes.
  std::optional<model::NodeId> add(model::NodeId parent, NodeKind kind, const model::Hash256& key,
                                   uint32_t units);
  // Precondition: no children, no pins. Unlinks and frees it; its pages are the caller's. Its id
  // may be given to the next node.
  void remove(model::NodeId node);
  // Takes a span or checkpoint out of the index, so that it is never found again, while others
  // still hold it, and marks it quarantined. Its key may then be added anew.
  void hide(model::NodeId node);

  std::optional<model::NodeId> find(model::RootId root, NodeKind kind,
                                    const model::Hash256& key) const;
  void prefetch(model::RootId root, NodeKind kind, const model::Hash256& key) const;

  NodeLink& link(model::NodeId node) { return links_[node.value]; }
  const NodeLink& link(model::NodeId node) const { return links_[node.value]; }
  const model::Hash256& key(model::NodeId node) const { return keys_[node.value]; }
  model::NodeId parent(model::NodeId node) const { return decode(links_[node.value].parent); }
  // kNone id from a "+1" field.
  static model::NodeId decode(uint32_t plus_one) { return model::NodeId{plus_one - 1}; }
  static uint32_t encode(model::NodeId node) { return node.value + 1; }

  bool is_leaf(model::NodeId node) const;  // no children
  // Two or more span children that can be found: an earlier session diverged behind this node.
  bool is_branch(model::NodeId node) const;
  // A span that can be found is among the children.
  bool has_span_child(model::NodeId node) const;
  // Children from the last to the first: none id when there are no (more).
  model::NodeId last_child(model::NodeId node) const;
  model::NodeId sibling_before(model::NodeId child) const;
  // Calls visit(NodeId) for each direct child; visit must not change the list.
  template <typename Visit>
  void for_each_child(model::NodeId node, Visit&& visit) const;
  // Checkpoints directly below, from the end of the list, where they stand; each node looked at
  // takes one of `budget`. visit(NodeId) may remove the node it is given.
  template <typename Visit>
  void for_each_checkpoint(model::NodeId node, uint32_t& budget, Visit&& visit) const;

  uint64_t node_count() const { return runs_.used_count(); }    // roots included
  uint32_t end_of_nodes() const { return runs_.end_of_ids(); }  // ids in use are below; for sweeps
  const ChainIndex& index() const { return index_; }            // for status
  uint64_t resident_bytes() const;                              // arrays and index
  void check_invariants() const;

 private:
  PrefixTree(allocator::FlatArray<NodeLink> links, allocator::FlatArray<model::Hash256> keys,
             ChainIndex index, NodeRuns runs);

  uint64_t table_hash(uint32_t root, NodeKind kind, const model::Hash256& key) const;
  uint64_t table_hash(model::NodeId node) const;
  std::optional<model::NodeId> take_place(model::NodeId parent, NodeKind kind);
  void link_first(model::NodeId parent, model::NodeId child);
  void link_last(model::NodeId parent, model::NodeId child);
  void unlink(model::NodeId child);
  void check_node(model::NodeId node) const;
  uint64_t check_children(model::NodeId node) const;

  allocator::FlatArray<NodeLink> links_;
  allocator::FlatArray<model::Hash256> keys_;
  ChainIndex index_;
  NodeRuns runs_;
};

template <typename Visit>
void PrefixTree::for_each_child(model::NodeId node, Visit&& visit) const {
  if (is_leaf(node)) return;
  for (uint32_t child = links_[node.value].first_child; child != 0;
       child = links_[child - 1].next_sibling) {
    visit(decode(child));
  }
}

template <typename Visit>
void PrefixTree::for_each_checkpoint(model::NodeId node, uint32_t& budget, Visit&& visit) const {
  if (is_leaf(node)) return;
  uint32_t child = links_[links_[node.value].first_child - 1].previous_sibling;
  for (bool more = true; more && budget > 0; --budget) {
    const NodeLink& link = links_[child - 1];
    const bool hidden = link.quarantined != 0;
    if (kind_of(link) == NodeKind::kSpan && !hidden) return;  // only such spans stand before it
    more = child != links_[node.value].first_child;
    const model::NodeId current = decode(child);
    child = link.previous_sibling;
    if (kind_of(link) == NodeKind::kCheckpoint && !hidden) visit(current);
  }
}

}  // namespace quire::cache
