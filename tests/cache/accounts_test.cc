#include <gtest/gtest.h>

#include <utility>

#include "cache/accounts/account_table.h"
#include "cache/accounts/tenant_table.h"

namespace quire::cache::accounts_test {
namespace {

using model::DomainId;
using model::TenantId;
using model::TierId;

TEST(TenantTable, NameOfTwoDomainsIsTwoTenants) {
  TenantTable tenants;
  const TenantId one = tenants.hold(DomainId{0}, "team");
  const TenantId other = tenants.hold(DomainId{1}, "team");
  EXPECT_NE(one, other);
  EXPECT_EQ(tenants.hold(DomainId{0}, "team"), one);
  EXPECT_EQ(tenants.domain_of(other), DomainId{1});
  EXPECT_EQ(tenants.name_of(other), "team");
  EXPECT_NE(tenants.hold(DomainId{0}, ""), one) << "what tenants share is nobody's name";
}

// "1" + "0x" is not "10" + "x".
TEST(TenantTable, DomainAndNameAreToldApart) {
  TenantTable tenants;
  EXPECT_NE(tenants.hold(DomainId{1}, "0x"), tenants.hold(DomainId{10}, "x"));
}

TEST(TenantTable, IdIsAnothersWhenTheLastHolderLetGo) {
  TenantTable tenants;
  const TenantId first = tenants.hold(DomainId{0}, "a");
  tenants.hold(DomainId{0}, "a");
  tenants.release(first);
  EXPECT_TRUE(tenants.in_use(first));
  tenants.release(first);
  EXPECT_FALSE(tenants.in_use(first));
  EXPECT_EQ(tenants.count(), 0u);
  EXPECT_EQ(tenants.hold(DomainId{0}, "b"), first);
  EXPECT_EQ(tenants.name_of(first), "b");
  EXPECT_EQ(tenants.end_of_ids(), 1u);
}

TEST(AccountTable, KeepsTenantsAndTiersApart) {
  TenantTable tenants;
  AccountTable accounts(&tenants);
  ASSERT_EQ(tenants.hold(DomainId{0}, "first"), TenantId{0});
  ASSERT_EQ(tenants.hold(DomainId{2}, "second"), TenantId{1});
  ASSERT_EQ(tenants.hold(DomainId{2}, "third"), TenantId{2});
  accounts.charge(TenantId{0}, TierId::kSsd, 1);
  accounts.charge(TenantId{2}, TierId::kSsd, 20);
  accounts.charge(TenantId{1}, TierId::kRam, 100);
  accounts.charge(TenantId{1}, TierId::kSsd, 7);
  accounts.refund(TenantId{1}, TierId::kRam, 40);
  EXPECT_EQ(accounts.of(TenantId{1}, TierId::kRam).used_bytes, 60u);
  EXPECT_EQ(accounts.of(TenantId{1}, TierId::kSsd).used_bytes, 7u);
  EXPECT_EQ(accounts.of(TenantId{0}, TierId::kRam).used_bytes, 0u);
  EXPECT_EQ(accounts.of(DomainId{2}, TierId::kSsd).used_bytes, 27u);
  EXPECT_EQ(accounts.of(DomainId{9}, TierId::kSsd).used_bytes, 0u);
  EXPECT_EQ(accounts.of(TierId::kSsd).used_bytes, 28u);
  EXPECT_EQ(accounts.of(TenantId{99}, TierId::kCluster).used_bytes, 0u);
}

TEST(AccountHold, GoesWithItsHolderAndIsNeverGivenBackTwice) {
  TenantTable tenants;
  AccountTable accounts(&tenants);
  const TenantId payer = tenants.hold(DomainId{0}, "payer");
  const auto reserved = [&] {
    EXPECT_EQ(accounts.of(payer, TierId::kRam).reserved_bytes,
              accounts.of(DomainId{0}, TierId::kRam).reserved_bytes);
    return accounts.of(payer, TierId::kRam).reserved_bytes;
  };
  {
    AccountHold first(&accounts, payer, TierId::kRam, 10);
    AccountHold moved(std::move(first));
    EXPECT_EQ(first.bytes(), 0u);
    AccountHold other(&accounts, payer, TierId::kRam, 5);
    EXPECT_EQ(reserved(), 15u);
    moved.shrink(4);
    EXPECT_EQ(reserved(), 11u);
    other = std::move(moved);
    EXPECT_EQ(reserved(), 6u);
    EXPECT_EQ(other.bytes(), 6u);
  }
  EXPECT_EQ(reserved(), 0u);
}

}  // namespace
}  // namespace quire::cache::accounts_test
