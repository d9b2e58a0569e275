// What a tier that others write to has of a chain, told and joined to nothing.
#include "tiering/chain_looks.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/tiering/tier_rig.h"

namespace quire::tests::chain_looks_test {
namespace {

using model::Errc;
using tiering::ChainLooks;

constexpr uint32_t kSpans = 6;

class ChainLooksTest : public testing::Test {
 protected:
  ChainLooksTest() : rig_({.cluster = MemoryTierOptions{}}) {
    rig_.add_chain(kSpans, 1);
    rig_.step();
    QUIRE_CHECK(rig_.until([&] { return rig_.set().idle(); }));
  }
  // What the cluster has is not known here any more.
  void forget() {
    while (rig_.meddle().evict() > 0 || rig_.meddle().evict_from_ssd()) {
    }
    rig_.forget_cluster();
    QUIRE_CHECK(rig_.inspect().counters().spans == 0);
  }
  model::Result<void> ask(uint64_t tag, uint32_t count, uint32_t uid = 1) {
    std::vector<model::Hash256> chain;
    for (uint32_t i = 0; i < count; ++i) chain.push_back(TierRig::key_of(1 + i));
    return looks().ask(tag, uid, rig_.root_id(), {chain.data(), count});
  }
  ChainLooks::Answer answer(uint64_t tag) {
    ChainLooks::Answer answer;
    EXPECT_TRUE(rig_.until([&] {
      for (const ChainLooks::Answer& one : looks().answered()) {
        if (one.tag == tag) answer = one;
      }
      return answer.tag == tag;
    }));
    return answer;
  }
  ChainLooks& looks() { return rig_.set().looks(); }

  TierRig rig_;
};

TEST_F(ChainLooksTest, TellsWhatIsThereAndNothingJoins) {
  forget();
  ASSERT_TRUE(ask(7, kSpans + 2).ok());
  const ChainLooks::Answer found = answer(7);
  EXPECT_EQ(found.span_units, kSpans);
  EXPECT_FALSE(found.cut_short);
  EXPECT_EQ(rig_.inspect().counters().spans, 0u);
  EXPECT_EQ(rig_.inspect().pin_count(), 0u);
  EXPECT_EQ(looks().under_way(), 0u);
}

TEST_F(ChainLooksTest, WhatIsKnownThereCountsAndIsNotAskedFor) {
  rig_.cluster().wipe();
  ASSERT_TRUE(ask(1, kSpans + 2).ok());
  EXPECT_EQ(answer(1).span_units, kSpans) << "it was known, as a hint";
}

TEST_F(ChainLooksTest, AMatchThatAsksForTheSameJoinsAllTheSame) {
  forget();
  ASSERT_TRUE(ask(1, kSpans).ok());
  std::vector<model::Hash256> chain;
  for (uint32_t i = 0; i < kSpans; ++i) chain.push_back(TierRig::key_of(1 + i));
  ASSERT_TRUE(rig_.set()
                  .searches()
                  .ask({.tag = 1, .root = rig_.root_id(), .chain = {chain.data(), kSpans}})
                  .ok());
  EXPECT_EQ(answer(1).span_units, kSpans);
  EXPECT_TRUE(rig_.until([&] { return rig_.inspect().counters().spans == kSpans; }));
}

TEST_F(ChainLooksTest, Law09_ATierThatIsOffIsNotAskedAndOneThatGoesOffSaysSo) {
  forget();
  rig_.cluster().hold(true);
  ASSERT_TRUE(ask(1, kSpans).ok());
  rig_.cluster().set_mode(tiering::TierMode::kOff);
  EXPECT_EQ(ask(2, kSpans).code(), Errc::kIoError);
  rig_.cluster().hold(false);
  EXPECT_TRUE(answer(1).cut_short);
  EXPECT_EQ(looks().counters().refused, 1u);
}

TEST_F(ChainLooksTest, Law10_TakesAPartOfTheQuestionsOnly) {
  forget();
  rig_.cluster().hold(true);
  for (uint64_t tag = 1; tag <= ChainLooks::kMaxLooks; ++tag) {
    ASSERT_TRUE(ask(tag, kSpans, static_cast<uint32_t>(tag)).ok());
  }
  EXPECT_EQ(ask(100, kSpans, 100).code(), Errc::kBusy);
  rig_.cluster().hold(false);
  EXPECT_EQ(answer(ChainLooks::kMaxLooks).span_units, kSpans);
  EXPECT_TRUE(ask(101, kSpans).ok());
  EXPECT_EQ(answer(101).span_units, kSpans);
}

// Also who does not wait for the answers.
TEST_F(ChainLooksTest, Law06_OneUserLeavesPlacesToTheOthers) {
  forget();
  rig_.cluster().hold(true);
  for (uint64_t tag = 1; tag <= ChainLooks::kMaxOfOneUser; ++tag) {
    ASSERT_TRUE(ask(tag, kSpans).ok());
    looks().leave(tag);
  }
  EXPECT_EQ(ask(100, kSpans).code(), Errc::kBusy);
  EXPECT_TRUE(ask(101, kSpans, 2).ok());
  rig_.cluster().hold(false);
  EXPECT_EQ(answer(101).span_units, kSpans);
  EXPECT_TRUE(ask(102, kSpans).ok());
}

TEST_F(ChainLooksTest, WhoLeftIsToldNothing) {
  forget();
  rig_.cluster().hold(true);
  ASSERT_TRUE(ask(1, kSpans).ok());
  looks().leave(1);
  rig_.cluster().hold(false);
  EXPECT_TRUE(rig_.until([&] { return looks().under_way() == 0; }));
  EXPECT_TRUE(looks().answered().empty());
}

}  // namespace
}  // namespace quire::tests::chain_looks_test
