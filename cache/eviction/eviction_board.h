// Who is a candidate on which tier, and which policy orders them (DESIGN section 12.3).
//
//   ObjectStore --added, used, offered, left--> board: facts by entry, history --> policy of the
//   scope Evictor     --choose()-->  the policy's entry, of it the deepest node that may leave
//
// A scope is what one policy orders: a domain on a tier whose memory belongs to domains (RAM), else
// the tier; and each owner that an operator told apart. Threads: core only.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "cache/accounts/namespace_pins.h"
#include "cache/accounts/owner.h"
#include "cache/eviction/entry_table.h"
#include "cache/eviction/policy.h"
#include "cache/eviction/tier_board.h"
#include "cache/objects/candidate_listener.h"
#include "cache/objects/presence.h"
#include "cache/tree/namespace_table.h"
#include "cache/tree/prefix_tree.h"
#include "model/ids.h"
#include "model/result.h"
#include "model/time_histogram.h"

namespace quire::cache {

class EvictionBoard final : public CandidateListener {
 public:
  // `max_nodes` bounds address space only.
  EvictionBoard(const PrefixTree* tree, const Presence* presence, NamespaceTable* names,
                uint64_t max_nodes)
      : tree_(tree), presence_(presence), names_(names), max_nodes_(max_nodes) {}

  // What comes to the tier is ordered from now on. kInvalidArgument: no such policy.
  // kResourceExhausted: its tables cannot be had.
  model::Result<void> open_tier(const TierOrder& order);
  bool is_open(model::TierId tier) const { return of(tier) != nullptr; }
  // Precondition: is_open().
  bool by_domain(model::TierId tier) const { return of(tier)->order().by_domain; }
  std::string_view default_policy(model::TierId tier) const { return of(tier)->order().policy; }
  // Prepares the scopes of a domain; more than once does nothing.
  model::Result<void> add_domain(model::DomainId domain);
  // Its id becomes another user's, who begins with the tier's policy, whatever was set for this
  // one. Precondition: nothing of it is on any tier.
  void forget_domain(model::DomainId domain);
  // Begins a switch; step() ends it. An owner that had no scope of its own has one from now on.
  // kInvalidArgument: no such policy. kBusy: a switch of this scope is under way.
  model::Result<void> set_policy(model::TierId tier, Owner owner, std::string_view policy);
  // Of every scope of the tier, and of domains to come. kBusy: a switch of one is under way; none
  // was begun.
  model::Result<void> set_policy(model::TierId tier, std::string_view policy);
  // Only of domains to come. Precondition: is_open(), a known policy.
  void set_default(model::TierId tier, std::string_view policy) { of(tier)->set_default(policy); }
  // The owner is no longer told apart. Precondition: it is, and somebody wider is.
  void close_scope(model::TierId tier, Owner owner) { of(tier)->close_scope(owner); }
  // The one that was set last. Precondition: the owner is told apart.
  std::string_view policy_of(model::TierId tier, Owner owner) const;
  // In charge of this one now. Precondition: on the tier.
  std::string_view policy_of(model::NodeId node, model::TierId tier) const {
    return of(tier)->policy_of(node);
  }
  // Calls visit(ScopeOrder) for each scope of each open tier.
  template <typename Visit>
  void for_each_scope(Visit&& visit) const;
  // Switches go on, about so many entries, and moves to and from pins. True while one is under way.
  bool step(uint32_t budget);
  // Policies that are in charge of nothing any more, to be freed where that may take its time.
  std::vector<std::unique_ptr<EvictionPolicy>> take_retired();
  // What is to stay in RAM. Who changes them need not tell: step() sees it.
  NamespacePins& pins() { return pins_; }
  const NamespacePins& pins() const { return pins_; }
  bool moves_pins() const;
  // Some owner's entries on the tier are with another owner still: choose() does not find all that
  // an owner has. Ends with the steps.
  bool is_settling(model::TierId tier) const { return is_open(tier) && of(tier)->is_settling(); }
  // Grows with each such end. Precondition: is_open().
  uint64_t settled_count(model::TierId tier) const { return of(tier)->settled_count(); }
  // So that times of use are times where uses come slower than microseconds.
  void set_now(int64_t now_us) { clock_.advance_to(now_us); }

