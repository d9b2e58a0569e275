#include "cache/eviction/tier_board.h"

#include <string>
#include <utility>

#include "model/check.h"

namespace quire::cache {

using model::Errc;
using model::make_error;
using model::NodeId;
using model::Result;

namespace {

constexpr uint32_t kRunNodes = 16;
}  // namespace

Result<const NamedPolicy*> TierBoard::find(std::string_view name) {
  if (const NamedPolicy* found = find_policy(name); found != nullptr) return found;
  return make_error(Errc::kInvalidArgument,
                    "no eviction policy '" + std::string(name) + "'; there are: " + policy_names());
}

EntryShape TierBoard::shape_of(const TierOrder& order) {
  return {.tier = order.tier, .nodes = order.by_run ? kRunNodes : 1};
}

// Node ids are handed out in runs: the last run may reach beyond max_nodes.
uint64_t TierBoard::max_entries(const TierOrder& order, uint64_t max_nodes) {
  return order.by_run ? max_nodes / kRunNodes + 1 : max_nodes + kRunNodes;
}

TierBoard::TierBoard(const Parts& parts, const TierOrder& order, EntryTable entries,
                     allocator::FlatArray<ScopeId> scope_of)
    : parts_(parts),
      order_(order),
      entries_(std::move(entries)),
      scope_of_(std::move(scope_of)),
      facts_(parts.tree, parts.presence, parts.names, shape_of(order)),
      pinned_({.scopes = &scopes_,
               .facts = &facts_,
               .names = parts.names,
               .pins = parts.pins,
               .policy = policy_parts()}) {}

Result<std::unique_ptr<TierBoard>> TierBoard::create(const Parts& parts, const TierOrder& order) {
  const uint64_t max = max_entries(order, parts.max_nodes);
  EntryTable entries = QUIRE_TRY(EntryTable::create(max));
  auto scope_of = QUIRE_TRY(
      allocator::FlatArray<ScopeId>::reserve(max, allocator::ReservedMemory::Pages::kSmall));
  std::unique_ptr<TierBoard> board(
      new TierBoard(parts, order, std::move(entries), std::move(scope_of)));
  board->order_.policy = QUIRE_TRY(find(order.policy))->name;
  if (!order.by_domain) QUIRE_TRY(board->set_policy({}, order.policy));
  return board;
}

void TierBoard::set_default(std::string_view policy) { order_.policy = find_policy(policy)->name; }

Result<void> TierBoard::set_policy(Owner owner, std::string_view name) {
  const NamedPolicy* found = QUIRE_TRY(find(name));
  if (const ScopeId before = scopes_.active(owner); before != ScopeTable::kNone) {
    const std::string_view present = scopes_.at(before).name;
    if (present == found->name) return {};
    if (scopes_.is_settling(owner)) {
      return make_error(Errc::kBusy, "a switch to " + std::string(present) + " is under way");
    }
  }
  auto policy = QUIRE_TRY(found->make(policy_parts()));
  scopes_.add(owner, found->name, std::move(policy));
  hand_ = 0;
  // Nothing is there that could move.
  if (count_ == 0) scopes_.drop_left();
  return {};
}

PolicyParts TierBoard::policy_parts() {
  return {.entries = &entries_,
          .history = &history_,
          .clock = parts_.clock,
          .facts = &facts_,
          .max_entries = max_entries(order_, parts_.max_nodes)};
}

void TierBoard::close_scope(Owner owner) {
  scopes_.close(owner);
  hand_ = 0;
  if (count_ == 0) scopes_.drop_left();
}

bool TierBoard::step(uint32_t& budget) {
  if (pinned_.notes_change()) hand_ = 0;
  if (!pinned_.is_moving() && !scopes_.any_settling()) return false;
  for (; budget > 0 && hand_ < entries_.end_of_entries(); --budget) {
    settle(EntryId{hand_});
    ++hand_;
  }
  if (hand_ < entries_.end_of_entries()) return true;
  scopes_.drop_left();
  pinned_.note_moved();
  return false;
}

// Its facts are those of the scope's policy from now on.
void TierBoard::enter(EntryId entry, ScopeId id) {
  scope_of_[entry.value] = id;
  Scope& scope = scopes_.at(id);
  ++scope.entries;
  pinned_.charge(scope, entry);
}

// The policy has still to be told. Its object is on the tier still, or its bytes were not known.
Scope& TierBoard::leave_scope(EntryId entry) {
  Scope& scope = scope_of(entry);
  --scope.entries;
  pinned_.refund(scope, entry);
  return scope;
}

void TierBoard::settle(EntryId entry) {
  const NodeId node = facts_.any_node(entry);
  if (!node.valid()) return;
  const ScopeId wanted = pinned_.home_of(node);
  if (wanted == scope_of_[entry.value]) return;
  // Before gone(), which takes the entry out of its heap and clears the place.
  const bool candidate = entries_.place(entry) != 0;
  leave_scope(entry).policy->gone(entry);
  enter(entry, wanted);
  EvictionPolicy& next = policy_of(entry);
  next.adopted(entry);
  if (candidate) next.offered(entry);
}

// No other node of its entry is on the tier.
bool TierBoard::is_alone(NodeId node) const {
  if (!order_.by_run) return true;
  return !facts_.find_node(entry_of(node), [&](NodeId other) { return other != node; }).valid();
}

void TierBoard::insert(NodeId node) {
  // The policy sees one entry from a run's first node to its last.
  if (!is_alone(node)) return;
  const EntryId entry = entry_of(node);
  ++count_;
  enter(entry, pinned_.home_of(node));
  policy_of(entry).inserted(entry, history_.take(parts_.tree->key(node)));
}

void TierBoard::use(NodeId node, uint64_t now) {
  const EntryId entry = entry_of(node);
  // Read before it is overwritten: policies learn from the gap between two uses.
  const uint64_t before = entries_.last_use(entry);
  if (before == now) return;  // by another node of its run
  entries_.set_last_use(entry, now);
  entries_.count_use(entry);
  policy_of(entry).used(entry, before);
}

void TierBoard::set_done(NodeId node, uint64_t time) {
  const EntryId entry = entry_of(node);
  entries_.set_last_use(entry, time);
  policy_of(entry).done_with(entry);
}

void TierBoard::offer(NodeId node) {
  const EntryId entry = entry_of(node);
  policy_of(entry).offered(entry);
}

void TierBoard::withdraw(NodeId node) {
  const EntryId entry = entry_of(node);
  policy_of(entry).withdrawn(entry);
  ++given_;
}

void TierBoard::remove(NodeId node, Why why, NodeId heir) {
  const EntryId entry = entry_of(node);
  const bool has_heir = heir.valid() && parts_.tree->node(heir).is_in(order_.tier);
  if (!is_alone(node)) {
    if (has_heir) entries_.inherit(entry_of(heir), entry);
    return;
  }
  if (has_heir && entry_of(heir) != entry) hand_up(entry, entry_of(heir));
  // The policy reads the entry's facts; they are cleared last.
  leave_scope(entry).policy->gone(entry);
  --count_;
  if (why == Why::kEvicted) {
    ++given_;
    history_.add(parts_.tree->key(node), entries_.uses(entry) > 0, static_cast<uint32_t>(count_));
    if (has_heir) history_.prefetch(parts_.tree->key(heir));  // it goes next, as a rule
  }
  entries_.clear(entry);
}

// Only the end of a path is told of a use. The parent, a candidate next, hears of the others.
void TierBoard::hand_up(EntryId child, EntryId parent) {
  const uint64_t before = entries_.last_use(parent);
  if (!entries_.hand_up(parent, child)) return;
  if (scope_of_[parent.value] == scope_of_[child.value]) {
    policy_of(parent).handed_up(parent, child, before);
  } else {
    policy_of(parent).used(parent,
                           before);  // amid a switch: the child's marks are another policy's
  }
}

NodeId TierBoard::choose_from(EvictionPolicy& policy) {
  // Each round takes a candidate out, and an offer put it there: the offers pay for the loop.
  while (const std::optional<EntryId> entry = policy.choose()) {
    const NodeId node = facts_.find_node(
        *entry, [&](NodeId one) { return parts_.presence->may_leave(one, order_.tier); });
    if (node.valid()) return node;
    policy.withdrawn(*entry);  // pinned since it was offered
  }
  return {};
}

NodeId TierBoard::choose(Owner owner) {
  NodeId node;
  if (const ScopeId part = pinned_.turn(owner, given_); part != ScopeTable::kNone) {
    node = choose_from(*scopes_.at(part).policy);
    if (node.valid()) return node;
  }
  scopes_.find_of(owner, [&](Scope& scope) {
    node = choose_from(*scope.policy);
    return node.valid();
  });
  if (node.valid()) return node;
  for (const PinnedScopes::Excess& excess : pinned_.above_budget(owner)) {
    node = choose_from(*scopes_.at(excess.part).policy);
    if (node.valid()) return node;
  }
  return {};
}

NodeId TierBoard::choose_pinned(Owner owner) {
  NodeId first;
  if (scopes_.pinned_count() == 0) return first;
  scopes_.find_of(owner, [&](const Scope& scope) {
    for (const ScopeId part : scope.pinned) {
      const NodeId node = choose_from(*scopes_.at(part).policy);
      if (!node.valid()) continue;
      if (!first.valid() || last_use(node) < last_use(first)) first = node;
    }
    return false;
  });
  return first;
}

bool TierBoard::admits(NodeId parent, const model::Hash256& key) {
  if (scopes_.any_settling()) return true;
  Newcomer newcomer{.fingerprint = static_cast<uint32_t>(key.word(1))};
  const Node& above = parts_.tree->node(parent);
  if (above.is_object() && above.is_in(order_.tier)) newcomer.parent = entry_of(parent);
  return scopes_.at(scopes_.of(facts_.root_of(parent))).policy->admits(newcomer);
}

uint64_t TierBoard::held_bytes() const {
  uint64_t bytes = entries_.held_bytes() + history_.held_bytes() +
                   scope_of_.held_bytes(entries_.end_of_entries());
  scopes_.for_each([&](const Scope& scope) { bytes += scope.policy->held_bytes(); });
  return bytes;
}

void TierBoard::check_invariants() const {
  pinned_.check_invariants(entries_.end_of_entries(), [this](uint32_t i) { return scope_of_[i]; });
  uint64_t entries = 0;
  scopes_.for_each([&](const Scope& scope) {
    scope.policy->check_invariants();
    entries += scope.entries;
  });
  QUIRE_CHECK(entries == count_);
  for (uint32_t i = 0; i < parts_.tree->end_of_nodes(); ++i) {
    if (!parts_.presence->may_leave(NodeId{i}, order_.tier)) continue;
    QUIRE_CHECK(entries_.place(entry_of(NodeId{i})) != 0);
  }
}

}  // namespace quire::cache
