// The candidates of one tier, and who orders them: facts by entry, history, a policy a scope.
//
// Each entry knows its scope; events of it go to that scope's policy. When scopes change (a switch
// of policies, a tenant that is told apart) entries move in steps: a hand goes over all of them,
// and those of the wrong scope go over, candidates where they were ones. No fact is copied, for
// facts are the tier's.
//
// An entry that is a run of node ids belongs to the scope of the node that came first; a run that
// two owners share goes as one. Threads: core only.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "allocator/flat_array.h"
#include "cache/accounts/namespace_pins.h"
#include "cache/accounts/owner.h"
#include "cache/eviction/entry_table.h"
#include "cache/eviction/history.h"
#include "cache/eviction/pinned_scopes.h"
#include "cache/eviction/policy.h"
#include "cache/eviction/scope_table.h"
#include "cache/eviction/tree_facts.h"
#include "cache/objects/candidate_listener.h"
#include "model/ids.h"
#include "model/result.h"

namespace quire::cache {

struct TierOrder {
  model::TierId tier = model::TierId::kRam;
  std::string_view policy;  // of every scope at first
  bool by_domain = false;   // its memory belongs to domains: each is a scope
  bool by_run = false;      // an entry is a run of 16 node ids
};

// Who orders a scope.
struct ScopeOrder {
  model::TierId tier;
  Owner owner;
  std::string_view policy;  // the one that was set last
  bool switching = false;   // some entries are still another one's
};

class TierBoard {
 public:
  struct Parts {
    const PrefixTree* tree = nullptr;
    const Presence* presence = nullptr;
    NamespaceTable* names = nullptr;  // of its roots the board keeps which pin they have
    NamespacePins* pins = nullptr;    // null: nothing is pinned there
    const UseClock* clock = nullptr;
    uint64_t max_nodes = 0;  // bounds address space only
  };
  // kInvalidArgument: no such policy. kResourceExhausted: its tables cannot be had.
  static model::Result<std::unique_ptr<TierBoard>> create(const Parts& parts,
                                                          const TierOrder& order);

  const TierOrder& order() const { return order_; }
  // Of scopes to come. Precondition: a known name.
  void set_default(std::string_view policy);
  // Begins a switch, and tells the owner apart where it is not yet; step() ends it.
  // kInvalidArgument: no such policy. kBusy: one of this scope is under way.
  model::Result<void> set_policy(Owner owner, std::string_view policy);
  // The owner is no longer told apart. Precondition: it is, and somebody wider is.
  void close_scope(Owner owner);
  const ScopeTable& scopes() const { return scopes_; }
  // Precondition: nothing of the domain is on the tier.
  void forget(model::DomainId domain) {
    scopes_.forget(domain);
    hand_ = 0;
  }
  // Entries move, so many at most; takes what it did off. True while some are left to look at.
  bool step(uint32_t& budget);
  std::vector<std::unique_ptr<EvictionPolicy>> take_retired() { return scopes_.take_retired(); }
  // kInvalidArgument with the names that there are.
  static model::Result<const NamedPolicy*> find(std::string_view name);

  // The next node of the owner to leave, but for what a pin's budget covers; only looks. None:
  // nothing may.
  model::NodeId choose(Owner owner);
  // The same of what is pinned, whose last use is the longest ago.
  model::NodeId choose_pinned(Owner owner);
  // Some owner's entries are with another owner still, whom scopes that changed had before.
  bool is_settling() const { return scopes_.any_settling(); }
  uint64_t settled_count() const { return scopes_.settled_count(); }
  // Entries move still to where pins that were set or ended want them.
  bool moves_pins() const { return pinned_.is_moving(); }
  bool admits(model::NodeId parent, const model::Hash256& key);
  void withdraw(model::NodeId node);

  // A copy came. Its time of use is set already.
  void insert(model::NodeId node);
  void use(model::NodeId node, uint64_t now);
  void set_done(model::NodeId node, uint64_t time);
  void offer(model::NodeId node);
  void remove(model::NodeId node, Why why, model::NodeId heir);
  // In charge of the node's entry now. Precondition: on the tier.
  std::string_view policy_of(model::NodeId node) const {
    return scopes_.at(scope_of_[entry_of(node).value]).name;
  }
  uint64_t last_use(model::NodeId node) const { return entries_.last_use(entry_of(node)); }
  void set_last_use(model::NodeId node, uint64_t time) {
    entries_.set_last_use(entry_of(node), time);
  }

  uint64_t held_bytes() const;
  void check_invariants() const;

 private:
  TierBoard(const Parts& parts, const TierOrder& order, EntryTable entries,
            allocator::FlatArray<ScopeId> scope_of);
  static EntryShape shape_of(const TierOrder& order);
  PolicyParts policy_parts();
  static uint64_t max_entries(const TierOrder& order, uint64_t max_nodes);
  EntryId entry_of(model::NodeId node) const { return facts_.shape().entry_of(node); }
  Scope& scope_of(EntryId entry) { return scopes_.at(scope_of_[entry.value]); }
  EvictionPolicy& policy_of(EntryId entry) { return *scope_of(entry).policy; }
  bool is_alone(model::NodeId node) const;
  void enter(EntryId entry, ScopeId id);
  Scope& leave_scope(EntryId entry);
  model::NodeId choose_from(EvictionPolicy& policy);
  void hand_up(EntryId child, EntryId parent);
  // To the scope where it belongs, a candidate where it was one.
  void settle(EntryId entry);

  const Parts parts_;
  TierOrder order_;
  EntryTable entries_;
  allocator::FlatArray<ScopeId> scope_of_;  // by entry that holds something
  TreeFacts facts_;
  History history_;
  ScopeTable scopes_;
  PinnedScopes pinned_;
  uint32_t hand_ = 0;   // entries below it are where they belong
  uint64_t count_ = 0;  // entries that hold something
  uint64_t given_ = 0;  // chosen and gone, or withdrawn
};

}  // namespace quire::cache
