// Nodes together with their pages: where an object is added, pinned, given up and dropped.
//
//   in RAM only  --gain_copy-->  in RAM and below  --leave_ram-->  below only
//        ^                          |    ^------ make_resident ------|
//        +------ lose_copy ---------+          drop: gone from every tier
//
// Rules: a node with pins or children is never dropped; dropping frees all of its pages at once, on
// every tier (law 2); a quarantined node is out of the index from the first moment and goes with
// its last pin. Which copies may leave a tier is Presence's to say, which of them do the evictor's.
// Slots below RAM are their tier's: what is given up here waits in given_up() for it.
// Threads: core only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "allocator/pool.h"
#include "cache/objects/candidate_listener.h"
#include "cache/objects/dead_roots.h"
#include "cache/objects/departure.h"
#include "cache/objects/departure_log.h"
#include "cache/objects/presence.h"
#include "cache/objects/work_meter.h"
#include "cache/tree/namespace_table.h"
#include "cache/tree/prefix_tree.h"
#include "model/ids.h"
#include "model/metrics.h"

namespace quire::cache {

struct ObjectCounters {
  model::Gauge spans{"spans", "Spans that can be hit, in whatever tier"};
  model::Gauge checkpoints{"checkpoints", "Checkpoints that can be hit, in whatever tier"};
  model::Counter evicted_spans{
      "evicted_spans",
      "Spans dropped for good to make room",
      {model::MetricFamily::kEvictedGroups, R"(tier="all",kind="span",reason="room")"}};
  model::Counter evicted_checkpoints{
      "evicted_checkpoints",
      "Checkpoints dropped for good to make room",
      {model::MetricFamily::kEvictedGroups, R"(tier="all",kind="checkpoint",reason="room")"}};
  model::Counter superseded_checkpoints{
      "superseded_checkpoints",
      "Checkpoints that later ones of their conversation replaced",
      {model::MetricFamily::kEvictedGroups, R"(tier="all",kind="checkpoint",reason="superseded")"}};
  model::Counter quarantined{
      "quarantined",
      "Objects dropped because a page failed its checksum",
      {model::MetricFamily::kEvictedGroups, R"(tier="all",reason="damaged")"}};
  model::Counter stale_dropped{
      "stale_dropped",
      "Objects dropped with the roots they belonged to",
      {model::MetricFamily::kEvictedGroups, R"(tier="all",reason="stale")"}};
  model::Counter fresh_missed{"fresh_missed",
                              "New objects that the queue to a lower tier had no place for"};
};
struct RamCounters {
  model::Counter left_ram{"left_for_ssd",
                          "Objects whose pages left RAM and stay on a lower tier",
                          {model::MetricFamily::kEvictedGroups, R"(reason="kept_below")"}};
};
struct StoreCounters : ObjectCounters, RamCounters {
  model::Counter promoted{"promoted", "Objects brought back to RAM"};
  uint64_t offers = 0;  // times that a node may have become one that may leave

  // Objects that made room in RAM so far.
  uint64_t made_room() const { return evicted_spans + evicted_checkpoints + left_ram; }
};

// A copy that nobody needs any more; its slot may be used again when its entry is durably gone.
struct GivenUpCopy {
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

// An object to be added below `parent`.
struct NewObject {
  model::NodeId parent;
  NodeKind kind = NodeKind::kSpan;
  model::Hash256 key;
  uint32_t units = 0;
  uint8_t retention = 0;  // number of its class with the root's tenant
};

class ObjectStore {
 public:
  ObjectStore(std::unique_ptr<PrefixTree> tree, allocator::Pool* pool, NamespaceTable* names)
      : tree_(std::move(tree)), pool_(pool), names_(names) {}
  // Before the first object; outlives the store.
  void listen(CandidateListener* listener) { listener_ = listener; }
  // Is told what leaves, and outlives the store. Null: nobody remembers.
  void set_departures(DepartureLog* departures) { departures_ = departures; }
  DepartureLog* departures() const { return departures_; }
  // Nodes that are added are told to fresh() from now on: the tier takes them from there.
  void attach_lower_tier() { has_lower_tier_ = true; }
  bool has_lower_tier() const { return has_lower_tier_; }

