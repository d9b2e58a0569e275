#include "cache/accounts/retention_table.h"

#include <algorithm>

#include "model/check.h"

namespace quire::cache {

using model::Errc;
using model::make_error;
using model::Result;
using model::TenantId;

Result<RetentionHold> RetentionTable::hold(TenantId tenant, std::string_view name) {
  if (name.empty()) return RetentionHold();
  Classes& classes = of_tenants_[tenant.value];
  const auto holds = [&](const Class& one) { return one.holders > 0 && one.name == name; };
  auto found = std::find_if(classes.begin(), classes.end(), holds);
  if (found == classes.end()) {
    found = std::find_if(classes.begin(), classes.end(),
                         [](const Class& one) { return one.holders == 0; });
    if (found == classes.end()) {
      std::string others;
      for (const Class& one : classes) others += (others.empty() ? "" : ", ") + one.name;
      return make_error(Errc::kResourceExhausted,
                        "the tenant has content of three other retention classes (" + others +
                            "): name one of these, or none");
    }
    found->name = name;
  }
  return RetentionHold(this, tenant, static_cast<uint8_t>(found - classes.begin() + 1));
}

void RetentionTable::hold(TenantId tenant, uint8_t number) {
  if (number == 0) return;
  tenants_->hold(tenant);
  ++of_tenants_.at(tenant.value)[number - 1].holders;
}

void RetentionTable::release(TenantId tenant, uint8_t number) {
  if (number == 0) return;
  const auto found = of_tenants_.find(tenant.value);
  QUIRE_CHECK(found != of_tenants_.end() && found->second[number - 1].holders > 0);
  --found->second[number - 1].holders;
  const bool in_use = std::any_of(found->second.begin(), found->second.end(),
                                  [](const Class& one) { return one.holders > 0; });
  if (!in_use) of_tenants_.erase(found);
  tenants_->release(tenant);
}

const std::string& RetentionTable::name_of(TenantId tenant, uint8_t number) const {
  static const std::string kNone;
  return number == 0 ? kNone : of_tenants_.at(tenant.value)[number - 1].name;
}

}  // namespace quire::cache
