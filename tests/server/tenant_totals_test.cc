// Sums of turns by tenant: nobody is shown another's, whoever comes to have its numbers.
#include "server/rings/tenant_totals.h"

#include <gtest/gtest.h>

namespace quire::server::tenant_totals_test {
namespace {

TurnRecord turn(uint32_t uid, uint32_t prompt_tokens) {
  TurnRecord record;
  record.domain = model::DomainId{3};
  record.uid = uid;
  record.payer = "acme";
  record.prompt_tokens = prompt_tokens;
  return record;
}

TEST(TenantTotals, AddUpWhatATenantsTurnsHad) {
  TenantTotals totals;
  const model::TenantId tenant{2};
  EXPECT_EQ(totals.find(tenant, "uid:1000", "acme"), nullptr);
  totals.add(tenant, turn(1000, 10));
  totals.add(tenant, turn(1000, 20));
  EXPECT_EQ(totals.find(tenant, "uid:1000", "acme")->prompt_tokens, 30u);
  EXPECT_EQ(totals.find(tenant, "uid:1000", "other"), nullptr);
}

// Law 13: the domain's number, and the tenant's with it, may be given to another user, whose tenant
// may have the same name.
TEST(TenantTotals, Law13_AreNotInheritedWithADomainsNumber) {
  TenantTotals totals;
  const model::TenantId tenant{2};
  totals.add(tenant, turn(1000, 10));
  EXPECT_EQ(totals.find(tenant, "uid:2000", "acme"), nullptr);
  totals.add(tenant, turn(2000, 5));
  EXPECT_EQ(totals.find(tenant, "uid:2000", "acme")->prompt_tokens, 5u);
  EXPECT_EQ(totals.find(tenant, "uid:1000", "acme"), nullptr);
}

}  // namespace
}  // namespace quire::server::tenant_totals_test