  PrefixTree& tree() { return *tree_; }
  const PrefixTree& tree() const { return *tree_; }
  allocator::Pool& pool() { return *pool_; }
  const allocator::Pool& pool() const { return *pool_; }
  Presence& presence() { return presence_; }
  const Presence& presence() const { return presence_; }
  const StoreCounters& counters() const { return counters_; }
  // Of reader, writer and store; what they do is counted here.
  WorkMeter& work() { return work_; }

  // Makes a node of filled pages; from here on it can be hit. nullopt: no place for a node.
  std::optional<model::NodeId> add(const NewObject& object, std::span<const model::SlotId> slots,
                                   bool batch = false);
  // At start: a node whose pages are on a lower tier only. nullopt: no place for a node.
  std::optional<model::NodeId> restore(const NewObject& object, model::TierId tier,
                                       CopyPlace place);
  // The hint tier has the object: from now on it is known here, as a node that is on that tier only
  // where `is_new`. Precondition: its parent is a span or root that is there, where it belongs.
  // nullopt: no place for a node, or the key is that of another position.
  std::optional<model::NodeId> join(const NewObject& object, bool& is_new);
  // After the last restore(): tells what may go.
  void offer_restored();
  // A durable copy exists. Precondition: in RAM, without a copy on this tier.
  void gain_copy(model::NodeId node, model::TierId tier, CopyPlace place);
  // The copy is given up; the node stays. Precondition: on another tier too.
  void lose_copy(model::NodeId node, model::TierId tier, const Departure& why);
  // The pages are in these slots, verified. Precondition: not in RAM.
  void make_resident(model::NodeId node, std::span<const model::SlotId> slots);
  // Its pages go, the node stays, whatever RAM holds below it. Precondition: has a copy below RAM,
  // no residency pin.
  void leave_ram(model::NodeId node, const Departure& why);
  // Drops a leaf without pins. False when it may not go now.
  bool drop(model::NodeId node, Departure why);
  // Drops a checkpoint now, or when its last pin goes.
  void supersede(model::NodeId checkpoint);
  // Law 4: the node and everything that depends on it can never be hit again; pages go when
  // unpinned. Of the causes that is_quarantine() names.
  void quarantine(model::NodeId node, DepartureCause cause = DepartureCause::kDamaged);

  // Roots without sessions and nodes; the sweep of dead ones.
  DeadRoots& dead_roots() { return dead_roots_; }
  // Taken by the tier each turn.
  std::vector<GivenUpCopy>& given_up() { return given_up_; }
  // Nodes added since the tier last emptied it; they may have gone meanwhile. At most kMaxFresh:
  // what finds no place is counted, and the tier looks for it.
  std::vector<FreshNode>& fresh() { return fresh_; }
  void check_invariants() const;

 private:
  friend class Pin;
  friend class PathPins;
  static constexpr size_t kMaxFresh = 1 << 16;

  void pin(model::NodeId node, PinKind kind) { tree_->marks().add_pin(node, kind); }
  void unpin(model::NodeId node, PinKind kind);
  std::optional<model::NodeId> add_node(const NewObject& object);
  void note_fresh(const FreshNode& fresh);
  void offer(model::NodeId node);  // tells what may leave
  void offer_hint(model::NodeId node);
  void tell_waiting(model::RootId root);
  void give_up(model::NodeId node);
  model::NodeId heir_of(model::NodeId node) const;
  void count_drop(NodeKind kind, DepartureCause cause);
  void remove(model::NodeId node, const Departure& why);
  uint64_t print_of(model::NodeId node) const;
  void prefetch_drop(model::NodeId node) const;
  void note_departure(model::NodeId node, model::TierId tier, const Departure& why, bool gone);

  std::unique_ptr<PrefixTree> tree_;
  allocator::Pool* pool_;
  NamespaceTable* names_;
  CandidateListener* listener_ = nullptr;
  DepartureLog* departures_ = nullptr;
  WorkMeter work_;
  Presence presence_{tree_.get(), pool_, names_, &work_};
  DeadRoots dead_roots_{this, names_};
  std::vector<GivenUpCopy> given_up_;
  std::vector<FreshNode> fresh_;
  bool has_lower_tier_ = false;
  StoreCounters counters_;
};

}  // namespace quire::cache
