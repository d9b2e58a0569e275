// Tenants by number: whose hits a root serves, and who pays for a session (DESIGN section 12.2).
//
// A tenant belongs to a domain; the same name in two domains is two tenants. The empty name stands
// for what the domain's tenants share. An id is held by the roots and sessions that name it and is
// given to another tenant when the last of them let go. Bounded by them.
// Threads: core only. Rare calls; allocates.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "model/ids.h"

namespace quire::cache {

class TenantTable {
 public:
  // Finds or makes it, and holds it once more.
  model::TenantId hold(model::DomainId domain, std::string_view name);
  // Once more. Precondition: held.
  void hold(model::TenantId tenant) { ++tenants_[tenant.value].holders; }
  // The last one to let go frees the id. Precondition: held.
  void release(model::TenantId tenant);
  // Precondition of both: held. The name stays valid for as long.
  model::DomainId domain_of(model::TenantId tenant) const;
  const std::string& name_of(model::TenantId tenant) const;
  size_t count() const { return by_name_.size(); }
  // Ids in use are below; for sweeps. Some below are not in use.
  uint32_t end_of_ids() const { return static_cast<uint32_t>(tenants_.size()); }
  bool in_use(model::TenantId tenant) const { return tenants_[tenant.value].holders > 0; }

 private:
  struct Tenant {
    model::DomainId domain;
    std::string name;
    uint32_t holders = 0;  // 0: the place is free
  };
  static std::string key_of(model::DomainId domain, std::string_view name);

  std::vector<Tenant> tenants_;
  std::vector<model::TenantId> free_;
  std::unordered_map<std::string, model::TenantId> by_name_;  // "domain id 0 name"
};

// Holds a tenant of the domain for as long as it lives. Move-only. The table outlives it.
class TenantHold {
 public:
  TenantHold() = default;
  TenantHold(TenantTable* table, model::DomainId domain, std::string_view name)
      : table_(table), tenant_(table->hold(domain, name)) {}
  TenantHold(TenantHold&& other) noexcept { swap(other); }
  TenantHold& operator=(TenantHold&& other) noexcept {
    TenantHold taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~TenantHold() {
    if (table_ != nullptr) table_->release(tenant_);
  }
  model::TenantId tenant() const { return tenant_; }

 private:
  void swap(TenantHold& other) noexcept {
    std::swap(table_, other.table_);
    std::swap(tenant_, other.tenant_);
  }

  TenantTable* table_ = nullptr;
  model::TenantId tenant_;
};

}  // namespace quire::cache
