// What each tenant holds on each tier: one account by (tenant, tier) (DESIGN section 12.2).
//
//   used      bytes of pages present there, of roots whose hits the tenant serves; charged by
//             Presence and by nobody else
//   reserved  bytes of slots that are kept for what is not visible yet (SlotSet); of who pays
//   admitted  bytes that open sessions may count on (Reservations); of who pays
//
// Each account counts in those of its domain and of the tier, too. Bytes are pages' true sizes, as
// the layout states them. Threads: core only.
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "cache/accounts/tenant_table.h"
#include "model/check.h"
#include "model/ids.h"

namespace quire::cache {

struct Account {
  uint64_t used_bytes = 0;
  uint64_t reserved_bytes = 0;
  uint64_t admitted_bytes = 0;
};

class AccountTable {
 public:
  // The table outlives it; whoever is charged is held there.
  explicit AccountTable(const TenantTable* tenants) : tenants_(tenants) {}

  // All zero for a tenant that never had any.
  const Account& of(model::TenantId tenant, model::TierId tier) const;
  // Of all its tenants, and of all domains.
  const Account& of(model::DomainId domain, model::TierId tier) const;
  const Account& of(model::TierId tier) const { return tiers_[model::index_of(tier)]; }
  // Presence's alone. refund() precondition: so much is charged.
  void charge(model::TenantId tenant, model::TierId tier, uint64_t bytes);
  void refund(model::TenantId tenant, model::TierId tier, uint64_t bytes);
  // Reservations' alone. dismiss() precondition: so much is admitted.
  void admit(model::TenantId tenant, model::TierId tier, uint64_t bytes);
  void dismiss(model::TenantId tenant, model::TierId tier, uint64_t bytes);
  // PathHold's alone: what paths of the domain could keep in RAM at most.
  void hold_path(model::DomainId domain, uint64_t bytes);
  void release_path(model::DomainId domain, uint64_t bytes);
  uint64_t path_bytes(model::DomainId domain) const {
    return domain.value < paths_.size() ? paths_[domain.value] : 0;
  }

 private:
  friend class AccountHold;
  using ByTier = std::array<Account, model::kTierCount>;
  // Changes the account, that of its domain and that of the tier alike.
  template <typename Change>
  void change(model::TenantId tenant, model::TierId tier, Change&& one);

  const TenantTable* tenants_;
  std::vector<ByTier> accounts_;  // by tenant
  std::vector<ByTier> domains_;
  ByTier tiers_;
  std::vector<uint64_t> paths_;  // by domain
};

// Bytes kept of an account until it goes, or is spent. The table outlives it.
class AccountHold {
 public:
  AccountHold() = default;
  AccountHold(AccountTable* accounts, model::TenantId tenant, model::TierId tier, uint64_t bytes);
  AccountHold(AccountHold&& other) noexcept { swap(other); }
  AccountHold& operator=(AccountHold&& other) noexcept {
    AccountHold taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~AccountHold() { shrink(bytes_); }

  uint64_t bytes() const { return bytes_; }
  // So much more of it. Precondition: it has an account.
  void grow(uint64_t bytes);
  // So much of it is used now, or not needed any more. Precondition: at most bytes().
  void shrink(uint64_t bytes);

 private:
  void swap(AccountHold& other) noexcept;

  AccountTable* accounts_ = nullptr;
  model::TenantId tenant_;
  model::TierId tier_ = model::TierId::kRam;
  uint64_t bytes_ = 0;
};

}  // namespace quire::cache
