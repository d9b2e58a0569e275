#include "cache/accounts/tenant_table.h"

#include "model/check.h"

namespace quire::cache {

using model::DomainId;
using model::TenantId;

std::string TenantTable::key_of(DomainId domain, std::string_view name) {
  std::string key = std::to_string(domain.value);
  key += '\0';
  key += name;
  return key;
}

TenantId TenantTable::hold(DomainId domain, std::string_view name) {
  const std::string key = key_of(domain, name);
  if (const auto known = by_name_.find(key); known != by_name_.end()) {
    ++tenants_[known->second.value].holders;
    return known->second;
  }
  TenantId id{static_cast<uint32_t>(tenants_.size())};
  if (free_.empty()) {
    tenants_.emplace_back();
  } else {
    id = free_.back();
    free_.pop_back();
  }
  tenants_[id.value] = {.domain = domain, .name = std::string(name), .holders = 1};
  by_name_.emplace(key, id);
  return id;
}

void TenantTable::release(TenantId id) {
  Tenant& tenant = tenants_[id.value];
  QUIRE_CHECK(tenant.holders > 0);
  if (--tenant.holders > 0) return;
  // Its accounts are at 0 by now: roots and sessions hold the id for as long as bytes are charged
  // to it. So the next tenant may have the number.
  by_name_.erase(key_of(tenant.domain, tenant.name));
  free_.push_back(id);
}

DomainId TenantTable::domain_of(TenantId tenant) const { return tenants_[tenant.value].domain; }

const std::string& TenantTable::name_of(TenantId tenant) const {
  return tenants_[tenant.value].name;
}

}  // namespace quire::cache
