// Spans and checkpoints as one tree per root (DESIGN sections 1 and 3).
//
//   root --- span --- span --- span          child lists are doubly linked through siblings;
//     \         \        \--- checkpoint     a checkpoint is a child of the span that ends at
//      \         \--- span ...               floor(h / B) * B and never has children
//
// 64 bytes a node in two flat arrays: the key (32 B, touched by probes only) and the node (32 B,
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
#include "cache/tree/child_list.h"
#include "cache/tree/node.h"
#include "cache/tree/node_marks.h"
#include "cache/tree/node_runs.h"
#include "model/hash256.h"
#include "model/ids.h"
#include "model/result.h"

namespace quire::cache {

class PrefixTree {
 public:
  // `max_nodes` bounds address space only.
  static model::Result<std::unique_ptr<PrefixTree>> create(uint64_t max_nodes, uint64_t seed);

  // A root node (kind kRoot, position 0). Nodes of roots of one colour lie in the same runs of ids
  // (NodeRuns). nullopt: max_nodes reached.
  std::optional<model::NodeId> add_root(model::RootId root, uint32_t color = 0);
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

  // By the full key; hidden nodes are not found. One probe of the index as a rule.
  std::optional<model::NodeId> find(model::RootId root, NodeKind kind,
                                    const model::Hash256& key) const;
  void prefetch(model::RootId root, NodeKind kind, const model::Hash256& key) const;
  // Likewise: it will be removed, and is at hand already; where the index has it is not.
  void prefetch_removal(model::NodeId node) const;
  void prefetch(model::NodeId node) const {
    __builtin_prefetch(&nodes_[node.value]);
    __builtin_prefetch(&keys_[node.value]);
  }

  const Node& node(model::NodeId node) const { return nodes_[node.value]; }
  const model::Hash256& key(model::NodeId node) const { return keys_[node.value]; }
  model::NodeId parent(model::NodeId node) const { return nodes_[node.value].parent(); }
  ChildList children(model::NodeId node) const { return {nodes_, node}; }
  // No child of any kind, hidden ones included.
  bool is_leaf(model::NodeId node) const { return children(node).empty(); }
  NodeMarks& marks() { return marks_; }
  const NodeMarks& marks() const { return marks_; }

  uint64_t node_count() const { return runs_.used_count(); }    // roots included
  uint64_t free_count() const { return runs_.free_count(); }    // nodes that find a place
  uint32_t end_of_nodes() const { return runs_.end_of_ids(); }  // ids in use are below; for sweeps
  const ChainIndex& index() const { return index_; }            // for status
  uint64_t resident_bytes() const;                              // arrays and index
  void check_invariants() const;

 private:
  PrefixTree(allocator::FlatArray<Node> nodes, allocator::FlatArray<model::Hash256> keys,
             ChainIndex index, NodeRuns runs);

  uint64_t table_hash(uint32_t root, NodeKind kind, const model::Hash256& key) const;
  uint64_t table_hash(model::NodeId node) const;
  std::optional<model::NodeId> take_place(model::NodeId parent, NodeKind kind);
  void link_first(model::NodeId parent, model::NodeId child);
  void link_last(model::NodeId parent, model::NodeId child);
  void unlink(model::NodeId child);
  void check_node(model::NodeId node) const;
  uint64_t check_children(model::NodeId node) const;

  allocator::FlatArray<Node> nodes_;
  allocator::FlatArray<model::Hash256> keys_;
  ChainIndex index_;
  NodeRuns runs_;
  std::vector<uint8_t> colors_;  // by root
  NodeMarks marks_{&nodes_};
};

}  // namespace quire::cache