  // The present, and when the object was last used, as the tier knows it. A use of a path is one of
  // its end: it is handed up as the end goes. 0: not since the start. Precondition: on the tier.
  uint64_t now() const { return clock_.now(); }
  uint64_t last_use(model::NodeId node, model::TierId tier) const {
    return of(tier)->last_use(node);
  }

  // The next node of the owner to leave, but for what a pin's budget covers; only looks. None:
  // nothing may.
  model::NodeId choose(model::TierId tier, Owner owner);
  // The same of what is pinned.
  model::NodeId choose_pinned(model::TierId tier, Owner owner);
  // Whether an object of this key, below `parent`, is worth who would go for it on a full tier.
  // Its policy remembers whom it refused. True where nothing may go, and while policies are
  // switched.
  bool admits(model::NodeId parent, const model::Hash256& key, model::TierId tier) {
    return of(tier)->admits(parent, key);
  }
  // It was chosen and stays for now: offered again when it may leave after it could not.
  void withdraw(model::NodeId node, model::TierId tier) { of(tier)->withdraw(node); }

  // Advised, or written once more.
  void used(model::NodeId node) { note_use(node, 1); }
  // A match: the path that ends in this span; kUsedOfPath of it, deepest first.
  void used_path(model::NodeId end) { note_use(end, kUsedOfPath); }
  // Not needed again: first to go, on every tier.
  void done_with(model::NodeId node);
  // Not needed for a while: the path that ends here is the next to leave RAM, as far as nobody else
  // uses it; lower tiers keep what they have. Of a bounded part of the path, deepest first.
  void pause_path(model::NodeId end);

  void added(model::NodeId node, model::TierId tier) override;
  void restored(model::NodeId node, model::TierId tier) override;
  void offered(model::NodeId node, model::TierId tier) override;
  void left(model::NodeId node, model::TierId tier, Why why, model::NodeId heir) override;

  // Of RAM: between two uses of the ends of hits, and from its last use until something left to
  // make room. What was last used before this start is in neither.
  const model::TimeHistogram& reuse_gaps() const { return reuse_gaps_; }
  const model::TimeHistogram& idle_before_evict() const { return idle_before_evict_; }
  // Memory of facts, histories and policies.
  uint64_t held_bytes() const;
  void check_invariants() const;

 private:
  TierBoard* of(model::TierId tier) { return tiers_[model::index_of(tier)].get(); }
  const TierBoard* of(model::TierId tier) const { return tiers_[model::index_of(tier)].get(); }
  void note_use(model::NodeId end, uint32_t most);
  void set_done(model::NodeId node, model::TierId tier);
  void note_age(model::NodeId node, model::TimeHistogram& ages) const;

  const PrefixTree* tree_;
  const Presence* presence_;
  NamespaceTable* names_;
  const uint64_t max_nodes_;
  NamespacePins pins_;
  UseClock clock_;
  model::TimeHistogram reuse_gaps_{model::TimeHistogram::kAgeBoundsNs};
  model::TimeHistogram idle_before_evict_{model::TimeHistogram::kAgeBoundsNs};
  std::array<std::unique_ptr<TierBoard>, model::kTierCount> tiers_;  // null: not open
};

template <typename Visit>
void EvictionBoard::for_each_scope(Visit&& visit) const {
  for (const auto& tier : tiers_) {
    if (tier == nullptr) continue;
    tier->scopes().for_each([&](const Scope& scope) {
      if (scope.leaving || scope.pin != kNoPin) return;
      visit(ScopeOrder{.tier = tier->order().tier,
                       .owner = scope.owner,
                       .policy = scope.name,
                       .switching = tier->scopes().is_settling(scope.owner)});
    });
  }
}

}  // namespace quire::cache
