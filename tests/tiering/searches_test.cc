// What a tier that others write to holds of a prompt, asked for, and what joins the tree.
#include "tiering/searches.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/tiering/tier_rig.h"

namespace quire::tests::searches_test {
namespace {

using model::Errc;
using model::NodeId;

class SearchesTest : public testing::Test {
 protected:
  explicit SearchesTest(const TierChoice& choice = {.cluster = MemoryTierOptions{}})
      : rig_(choice) {}

  // A chain that is on the cluster, and not known here.
  void write_unknown(uint32_t count, uint64_t first_number) {
    rig_.add_chain(count, first_number);
    rig_.step();
    QUIRE_CHECK(rig_.until([&] { return rig_.set().idle(); }));
    while (rig_.meddle().evict() > 0 || rig_.meddle().evict_from_ssd()) {
    }
    rig_.forget_cluster();
    QUIRE_CHECK(!is_known(first_number));
  }
  model::Result<void> ask(uint64_t tag, uint32_t count, uint64_t first_number,
                          uint32_t known_units = 0, uint16_t domain = 0) {
    std::vector<model::Hash256> chain;
    for (uint32_t i = 0; i < count; ++i) chain.push_back(TierRig::key_of(first_number + i));
    return rig_.set().searches().ask({.tag = tag,
                                      .root = rig_.root_id(domain),
                                      .chain = {chain.data(), count},
                                      .known_units = known_units});
  }
  bool is_known(uint64_t number) { return node(number).has_value(); }
  std::optional<NodeId> node(uint64_t number) {
    return rig_.inspect().find(model::FillKind::kSpan, TierRig::key_of(number));
  }
  bool is_answered(uint64_t tag) {
    return rig_.until([&] { return std::erase(rig_.set().searches().answered(), tag) > 0; });
  }
  const tiering::SearchCounters& counters() { return rig_.set().searches().counters(); }

