// Nodes together with their pages: the one place where a page is pinned, where memory is made by
// evicting, and where a node vanishes.
//
//   in RAM only  --set_on_ssd-->  in RAM and on SSD  --leave RAM-->  on SSD only
//        ^                              |    ^------- make_resident ------|
//        +------- forget_ssd -----------+            drop: gone from every tier
//
// Rules: a node with pins or children is never dropped; dropping frees all of its pages at once, in
// RAM and on SSD (law 2); what has an SSD copy, no pins and no child in RAM may leave RAM and stays
// present; a quarantined node is out of the index from the first moment and goes with its last pin.
// Candidates are told to the policies when they become so. The SSD's slots are the tier's: what is
// given up here waits in ssd_releases() for it.
// Threads: core only.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "allocator/pool.h"
#include "cache/eviction/eviction_policy.h"
#include "cache/objects/segment_taker.h"
#include "cache/objects/work_meter.h"
#include "cache/tree/namespace_table.h"
#include "cache/tree/prefix_tree.h"
#include "model/ids.h"
#include "model/metrics.h"
#include "model/result.h"

namespace quire::cache {

using PolicyFactory = std::function<model::Result<std::unique_ptr<EvictionPolicy>>()>;

struct PresenceCounters {
  model::Gauge spans{"spans", "Spans that can be hit, in whatever tier"};
  model::Gauge checkpoints{"checkpoints", "Checkpoints that can be hit, in whatever tier"};
  model::Counter evicted_spans{"evicted_spans", "Spans dropped for good to make room"};
  model::Counter evicted_checkpoints{"evicted_checkpoints",
                                     "Checkpoints dropped for good to make room"};
  model::Counter superseded_checkpoints{
      "superseded_checkpoints", "Checkpoints that later ones of their conversation replaced"};
  model::Counter quarantined{"quarantined", "Objects dropped because a page failed its checksum"};
  model::Counter stale_dropped{"stale_dropped", "Objects dropped with the roots they belonged to"};
  model::Counter fresh_missed{"fresh_missed",
                              "New objects that the queue to the SSD had no place for"};
};
struct ResidentCounters {
  model::Gauge resident_spans{"spans", "Spans with pages in RAM"};
  model::Gauge resident_checkpoints{"checkpoints", "Checkpoints with pages in RAM"};
  model::Counter left_ram{"left_for_ssd", "Objects whose pages left RAM and stay on SSD"};
};
struct CopyCounters {
  model::Gauge ssd_spans{"spans", "Spans with a durable copy on SSD"};
  model::Gauge ssd_checkpoints{"checkpoints", "Checkpoints with a durable copy on SSD"};
};
struct StoreCounters : PresenceCounters, ResidentCounters, CopyCounters {
  model::Counter promoted{"promoted", "Objects brought back to RAM"};
  model::Counter ssd_evicted{"evicted_copies", "Copies given up to make room on the device"};
};

// Where the copy of a node lies. `slot` is tiering::SsdSlot::value, 30 bits.
struct SsdPlace {
  uint32_t slot = 0;
  uint16_t generation = 0;
};

// A copy that nobody needs any more; its slot may be used again when its entry is durably gone.
struct SsdRelease {
  uint32_t slot = 0;
  model::RootId root;
  uint32_t units = 0;
  uint32_t unit_step = 0;  // of the root's layout: from one span to the next
  NodeKind kind = NodeKind::kFree;
};

// A node that was just added, in RAM only.
struct FreshNode {
  model::NodeId node;
  bool batch = false;  // by a session of the batch class
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
  // Of reader, writer and store; what they do is counted here.
  WorkMeter& work() { return work_; }
  // Pages present of one group of a layout, tail pages included.
  uint64_t resident_pages(model::LayoutId layout, model::GroupIndex group) const;

  // Prepares a domain's policy. kResourceExhausted when its tables cannot be had.
  model::Result<void> add_domain(model::DomainId domain);

