// Who is a candidate on which tier, and which policy orders them (DESIGN section 12.3).
//
//   ObjectStore --added, used, offered, left--> board: facts by entry, history --> policy of the
//   scope Evictor     --choose()-->  the policy's entry, of it the deepest node that may leave
//
// A scope is what one policy orders: on a tier whose memory belongs to domains (RAM) each domain is
// one, else the tier is. A switch of policies goes in steps: the new one has the entries below a
// hand, the old one those above, which answers first; no fact is copied, for they are the tier's.
// Threads: core only.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "cache/eviction/entry_table.h"
#include "cache/eviction/history.h"
#include "cache/eviction/policy.h"
#include "cache/objects/candidate_listener.h"
#include "cache/objects/presence.h"
#include "cache/tree/namespace_table.h"
#include "cache/tree/prefix_tree.h"
#include "model/ids.h"
#include "model/result.h"

namespace quire::cache {

struct TierOrder {
  model::TierId tier = model::TierId::kRam;
  std::string_view policy;  // of every scope at first
  bool by_domain = false;   // a scope a domain
  bool by_run = false;      // an entry is a run of 16 node ids
};

// Who orders a scope.
struct ScopeOrder {
  model::TierId tier;
  model::DomainId domain;   // none where the tier is one scope
  std::string_view policy;  // the one that was set last
  bool switching = false;   // some entries are still another one's
};

class EvictionBoard final : public CandidateListener {
 public:
  // `max_nodes` bounds address space only.
  EvictionBoard(const PrefixTree* tree, const Presence* presence, const NamespaceTable* names,
                uint64_t max_nodes)
      : tree_(tree), presence_(presence), names_(names), max_nodes_(max_nodes) {}

  // What comes to the tier is ordered from now on. kInvalidArgument: no such policy.
  // kResourceExhausted: its tables cannot be had.
  model::Result<void> open_tier(const TierOrder& order);
  bool is_open(model::TierId tier) const { return of(tier).open; }
  // Prepares the scopes of a domain; more than once does nothing.
  model::Result<void> add_domain(model::DomainId domain);
  // Its id becomes another user's, who begins with the tier's policy, whatever was set for this
  // one. Precondition: nothing of it is on a tier that has a scope a domain.
  void forget_domain(model::DomainId domain);
  // Begins a switch; step() ends it. `domain` counts on tiers by domain. kInvalidArgument: no such
  // policy. kBusy: a switch of this scope is under way.
  model::Result<void> set_policy(model::TierId tier, model::DomainId domain,
                                 std::string_view policy);
  // Of every scope of the tier, and of domains to come. kBusy: a switch of one is under way; none
  // was begun.
  model::Result<void> set_policy(model::TierId tier, std::string_view policy);
  // The one that was set last.
  std::string_view policy_of(model::TierId tier, model::DomainId domain) const;
  // Calls visit(ScopeOrder) for each scope of each open tier.
  template <typename Visit>
  void for_each_scope(Visit&& visit) const;
  // Switches go on, about so many entries. True while one is under way.
  bool step(uint32_t budget);
  // So that times of use are times where uses come slower than microseconds.
  void set_now(int64_t now_us) { clock_.advance_to(now_us); }

  // The next node to leave; only looks. None: nothing may.
  model::NodeId choose(model::TierId tier, model::DomainId domain);
  // Whether an object of this key, below `parent`, is worth who would go for it on a full tier.
  // Its policy remembers whom it refused. True where nothing may go, and while policies are
  // switched.
  bool admits(model::NodeId parent, const model::Hash256& key, model::TierId tier);
  // It was chosen and stays for now: offered again when it may leave after it could not.
  void withdraw(model::NodeId node, model::TierId tier);

  // Matched, loaded or advised.
  void used(model::NodeId node);
  // Not needed again: first to go, on every tier.
  void done_with(model::NodeId node);
  // Not needed for a while: the path that ends here is the next to leave RAM, as far as nobody else
  // uses it; lower tiers keep what they have. Of a bounded part of the path, deepest first.
  void pause_path(model::NodeId end);

  void added(model::NodeId node, model::TierId tier) override;
  void restored(model::NodeId node, model::TierId tier) override;
  void offered(model::NodeId node, model::TierId tier) override;
  void left(model::NodeId node, model::TierId tier, Why why, model::NodeId heir) override;

