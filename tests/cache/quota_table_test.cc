#include "cache/accounts/quota_table.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace quire::cache::quota_table_test {
namespace {

using model::DomainId;
using model::TenantId;
using model::TierId;

constexpr TierId kRam = TierId::kRam;
constexpr DomainId kUser{3};

class QuotaTableTest : public testing::Test {
 protected:
  QuotaTableTest() {
    quotas_.open(kRam, rest_);
    quotas_.open(kRam, Owner{.domain = DomainId{1}, .tenant = {}});
  }
  // A tenant that is told apart.
  Owner add(const std::string& name, Quota quota) {
    const Owner owner{kUser, tenants_.hold(kUser, name)};
    quotas_.open(kRam, owner);
    quotas_.set(kRam, owner, quota);
    return owner;
  }
  void hold(Owner owner, uint64_t bytes) {
    const TenantId tenant = owner.tenant.valid() ? owner.tenant : other_;
    const uint64_t has = accounts_.of(tenant, kRam).used_bytes;
    if (bytes > has) accounts_.charge(tenant, kRam, bytes - has);
    if (bytes < has) accounts_.refund(tenant, kRam, has - bytes);
  }
  std::vector<Owner> turn(Owner asker) {
    const auto order = quotas_.turn(kRam, asker, true);
    return {order.begin(), order.end()};
  }
  using Owners = std::vector<Owner>;

  TenantTable tenants_;
  AccountTable accounts_{&tenants_};
  QuotaTable quotas_{&accounts_, &tenants_};
  const Owner rest_{kUser, {}};
  const TenantId other_ = tenants_.hold(kUser, "not told apart");
};

TEST_F(QuotaTableTest, RestIsWhatNobodyMoreCloselyNamedHas) {
  const Owner one = add("one", {});
  hold(one, 30);
  hold(rest_, 5);
  EXPECT_EQ(quotas_.held_bytes(kRam, one), 30u);
  EXPECT_EQ(quotas_.held_bytes(kRam, rest_), 5u);
  EXPECT_EQ(quotas_.owner_of(kRam, one.tenant), one);
  EXPECT_EQ(quotas_.owner_of(kRam, other_), rest_);
  EXPECT_EQ(quotas_.owner_of(TierId::kSsd, other_), Owner{}) << "nobody is told apart there";
  quotas_.close(kRam, one);
  EXPECT_EQ(quotas_.held_bytes(kRam, rest_), 35u);
  EXPECT_EQ(quotas_.owner_of(kRam, one.tenant), rest_);
}

TEST_F(QuotaTableTest, RestOfATierLeavesOutDomainsThatAreToldApart) {
  quotas_.open(TierId::kSsd, {});
  accounts_.charge(other_, TierId::kSsd, 10);
  const TenantId far = tenants_.hold(DomainId{7}, "far");
  accounts_.charge(far, TierId::kSsd, 4);
  EXPECT_EQ(quotas_.held_bytes(TierId::kSsd, {}), 14u);
  quotas_.open(TierId::kSsd, rest_);
  EXPECT_EQ(quotas_.held_bytes(TierId::kSsd, {}), 4u);
  EXPECT_EQ(quotas_.held_bytes(TierId::kSsd, rest_), 10u);
  EXPECT_EQ(quotas_.owner_of(TierId::kSsd, far), Owner{});
}

TEST_F(QuotaTableTest, NobodyIsAskedToGiveBelowItsGuarantee) {
  const Owner kept = add("kept", {.guaranteed_bytes = 50});
  const Owner free = add("free", {});
  hold(kept, 50);
  hold(free, 1);
  EXPECT_EQ(turn(free), Owners({free}));
  EXPECT_EQ(turn(kept), Owners({free, kept})) << "the asker last, of its own";
  hold(kept, 51);
  EXPECT_EQ(turn(free).size(), 2u);
  hold(kept, 20);
  hold(free, 0);
  EXPECT_EQ(turn(rest_), Owners({rest_})) << "who holds nothing has nothing to give to others";
}

// In proportion to what they hold above their guarantee, however the turns fall.
TEST_F(QuotaTableTest, GivesGoByExcess) {
  const Owner small = add("small", {.guaranteed_bytes = 100});
  const Owner large = add("large", {});
  hold(small, 110);
  hold(large, 30);
  hold(rest_, 20);
  std::map<uint32_t, int> gave;
  for (int i = 0; i < 600; ++i) {
    const Owner giver = turn(small).front();
    ++gave[giver.tenant.value];
    quotas_.gave(giver);
  }
  EXPECT_EQ(gave[small.tenant.value], 100);
  EXPECT_EQ(gave[large.tenant.value], 300);
  EXPECT_EQ(gave[rest_.tenant.value], 200);
}

TEST_F(QuotaTableTest, TurnThatNobodyTookChangesNothing) {
  const Owner one = add("one", {});
  hold(one, 10);
  hold(rest_, 10);
  const Owner first = turn(one).front();
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(turn(one).front(), first);
  quotas_.gave(first);
  EXPECT_NE(turn(one).front(), first);
}

TEST_F(QuotaTableTest, NobodyAsksEverybody) {
  const Owner kept = add("kept", {.guaranteed_bytes = 50});
  hold(kept, 10);
  hold(rest_, 10);
  const auto order = quotas_.turn(kRam, kUser);
  EXPECT_EQ(Owners(order.begin(), order.end()), Owners({rest_, kept}));
  EXPECT_EQ(quotas_.turn(kRam, DomainId{1}).size(), 1u) << "another domain's memory is its own";
}

TEST_F(QuotaTableTest, BurstAndGuaranteeAreCountedWithWhatIsReserved) {
  const Owner one = add("one", {.guaranteed_bytes = 40, .burst_bytes = 100});
  hold(one, 60);
  EXPECT_FALSE(quotas_.exceeds(kRam, one, 40));
  EXPECT_TRUE(quotas_.exceeds(kRam, one, 41));
  EXPECT_FALSE(quotas_.exceeds(kRam, rest_, UINT64_MAX / 2)) << "no bound";
  {
    const AccountHold reserved(&accounts_, one.tenant, kRam, 30);
    EXPECT_TRUE(quotas_.exceeds(kRam, one, 11));
  }
  EXPECT_EQ(quotas_.guaranteed_bytes(kRam, kUser), 40u);
  EXPECT_EQ(quotas_.kept_from(kRam, rest_), 40u);
  EXPECT_EQ(quotas_.kept_from(kRam, one), 0u);
  hold(one, 15);
  EXPECT_EQ(quotas_.kept_from(kRam, rest_), 15u) << "what it does not use may be had";
}

}  // namespace
}  // namespace quire::cache::quota_table_test
