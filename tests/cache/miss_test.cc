// Reasons of a miss that take a store made by hand; all others are found over a daemon
// (tests/server/why_test.cc).
#include "cache/serve/miss.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/cache/store_rig.h"

namespace quire::cache::miss_test {
namespace {

using model::NodeId;
using model::TierId;

constexpr uint32_t kBlocks = 6;
constexpr uint32_t kUnitTokens = 4;
constexpr uint32_t kPromptTokens = kBlocks * 2 * kUnitTokens + 1;

class MissTest : public testing::Test {
 protected:
  // The keys of spans are those of StoreRig::add_chain(kBlocks, 1).
  MissTest() {
    for (uint32_t unit = 1; unit <= 2 * kBlocks; ++unit) {
      hashes_.push_back(StoreRig::key(unit % 2 == 0 ? unit / 2 : 1000 + unit));
    }
    rig_.store().set_departures(log_.get());
  }
  ~MissTest() override { rig_.store().set_departures(nullptr); }

  Miss ask() {
    const ChainView chain(hashes_.data(), static_cast<uint32_t>(hashes_.size()));
    LeaseHolder holder;
    const auto result = rig_.cache().reader().match(rig_.session(), holder, chain, kPromptTokens);
    QUIRE_CHECK(result.ok());
    const Miss miss = rig_.cache().explain(rig_.session(), chain, kPromptTokens, *result);
    if (result->lease == 0) return miss;
    QUIRE_CHECK(rig_.cache().loader().release(holder, model::LeaseId{result->lease}).ok());
    return miss;
  }

  std::unique_ptr<DepartureLog> log_ = DepartureLog::create(DepartureLog::kMinBytes, 1).value();
  StoreRig rig_;
  std::vector<model::Hash256> hashes_;
};

TEST_F(MissTest, WhatIsOnATierThatCannotBeReadIsNamedWithWhenItLeftRam) {
  const std::vector<NodeId> path = rig_.add_chain(kBlocks, 1);
  rig_.store().presence().set_state(TierId::kSsd, {.readable = true});
  for (uint32_t i = 0; i < kBlocks; ++i) rig_.meddle().put_on_ssd(path[i], i + 1);
  for (uint32_t i = kBlocks; i > 2; --i) ASSERT_TRUE(rig_.meddle().leave_ram(path[i - 1]));
  EXPECT_EQ(ask().reason, MissReason::kNothing);
  rig_.store().presence().set_state(TierId::kSsd, {.readable = false});
  const Miss miss = ask();
  EXPECT_EQ(miss.reason, MissReason::kUnreachable);
  EXPECT_EQ(miss.from_units, 4u);
  EXPECT_EQ(miss.to_units, 6u);
  EXPECT_TRUE(miss.left.known());
  EXPECT_FALSE(miss.left.gone);
}

TEST_F(MissTest, BehindTheHashesThatTheEngineGaveNothingIsKnown) {
  rig_.add_chain(kBlocks, 1);
  hashes_.resize(2 * 3 + 1);  // the last block's first unit
  const Miss miss = ask();
  EXPECT_EQ(miss.reason, MissReason::kNoHashes);
  EXPECT_EQ(miss.from_units, 6u);
  EXPECT_EQ(miss.to_units, 8u);
}

TEST_F(MissTest, EvictedFromTheLastTierIsGone) {
  const std::vector<NodeId> path = rig_.add_chain(kBlocks, 1);
  rig_.store().presence().set_state(TierId::kSsd, {.readable = true});
  rig_.meddle().put_on_ssd(path.back(), 1);
  ASSERT_TRUE(rig_.meddle().leave_ram(path.back()));
  ASSERT_TRUE(rig_.meddle().evict_from_ssd());
  const Miss miss = ask();
  EXPECT_EQ(miss.reason, MissReason::kLeft);
  EXPECT_EQ(miss.left.tier, TierId::kSsd);
  EXPECT_EQ(miss.left.cause, DepartureCause::kPolicy);
  EXPECT_EQ(miss.left.policy, "lru");
  EXPECT_EQ(miss.left_units, 2 * kBlocks);
}

// The log has one bucket: what was evicted first is forgotten, and that is said.
TEST_F(MissTest, WhereDeparturesWereForgottenNothingIsCertain) {
  ASSERT_TRUE(rig_.meddle().drop(rig_.add_chain(1, 1).front()));
  log_->set_now(50'000'000'000);
  for (const NodeId node : rig_.add_chain(1, 100)) ASSERT_TRUE(rig_.meddle().drop(node));
  EXPECT_EQ(ask().reason, MissReason::kLeft);
  for (uint64_t number = 101; number < 110; ++number) {
    ASSERT_TRUE(rig_.meddle().drop(rig_.add_chain(1, number).front()));
  }
  const Miss miss = ask();
  EXPECT_EQ(miss.reason, MissReason::kNeverStored);
  EXPECT_EQ(miss.forgotten_s, 1u);
}

// What was hidden may be stored again, and evicted, before the last pin of the first one goes.
TEST_F(MissTest, LastPinOfAQuarantinedNodeDoesNotHideALaterDeparture) {
  const NodeId first = rig_.add_chain(1, 1).front();
  rig_.meddle().pin(first);
  rig_.store().quarantine(first, DepartureCause::kUnreadable);
  EXPECT_EQ(ask().left.cause, DepartureCause::kUnreadable);
  ASSERT_TRUE(rig_.meddle().drop(rig_.add_chain(1, 1).front()));
  rig_.meddle().unpin(first);
  EXPECT_EQ(ask().left.cause, DepartureCause::kPolicy);
}

TEST_F(MissTest, WhatARootHeldThatWasGivenUpIsNamed) {
  const NodeId node = rig_.add_chain(1, 1).front();
  rig_.cache().names().root(rig_.session().root).given_up = true;
  rig_.store().drop(node, {DepartureCause::kRootGivenUp});
  EXPECT_EQ(ask().left.cause, DepartureCause::kRootGivenUp);
}

TEST_F(MissTest, WithoutALogItSaysWhatTheTreeKnows) {
  rig_.store().set_departures(nullptr);
  const std::vector<NodeId> path = rig_.add_chain(2, 1);
  EXPECT_EQ(ask().reason, MissReason::kNeverStored);
  rig_.add_span(path[1], 5000);
  const Miss miss = ask();
  EXPECT_EQ(miss.reason, MissReason::kDiverged);
  EXPECT_EQ(miss.agreed_units, 4u);
}

}  // namespace
}  // namespace quire::cache::miss_test
