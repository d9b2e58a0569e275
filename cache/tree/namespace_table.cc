#include "cache/tree/namespace_table.h"

#include <algorithm>
#include <limits>

namespace quire::cache {

using model::DomainId;
using model::Errc;
using model::make_error;
using model::RootId;

namespace {

constexpr size_t kMaxLiveRootsPerDomain = kMaxRootsPerDomain - kDeadRootsPerDomain;
// One call gives up at most so many for a layout: a bounded step. The next call goes on.
constexpr int kGivenUpForALayout = 64;

}  // namespace

model::Result<DomainId> NamespaceTable::intern_domain(std::string_view name) {
  for (uint16_t i = 0; i < domains_.size(); ++i) {
    if (domains_[i].name == name) return DomainId{i};
  }
  if (domains_.size() >= kMaxDomains) {
    return make_error(Errc::kBusy, "256 users have pages or clients here; try again later");
  }
  domains_.emplace_back().name = name;
  return DomainId{static_cast<uint16_t>(domains_.size() - 1)};
}

const std::string& NamespaceTable::domain_name(DomainId domain) const {
  QUIRE_CHECK(domain.value < domains_.size());
  return domains_[domain.value].name;
}

bool NamespaceTable::is_domain_unused(DomainId id) const {
  const Domain& domain = domains_[id.value];
  return domain.clients == 0 && domain.live_roots == 0 && domain.dead_roots == 0;
}

void NamespaceTable::take_over_domain(DomainId id, std::string_view name) {
  QUIRE_CHECK(is_domain_unused(id));
  Domain& domain = domains_[id.value];
  // Keys begin with the domain's number: the epochs of its last owner must not bind the next one.
  for (const auto& [since, key] : domain.empty_namespaces) namespaces_.erase(key);
  domain = Domain{};
  domain.name = name;
}

// Names hold no zero byte, so no two keys are told together in the same way.
std::string NamespaceTable::tenant_key(const RootKey& key) {
  return std::to_string(key.domain.value) + '\0' + key.tenant;
}

std::string NamespaceTable::namespace_key(const RootKey& key) {
  return tenant_key(key) + '\0' + key.namespace_name;
}

// Makes it when it is new. Of those without a root the oldest goes when the domain has too many:
// nothing of an older epoch is left that could come back.
NamespaceTable::Namespace& NamespaceTable::namespace_of(const RootKey& key) {
  const std::string name = namespace_key(key);
  if (const auto found = namespaces_.find(name); found != namespaces_.end()) return found->second;
  Domain& domain = domains_[key.domain.value];
  if (domain.namespace_count >= kMaxNamespacesPerDomain && !domain.empty_namespaces.empty()) {
    namespaces_.erase(domain.empty_namespaces.begin()->second);
    domain.empty_namespaces.erase(domain.empty_namespaces.begin());
    --domain.namespace_count;
  }
  Namespace& added = namespaces_[name];
  added.empty_since = ++clock_;
  domain.empty_namespaces.emplace(added.empty_since, name);
  ++domain.namespace_count;
  return added;
}

uint64_t NamespaceTable::present_epoch(const RootKey& key) const {
  const auto found = namespaces_.find(namespace_key(key));
  return found == namespaces_.end() ? 0 : found->second.epoch;
}

model::Result<void> NamespaceTable::check_epoch(const RootKey& key) const {
  const uint64_t present = present_epoch(key);
  if (key.weights_epoch < present) {
    return make_error(Errc::kStaleHandle, "namespace " + key.namespace_name + " is at epoch " +
                                              std::to_string(present) + "; open it with that one");
  }
  // A mistake must leave room for later ones: there is no way back.
  const uint64_t most = present + (std::numeric_limits<uint64_t>::max() - present) / 2 + 1;
  if (key.weights_epoch > most) {
    return make_error(Errc::kInvalidArgument,
                      "weights_epoch may take at most half of the numbers above " +
                          std::to_string(present) + ": up to " + std::to_string(most));
  }
  return {};
}

void NamespaceTable::enter_epoch(const RootKey& key) {
  Namespace& space = namespace_of(key);
  if (key.weights_epoch == space.epoch) return;
  // bury() takes roots out of `live` and only marks them: their nodes go in steps (DeadRoots).
  space.epoch = key.weights_epoch;
  while (!space.live.empty()) bury(RootId{*space.live.begin()});
}

model::Result<RootId> NamespaceTable::open_root(const RootKey& key, const KnownLayout& layout) {
  QUIRE_TRY(check_epoch(key));
  const model::Hash256 hash = model::root_hash({.domain = domain_name(key.domain),
                                                .tenant = key.tenant,
                                                .namespace_name = key.namespace_name,
                                                .weights_epoch = key.weights_epoch,
                                                .layout_digest = layout.digest,
                                                .salt = key.salt});
  if (const auto found = by_hash_.find(hash); found != by_hash_.end()) return found->second;
  // Before the epoch is raised: an open that is refused leaves the older roots as they are.
  QUIRE_TRY(make_room(key));
  enter_epoch(key);
  return add_root(key, layout, hash);
}

std::optional<RootId> NamespaceTable::find_root(const model::Hash256& hash) const {
  const auto found = by_hash_.find(hash);
  return found == by_hash_.end() ? std::nullopt : std::optional(found->second);
}

model::Result<RootId> NamespaceTable::restore_root(const RootKey& key, const KnownLayout& layout,
                                                   const model::Hash256& hash) {
  if (const auto found = by_hash_.find(hash); found != by_hash_.end()) return found->second;
  if (domains_[key.domain.value].live_roots >= kMaxLiveRootsPerDomain) {
    return make_error(Errc::kBusy, "the domain has its share of roots");
  }
  restore_epoch(key.domain, key.tenant, key.namespace_name, key.weights_epoch);
  const RootId id = QUIRE_TRY(add_root(key, layout, hash));
  // Nobody has it open. A root that nobody comes back for makes way like any other.
  set_idle(roots_[id.value], true);
  return id;
}

void NamespaceTable::restore_epoch(DomainId domain, const std::string& tenant,
                                   const std::string& namespace_name, uint64_t epoch) {
  RootKey key;
  key.domain = domain;
  key.tenant = tenant;
  key.namespace_name = namespace_name;
  Namespace& space = namespace_of(key);
  space.epoch = std::max(space.epoch, epoch);
}

void NamespaceTable::raise_epoch(const RootKey& key) {
  if (key.weights_epoch > namespace_of(key).epoch) enter_epoch(key);
}

// A root that nobody uses makes way for one that somebody wants: of the domain itself when that has
// its share, else of the domain that has most.
model::Result<void> NamespaceTable::make_room(const RootKey& key) {
  Domain& domain = domains_[key.domain.value];
  bool room = domain.live_roots < kMaxLiveRootsPerDomain || give_up_idle(key.domain);
  // A root that was given up keeps its place until its nodes are gone, so roots are given up while
  // places are left.
  if (room && root_count() >= kMaxRoots - kDeadRootsPerDomain) {
    room = give_up_idle(largest_domain(key.domain));
  }
  if (room && !domain.layouts.contains(key.layout.value)) {
    int given_up = 0;
    // A layout's place is free only when its last root goes: the first idle root may be of another
    // one.
    while (domain.layouts.size() >= kMaxLayoutsPerDomain && given_up < kGivenUpForALayout &&
           give_up_idle(key.domain)) {
      ++given_up;
    }
    room = domain.layouts.size() < kMaxLayoutsPerDomain;
  }
  if (!room) {
    return make_error(Errc::kBusy,
                      "this uid has its share of (tenant, namespace, salt) roots or of layouts in "
                      "sessions; close some");
  }
  if (root_count() >= kMaxRoots || domain.live_roots + domain.dead_roots >= kMaxRootsPerDomain) {
    return make_error(Errc::kBusy, "the memory of older roots is being given back; try again");
  }
  return {};
}

// Nobody gives to one that has more.
DomainId NamespaceTable::largest_domain(DomainId own) const {
  DomainId largest = own;
  for (uint16_t i = 0; i < domains_.size(); ++i) {
    const bool larger = domains_[i].live_roots > domains_[largest.value].live_roots;
    if (larger && !domains_[i].by_idle.empty()) largest = DomainId{i};
  }
  return largest;
}

bool NamespaceTable::give_up_idle(DomainId id) {
  const Domain& domain = domains_[id.value];
  if (domain.by_idle.empty()) return false;
  // The oldest of the tenant that has most idle ones: who opens many roots loses its own first.
  const RootId oldest = domain.by_idle.rbegin()->second->idle.begin()->second;
  bury(oldest);
  roots_[oldest.value].given_up = true;
  ++given_up_count_;
  return true;
}

// No longer found; the reclaimer does the rest.
void NamespaceTable::bury(RootId id) {
  Root& root = roots_[id.value];
  set_idle(root, false);
  leave_live(root, id);
  root.dead = true;
  if (listener_ != nullptr) listener_->ended(id);
  ++domains_[root.key.domain.value].dead_roots;
  dead_roots_.push_back(id);
}

void NamespaceTable::leave_live(Root& root, RootId id) {
  by_hash_.erase(root.hash);
  Domain& domain = domains_[root.key.domain.value];
  --domain.live_roots;
  const auto layout = domain.layouts.find(root.key.layout.value);
  if (--layout->second == 0) domain.layouts.erase(layout);
  const std::string name = namespace_key(root.key);
  Namespace& space = namespaces_.at(name);
  space.live.erase(id.value);
  if (!space.live.empty()) return;
  space.empty_since = ++clock_;
  domain.empty_namespaces.emplace(space.empty_since, name);
}

void NamespaceTable::set_idle(Root& root, bool idle) {
  if ((root.idle_since != 0) == idle) return;
  Tenant& tenant = tenants_.at(tenant_key(root.key));
  Domain& domain = domains_[root.key.domain.value];
  // The set is ordered by this size: out before it changes, in again afterwards.
  domain.by_idle.erase({tenant.idle.size(), &tenant});
  if (idle) {
    root.idle_since = ++clock_;
    tenant.idle.emplace(root.idle_since, by_hash_.at(root.hash));
  } else {
    tenant.idle.erase(std::exchange(root.idle_since, 0));
  }
  if (!tenant.idle.empty()) domain.by_idle.insert({tenant.idle.size(), &tenant});
}

void NamespaceTable::hold(RootId id) {
  Root& root = roots_[id.value];
  if (root.session_count++ == 0) set_idle(root, false);
}

void NamespaceTable::release(RootId id) {
  Root& root = roots_[id.value];
  // A dead root is in no order: nobody finds it again, and DeadRoots has it already.
  if (--root.session_count == 0 && !root.dead) set_idle(root, true);
}

model::Result<RootId> NamespaceTable::add_root(const RootKey& key, const KnownLayout& layout,
                                               const model::Hash256& hash) {
  // open_root() has made room; restore_root() has not.
  if (root_count() >= kMaxRoots) {
    return make_error(Errc::kBusy, "65,536 (tenant, namespace, salt) roots are in use");
  }
  const RootId id = take_place();
  Root& root = roots_[id.value];
  root = Root{};
  root.key = key;
  root.hash = hash;
  root.tenant = tenant_ids_.hold(key.domain, key.tenant);
  root.layout = &layout;
  root.in_use = true;
  by_hash_.emplace(hash, id);
  layouts_->hold(key.layout);
  ++tenants_[tenant_key(key)].root_count;
  Domain& domain = domains_[key.domain.value];
  ++domain.live_roots;
  ++domain.layouts[key.layout.value];
  Namespace& space = namespace_of(key);
  space.live.insert(id.value);
  if (space.empty_since != 0) domain.empty_namespaces.erase(std::exchange(space.empty_since, 0));
  return id;
}

RootId NamespaceTable::take_place() {
  if (free_roots_.empty()) {
    roots_.emplace_back();
    return RootId{static_cast<uint32_t>(roots_.size() - 1)};
  }
  const RootId id = free_roots_.back();
  free_roots_.pop_back();
  return id;
}

void NamespaceTable::forget(RootId id) {
  Root& root = roots_[id.value];
  QUIRE_CHECK(root.in_use && root.session_count == 0);
  if (root.dead) {
    --domains_[root.key.domain.value].dead_roots;
    std::erase(dead_roots_, id);
  } else {
    set_idle(root, false);
    leave_live(root, id);
  }
  if (listener_ != nullptr) listener_->ended(id);
  layouts_->release(root.key.layout);
  tenant_ids_.release(root.tenant);
  const auto tenant = tenants_.find(tenant_key(root.key));
  if (--tenant->second.root_count == 0) tenants_.erase(tenant);
  root = Root{};
  free_roots_.push_back(id);
}

}  // namespace quire::cache
