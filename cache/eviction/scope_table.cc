#include "cache/eviction/scope_table.h"

#include <algorithm>
#include <utility>

#include "model/check.h"

namespace quire::cache {

using model::DomainId;
using model::TenantId;

namespace {

ScopeId at_or_none(const std::vector<ScopeId>& list, size_t index) {
  return index < list.size() ? list[index] : ScopeTable::kNone;
}

void set_at(std::vector<ScopeId>& list, size_t index, ScopeId id) {
  if (list.size() <= index) list.resize(index + 1, ScopeTable::kNone);
  list[index] = id;
}

}  // namespace

ScopeId ScopeTable::active(Owner owner) const {
  if (owner.tenant.valid()) return at_or_none(by_tenant_, owner.tenant.value);
  if (owner.domain.valid()) return at_or_none(by_domain_, owner.domain.value);
  return rest_;
}

ScopeId ScopeTable::of(const Root& root) const {
  ScopeId id = at_or_none(by_tenant_, root.tenant.value);
  if (id == kNone) id = at_or_none(by_domain_, root.key.domain.value);
  return id == kNone ? rest_ : id;
}

void ScopeTable::set_active(Owner owner, ScopeId id) {
  if (owner.tenant.valid()) {
    set_at(by_tenant_, owner.tenant.value, id);
  } else if (owner.domain.valid()) {
    set_at(by_domain_, owner.domain.value, id);
  } else {
    rest_ = id;
  }
}

Owner ScopeTable::wider(Owner owner) const {
  const Owner domain{owner.domain, {}};
  return owner.tenant.valid() && active(domain) != kNone ? domain : Owner{};
}

void ScopeTable::leave(ScopeId id, Owner heir) {
  scopes_[id].owner = heir;
  scopes_[id].leaving = true;
  leaving_.push_back(id);
}

ScopeId ScopeTable::take_place() {
  const auto id = static_cast<ScopeId>(scopes_.size());
  if (free_.empty()) {
    QUIRE_CHECK(id != kNone);
    scopes_.emplace_back();
    return id;
  }
  const ScopeId freed = free_.back();
  free_.pop_back();
  return freed;
}

ScopeId ScopeTable::add(Owner owner, std::string_view name,
                        std::unique_ptr<EvictionPolicy> policy) {
  if (const ScopeId before = active(owner); before != kNone) leave(before, owner);
  const ScopeId id = take_place();
  scopes_[id] = {.owner = owner, .name = name, .policy = std::move(policy)};
  set_active(owner, id);
  settling_.push_back(owner);
  return id;
}

ScopeId ScopeTable::find_pinned(ScopeId whole, PinIndex pin) const {
  for (const ScopeId part : scopes_[whole].pinned) {
    if (scopes_[part].pin == pin) return part;
  }
  return kNone;
}

ScopeId ScopeTable::add_pinned(ScopeId whole, PinIndex pin, std::string_view name,
                               std::unique_ptr<EvictionPolicy> policy) {
  QUIRE_CHECK(pinned_count_ < kMaxPinned);
  const ScopeId id = take_place();
  scopes_[id] = {
      .owner = scopes_[whole].owner, .name = name, .policy = std::move(policy), .pin = pin};
  scopes_[whole].pinned.push_back(id);
  ++pinned_count_;
  return id;
}

void ScopeTable::close(Owner owner) {
  const ScopeId id = active(owner);
  QUIRE_CHECK(id != kNone);
  set_active(owner, kNone);
  const Owner heir = wider(owner);
  for (const ScopeId other : leaving_) {
    if (scopes_[other].owner == owner) scopes_[other].owner = heir;
  }
  leave(id, heir);
  settling_.push_back(heir);
}

// With its pinned parts.
void ScopeTable::free(ScopeId id) {
  QUIRE_CHECK(scopes_[id].entries == 0);
  retired_.push_back(std::move(scopes_[id].policy));
  for (const ScopeId part : std::exchange(scopes_[id].pinned, {})) free(part);
  if (scopes_[id].pin != kNoPin) --pinned_count_;
  scopes_[id] = Scope{};
  free_.push_back(id);
}

void ScopeTable::forget(DomainId domain) {
  std::erase_if(settling_, [&](const Owner& owner) { return owner.domain == domain; });
  for (ScopeId id = 0; id < scopes_.size(); ++id) {
    Scope& scope = scopes_[id];
    if (scope.policy == nullptr || scope.owner.domain != domain) continue;
    if (scope.pin != kNoPin) continue;  // goes with the whole that it is a part of
    if (!scope.leaving) set_active(scope.owner, kNone);
    std::erase(leaving_, id);
    if (scope.entries == 0) {
      free(id);
    } else {
      // Runs that began with its nodes hold other domains' by now.
      QUIRE_CHECK(rest_ != kNone);
      leave(id, Owner{});
      settling_.push_back(Owner{});
    }
  }
}

void ScopeTable::drop_left() {
  settled_count_ += any_settling() ? 1 : 0;
  for (const ScopeId id : leaving_) free(id);
  leaving_.clear();
  settling_.clear();
}

void ScopeTable::drop_empty_pinned() {
  for (Scope& scope : scopes_) {
    std::erase_if(scope.pinned, [&](ScopeId part) {
      if (scopes_[part].entries > 0) return false;
      free(part);
      return true;
    });
  }
}

bool ScopeTable::is_settling(Owner owner) const {
  return std::find(settling_.begin(), settling_.end(), owner) != settling_.end();
}

}  // namespace quire::cache
