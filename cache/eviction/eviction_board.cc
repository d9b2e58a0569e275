#include "cache/eviction/eviction_board.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace quire::cache {

using model::DomainId;
using model::Errc;
using model::make_error;
using model::NodeId;
using model::Result;
using model::TierId;

namespace {

constexpr uint32_t kPausedAtOnce = 1024;  // a quarter of a million tokens in blocks of 256

model::Error not_in_use() { return make_error(Errc::kInvalidArgument, "this tier is not in use"); }

}  // namespace

Result<void> EvictionBoard::open_tier(const TierOrder& order) {
  std::unique_ptr<TierBoard>& tier = tiers_[model::index_of(order.tier)];
  QUIRE_CHECK(tier == nullptr);
  tier = QUIRE_TRY(TierBoard::create({.tree = tree_,
                                      .presence = presence_,
                                      .names = names_,
                                      .pins = order.tier == TierId::kRam ? &pins_ : nullptr,
                                      .clock = &clock_,
                                      .max_nodes = max_nodes_},
                                     order));
  return {};
}

Result<void> EvictionBoard::add_domain(DomainId domain) {
  for (const auto& tier : tiers_) {
    if (tier == nullptr || !tier->order().by_domain) continue;
    if (tier->scopes().active({domain, {}}) != ScopeTable::kNone) continue;
    QUIRE_TRY(tier->set_policy({domain, {}}, tier->order().policy));
  }
  return {};
}

void EvictionBoard::forget_domain(DomainId domain) {
  for (const auto& tier : tiers_) {
    if (tier != nullptr) tier->forget(domain);
  }
}

Result<void> EvictionBoard::set_policy(TierId id, Owner owner, std::string_view name) {
  TierBoard* tier = of(id);
  if (tier == nullptr) return not_in_use();
  return tier->set_policy(owner, name);
}

Result<void> EvictionBoard::set_policy(TierId id, std::string_view name) {
  TierBoard* tier = of(id);
  if (tier == nullptr) return not_in_use();
  QUIRE_TRY(TierBoard::find(name));
  if (tier->scopes().any_settling()) {
    return make_error(Errc::kBusy, "a switch is under way; wait for its end");
  }
  std::vector<Owner> owners;
  tier->scopes().for_each([&](const Scope& scope) {
    if (scope.pin == kNoPin) owners.push_back(scope.owner);
  });
  for (const Owner& owner : owners) QUIRE_TRY(tier->set_policy(owner, name));
  tier->set_default(name);
  return {};
}

std::string_view EvictionBoard::policy_of(TierId id, Owner owner) const {
  const ScopeTable& scopes = of(id)->scopes();
  return scopes.at(scopes.active(owner)).name;
}

void EvictionBoard::added(NodeId node, TierId id) {
  TierBoard* tier = of(id);
  if (tier == nullptr) return;
  if (id != TierId::kRam && tree_->node(node).is_in_ram()) {
    // It was used when RAM says so, not when the device was done with it.
    const uint64_t used = of(TierId::kRam)->last_use(node);
    tier->set_last_use(node, std::max(tier->last_use(node), used));
  } else {
    tier->set_last_use(node, clock_.next_use());
  }
  tier->insert(node);
}

void EvictionBoard::restored(NodeId node, TierId id) {
  TierBoard* tier = of(id);
  if (tier == nullptr) return;
  // Changes no time, but the table has to know of the entry: a switch of policies goes so far.
  tier->set_last_use(node, tier->last_use(node));
  tier->insert(node);
}

// Of RAM's entry, since its last use. A time that stands for "done with" is none.
void EvictionBoard::note_age(NodeId node, model::TimeHistogram& ages) const {
  if (of(TierId::kRam) == nullptr) return;
  const uint64_t used = of(TierId::kRam)->last_use(node);
  if (!UseClock::is_use(used)) return;
  ages.add(static_cast<int64_t>(clock_.now() - std::min(used, clock_.now())) * 1000);
}

void EvictionBoard::note_use(NodeId end, uint32_t most) {
  if (tree_->node(end).is_object() && tree_->node(end).is_in_ram()) note_age(end, reuse_gaps_);
  // One time for all of it, on all tiers, so that they order their entries alike.
  const uint64_t now = clock_.next_use();
  NodeId node = end;
  for (uint32_t i = 0; i < most && tree_->node(node).is_object(); ++i) {
    for (const auto& tier : tiers_) {
      if (tier != nullptr && tree_->node(node).is_in(tier->order().tier)) tier->use(node, now);
    }
    node = tree_->parent(node);
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
  TierBoard* tier = of(id);
  if (tier != nullptr && tree_->node(node).is_in(id)) tier->set_done(node, clock_.next_done());
}

void EvictionBoard::offered(NodeId node, TierId id) {
  if (TierBoard* tier = of(id); tier != nullptr) tier->offer(node);
}

void EvictionBoard::left(NodeId node, TierId id, Why why, NodeId heir) {
  if (id == TierId::kRam && why == Why::kEvicted) note_age(node, idle_before_evict_);
  if (TierBoard* tier = of(id); tier != nullptr) tier->remove(node, why, heir);
}

NodeId EvictionBoard::choose(TierId id, Owner owner) {
  TierBoard* tier = of(id);
  return tier == nullptr ? NodeId{} : tier->choose(owner);
}

NodeId EvictionBoard::choose_pinned(TierId id, Owner owner) {
  TierBoard* tier = of(id);
  return tier == nullptr ? NodeId{} : tier->choose_pinned(owner);
}

bool EvictionBoard::moves_pins() const {
  return std::any_of(tiers_.begin(), tiers_.end(),
                     [](const auto& tier) { return tier != nullptr && tier->moves_pins(); });
}

bool EvictionBoard::step(uint32_t budget) {
  bool under_way = false;
  for (const auto& tier : tiers_) {
    if (tier != nullptr) under_way = tier->step(budget) || under_way;
  }
  return under_way;
}

std::vector<std::unique_ptr<EvictionPolicy>> EvictionBoard::take_retired() {
  std::vector<std::unique_ptr<EvictionPolicy>> all;
  for (const auto& tier : tiers_) {
    if (tier == nullptr) continue;
    for (auto& policy : tier->take_retired()) all.push_back(std::move(policy));
  }
  return all;
}

uint64_t EvictionBoard::held_bytes() const {
  uint64_t bytes = 0;
  for (const auto& tier : tiers_) bytes += tier == nullptr ? 0 : tier->held_bytes();
  return bytes;
}

void EvictionBoard::check_invariants() const {
  for (const auto& tier : tiers_) {
    if (tier != nullptr) tier->check_invariants();
  }
}

}  // namespace quire::cache