  TierRig rig_;
};

TEST_F(SearchesTest, Law01_WhatIsFoundJoinsAndIsWhatWasWritten) {
  write_unknown(6, 1);
  ASSERT_TRUE(ask(7, 8, 1).ok());
  ASSERT_TRUE(is_answered(7));
  std::vector<NodeId> chain;
  for (uint64_t number = 1; number <= 6; ++number) {
    ASSERT_TRUE(is_known(number));
    chain.push_back(*node(number));
    EXPECT_TRUE(rig_.inspect().object(chain.back()).on_cluster);
    rig_.number(chain.back(), number);
  }
  EXPECT_FALSE(is_known(7));
  EXPECT_EQ(counters().found, 1u);
  EXPECT_EQ(counters().found_tokens, 6u * 4);
  ASSERT_TRUE(rig_.loads().start({.tag = 1, .deadline_ns = INT64_MAX, .nodes = chain}).ok());
  EXPECT_EQ(rig_.end_of(1), Errc::kOk);
  for (const NodeId one : chain) EXPECT_TRUE(rig_.is_right(one));
  EXPECT_TRUE(rig_.is_clean());
}

TEST_F(SearchesTest, GoesOnBehindWhatIsKnown) {
  write_unknown(6, 1);
  ASSERT_TRUE(ask(1, 3, 1).ok());
  ASSERT_TRUE(is_answered(1));
  ASSERT_TRUE(ask(2, 6, 1, 3).ok());
  ASSERT_TRUE(is_answered(2));
  EXPECT_TRUE(is_known(6));
  EXPECT_EQ(counters().found_tokens, 6u * 4) << "none was found twice";
}

// What it would hang on went while the tier was asked.
TEST_F(SearchesTest, Law02_WhatWouldHangOnNothingDoesNotJoin) {
  write_unknown(6, 1);
  ASSERT_TRUE(ask(1, 3, 1).ok());
  ASSERT_TRUE(is_answered(1));
  rig_.cluster().hold(true);
  ASSERT_TRUE(ask(2, 6, 1, 3).ok());
  rig_.forget_cluster();
  rig_.cluster().hold(false);
  ASSERT_TRUE(is_answered(2));
  EXPECT_FALSE(is_known(4));
  EXPECT_TRUE(rig_.is_clean());
}

TEST_F(SearchesTest, TwoWhoAskForTheSameShareAQuestion) {
  write_unknown(4, 1);
  ASSERT_TRUE(ask(1, 4, 1).ok());
  ASSERT_TRUE(ask(2, 4, 1).ok());
  ASSERT_TRUE(ask(3, 3, 1).ok());
  EXPECT_EQ(rig_.cluster().questions(), 2u);
  EXPECT_EQ(counters().shared, 1u);
  EXPECT_TRUE(is_answered(1));
  EXPECT_TRUE(is_answered(2));
  EXPECT_TRUE(is_answered(3));
}

TEST_F(SearchesTest, WhatComesWhenNobodyWaitsJoinsAllTheSame) {
  write_unknown(4, 1);
  rig_.cluster().hold(true);
  ASSERT_TRUE(ask(1, 4, 1).ok());
  rig_.set().searches().leave(1, true);
  EXPECT_EQ(counters().late, 1u);
  rig_.cluster().hold(false);
  EXPECT_TRUE(rig_.until([&] { return rig_.set().searches().under_way() == 0; }));
  EXPECT_TRUE(is_known(4));
  EXPECT_TRUE(rig_.set().searches().answered().empty());
}

// Law 1: only what is of the chain, and without a gap.
TEST_F(SearchesTest, Law01_WhatIsNotOfTheChainDoesNotJoin) {
  write_unknown(4, 1);
  rig_.cluster().lie(true);
  ASSERT_TRUE(ask(1, 4, 1).ok());
  ASSERT_TRUE(is_answered(1));
  EXPECT_TRUE(is_known(1));
  for (uint64_t number = 2; number <= 4; ++number) EXPECT_FALSE(is_known(number));
  EXPECT_EQ(rig_.inspect().counters().spans, 1u);
}

TEST_F(SearchesTest, WhatIsNowhereIsNotAskedForAgainForAMoment) {
  ASSERT_TRUE(ask(1, 4, 100).ok());
  ASSERT_TRUE(is_answered(1));
  EXPECT_EQ(ask(2, 4, 100).code(), Errc::kNotFound);
  EXPECT_EQ(ask(3, 3, 100).code(), Errc::kNotFound) << "it is the first span that is nowhere";
  EXPECT_EQ(rig_.cluster().questions(), 1u);
  EXPECT_EQ(counters().remembered, 2u);
  EXPECT_TRUE(ask(4, 4, 200).ok()) << "another prompt";
  rig_.clock.advance(std::chrono::nanoseconds(tiering::NowhereTable::kKeptNs));
  EXPECT_TRUE(ask(5, 4, 100).ok());
}

TEST_F(SearchesTest, NorIsTheEndOfWhatWasFound) {
  write_unknown(3, 1);
  ASSERT_TRUE(ask(1, 6, 1).ok());
  ASSERT_TRUE(is_answered(1));
  EXPECT_EQ(ask(2, 6, 1, 3).code(), Errc::kNotFound);
  EXPECT_EQ(rig_.cluster().questions(), 1u);
}

TEST_F(SearchesTest, Law09_WhatATierCouldNotSayIsNotRemembered) {
  rig_.cluster().hold(true);
  ASSERT_TRUE(ask(1, 4, 1).ok());
  rig_.cluster().set_mode(tiering::TierMode::kOff);
  rig_.cluster().hold(false);
  ASSERT_TRUE(is_answered(1));
  rig_.cluster().set_mode(tiering::TierMode::kOk);
  EXPECT_TRUE(ask(2, 4, 1).ok());
}

TEST_F(SearchesTest, Law09_ATierThatIsOffIsNotAsked) {
  write_unknown(4, 1);
  rig_.cluster().set_mode(tiering::TierMode::kOff);
  EXPECT_FALSE(rig_.set().searches().can_ask());
  EXPECT_EQ(ask(1, 4, 1).code(), Errc::kIoError);
  EXPECT_EQ(rig_.set().searches().under_way(), 0u);
}

TEST_F(SearchesTest, Law09_ATierThatGoesOffAnswersWithNothing) {
  write_unknown(4, 1);
  rig_.cluster().hold(true);
  ASSERT_TRUE(ask(1, 4, 1).ok());
  rig_.cluster().set_mode(tiering::TierMode::kOff);
  rig_.cluster().hold(false);
  EXPECT_TRUE(is_answered(1));
  EXPECT_FALSE(is_known(1));
  EXPECT_EQ(counters().found, 0u);
}

TEST_F(SearchesTest, OfARootThatDiedNothingJoins) {
  write_unknown(4, 1);
  rig_.cluster().hold(true);
  ASSERT_TRUE(ask(1, 4, 1).ok());
  rig_.raise_epoch();
  rig_.cluster().hold(false);
  EXPECT_TRUE(is_answered(1));
  EXPECT_EQ(rig_.inspect().counters().spans, 0u);
}

class BusySearches : public SearchesTest {
 protected:
  BusySearches() : SearchesTest({.domains = 2, .cluster = MemoryTierOptions{.max_jobs = 8}}) {}
};

TEST_F(BusySearches, ARefusedQuestionLeavesNothing) {
  write_unknown(2, 1);
  rig_.cluster().hold(true);
  uint64_t asked = 0;
  while (ask(asked, 1, 1000 + asked).ok()) ++asked;
  EXPECT_EQ(asked, 8u);
  EXPECT_EQ(counters().refused, 1u);
  rig_.cluster().hold(false);
  EXPECT_TRUE(rig_.until([&] { return rig_.set().searches().under_way() == 0; }));
  EXPECT_TRUE(ask(5000, 2, 1).ok());
  EXPECT_TRUE(is_answered(5000));
}

class CrowdedSearches : public SearchesTest {
 protected:
  CrowdedSearches() : SearchesTest({.domains = 2, .cluster = MemoryTierOptions{}}) {}
};

TEST_F(CrowdedSearches, Law06_AUserAsksNoMoreThanItLeavesFree) {
  rig_.cluster().hold(true);
  uint64_t asked = 0;
  while (ask(asked, 1, 1000 + asked).ok()) ++asked;
  EXPECT_EQ(asked, tiering::kMaxChainQuestions / 2);
  EXPECT_TRUE(ask(asked, 1, 5000, 0, 1).ok()) << "another user";
  rig_.cluster().hold(false);
  EXPECT_TRUE(rig_.until([&] { return rig_.set().searches().under_way() == 0; }));
}

class LongSearches : public SearchesTest {
 protected:
  LongSearches() : SearchesTest({.page_bytes = 8 << 10, .cluster = MemoryTierOptions{}}) {}
};

TEST_F(LongSearches, JoinInSteps) {
  constexpr uint32_t kCount = tiering::Searches::kJoinedPerStep + 50;
  write_unknown(kCount, 1);
  ASSERT_TRUE(ask(1, kCount, 1).ok());
  ASSERT_TRUE(rig_.until([&] { return is_known(1); }));
  EXPECT_FALSE(is_known(kCount)) << "the rest has its turn later";
  EXPECT_TRUE(rig_.set().searches().answered().empty());
  ASSERT_TRUE(is_answered(1));
  EXPECT_TRUE(is_known(kCount));
  EXPECT_TRUE(rig_.is_clean());
}

}  // namespace
}  // namespace quire::tests::searches_test
