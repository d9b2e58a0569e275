// What operators pinned (NamespacePins) as scopes of a tier: parts of their owners' scopes, with an
// order of their own.
//
// Above its budget a pin gives in proportion to its excess, as owners give above their guarantee
// (QuotaTable): victims of two policies cannot be compared. What is within the budget is not asked
// before everybody else was (TierBoard::choose_pinned). A part is made when something of it comes;
// where it cannot be had, the object is as its owner's others. Threads: core only.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "cache/accounts/namespace_pins.h"
#include "cache/eviction/scope_table.h"
#include "cache/eviction/tree_facts.h"
#include "cache/tree/namespace_table.h"
#include "model/ids.h"

namespace quire::cache {

class PinnedScopes {
 public:
  struct Parts {
    ScopeTable* scopes = nullptr;
    const TreeFacts* facts = nullptr;
    NamespaceTable* names = nullptr;  // of its roots it keeps which pin they have
    NamespacePins* pins = nullptr;    // null: nothing is pinned on this tier
    PolicyParts policy;               // of a part's policy
  };
  explicit PinnedScopes(const Parts& parts) : parts_(parts) {}

  // Where the node's entry belongs. kNone as ScopeTable::of().
  ScopeId home_of(model::NodeId node);
  // An entry is this scope's now; leaves it. Its object is on the tier, both times.
  void charge(const Scope& scope, EntryId entry);
  void refund(const Scope& scope, EntryId entry);

  // Pins changed since the last time that this was asked: all entries have to be looked at.
  bool notes_change();
  // Entries may be where former pins wanted them.
  bool is_moving() const;
  // All entries are where they belong.
  void note_moved();

  struct Excess {
    ScopeId part = ScopeTable::kNone;
    uint64_t entries = 0;
  };
  // Parts of the owner that hold more than their budgets. Valid until the next call.
  std::span<const Excess> above_budget(Owner owner);
  // The part that gives next, for the number of those that gave so far; kNone: it is the others'
  // turn.
  ScopeId turn(Owner owner, uint64_t given);

  // Every part holds what its pin names. `scope_of`: by entry.
  template <typename ScopeOf>
  void check_invariants(uint32_t end_of_entries, ScopeOf&& scope_of) const;

 private:
  PinIndex pin_of(Root& root);
  ScopeId open(ScopeId whole, PinIndex pin);
  uint64_t entries_above_budget(const Scope& part) const;

  const Parts parts_;
  uint32_t version_ = 0;  // of the pins that entries are, or move, where they want them
  bool moving_ = false;
  std::vector<Excess> excess_;
  uint64_t others_ = 0;  // entries of the owner beside these
};

template <typename ScopeOf>
void PinnedScopes::check_invariants(uint32_t end_of_entries, ScopeOf&& scope_of) const {
  if (parts_.pins == nullptr) return;
  std::array<uint64_t, kMaxPins> held{};
  const bool settled = !is_moving() && !parts_.scopes->any_settling() &&
                       parts_.scopes->pinned_count() < ScopeTable::kMaxPinned;
  for (uint32_t i = 0; i < end_of_entries; ++i) {
    const model::NodeId node = parts_.facts->any_node(EntryId{i});
    if (!node.valid()) continue;
    const PinIndex pin = parts_.scopes->at(scope_of(i)).pin;
    if (pin != kNoPin) held[pin] += parts_.facts->bytes(EntryId{i});
    const RootKey& key = parts_.facts->root_of(node).key;
    QUIRE_CHECK(!settled || pin == parts_.pins->find(parts_.names->domain_name(key.domain),
                                                     key.tenant, key.namespace_name));
  }
  parts_.pins->check_held(held);
}

}  // namespace quire::cache
