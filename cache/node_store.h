// Nodes together with their pages: the one place where a page is pinned, where memory is made by
// evicting, and where a node vanishes.
//
// Rules: a node with pins or children is never dropped; dropping frees all of its pages at once
// (law 2); a quarantined node is out of the index from the first moment and goes with its last pin.
// Candidates for eviction are told to the domain's policy when they become leaves without pins.
// Threads: core only.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "allocator/pool.h"
#include "cache/eviction_policy.h"
#include "cache/namespace_table.h"
#include "cache/prefix_tree.h"
#include "model/ids.h"
#include "model/result.h"

namespace quire::cache {

using PolicyFactory = std::function<model::Result<std::unique_ptr<EvictionPolicy>>()>;

// Found while making room; the server tells clients to unmap it, then gives it back to the supply.
using RetiredSegment = allocator::Pool::Retired;
struct RetiredFrom {
  model::DomainId domain;
  RetiredSegment retired;
};

struct StoreCounters {
  uint64_t spans = 0;        // present
  uint64_t checkpoints = 0;  // present
  uint64_t evicted_spans = 0;
  uint64_t evicted_checkpoints = 0;
  uint64_t superseded_checkpoints = 0;
  uint64_t quarantined = 0;
  uint64_t stale_dropped = 0;  // of dead roots
};

enum class DropReason : uint8_t { kEvicted, kSuperseded, kQuarantined, kStale };

class NodeStore {
 public:
  NodeStore(std::unique_ptr<PrefixTree> tree, allocator::Pool* pool, NamespaceTable* names,
            PolicyFactory policy_factory);

  PrefixTree& tree() { return *tree_; }
  const PrefixTree& tree() const { return *tree_; }
  allocator::Pool& pool() { return *pool_; }
  const allocator::Pool& pool() const { return *pool_; }
  const StoreCounters& counters() const { return counters_; }
  // Pages present of one group of a layout, tail pages included.
  uint64_t resident_pages(model::LayoutId layout, model::GroupIndex group) const;

  // Prepares a domain's policy. kResourceExhausted when its tables cannot be had.
  model::Result<void> add_domain(model::DomainId domain);

  // One more right to this node: it and its path stay present and its pages in place (law 3).
  void pin(model::NodeId node) { ++tree_->link(node).pins; }
  void unpin(model::NodeId node);
  // Counts as a use for the eviction order.
  void use(model::NodeId node);
  void done_with(model::NodeId node);

  // Makes a node of sealed pages; from here on it can be hit. nullopt: no place for a node.
  std::optional<model::NodeId> add(model::NodeId parent, NodeKind kind, const model::Hash256& key,
                                   uint32_t units, std::span<const model::SlotId> slots);
  // Page slots of a node in plan order: first(node), then pool().page(slot).next.
  model::SlotId first_page(model::NodeId node) const;

  // Drops a leaf without pins. False when it may not go now.
  bool drop(model::NodeId node, DropReason reason);
  // Drops a checkpoint now, or when its last pin goes.
  void supersede(model::NodeId checkpoint);
  // Law 4: the node and everything that depends on it can never be hit again; pages go when
  // unpinned.
  void quarantine(model::NodeId node);

  // Drops the next victim of the domain's policy. False when nothing may go.
  bool evict_one(model::DomainId domain);
  // Evicts in the policy's order over all domains; returns how many went. 0 = everything evictable.
  uint64_t evict(uint64_t count);

  enum class Room : uint8_t { kHave, kPending, kNone };
  // A slot for a page, evicting and growing as needed; kPending: memory is on its way (a segment is
  // being made, or clients have yet to unmap one).
  Room allocate(allocator::ClassId size_class, model::DomainId domain, model::SlotId after,
                model::SlotId& slot);
  bool has_retired() const { return !retired_.empty(); }
  // Segments taken away from a domain since the last call.
  std::vector<RetiredFrom> take_retired();
  // A retired segment was given back to the supply.
  void retired_returned() { --retired_pending_; }

  // Up to `budget` nodes of dead roots are dropped; background work of one turn.
  void reclaim_dead(uint32_t budget);
  // Forgets a root that nobody uses and that has no nodes.
  void maybe_forget_root(model::RootId root);

  uint64_t table_bytes() const;
  void check_invariants() const;

 private:
  model::DomainId domain_of(model::NodeId node) const;
  EvictionPolicy& policy_of(model::NodeId node);
  bool may_drop(model::NodeId node) const;
  void offer(model::NodeId node);  // tells the policy, if it may go
  void count_drop(NodeKind kind, DropReason reason);
  void count_pages(model::NodeId node, int64_t change);
  void free_pages(model::NodeId node);
  bool take_from_other_domain(model::DomainId domain);
  bool retire_free(model::DomainId domain);
  uint32_t reclaim_root(model::NodeId root_node, uint32_t budget);

  std::unique_ptr<PrefixTree> tree_;
  allocator::Pool* pool_;
  NamespaceTable* names_;
  PolicyFactory policy_factory_;
  std::vector<std::unique_ptr<EvictionPolicy>> policies_;  // by domain
  std::vector<RetiredFrom> retired_;
  uint32_t retired_pending_ = 0;  // taken away, not yet given back
  std::vector<std::array<uint64_t, model::kMaxGroups>> pages_by_layout_;
  StoreCounters counters_;
};

}  // namespace quire::cache