  // Memory of facts, histories and policies.
  uint64_t held_bytes() const;
  void check_invariants() const;

 private:
  static constexpr uint32_t kRunNodes = 16;

  struct Scope {
    std::string_view name;
    std::unique_ptr<EvictionPolicy> policy;
    std::unique_ptr<EvictionPolicy> next;  // of a switch: has the entries below the hand
    uint32_t hand = 0;
  };
  struct Tier;
  // EntryFacts of one tier, from the tree.
  class Facts final : public EntryFacts {
   public:
    Facts(const EvictionBoard* board, const Tier* tier) : board_(board), tier_(tier) {}
    std::optional<EntryId> parent(EntryId entry) const override;
    uint64_t end_tokens(EntryId entry) const override;
    uint64_t bytes(EntryId entry) const override;
    uint64_t span_bytes(EntryId entry) const override;
    uint32_t fingerprint(EntryId entry) const override;

   private:
    model::NodeId first(EntryId entry) const;
    model::NodeId deepest(EntryId entry) const;

    const EvictionBoard* board_;
    const Tier* tier_;
  };
  struct Tier {
    bool open = false;
    TierOrder order;
    std::unique_ptr<EntryTable> entries;
    std::unique_ptr<Facts> facts;
    History history;
    std::vector<Scope> scopes;
    uint64_t count = 0;  // entries that hold something
  };

  Tier& of(model::TierId tier) { return tiers_[model::index_of(tier)]; }
  const Tier& of(model::TierId tier) const { return tiers_[model::index_of(tier)]; }
  static EntryId entry_of(const Tier& tier, model::NodeId node) {
    return EntryId{tier.order.by_run ? node.value / kRunNodes : node.value};
  }
  static size_t scope_index(const Tier& tier, model::DomainId domain) {
    return tier.order.by_domain ? domain.value : 0;
  }
  size_t scope_index(const Tier& tier, const Node& node) const {
    return scope_index(tier, names_->root(node.root()).key.domain);
  }
  // Who has the entry now: during a switch the hand says.
  EvictionPolicy& policy_for(Tier& tier, model::NodeId node);
  static EvictionPolicy& policy_for(Scope& scope, EntryId entry);
  model::Result<std::unique_ptr<EvictionPolicy>> make(Tier& tier, std::string_view name) const;
  uint64_t max_entries(const Tier& tier) const;
  // Nodes of the entry that the tier has a copy of; the first that `accept` takes.
  template <typename Accept>
  model::NodeId find_node(const Tier& tier, EntryId entry, Accept&& accept) const;
  bool is_alone(const Tier& tier, model::NodeId node) const;
  void insert(model::NodeId node, model::TierId tier);
  void set_done(model::NodeId node, model::TierId tier);
  model::NodeId choose_from(Tier& tier, EvictionPolicy& policy);
  // From the old policy to the new one, a candidate where it was one.
  void move_entry(Tier& tier, size_t scope, EntryId entry);
  bool step_switch(Tier& tier, size_t scope, uint32_t& budget);

  const PrefixTree* tree_;
  const Presence* presence_;
  const NamespaceTable* names_;
  const uint64_t max_nodes_;
  UseClock clock_;
  std::array<Tier, model::kTierCount> tiers_;
};

template <typename Accept>
model::NodeId EvictionBoard::find_node(const Tier& tier, EntryId entry, Accept&& accept) const {
  const uint32_t count = tier.order.by_run ? kRunNodes : 1;
  model::NodeId best;
  for (uint32_t i = 0; i < count; ++i) {
    const model::NodeId id{entry.value * count + i};
    const Node& node = tree_->node(id);
    if (!node.is_object() || !node.is_in(tier.order.tier) || !accept(id)) continue;
    if (!best.valid() || node.units() > tree_->node(best).units()) best = id;
  }
  return best;
}

template <typename Visit>
void EvictionBoard::for_each_scope(Visit&& visit) const {
  for (const Tier& tier : tiers_) {
    for (size_t i = 0; tier.open && i < tier.scopes.size(); ++i) {
      const Scope& scope = tier.scopes[i];
      if (scope.policy == nullptr) continue;
      const model::DomainId domain =
          tier.order.by_domain ? model::DomainId{static_cast<uint16_t>(i)} : model::DomainId{};
      visit(ScopeOrder{tier.order.tier, domain, scope.name, scope.next != nullptr});
    }
  }
}

}  // namespace quire::cache
