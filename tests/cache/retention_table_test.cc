// Numbers of retention classes: one name each while somebody needs it.
#include "cache/accounts/retention_table.h"

#include <gtest/gtest.h>

#include <vector>

namespace quire::cache::retention_table_test {

using model::DomainId;
using model::Errc;
using model::TenantId;

namespace {

class RetentionTableTest : public testing::Test {
 protected:
  TenantTable tenants_;
  RetentionTable table_{&tenants_};
  TenantHold held_{&tenants_, DomainId{1}, "a"};
  TenantId tenant_ = held_.tenant();
};

}  // namespace

TEST_F(RetentionTableTest, NoNameIsNumberZeroAndHoldsNothing) {
  const RetentionHold none = table_.hold(tenant_, "").value();
  EXPECT_EQ(none.number(), 0);
  EXPECT_EQ(table_.name_of(tenant_, 0), "");
}

TEST_F(RetentionTableTest, ANameHasOneNumberWithATenant) {
  const RetentionHold first = table_.hold(tenant_, "5m").value();
  const RetentionHold again = table_.hold(tenant_, "5m").value();
  const RetentionHold other = table_.hold(tenant_, "1h").value();
  EXPECT_EQ(first.number(), again.number());
  EXPECT_NE(first.number(), other.number());
  EXPECT_EQ(table_.name_of(tenant_, other.number()), "1h");
}

TEST_F(RetentionTableTest, TenantsHaveNumbersOfTheirOwn) {
  const TenantHold second(&tenants_, DomainId{1}, "b");
  const RetentionHold mine = table_.hold(tenant_, "5m").value();
  const RetentionHold theirs = table_.hold(second.tenant(), "1h").value();
  EXPECT_EQ(table_.name_of(tenant_, mine.number()), "5m");
  EXPECT_EQ(table_.name_of(second.tenant(), theirs.number()), "1h");
}

TEST_F(RetentionTableTest, AFourthClassIsRefusedUntilANumberIsFree) {
  std::vector<RetentionHold> holds;
  for (const char* name : {"5m", "1h", "24h"}) {
    holds.push_back(table_.hold(tenant_, name).value());
  }
  const auto refused = table_.hold(tenant_, "7d");
  EXPECT_EQ(refused.code(), Errc::kResourceExhausted);
  EXPECT_NE(refused.error().text.find("5m, 1h, 24h"), std::string::npos) << refused.error().text;
  const uint8_t freed = holds[1].number();
  holds.erase(holds.begin() + 1);
  EXPECT_EQ(table_.hold(tenant_, "7d")->number(), freed);
}

// Its number would be another tenant's, with the names of this one.
TEST_F(RetentionTableTest, AClassHoldsItsTenant) {
  RetentionHold hold = table_.hold(tenant_, "5m").value();
  held_ = TenantHold();
  EXPECT_TRUE(tenants_.in_use(tenant_));
  hold = RetentionHold();
  EXPECT_FALSE(tenants_.in_use(tenant_));
}

}  // namespace quire::cache::retention_table_test
