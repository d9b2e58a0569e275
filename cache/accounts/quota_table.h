// What each owner of a tier may hold there, and whose turn it is to give (DESIGN sections 6, 12.3).
//
//   guaranteed  below it nobody else's need takes anything of the owner's
//   burst       above it the owner makes room for itself alone
//
// In between, owners give in proportion to what they hold above their guarantee, as the kernel
// reclaims from control groups (Documentation/admin-guide/cgroup-v2.rst, memory.low): one who
// floods the tier has the largest excess and gives most, whatever the policies order.
//
// An owner without a quota has no guarantee and no bound, but the tier's. Threads: core only.
// No allocation but in open().
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cache/accounts/account_table.h"
#include "cache/accounts/owner.h"
#include "model/ids.h"

namespace quire::cache {

inline constexpr uint32_t kMaxWeight = 1000;

struct Quota {
  uint64_t guaranteed_bytes = 0;
  uint64_t burst_bytes = UINT64_MAX;
  uint32_t weight = 1;  // 1..kMaxWeight: of each of its tenants, where several read from the tier

  friend bool operator==(const Quota&, const Quota&) = default;
};

class QuotaTable {
 public:
  QuotaTable(const AccountTable* accounts, const TenantTable* tenants)
      : accounts_(accounts), tenants_(tenants) {}

  // The owner is told apart on the tier from now on, without a quota. Precondition: it is not yet.
  void open(model::TierId tier, Owner owner);
  // What it holds counts with the rest that is left.
  void close(model::TierId tier, Owner owner);
  bool is_open(model::TierId tier, Owner owner) const { return find(tier, owner) != nullptr; }
  // Precondition of both: open.
  void set(model::TierId tier, Owner owner, Quota quota);
  const Quota& of(model::TierId tier, Owner owner) const;
  // The narrowest that is open for what the tenant brings. Precondition: held.
  Owner owner_of(model::TierId tier, model::TenantId tenant) const;

  // Of what the tier's device delivers the tenant has a part in proportion to it. Precondition:
  // held.
  uint32_t weight(model::TierId tier, model::TenantId tenant) const;

  // Grows with each change of owners and their quotas.
  uint64_t version() const { return version_; }
  // Used and reserved, less what more closely named owners have.
  uint64_t held_bytes(model::TierId tier, Owner owner) const;
  // So much more would take it above its burst.
  bool exceeds(model::TierId tier, Owner owner, uint64_t more) const;
  // Of all owners of the domain: what nobody else's need brings it below.
  uint64_t guaranteed_bytes(model::TierId tier, model::DomainId domain) const;
  // What other owners of its domain hold within their guarantee: not to be had for this one.
  uint64_t kept_from(model::TierId tier, Owner owner) const;

  // UINT64_MAX where nobody tells the owner apart.
  uint64_t burst_bytes(model::TierId tier, Owner owner) const;
  // What open sessions of the owner's tenants reserved, less that of more closely named owners.
  uint64_t admitted_bytes(model::TierId tier, Owner owner) const;
  // Of all owners of the tenant's domain what they are guaranteed, or what their sessions reserved
  // where that is more; the latter with so much more of this tenant.
  uint64_t committed_bytes(model::TierId tier, model::TenantId tenant, uint64_t more) const;
  // Of the domain's owners but the tenant's own.
  uint64_t guaranteed_to_others(model::TierId tier, model::TenantId tenant) const;

  // Who is asked to give when `asker` needs room, in this order: those above their guarantee, the
  // one first whose turn it is; last the asker. On tiers whose memory belongs to domains
  // (`of_domain`) only owners of the asker's domain. Valid until the next call.
  std::span<const Owner> turn(model::TierId tier, Owner asker, bool of_domain);
  // Nobody asks: those above their guarantee, then all others.
  std::span<const Owner> turn(model::TierId tier, model::DomainId domain);
  // It gave, as the last turn asked. Precondition: it stands there.
  void gave(Owner owner);

 private:
  struct Row {
    Owner owner;
    Quota quota;
    // Smooth weighted round robin: each turn adds the excess, who gives pays what all gained.
    int64_t credit = 0;
    uint64_t excess = 0;  // in the last turn
  };
  struct Tier {
    std::optional<Row> rest;
    std::vector<std::vector<Row>> domains;  // by DomainId: its owners
  };

  const Row* find(model::TierId tier, Owner owner) const;
  Row* find(model::TierId tier, Owner owner);
  const std::vector<Row>& rows_of(model::TierId tier, model::DomainId domain) const;
  uint64_t named_bytes(model::TierId tier, model::DomainId domain) const;
  void gather(model::TierId tier, model::DomainId domain, bool of_domain);
  std::span<const Owner> rank(const Owner* last);

  const AccountTable* accounts_;
  const TenantTable* tenants_;
  std::array<Tier, model::kTierCount> tiers_;
  uint64_t version_ = 0;
  std::vector<Row*> turn_;  // rows of the last turn
  std::vector<Owner> order_;
};

}  // namespace quire::cache