  // One more right to this node: it and its path stay present and its pages in place (law 3).
  void pin(model::NodeId node) {
    NodeLink& link = tree_->link(node);
    QUIRE_CHECK(link.pins < kMaxPins);
    ++link.pins;
  }
  void unpin(model::NodeId node);
  // Counts as a use for the eviction order.
  void use(model::NodeId node);
  void done_with(model::NodeId node);
  // Not needed for a while: it and its path are the next to leave RAM, as far as nobody else uses
  // them. What the SSD holds of them stays. Looks at a bounded part of the path, deepest first.
  void pause(model::NodeId end);

  // Makes a node of sealed pages; from here on it can be hit. nullopt: no place for a node.
  std::optional<model::NodeId> add(model::NodeId parent, NodeKind kind, const model::Hash256& key,
                                   uint32_t units, std::span<const model::SlotId> slots,
                                   bool batch = false);
  // Page slots of a resident node in plan order; none after the last one.
  model::SlotId first_page(model::NodeId node) const;
  model::SlotId next_page(model::SlotId slot) const;
  // Which pages the node has.
  const model::PagePlan& plan_of(model::NodeId node) const;

  // --- the SSD tier (cache/objects/node_residency.cc) ---
  // Turns the calls below on. The policy orders what may leave the SSD.
  void attach_ssd(std::unique_ptr<EvictionPolicy> policy) { ssd_policy_ = std::move(policy); }
  bool has_ssd() const { return ssd_policy_ != nullptr; }
  // Whether what is on SSD only can be brought to RAM now; set by the tier.
  void set_ssd_readable(bool readable) { ssd_readable_ = readable; }
  bool is_reachable(model::NodeId node) const { return ssd_readable_ || is_resident(node); }
  bool ssd_readable() const { return ssd_readable_; }
  bool is_resident(model::NodeId node) const { return tree_->link(node).resident != 0; }
  // Nodes whose pages are on SSD only.
  uint64_t nonresident_count() const;
  std::optional<SsdPlace> ssd_place(model::NodeId node) const;
  // At start: a node whose pages are on SSD only. nullopt: no place for a node.
  std::optional<model::NodeId> add_on_ssd(model::NodeId parent, NodeKind kind,
                                          const model::Hash256& key, uint32_t units,
                                          SsdPlace place);
  // After the last add_on_ssd: tells the SSD's policy what may go.
  void offer_restored();
  // A durable copy exists. Precondition: resident, without a copy.
  void set_on_ssd(model::NodeId node, SsdPlace place);
  // The copy is given up; the node stays. Precondition: resident, with a copy.
  void forget_ssd(model::NodeId node);
  // The pages are in these slots, verified. Precondition: on SSD only.
  void make_resident(model::NodeId node, std::span<const model::SlotId> slots);
  // Gives its pages up when the node is durable on SSD, unpinned and without a child in RAM.
  bool leave_ram(model::NodeId node);
  // The same whatever RAM holds below it. Precondition: resident, with a copy, without pins.
  void leave_ram_out_of_order(model::NodeId node) { give_up_pages(node); }
  // When nothing else may go: takes part of the path to `tip` out of RAM, but its end. What has a
  // copy and no pin of its own goes, whatever RAM holds below it, so that a session whose pinned
  // end keeps its path from the policy can write a context larger than RAM. Returns how many went.
  uint32_t thin_path(model::NodeId tip);
  // The policy's next candidate to leave RAM; offered again with its next unpin. Invalid: none.
  model::NodeId take_ram_victim(model::DomainId domain);
  // Gives the least useful copy up. False when nothing may go.
  bool evict_one_from_ssd();
  // Taken by the tier each turn.
  std::vector<SsdRelease>& ssd_releases() { return ssd_releases_; }
  // Nodes added since the tier last emptied it; they may have gone meanwhile. At most kMaxFresh:
  // what finds no place is counted, and the tier looks for it.
  std::vector<FreshNode>& fresh() { return fresh_; }

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
  // A slot for a page, evicting what is the domain's own and growing as needed, or taking its share
  // from others. kPending: memory is on its way (a segment is being made, or taken from another
  // domain), or more has to be evicted than one call may.
  Room allocate(allocator::ClassId size_class, model::DomainId domain, model::SlotId after,
                model::SlotId& slot);
  SegmentTaker& taker() { return taker_; }
  // Grows with each node that may have become evictable.
  uint64_t offers() const { return offers_; }
  // Objects that made room in RAM so far.
  uint64_t evictions() const {
    return counters_.evicted_spans + counters_.evicted_checkpoints + counters_.left_ram;
  }

