#include "cache/fill/checkpoint_rules.h"

#include <gtest/gtest.h>

#include "cache/accounts/owner.h"

namespace quire::cache::checkpoint_rules_test {
namespace {

using model::CheckpointPolicy;
using model::CheckpointWord;
using model::Errc;

constexpr CheckpointPolicy kNone{CheckpointWord::kNone};
constexpr CheckpointPolicy kAll{CheckpointWord::kAll};
constexpr CheckpointPolicy kEvery{CheckpointWord::kEvery, 1024};

TEST(CheckpointRules, NarrowestRuleThatNamesItCounts) {
  CheckpointRules rules;
  EXPECT_EQ(rules.policy_of("uid:1", "acme"), CheckpointPolicy{});
  rules.set_default(kNone);
  EXPECT_EQ(rules.policy_of("uid:1", "acme"), kNone);
  ASSERT_TRUE(rules.set({"uid:1", std::nullopt}, kAll).ok());
  ASSERT_TRUE(rules.set({"uid:1", "acme"}, kEvery).ok());
  EXPECT_EQ(rules.policy_of("uid:1", "acme"), kEvery);
  EXPECT_EQ(rules.policy_of("uid:1", ""), kAll) << "the empty name is a tenant, too";
  EXPECT_EQ(rules.policy_of("uid:2", "acme"), kNone);
  EXPECT_EQ(rules.widest(), kNone);
}

TEST(CheckpointRules, WiderRuleEndsThoseBelowIt) {
  CheckpointRules rules;
  ASSERT_TRUE(rules.set({"uid:1", "acme"}, kEvery).ok());
  ASSERT_TRUE(rules.set({"uid:2", "acme"}, kEvery).ok());
  ASSERT_TRUE(rules.set({"uid:1", std::nullopt}, kAll).ok());
  EXPECT_EQ(rules.policy_of("uid:1", "acme"), kAll);
  EXPECT_EQ(rules.policy_of("uid:2", "acme"), kEvery);
  ASSERT_TRUE(rules.set({}, kNone).ok());
  EXPECT_EQ(rules.policy_of("uid:2", "acme"), kNone);
  EXPECT_EQ(rules.all().size(), 1u);
  EXPECT_EQ(rules.widest(), kNone);
}

TEST(CheckpointRules, TenantWithoutADomainAndOneTooManyAreRefused) {
  CheckpointRules rules;
  EXPECT_EQ(rules.set({"", "acme"}, kAll).code(), Errc::kInvalidArgument);
  for (size_t i = 0; i < kMaxOwners; ++i) {
    ASSERT_TRUE(rules.set({"uid:1", "t" + std::to_string(i)}, kAll).ok());
  }
  EXPECT_EQ(rules.set({"uid:1", "one more"}, kAll).code(), Errc::kResourceExhausted);
  EXPECT_TRUE(rules.set({"uid:1", "t7"}, kNone).ok()) << "takes the place of its own";
  EXPECT_EQ(rules.policy_of("uid:1", "t7"), kNone);
  EXPECT_TRUE(rules.set({"uid:1", std::nullopt}, kNone).ok()) << "takes that of all of them";
}

}  // namespace
}  // namespace quire::cache::checkpoint_rules_test
