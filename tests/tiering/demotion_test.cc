#include "tiering/demotion/demotion.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/tiering/tier_rig.h"

namespace quire::tests::demotion_test {

namespace {

using model::NodeId;
using tiering::DemotionOptions;
using tiering::WritePolicy;

constexpr uint32_t kRam = TierRig::kRamObjects;

std::vector<TierCall> writes(TierRig& rig) {
  std::vector<TierCall> calls;
  std::copy_if(rig.tier().calls().begin(), rig.tier().calls().end(), std::back_inserter(calls),
               [](const TierCall& call) { return call.write; });
  return calls;
}

std::vector<NodeId> written(TierRig& rig) {
  std::vector<NodeId> nodes;
  for (const TierCall& call : writes(rig)) {
    nodes.insert(nodes.end(), call.nodes.begin(), call.nodes.end());
  }
  return nodes;
}

bool is_below(TierRig& rig, NodeId node) { return rig.inspect().object(node).on_ssd; }

TEST(Demotion, WriteThroughWaitsForCompanyAndWritesNeighboursTogether) {
  TierRig rig({.demotion = {.delay_ms = 50}});
  const std::vector<NodeId> chain = rig.add_chain(6, 1);
  rig.step(20);
  rig.clock.advance(std::chrono::milliseconds(49));
  rig.step(20);
  EXPECT_TRUE(writes(rig).empty());
  rig.clock.advance(std::chrono::milliseconds(1));
  rig.step();
  ASSERT_EQ(writes(rig).size(), 1u) << "one job for all of them";
  EXPECT_EQ(written(rig), chain);
  ASSERT_TRUE(rig.settle());
  EXPECT_EQ(rig.demotion().counters().started, chain.size());
  EXPECT_EQ(rig.demotion().durable_lags_ns().size(), chain.size());
  for (const NodeId node : chain) EXPECT_TRUE(rig.inspect().in_ram(node)) << "a copy, no move";
  EXPECT_TRUE(rig.is_clean());
}

TEST(Demotion, HurryWaitsForNothing) {
  TierRig rig({.demotion = {.delay_ms = 60'000}});
  const std::vector<NodeId> chain = rig.add_chain(3, 1);
  rig.step(10);
  ASSERT_TRUE(writes(rig).empty());
  rig.set().hurry();
  rig.step();
  EXPECT_EQ(written(rig), chain);
}

// Told by an engine that pauses: at once, its path first.
TEST(Demotion, DemoteNowTakesThePathAndNoDelay) {
  TierRig rig({.demotion = {.policy = WritePolicy::kBack, .delay_ms = 60'000}});
  const std::vector<NodeId> chain = rig.add_chain(4, 1);
  const NodeId other = rig.add_span(rig.root(), 100);
  rig.step(10);
  rig.set().demote_now(chain[2], rig.clock.now_ns());
  ASSERT_TRUE(rig.until([&] { return is_below(rig, chain[2]); }));
  EXPECT_EQ(written(rig), std::vector<NodeId>(chain.begin(), chain.begin() + 3));
  EXPECT_FALSE(is_below(rig, chain[3]));
  EXPECT_FALSE(is_below(rig, other));
}

TEST(Demotion, WriteBackWritesWhenRamRunsShort) {
  TierRig rig({.demotion = {.policy = WritePolicy::kBack,
                            .delay_ms = 0,
                            .low_watermark = 0.25,
                            .high_watermark = 0.5}});
  const std::vector<NodeId> some = rig.add_chain(kRam / 2, 1);
  rig.step(50);
  EXPECT_TRUE(writes(rig).empty());
  EXPECT_FALSE(rig.demotion().short_of_ram());
  const std::vector<NodeId> more = rig.add_chain(kRam / 2 - 2, 100);
  ASSERT_TRUE(rig.until([&] { return rig.inspect().ram_page_count() <= kRam * 3 / 4; }));
  EXPECT_FALSE(writes(rig).empty());
  ASSERT_TRUE(rig.until([&] { return rig.set().idle(); }));
  // What left RAM is below it: nothing was lost for room.
  EXPECT_EQ(rig.inspect().counters().spans, some.size() + more.size());
  EXPECT_GT(rig.inspect().counters().left_ram, 0u);
  EXPECT_TRUE(rig.is_clean());
}

// A pin is an order, not a promise: RAM that holds nothing else is made free, and nothing is lost.
TEST(Demotion, WriteBackTakesWhatIsPinnedByNameWhenNothingElseIsThere) {
  TierRig rig({.demotion = {.policy = WritePolicy::kBack,
                            .delay_ms = 0,
                            .low_watermark = 0.25,
                            .high_watermark = 0.5}});
  const cache::NamespacePin pin{.name = {"uid:0", std::nullopt, "model"},
                                .budget_bytes = TierRig::kSegmentBytes};
  ASSERT_TRUE(rig.cache().pins().set(pin).ok());
  const std::vector<NodeId> chain = rig.add_chain(kRam - 2, 1);
  ASSERT_TRUE(rig.until([&] { return rig.inspect().ram_page_count() <= kRam * 3 / 4; }));
  ASSERT_TRUE(rig.until([&] { return rig.set().idle(); }));
  EXPECT_EQ(rig.inspect().counters().spans, chain.size());
  EXPECT_TRUE(rig.is_clean());
}

TEST(Demotion, ParentsAreWrittenBeforeTheirChildren) {
  TierRig rig({.tier = {.seed = 3, .least_steps = 1, .most_steps = 8, .job_objects = 2}});
  const std::vector<NodeId> chain = rig.add_chain(10, 1);
  const NodeId branch = rig.add_span(chain[4], 50);
  EXPECT_TRUE(rig.settle());
  std::vector<NodeId> order = written(rig);
  ASSERT_EQ(order.size(), chain.size() + 1);
  const auto place = [&](NodeId node) { return std::find(order.begin(), order.end(), node); };
  for (size_t i = 1; i < chain.size(); ++i) EXPECT_LT(place(chain[i - 1]), place(chain[i]));
  EXPECT_LT(place(chain[4]), place(branch));
}

// Law 4: it is nobody's hit any more, and never leaves RAM.
TEST(Demotion, WhatIsCorruptInRamIsQuarantined) {
  TierRig rig;
  rig.tier().set_mode(tiering::TierMode::kReadOnly);
  const std::vector<NodeId> chain = rig.add_chain(6, 1);
  rig.meddle().corrupt(chain[3], 77);
  rig.tier().set_mode(tiering::TierMode::kOk);
  ASSERT_TRUE(rig.until([&] { return rig.inspect().counters().quarantined > 0; }));
  ASSERT_TRUE(rig.settle());
  EXPECT_EQ(rig.demotion().counters().corrupt_in_ram, 1u);
  EXPECT_EQ(rig.inspect().counters().spans, 3u) << "with what depends on it";
  for (uint32_t i = 0; i < 3; ++i) EXPECT_TRUE(is_below(rig, chain[i])) << i;
  EXPECT_EQ(rig.tier().object_count(), 3u);
  EXPECT_TRUE(rig.is_clean());
}

TEST(Demotion, WhatFailsIsWrittenAgainInTheOrderOfThePath) {
  TierRig rig;  // all of them are one job: nobody else knows of those that fail
  rig.tier().fail_write(5, true);
  const std::vector<NodeId> chain = rig.add_chain(12, 1);
  ASSERT_TRUE(rig.until([&] { return rig.demotion().counters().failed > 8; }));
  for (uint32_t i = 0; i < 5; ++i) EXPECT_TRUE(is_below(rig, chain[i])) << i;
  for (uint32_t i = 5; i < 12; ++i) EXPECT_FALSE(is_below(rig, chain[i])) << i;
  rig.tier().clear_faults();
  ASSERT_TRUE(rig.settle());
  rig.meddle().evict();
  EXPECT_EQ(rig.inspect().counters().ssd_only, chain.size());
  EXPECT_TRUE(rig.is_clean());
}

TEST(Demotion, ADeviceThatTakesNoWritesKeepsItsCandidates) {
  TierRig rig;
  rig.tier().set_mode(tiering::TierMode::kReadOnly);
  const std::vector<NodeId> chain = rig.add_chain(5, 1);
  rig.step(100);
  EXPECT_TRUE(writes(rig).empty());
  EXPECT_EQ(rig.demotion().queued(), chain.size());
  EXPECT_TRUE(rig.set().idle()) << "nothing that can be done now";
  rig.tier().set_mode(tiering::TierMode::kOk);
  EXPECT_FALSE(rig.set().idle());
  ASSERT_TRUE(rig.settle());
  EXPECT_EQ(written(rig), chain);
}

TEST(Demotion, WhatAdmissionRefusesGivesItsRoomBack) {
  TierRig rig(
      {.demotion = {.delay_ms = 0, .admission = {.rule = tiering::AdmissionRule::kSecondUse}}});
  rig.add_chain(3, 1);
  rig.step();
  ASSERT_TRUE(rig.until([&] { return rig.set().idle(); }));
  EXPECT_TRUE(writes(rig).empty());
  EXPECT_EQ(rig.demotion().admission().counters().refused_by_rule, 1u);
  EXPECT_EQ(rig.tier().rooms_given_back(), 1u);
  EXPECT_TRUE(rig.is_clean());
}

TEST(Demotion, TheBudgetIsChargedOnceForWhatIsWritten) {
  TierRig rig;
  const std::vector<NodeId> chain = rig.add_chain(6, 1);
  rig.tier().fail_write(2);
  ASSERT_TRUE(rig.settle());
  // Those that failed are charged again with their next attempt, and nothing else is.
  EXPECT_EQ(rig.demotion().admission().counters().admitted_bytes,
            (chain.size() + 4) * TierRig::kPageBytes);
  EXPECT_EQ(rig.tier().held_bytes(), chain.size() * TierRig::kPageBytes);
}

TEST(Demotion, EachTenantHasABudgetOfItsOwn) {
  TierRig rig({.demotion = {.delay_ms = 0,
                            .admission = {.tenant_bytes_per_day = 24 * 2 * TierRig::kPageBytes}},
               .tenants = 2});
  for (uint64_t number = 1; number <= 5; ++number) rig.add_span(rig.root(0), number, 0);
  const NodeId other = rig.add_span(rig.root(1), 9, 1);
  rig.step();
  ASSERT_TRUE(rig.until([&] { return rig.set().idle(); }));
  EXPECT_EQ(rig.tier().object_count(), 3u);
  EXPECT_TRUE(rig.inspect().object(other).on_ssd);
  EXPECT_EQ(rig.demotion().admission().counters().refused_by_tenant_budget, 3u);
  EXPECT_TRUE(rig.is_clean());
}

TEST(Demotion, WhatFindsTheQueueFullIsFoundAgain) {
  TierRig rig({.demotion = {.delay_ms = 0, .max_queued = 4}});
  rig.tier().set_mode(tiering::TierMode::kReadOnly);
  const std::vector<NodeId> chain = rig.add_chain(12, 1);
  rig.step(10);
  EXPECT_EQ(rig.demotion().queued(), 4u);
  EXPECT_EQ(rig.demotion().counters().set_aside, 8u);
  rig.tier().set_mode(tiering::TierMode::kOk);
  ASSERT_TRUE(rig.settle());
  EXPECT_GT(rig.demotion().counters().found_again, 0u);
  EXPECT_EQ(written(rig).size(), chain.size()) << "each once";
}

TEST(Demotion, WhatCanNeverFitIsRefusedUntilTheTierGrows) {
  TierRig rig({.tier = {.capacity_bytes = 4 * TierRig::kPageBytes}});
  const std::vector<NodeId> chain = rig.add_chain(6, 1);
  rig.step();
  ASSERT_TRUE(rig.until([&] { return rig.set().idle(); }));
  EXPECT_EQ(rig.inspect().counters().ssd_spans, 4u);
  EXPECT_EQ(rig.demotion().counters().too_deep, 2u);
  rig.tier().grow(6 * TierRig::kPageBytes);
  ASSERT_TRUE(rig.settle());
  EXPECT_EQ(rig.inspect().counters().ssd_spans, chain.size());
}

// A user at its burst below RAM gives copies of its own, and nobody else's.
TEST(Demotion, WhoIsAtItsBurstMakesRoomByItsOwnCopies) {
  TierRig rig({.tier = {.capacity_bytes = 40 * TierRig::kPageBytes}, .domains = 2});
  const cache::ScopeName name{model::TierId::kSsd, "uid:0", std::nullopt};
  ASSERT_TRUE(rig.cache()
                  .rules()
                  .set_quota(name, cache::Quota{.burst_bytes = 4 * TierRig::kPageBytes})
                  .ok());
  const auto finish = [&] { return rig.until([&] { return rig.set().idle(); }); };
  const std::vector<NodeId> others = rig.add_chain(6, 500, 1);
  const std::vector<NodeId> first = rig.add_chain(3, 1);
  rig.step();
  ASSERT_TRUE(finish());
  EXPECT_EQ(rig.inspect().counters().ssd_spans, 9u);
  const std::vector<NodeId> second = rig.add_chain(3, 100);
  rig.step();
  ASSERT_TRUE(finish());
  EXPECT_EQ(rig.inspect().counters().ssd_spans, 10u) << "its four, and the other's";
  for (const NodeId node : others) EXPECT_TRUE(is_below(rig, node));
  for (const NodeId node : second) EXPECT_TRUE(is_below(rig, node));
  EXPECT_TRUE(is_below(rig, first.front()));
  const std::vector<NodeId> large = rig.add_chain(6, 200);
  rig.step();
  ASSERT_TRUE(finish());
  EXPECT_GT(rig.demotion().counters().over_burst, 0u) << "a path above its burst";
  EXPECT_TRUE(rig.is_clean());
}

TEST(Demotion, AnObjectLargerThanTheTierTakesIsCounted) {
  TierRig rig({.tier = {.largest_object_bytes = TierRig::kPageBytes - 1}});
  rig.add_chain(1, 1);
  ASSERT_TRUE(rig.until([&] { return rig.demotion().counters().too_large > 0; }));
  EXPECT_TRUE(writes(rig).empty());
  EXPECT_EQ(rig.demotion().counters().largest_refused, TierRig::kPageBytes);
  EXPECT_EQ(rig.set().largest_object_bytes(), TierRig::kPageBytes - 1);
}

// A full tier drops what is least useful; what is written goes on.
TEST(Demotion, AFullTierMakesRoom) {
  TierRig rig({.tier = {.capacity_bytes = 4 * TierRig::kPageBytes}});
  for (uint64_t number = 1; number <= 8; ++number) rig.add_span(rig.root(), number);
  ASSERT_TRUE(rig.until([&] { return rig.set().idle() && written(rig).size() >= 8; }));
  EXPECT_LE(rig.tier().held_bytes(), 4 * TierRig::kPageBytes);
  EXPECT_EQ(rig.inspect().counters().ssd_spans, 4u);
  EXPECT_EQ(rig.inspect().counters().spans, 8u) << "RAM has them all the same";
  EXPECT_TRUE(rig.is_clean());
}

TEST(Demotion, ACopyThatIsLostIsWrittenAgain) {
  TierRig rig;
  const std::vector<NodeId> chain = rig.add_chain(3, 1);
  ASSERT_TRUE(rig.settle());
  rig.tier().lose(chain.back());
  ASSERT_FALSE(is_below(rig, chain.back()));
  ASSERT_TRUE(rig.settle());
  EXPECT_EQ(written(rig).size(), chain.size() + 1);
  EXPECT_EQ(rig.tier().object_count(), chain.size()) << "the old copy was erased";
}

// What is under way is pinned: a part of RAM at most, or commits would find nothing to evict.
TEST(Demotion, ABoundedPartOfRamIsUnderWay) {
  TierRig rig({.tier = {.job_objects = 1}});
  rig.tier().hold(true);
  rig.add_chain(kRam - 2, 1);
  rig.step(200);
  EXPECT_GE(rig.tier().job_count(), kRam / 4);
  EXPECT_LE(rig.tier().job_count(), kRam / 4 + 1);
  rig.tier().hold(false);
  ASSERT_TRUE(rig.settle());
  EXPECT_TRUE(rig.is_clean());
}

// A tier that makes writes durable may wait for company while there is some.
// Of each domain's: it has nothing else to evict for what it commits.
TEST(Demotion, ADomainKeepsRamBesideWhatIsUnderWayAndNobodyElseWaits) {
  TierRig rig({.tier = {.job_objects = 1}, .domains = 2});
  rig.tier().hold(true);
  rig.add_chain(kRam - 2, 1);
  rig.step(200);
  EXPECT_EQ(rig.tier().job_count(), kRam / 4 + 1);
  const NodeId other = rig.add_span(rig.root(1), 100, 1);
  EXPECT_TRUE(rig.until([&] { return rig.inspect().object(other).moving; }));
  EXPECT_EQ(rig.tier().job_count(), kRam / 4 + 2);
  rig.tier().hold(false);
  ASSERT_TRUE(rig.settle());
  EXPECT_TRUE(rig.is_clean());
}

TEST(Demotion, TheTierIsToldWhetherMoreIsComing) {
  TierRig rig({.tier = {.max_jobs = 1, .job_objects = 1}, .demotion = {.delay_ms = 0}});
  rig.tier().hold(true);
  rig.add_chain(3, 1);
  rig.step(3);
  EXPECT_TRUE(rig.tier().last_hints().writes_coming);
  EXPECT_FALSE(rig.tier().last_hints().short_of_ram);
  rig.tier().hold(false);
  ASSERT_TRUE(rig.settle());
  rig.step();
  EXPECT_FALSE(rig.tier().last_hints().writes_coming);
}

}  // namespace

}  // namespace quire::tests::demotion_test
