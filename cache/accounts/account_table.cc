#include "cache/accounts/account_table.h"

namespace quire::cache {

using model::DomainId;
using model::TenantId;
using model::TierId;

template <typename Change>
void AccountTable::change(TenantId tenant, TierId tier, Change&& one) {
  const size_t domain = tenants_->domain_of(tenant).value;
  if (accounts_.size() <= tenant.value) accounts_.resize(tenant.value + size_t{1});
  if (domains_.size() <= domain) domains_.resize(domain + 1);
  const size_t t = model::index_of(tier);
  one(accounts_[tenant.value][t]);
  one(domains_[domain][t]);
  one(tiers_[t]);
}

const Account& AccountTable::of(TenantId tenant, TierId tier) const {
  static const Account kNone;
  if (tenant.value >= accounts_.size()) return kNone;
  return accounts_[tenant.value][model::index_of(tier)];
}

const Account& AccountTable::of(DomainId domain, TierId tier) const {
  static const Account kNone;
  if (domain.value >= domains_.size()) return kNone;
  return domains_[domain.value][model::index_of(tier)];
}

void AccountTable::charge(TenantId tenant, TierId tier, uint64_t bytes) {
  change(tenant, tier, [&](Account& account) { account.used_bytes += bytes; });
}

void AccountTable::refund(TenantId tenant, TierId tier, uint64_t bytes) {
  change(tenant, tier, [&](Account& account) {
    QUIRE_CHECK(account.used_bytes >= bytes);
    account.used_bytes -= bytes;
  });
}

void AccountTable::admit(TenantId tenant, TierId tier, uint64_t bytes) {
  change(tenant, tier, [&](Account& account) { account.admitted_bytes += bytes; });
}

void AccountTable::dismiss(TenantId tenant, TierId tier, uint64_t bytes) {
  change(tenant, tier, [&](Account& account) {
    QUIRE_CHECK(account.admitted_bytes >= bytes);
    account.admitted_bytes -= bytes;
  });
}

void AccountTable::hold_path(DomainId domain, uint64_t bytes) {
  if (paths_.size() <= domain.value) paths_.resize(domain.value + size_t{1});
  paths_[domain.value] += bytes;
}

void AccountTable::release_path(DomainId domain, uint64_t bytes) {
  QUIRE_CHECK(path_bytes(domain) >= bytes);
  paths_[domain.value] -= bytes;
}

AccountHold::AccountHold(AccountTable* accounts, TenantId tenant, TierId tier, uint64_t bytes)
    : accounts_(accounts), tenant_(tenant), tier_(tier) {
  grow(bytes);
}

void AccountHold::grow(uint64_t bytes) {
  QUIRE_CHECK(accounts_ != nullptr);
  if (bytes == 0) return;  // no account is made for nothing
  accounts_->change(tenant_, tier_, [&](Account& account) { account.reserved_bytes += bytes; });
  bytes_ += bytes;
}

void AccountHold::shrink(uint64_t bytes) {
  QUIRE_CHECK(bytes <= bytes_);
  if (bytes == 0) return;
  bytes_ -= bytes;
  accounts_->change(tenant_, tier_, [&](Account& account) {
    QUIRE_CHECK(account.reserved_bytes >= bytes);
    account.reserved_bytes -= bytes;
  });
}

void AccountHold::swap(AccountHold& other) noexcept {
  std::swap(accounts_, other.accounts_);
  std::swap(tenant_, other.tenant_);
  std::swap(tier_, other.tier_);
  std::swap(bytes_, other.bytes_);
}

}  // namespace quire::cache
