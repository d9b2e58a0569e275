#include "cache/accounts/quota_table.h"

#include <algorithm>
#include <utility>

#include "model/check.h"

namespace quire::cache {

using model::DomainId;
using model::TenantId;
using model::TierId;

namespace {

uint64_t held(const Account& account) { return account.used_bytes + account.reserved_bytes; }

}  // namespace

const std::vector<QuotaTable::Row>& QuotaTable::rows_of(TierId tier, DomainId domain) const {
  static const std::vector<Row> kNone;
  const Tier& of_tier = tiers_[model::index_of(tier)];
  return domain.value < of_tier.domains.size() ? of_tier.domains[domain.value] : kNone;
}

const QuotaTable::Row* QuotaTable::find(TierId tier, Owner owner) const {
  if (!owner.domain.valid()) {
    const std::optional<Row>& rest = tiers_[model::index_of(tier)].rest;
    return rest ? &*rest : nullptr;
  }
  const std::vector<Row>& rows = rows_of(tier, owner.domain);
  const auto found =
      std::find_if(rows.begin(), rows.end(), [&](const Row& row) { return row.owner == owner; });
  return found == rows.end() ? nullptr : &*found;
}

QuotaTable::Row* QuotaTable::find(TierId tier, Owner owner) {
  return const_cast<Row*>(std::as_const(*this).find(tier, owner));
}

void QuotaTable::open(TierId tier, Owner owner) {
  QUIRE_CHECK(find(tier, owner) == nullptr);
  Tier& of_tier = tiers_[model::index_of(tier)];
  turn_.clear();  // its rows may move
  ++version_;
  if (!owner.domain.valid()) {
    of_tier.rest = Row{.owner = owner};
    return;
  }
  if (of_tier.domains.size() <= owner.domain.value) {
    of_tier.domains.resize(owner.domain.value + size_t{1});
  }
  of_tier.domains[owner.domain.value].push_back({.owner = owner});
}

void QuotaTable::close(TierId tier, Owner owner) {
  const Row* row = find(tier, owner);
  QUIRE_CHECK(row != nullptr && owner.domain.valid());
  turn_.clear();
  ++version_;
  std::erase_if(tiers_[model::index_of(tier)].domains[owner.domain.value],
                [&](const Row& one) { return one.owner == owner; });
}

void QuotaTable::set(TierId tier, Owner owner, Quota quota) {
  Row* row = find(tier, owner);
  QUIRE_CHECK(row != nullptr);
  row->quota = quota;
  ++version_;
}

const Quota& QuotaTable::of(TierId tier, Owner owner) const {
  const Row* row = find(tier, owner);
  QUIRE_CHECK(row != nullptr);
  return row->quota;
}

Owner QuotaTable::owner_of(TierId tier, TenantId tenant) const {
  const Owner named{tenants_->domain_of(tenant), tenant};
  if (find(tier, named) != nullptr) return named;
  const Owner domain{named.domain, {}};
  return find(tier, domain) != nullptr ? domain : Owner{};
}

uint32_t QuotaTable::weight(TierId tier, TenantId tenant) const {
  const Row* row = find(tier, owner_of(tier, tenant));
  return row == nullptr ? 1 : row->quota.weight;
}

// Of those owners of the domain that are told apart from its rest.
uint64_t QuotaTable::named_bytes(TierId tier, DomainId domain) const {
  uint64_t bytes = 0;
  for (const Row& row : rows_of(tier, domain)) {
    if (row.owner.tenant.valid()) bytes += held(accounts_->of(row.owner.tenant, tier));
  }
  return bytes;
}

uint64_t QuotaTable::held_bytes(TierId tier, Owner owner) const {
  if (owner.tenant.valid()) return held(accounts_->of(owner.tenant, tier));
  if (owner.domain.valid()) {
    return held(accounts_->of(owner.domain, tier)) - named_bytes(tier, owner.domain);
  }
  uint64_t bytes = held(accounts_->of(tier));
  const size_t domains = tiers_[model::index_of(tier)].domains.size();
  for (uint16_t d = 0; d < domains; ++d) {
    const DomainId domain{d};
    const bool whole = find(tier, {domain, {}}) != nullptr;
    bytes -= whole ? held(accounts_->of(domain, tier)) : named_bytes(tier, domain);
  }
  return bytes;
}

bool QuotaTable::exceeds(TierId tier, Owner owner, uint64_t more) const {
  const Row* row = find(tier, owner);
  if (row == nullptr || row->quota.burst_bytes == UINT64_MAX) return false;
  return held_bytes(tier, owner) + more > row->quota.burst_bytes;
}

uint64_t QuotaTable::guaranteed_bytes(TierId tier, DomainId domain) const {
  uint64_t bytes = 0;
  for (const Row& row : rows_of(tier, domain)) bytes += row.quota.guaranteed_bytes;
  return bytes;
}

uint64_t QuotaTable::kept_from(TierId tier, Owner owner) const {
  uint64_t bytes = 0;
  for (const Row& row : rows_of(tier, owner.domain)) {
    if (row.owner == owner || row.quota.guaranteed_bytes == 0) continue;
    bytes += std::min(row.quota.guaranteed_bytes, held_bytes(tier, row.owner));
  }
  return bytes;
}

uint64_t QuotaTable::burst_bytes(TierId tier, Owner owner) const {
  const Row* row = find(tier, owner);
  return row == nullptr ? UINT64_MAX : row->quota.burst_bytes;
}

uint64_t QuotaTable::admitted_bytes(TierId tier, Owner owner) const {
  if (owner.tenant.valid()) return accounts_->of(owner.tenant, tier).admitted_bytes;
  uint64_t bytes = accounts_->of(owner.domain, tier).admitted_bytes;
  for (const Row& row : rows_of(tier, owner.domain)) {
    if (row.owner.tenant.valid()) bytes -= accounts_->of(row.owner.tenant, tier).admitted_bytes;
  }
  return bytes;
}

uint64_t QuotaTable::committed_bytes(TierId tier, TenantId tenant, uint64_t more) const {
  const DomainId domain = tenants_->domain_of(tenant);
  const Owner owner = owner_of(tier, tenant);
  const Owner rest{domain, {}};
  const auto with_more = [&](Owner one) {
    const bool own = one == owner || (one == rest && !owner.domain.valid());
    return admitted_bytes(tier, one) + (own ? more : 0);
  };
  uint64_t bytes = find(tier, rest) == nullptr ? with_more(rest) : 0;
  for (const Row& row : rows_of(tier, domain)) {
    bytes += std::max(row.quota.guaranteed_bytes, with_more(row.owner));
  }
  return bytes;
}

uint64_t QuotaTable::guaranteed_to_others(TierId tier, TenantId tenant) const {
  const Owner owner = owner_of(tier, tenant);
  uint64_t bytes = 0;
  for (const Row& row : rows_of(tier, tenants_->domain_of(tenant))) {
    if (row.owner != owner) bytes += row.quota.guaranteed_bytes;
  }
  return bytes;
}

void QuotaTable::gather(TierId tier, DomainId domain, bool of_domain) {
  turn_.clear();
  Tier& of_tier = tiers_[model::index_of(tier)];
  const auto add = [&](std::vector<Row>& rows) {
    for (Row& row : rows) turn_.push_back(&row);
  };
  if (of_domain) {
    if (domain.value < of_tier.domains.size()) add(of_tier.domains[domain.value]);
  } else {
    if (of_tier.rest) turn_.push_back(&*of_tier.rest);
    for (std::vector<Row>& rows : of_tier.domains) add(rows);
  }
  if (turn_.size() < 2) return;  // nobody to weigh it against
  for (Row* row : turn_) {
    const uint64_t bytes = held_bytes(tier, row->owner);
    row->excess = bytes - std::min(bytes, row->quota.guaranteed_bytes);
    if (row->excess == 0) row->credit = 0;
  }
}

// `last` after those above their guarantee; none: whoever is left.
std::span<const Owner> QuotaTable::rank(const Owner* last) {
  order_.clear();
  std::sort(turn_.begin(), turn_.end(), [](const Row* a, const Row* b) {
    if ((a->excess > 0) != (b->excess > 0)) return a->excess > 0;
    return a->credit + static_cast<int64_t>(a->excess) >
           b->credit + static_cast<int64_t>(b->excess);
  });
  const bool alone = turn_.size() == 1;
  for (const Row* row : turn_) {
    if (alone || last == nullptr || row->excess > 0 || row->owner == *last) {
      order_.push_back(row->owner);
    }
  }
  return order_;
}

std::span<const Owner> QuotaTable::turn(TierId tier, Owner asker, bool of_domain) {
  gather(tier, asker.domain, of_domain);
  return rank(&asker);
}

std::span<const Owner> QuotaTable::turn(TierId tier, DomainId domain) {
  gather(tier, domain, domain.valid());
  return rank(nullptr);
}

void QuotaTable::gave(Owner owner) {
  if (turn_.size() < 2) return;
  int64_t gained = 0;
  for (Row* row : turn_) {
    row->credit += static_cast<int64_t>(row->excess);
    gained += static_cast<int64_t>(row->excess);
  }
  const auto giver =
      std::find_if(turn_.begin(), turn_.end(), [&](Row* row) { return row->owner == owner; });
  QUIRE_CHECK(giver != turn_.end());
  (*giver)->credit -= gained;
  turn_.clear();
}

}  // namespace quire::cache
