#include "cache/eviction/eviction_board.h"

#include <algorithm>
#include <string>
#include <utility>

#include "model/check.h"

namespace quire::cache {

using model::DomainId;
using model::Errc;
using model::make_error;
using model::NodeId;
using model::Result;
using model::TierId;

namespace {

constexpr uint32_t kPausedAtOnce = 1024;  // a quarter of a million tokens in blocks of 256

Result<const NamedPolicy*> find(std::string_view name) {
  if (const NamedPolicy* found = find_policy(name); found != nullptr) return found;
  return make_error(Errc::kInvalidArgument,
                    "no eviction policy '" + std::string(name) + "'; there are: " + policy_names());
}

}  // namespace

uint64_t EvictionBoard::max_entries(const Tier& tier) const {
  // Node ids are handed out in runs: the last run may reach beyond max_nodes.
  return tier.order.by_run ? max_nodes_ / kRunNodes + 1 : max_nodes_ + kRunNodes;
}

Result<std::unique_ptr<EvictionPolicy>> EvictionBoard::make(Tier& tier,
                                                            std::string_view name) const {
  const NamedPolicy* found = QUIRE_TRY(find(name));
  return found->make({.entries = tier.entries.get(),
                      .history = &tier.history,
                      .clock = &clock_,
                      .facts = tier.facts.get(),
                      .max_entries = max_entries(tier)});
}

Result<void> EvictionBoard::open_tier(const TierOrder& order) {
  Tier& tier = of(order.tier);
  QUIRE_CHECK(!tier.open);
  tier.order = order;
  tier.entries = std::make_unique<EntryTable>(QUIRE_TRY(EntryTable::create(max_entries(tier))));
  tier.facts = std::make_unique<Facts>(this, &tier);
  const NamedPolicy* known = find_policy(order.policy);
  auto policy = QUIRE_TRY(make(tier, order.policy));
  tier.order.policy = known->name;
  if (!order.by_domain) tier.scopes.push_back({.name = known->name, .policy = std::move(policy)});
  tier.open = true;
  return {};
}

Result<void> EvictionBoard::add_domain(DomainId domain) {
  for (Tier& tier : tiers_) {
    if (!tier.open || !tier.order.by_domain) continue;
    if (tier.scopes.size() <= domain.value) tier.scopes.resize(domain.value + size_t{1});
    Scope& scope = tier.scopes[domain.value];
    if (scope.policy != nullptr) continue;
    scope.policy = QUIRE_TRY(make(tier, tier.order.policy));
    scope.name = tier.order.policy;
  }
  return {};
}

void EvictionBoard::forget_domain(DomainId domain) {
  for (Tier& tier : tiers_) {
    if (tier.open && tier.order.by_domain && domain.value < tier.scopes.size()) {
      tier.scopes[domain.value] = Scope{};
    }
  }
}

Result<void> EvictionBoard::set_policy(TierId id, DomainId domain, std::string_view name) {
  Tier& tier = of(id);
  if (!tier.open) return make_error(Errc::kInvalidArgument, "this tier is not in use");
  Scope& scope = tier.scopes[scope_index(tier, domain)];
  if (scope.next != nullptr) {
    return make_error(Errc::kBusy, "a switch to " + std::string(scope.name) + " is under way");
  }
  if (scope.name == name) return {};
  scope.next = QUIRE_TRY(make(tier, name));
  scope.name = find_policy(name)->name;
  scope.hand = 0;
  return {};
}

Result<void> EvictionBoard::set_policy(TierId id, std::string_view name) {
  Tier& tier = of(id);
  if (!tier.open) return make_error(Errc::kInvalidArgument, "this tier is not in use");
  for (const Scope& scope : tier.scopes) {
    if (scope.next == nullptr) continue;
    return make_error(Errc::kBusy,
                      "a switch to " + std::string(scope.name) + " is under way; wait for its end");
  }
  const NamedPolicy* known = QUIRE_TRY(find(name));
  for (size_t i = 0; i < tier.scopes.size(); ++i) {
    if (tier.scopes[i].policy == nullptr) continue;
    QUIRE_TRY(set_policy(id, DomainId{static_cast<uint16_t>(i)}, name));
  }
  tier.order.policy = known->name;
  return {};
}

std::string_view EvictionBoard::policy_of(TierId id, DomainId domain) const {
  const Tier& tier = of(id);
  return tier.scopes[scope_index(tier, domain)].name;
}

EvictionPolicy& EvictionBoard::policy_for(Scope& scope, EntryId entry) {
  return scope.next != nullptr && entry.value < scope.hand ? *scope.next : *scope.policy;
}

EvictionPolicy& EvictionBoard::policy_for(Tier& tier, NodeId node) {
  return policy_for(tier.scopes[scope_index(tier, tree_->node(node))], entry_of(tier, node));
}

// No other node of its entry is on the tier.
bool EvictionBoard::is_alone(const Tier& tier, NodeId node) const {
  if (!tier.order.by_run) return true;
  return !find_node(tier, entry_of(tier, node), [&](NodeId other) {
            return other != node;
          }).valid();
}

void EvictionBoard::insert(NodeId node, TierId id) {
  Tier& tier = of(id);
  // The policy sees one entry from a run's first node to its last.
  if (!is_alone(tier, node)) return;
  ++tier.count;
  policy_for(tier, node).inserted(entry_of(tier, node), tier.history.take(tree_->key(node)));
}

void EvictionBoard::added(NodeId node, TierId id) {
  Tier& tier = of(id);
  if (!tier.open) return;
  const EntryId entry = entry_of(tier, node);
  if (id == TierId::kRam) {
    tier.entries->set_last_use(entry, clock_.next_use());
  } else if (tree_->node(node).is_in_ram()) {
    // It was used when RAM says so, not when the device was done with it.
    const EntryTable& above = *of(TierId::kRam).entries;
    const uint64_t used = above.last_use(entry_of(of(TierId::kRam), node));
    tier.entries->set_last_use(entry, std::max(tier.entries->last_use(entry), used));
  } else {
    tier.entries->set_last_use(entry, clock_.next_use());  // it came past RAM
  }
  insert(node, id);
}

void EvictionBoard::restored(NodeId node, TierId id) {
  Tier& tier = of(id);
  if (!tier.open) return;
  const EntryId entry = entry_of(tier, node);
  // Changes no time, but end_of_entries() has to cover the entry: a switch of policies goes so far.
  tier.entries->set_last_use(entry, tier.entries->last_use(entry));
  insert(node, id);
}

void EvictionBoard::used(NodeId node) {
  // One time for all tiers, so that they order their entries alike.
  const uint64_t now = clock_.next_use();
  for (Tier& tier : tiers_) {
    if (!tier.open || !tree_->node(node).is_in(tier.order.tier)) continue;
    const EntryId entry = entry_of(tier, node);
    // Read before it is overwritten: policies learn from the gap between two uses.
    const uint64_t before = tier.entries->last_use(entry);
    tier.entries->set_last_use(entry, now);
    tier.entries->count_use(entry);
    policy_for(tier, node).used(entry, before);
  }
}

void EvictionBoard::done_with(NodeId node) {
  for (const TierId tier : model::kTiers) set_done(node, tier);
}

void EvictionBoard::pause_path(NodeId end) {
  uint32_t paused = 0;
  for (NodeId node = end; tree_->node(node).is_object() && paused < kPausedAtOnce;
       node = tree_->parent(node), ++paused) {
    set_done(node, TierId::kRam);
  }
}

void EvictionBoard::set_done(NodeId node, TierId id) {
  Tier& tier = of(id);
  if (!tier.open || !tree_->node(node).is_in(id)) return;
  const EntryId entry = entry_of(tier, node);
  tier.entries->set_last_use(entry, clock_.next_done());
  policy_for(tier, node).done_with(entry);
}

void EvictionBoard::offered(NodeId node, TierId id) {
  Tier& tier = of(id);
  if (tier.open) policy_for(tier, node).offered(entry_of(tier, node));
}

void EvictionBoard::withdraw(NodeId node, TierId id) {
  Tier& tier = of(id);
  policy_for(tier, node).withdrawn(entry_of(tier, node));
}

void EvictionBoard::left(NodeId node, TierId id, Why why, NodeId heir) {
  Tier& tier = of(id);
  if (!tier.open) return;
  const EntryId entry = entry_of(tier, node);
  // A use is noted at the deepest node alone. The parent, a candidate next, has been used with it.
  if (heir.valid() && tree_->node(heir).is_in(id)) {
    tier.entries->inherit(entry_of(tier, heir), entry);
  }
  if (!is_alone(tier, node)) return;
  // The policy reads the entry's facts; they are cleared last.
  policy_for(tier, node).gone(entry);
  --tier.count;
  if (why == Why::kEvicted) {
    tier.history.add(tree_->key(node), tier.entries->uses(entry) > 0,
                     static_cast<uint32_t>(tier.count));
  }
  tier.entries->clear(entry);
}

NodeId EvictionBoard::choose_from(Tier& tier, EvictionPolicy& policy) {
  const TierId id = tier.order.tier;
  // Each round takes a candidate out, and an offer put it there: the offers pay for the loop.
  while (const std::optional<EntryId> entry = policy.choose()) {
    const NodeId node =
        find_node(tier, *entry, [&](NodeId one) { return presence_->may_leave(one, id); });
    if (node.valid()) return node;
    policy.withdrawn(*entry);  // pinned since it was offered
  }
  return {};
}

NodeId EvictionBoard::choose(TierId id, DomainId domain) {
  Tier& tier = of(id);
  const size_t index = scope_index(tier, domain);
  if (!tier.open || index >= tier.scopes.size()) return {};
  Scope& scope = tier.scopes[index];
  if (scope.policy == nullptr) return {};
  const NodeId node = choose_from(tier, *scope.policy);
  if (node.valid() || scope.next == nullptr) return node;
  return choose_from(tier, *scope.next);
}

bool EvictionBoard::admits(NodeId parent, const model::Hash256& key, TierId id) {
  Tier& tier = of(id);
  const Node& above = tree_->node(parent);
  Scope& scope = tier.scopes[scope_index(tier, above)];
  if (scope.next != nullptr) return true;
  Newcomer newcomer{.fingerprint = static_cast<uint32_t>(key.word(1))};
  if (above.is_object() && above.is_in(id)) newcomer.parent = entry_of(tier, parent);
  return scope.policy->admits(newcomer);
}

void EvictionBoard::move_entry(Tier& tier, size_t index, EntryId entry) {
  const NodeId node = find_node(tier, entry, [](NodeId) { return true; });
  if (!node.valid() || scope_index(tier, tree_->node(node)) != index) return;
  Scope& scope = tier.scopes[index];
  // Before gone(), which takes the entry out of its heap and clears the place.
  const bool candidate = tier.entries->place(entry) != 0;
  scope.policy->gone(entry);
  scope.next->adopted(entry);
  if (candidate) scope.next->offered(entry);
}

bool EvictionBoard::step_switch(Tier& tier, size_t index, uint32_t& budget) {
  Scope& scope = tier.scopes[index];
  for (; budget > 0 && scope.hand < tier.entries->end_of_entries(); --budget) {
    // Below the hand before it is asked for: the entry is the new policy's from here on.
    move_entry(tier, index, EntryId{scope.hand});
    ++scope.hand;
  }
  if (scope.hand < tier.entries->end_of_entries()) return true;
  scope.policy = std::move(scope.next);
  return false;
}

bool EvictionBoard::step(uint32_t budget) {
  bool under_way = false;
  for (Tier& tier : tiers_) {
    for (size_t i = 0; i < tier.scopes.size(); ++i) {
      if (tier.scopes[i].next != nullptr) under_way = step_switch(tier, i, budget) || under_way;
    }
  }
  return under_way;
}

uint64_t EvictionBoard::held_bytes() const {
  uint64_t bytes = 0;
  for (const Tier& tier : tiers_) {
    if (!tier.open) continue;
    bytes += tier.entries->held_bytes() + tier.history.held_bytes();
    for (const Scope& scope : tier.scopes) {
      if (scope.policy != nullptr) bytes += scope.policy->held_bytes();
      if (scope.next != nullptr) bytes += scope.next->held_bytes();
    }
  }
  return bytes;
}

void EvictionBoard::check_invariants() const {
  for (const Tier& tier : tiers_) {
    if (!tier.open) continue;
    for (const Scope& scope : tier.scopes) {
      if (scope.policy != nullptr) scope.policy->check_invariants();
      if (scope.next != nullptr) scope.next->check_invariants();
    }
    for (uint32_t i = 0; i < tree_->end_of_nodes(); ++i) {
      if (!presence_->may_leave(NodeId{i}, tier.order.tier)) continue;
      QUIRE_CHECK(tier.entries->place(entry_of(tier, NodeId{i})) != 0);
    }
  }
}

}  // namespace quire::cache
