// The scopes of one tier: what one policy orders, by whose it is (Owner).
//
//   add(owner) ----> active: new entries of the owner go here
//      \ the one before, if any ----> leaving: its entries go to active ones in steps, then it ends
//   close(owner) --> leaving, and counts with the next wider owner
//
// So a switch of policies, a tenant that is told apart and one that is no longer are one thing: a
// new active scope, and entries that move. What an operator pinned of an owner's is a scope of its
// own, a part of the owner's: it is the same owner's, and goes with it.
// Threads: core only. Allocates where scopes change.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "cache/accounts/namespace_pins.h"
#include "cache/accounts/owner.h"
#include "cache/eviction/policy.h"
#include "cache/tree/namespace_table.h"
#include "model/ids.h"

namespace quire::cache {

using ScopeId = uint16_t;

struct Scope {
  Owner owner;
  std::string_view name;                   // of its policy
  std::unique_ptr<EvictionPolicy> policy;  // null: the place is free
  uint32_t entries = 0;
  bool leaving = false;
  PinIndex pin = kNoPin;          // it is the pinned part of another one
  std::vector<ScopeId> pinned{};  // such parts of this one
};

class ScopeTable {
 public:
  static constexpr ScopeId kNone = UINT16_MAX;
  // Each holds a policy; of a pin there is one for each owner whose objects it covers.
  static constexpr uint32_t kMaxPinned = 1024;

  // It takes the place of the owner's active one.
  ScopeId add(Owner owner, std::string_view name, std::unique_ptr<EvictionPolicy> policy);
  // Precondition: active, and there is a wider one.
  void close(Owner owner);
  // A part of `whole`. Precondition: it has none of this pin, and there are fewer than kMaxPinned.
  ScopeId add_pinned(ScopeId whole, PinIndex pin, std::string_view name,
                     std::unique_ptr<EvictionPolicy> policy);
  // Of all its owners. Precondition: nothing of the domain is on the tier.
  void forget(model::DomainId domain);
  // What has left for good. Precondition: all entries are where they belong.
  void drop_left();
  // Policies of scopes that are no more: to free one may take as long as a million entries are
  // large.
  std::vector<std::unique_ptr<EvictionPolicy>> take_retired() {
    return std::exchange(retired_, {});
  }
  void drop_empty_pinned();

  // Of a root's entries; kNone: a tier whose domains are told apart does not know this one.
  ScopeId of(const Root& root) const;
  // kNone: the owner is not told apart.
  ScopeId active(Owner owner) const;
  // kNone: it has no part of this pin.
  ScopeId find_pinned(ScopeId whole, PinIndex pin) const;
  uint32_t pinned_count() const { return pinned_count_; }
  Scope& at(ScopeId id) { return scopes_[id]; }
  const Scope& at(ScopeId id) const { return scopes_[id]; }
  // Some of its entries are with another scope still.
  bool is_settling(Owner owner) const;
  bool any_settling() const { return !settling_.empty(); }
  // How often all entries were where they belong after they were not.
  uint64_t settled_count() const { return settled_count_; }
  // Those that leave first, then the active one: visit(Scope&), until it returns true.
  template <typename Visit>
  void find_of(Owner owner, Visit&& visit);
  // visit(const Scope&) for each that has a policy; leaving ones too.
  template <typename Visit>
  void for_each(Visit&& visit) const {
    for (const Scope& scope : scopes_) {
      if (scope.policy != nullptr) visit(scope);
    }
  }

 private:
  void set_active(Owner owner, ScopeId id);
  Owner wider(Owner owner) const;
  void leave(ScopeId id, Owner heir);
  ScopeId take_place();
  void free(ScopeId id);

  std::vector<Scope> scopes_;
  std::vector<ScopeId> free_;
  std::vector<std::unique_ptr<EvictionPolicy>> retired_;
  ScopeId rest_ = kNone;
  std::vector<ScopeId> by_domain_;
  std::vector<ScopeId> by_tenant_;
  std::vector<ScopeId> leaving_;
  uint32_t pinned_count_ = 0;
  uint64_t settled_count_ = 0;
  std::vector<Owner> settling_;  // whose scopes changed since the last drop_left()
};

template <typename Visit>
void ScopeTable::find_of(Owner owner, Visit&& visit) {
  for (const ScopeId id : leaving_) {
    if (scopes_[id].owner == owner && visit(scopes_[id])) return;
  }
  if (const ScopeId id = active(owner); id != kNone) visit(scopes_[id]);
}

}  // namespace quire::cache
