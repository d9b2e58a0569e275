// What each tenant holds on each tier: one account by (tenant, tier) (DESIGN section 12.2).
//
//   used      bytes of pages present there, of roots whose hits the tenant serves; charged by
//             Presence and by nobody else
//   reserved  bytes of slots that are kept for what is not visible yet (SlotSet); of who pays
//
// Bytes are pages' true sizes, as the layout states them. Threads: core only.
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "model/check.h"
#include "model/ids.h"

namespace quire::cache {

struct Account {
  uint64_t used_bytes = 0;
  uint64_t reserved_bytes = 0;
};

class AccountTable {
 public:
  // All zero for a tenant that never had any.
  const Account& of(model::TenantId tenant, model::TierId tier) const;
  // Presence's alone. refund() precondition: so much is charged.
  void charge(model::TenantId tenant, model::TierId tier, uint64_t bytes);
  void refund(model::TenantId tenant, model::TierId tier, uint64_t bytes);

 private:
  friend class Reservation;
  Account& at(model::TenantId tenant, model::TierId tier);

  std::vector<std::array<Account, model::kTierCount>> accounts_;  // by tenant
};

// Bytes kept of an account until it goes, or is spent. The table outlives it.
class Reservation {
 public:
  Reservation() = default;
  Reservation(AccountTable* accounts, model::TenantId tenant, model::TierId tier, uint64_t bytes);
  Reservation(Reservation&& other) noexcept { swap(other); }
  Reservation& operator=(Reservation&& other) noexcept {
    Reservation taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~Reservation() { shrink(bytes_); }

  uint64_t bytes() const { return bytes_; }
  // So much more of it. Precondition: it has an account.
  void grow(uint64_t bytes);
  // So much of it is used now, or not needed any more. Precondition: at most bytes().
  void shrink(uint64_t bytes);

 private:
  void swap(Reservation& other) noexcept;

  AccountTable* accounts_ = nullptr;
  model::TenantId tenant_;
  model::TierId tier_ = model::TierId::kRam;
  uint64_t bytes_ = 0;
};

}  // namespace quire::cache
