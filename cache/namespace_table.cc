#include "cache/namespace_table.h"

#include <algorithm>

namespace quire::cache {

using model::Errc;
using model::make_error;

model::Result<model::DomainId> NamespaceTable::intern_domain(std::string_view name) {
  for (uint16_t i = 0; i < domains_.size(); ++i) {
    if (domains_[i] == name) return model::DomainId{i};
  }
  if (domains_.size() >= kMaxDomains) {
    return make_error(Errc::kBusy, "256 domains have connected since the daemon started");
  }
  domains_.emplace_back(name);
  return model::DomainId{static_cast<uint16_t>(domains_.size() - 1)};
}

const std::string& NamespaceTable::domain_name(model::DomainId domain) const {
  QUIRE_CHECK(domain.value < domains_.size());
  return domains_[domain.value];
}

model::Result<void> NamespaceTable::enter_epoch(const RootKey& key) {
  const std::string name = std::to_string(key.domain.value) + "/" + key.namespace_name;
  if (!epochs_.contains(name) && epochs_.size() >= kMaxNamespaces) {
    return make_error(Errc::kBusy, "65,536 namespaces are known; restart the daemon");
  }
  uint64_t& present = epochs_[name];
  if (key.weights_epoch < present) {
    return make_error(Errc::kStaleHandle, "namespace " + key.namespace_name + " is at epoch " +
                                              std::to_string(present) + "; open it with that one");
  }
  if (key.weights_epoch == present) return {};
  present = key.weights_epoch;
  for (uint32_t i = 0; i < roots_.size(); ++i) {
    Root& root = roots_[i];
    if (!root.in_use || root.dead || root.key.domain != key.domain) continue;
    if (root.key.namespace_name != key.namespace_name) continue;
    root.dead = true;
    by_hash_.erase(root.hash);
    dead_roots_.push_back(model::RootId{i});
  }
  return {};
}

model::Result<model::RootId> NamespaceTable::open_root(const RootKey& key,
                                                       const KnownLayout& layout) {
  QUIRE_TRY(enter_epoch(key));
  const model::Hash256 hash = model::root_hash({.domain = domain_name(key.domain),
                                                .tenant = key.tenant,
                                                .namespace_name = key.namespace_name,
                                                .weights_epoch = key.weights_epoch,
                                                .layout_digest = layout.digest,
                                                .salt = key.salt});
  if (const auto found = by_hash_.find(hash); found != by_hash_.end()) return found->second;
  return add_root(key, layout, hash);
}

model::Result<model::RootId> NamespaceTable::restore_root(const RootKey& key,
                                                          const KnownLayout& layout,
                                                          const model::Hash256& hash) {
  if (const auto found = by_hash_.find(hash); found != by_hash_.end()) return found->second;
  restore_epoch(key.domain, key.namespace_name, key.weights_epoch);
  return add_root(key, layout, hash);
}

void NamespaceTable::restore_epoch(model::DomainId domain, const std::string& namespace_name,
                                   uint64_t epoch) {
  uint64_t& present = epochs_[std::to_string(domain.value) + "/" + namespace_name];
  present = std::max(present, epoch);
}

model::Result<model::RootId> NamespaceTable::add_root(const RootKey& key, const KnownLayout& layout,
                                                      const model::Hash256& hash) {
  if (root_count() >= kMaxRoots) {
    return make_error(Errc::kBusy, "65,536 (tenant, namespace, salt) roots are in use");
  }
  const model::RootId id = take_place();
  Root& root = roots_[id.value];
  root = Root{};
  root.key = key;
  root.hash = hash;
  root.layout = &layout;
  root.in_use = true;
  by_hash_.emplace(hash, id);
  return id;
}

model::RootId NamespaceTable::take_place() {
  if (free_roots_.empty()) {
    roots_.emplace_back();
    return model::RootId{static_cast<uint32_t>(roots_.size() - 1)};
  }
  const model::RootId id = free_roots_.back();
  free_roots_.pop_back();
  return id;
}

void NamespaceTable::forget(model::RootId id) {
  Root& root = roots_[id.value];
  QUIRE_CHECK(root.in_use && root.session_count == 0);
  by_hash_.erase(root.hash);
  std::erase(dead_roots_, id);
  root = Root{};
  free_roots_.push_back(id);
}

}  // namespace quire::cache