  // Drops what nobody holds of dead roots; background work of one turn, of about `budget` steps. A
  // sweep goes on where the last call stopped; when it has been everywhere, the next one starts
  // once something changed. True while there is something to do.
  bool reclaim_dead(uint32_t budget);
  // Forgets a root that nobody uses and that has no nodes.
  void maybe_forget_root(model::RootId root);

  uint64_t table_bytes() const;
  void check_invariants() const;

 private:
  static constexpr uint32_t kManyChildren = 63;  // NodeLink::resident_children is full
  static constexpr size_t kMaxFresh = 1 << 16;

  model::DomainId domain_of(model::NodeId node) const;
  EvictionPolicy& policy_of(model::NodeId node);
  bool may_drop(model::NodeId node) const;
  bool may_leave_ram(model::NodeId node) const;
  bool may_leave_ssd(model::NodeId node) const;
  void note_fresh(const FreshNode& fresh);
  void offer(model::NodeId node);  // tells the policies, if it may go
  allocator::PageEntry& last_page(model::NodeId node) const;
  void link_pages(model::NodeId node, std::span<const model::SlotId> slots, uint32_t last);
  void add_resident_child(model::NodeId parent);
  void remove_resident_child(model::NodeId parent);
  void add_ssd_child(model::NodeId parent);
  void remove_ssd_child(model::NodeId parent);
  void count_residency(model::NodeId node, int64_t change);
  void release_ssd(model::NodeId node);
  void check_residency(model::NodeId node) const;
  void give_up_pages(model::NodeId node);
  void forget_in_policies(model::NodeId node, model::NodeId parent);
  void count_drop(NodeKind kind, DropReason reason);
  void count_pages(model::NodeId node, int64_t change);
  void free_pages(model::NodeId node);
  allocator::Pool::Growth grow(model::DomainId domain);
  void sweep_dead_node();
  bool next_dead_sweep();
  void forget_in_sweep(model::NodeId node);

  std::unique_ptr<PrefixTree> tree_;
  allocator::Pool* pool_;
  NamespaceTable* names_;
  PolicyFactory policy_factory_;
  std::vector<std::unique_ptr<EvictionPolicy>> policies_;  // by domain
  SegmentTaker taker_{this};
  uint64_t offers_ = 0;
  std::vector<std::array<uint64_t, model::kMaxGroups>> pages_by_layout_;
  std::unique_ptr<EvictionPolicy> ssd_policy_;  // null: no SSD tier
  bool ssd_readable_ = false;
  std::vector<SsdRelease> ssd_releases_;
  std::vector<FreshNode> fresh_;
  // Two counts of children. That of RAM is inline up to 62, so that a commit below a span that has
  // checkpoints allocates nothing; that of the SSD is one bit, and changes at the pace of a device.
  std::unordered_map<uint32_t, uint32_t> many_children_;  // by node: resident children above 62
  uint32_t sweep_hand_ = 0;                               // node id; of leave_ram_out_of_order
  std::unordered_map<uint32_t, uint32_t> many_copies_;    // by node: children with a copy above one
  // The sweep of dead roots, in post-order: the node to look at next (none: of the next root), and
  // whether its children have been looked at.
  model::NodeId dead_at_;
  bool dead_leaving_ = false;
  size_t dead_next_ = 0;       // index in dead_roots(): the root after this one
  size_t dead_known_ = 0;      // dead roots when the last sweep of all began
  bool dead_changed_ = false;  // since then: a pin or a node of a dead root went
  WorkMeter work_;
  StoreCounters counters_;
};

}  // namespace quire::cache
