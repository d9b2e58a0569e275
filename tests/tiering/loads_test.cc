#include "tiering/loads.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/tiering/tier_rig.h"

namespace quire::tests::loads_test {

namespace {

using model::Errc;
using model::LoadClass;
using model::NodeId;
using tiering::LoadRequest;

constexpr int64_t kNever = INT64_MAX;
constexpr uint32_t kRam = TierRig::kRamObjects;

LoadRequest request(uint64_t tag, std::span<const NodeId> nodes,
                    LoadClass load_class = LoadClass::kInteractive) {
  return {.tag = tag, .load_class = load_class, .deadline_ns = kNever, .nodes = nodes};
}

// Objects that the tier was asked to read, in order.
std::vector<NodeId> read_order(TierRig& rig) {
  std::vector<NodeId> nodes;
  for (const TierCall& call : rig.tier().calls()) {
    if (!call.write) nodes.insert(nodes.end(), call.nodes.begin(), call.nodes.end());
  }
  return nodes;
}

TEST(Loads, BringsEveryByteBackTheHeadFirst) {
  TierRig rig;
  const std::vector<NodeId> chain = rig.add_below(10, 1);
  ASSERT_TRUE(rig.loads().start(request(7, chain)).ok());
  EXPECT_EQ(rig.loads().next_missing(7), chain.front());
  EXPECT_EQ(rig.end_of(7), Errc::kOk);
  for (const NodeId node : chain) EXPECT_TRUE(rig.is_right(node));
  EXPECT_EQ(read_order(rig), chain);
  EXPECT_EQ(rig.load_counters().started, 1u);
  EXPECT_EQ(rig.load_counters().finished, 1u);
  EXPECT_TRUE(rig.is_clean());
}

// A tier may end jobs in any order: the load's head is what came of it without a gap.
TEST(Loads, ProgressIsTheHeadHoweverJobsEnd) {
  TierRig rig({.tier = {.seed = 5, .least_steps = 1, .most_steps = 9, .job_objects = 1}});
  const std::vector<NodeId> chain = rig.add_below(12, 1);
  ASSERT_TRUE(rig.loads().start(request(1, chain)).ok());
  bool out_of_order = false;
  while (rig.loads().count() > 0) {
    rig.step();
    const NodeId missing = rig.loads().next_missing(1);
    const auto end = std::find(chain.begin(), chain.end(), missing);
    EXPECT_TRUE(std::all_of(chain.begin(), end, [&](NodeId n) { return rig.inspect().in_ram(n); }));
    out_of_order = out_of_order || std::any_of(end, chain.end(), [&](NodeId node) {
                     return rig.inspect().in_ram(node);
                   });
  }
  EXPECT_TRUE(out_of_order) << "the seed shows nothing";
  EXPECT_EQ(rig.end_of(1), Errc::kOk);
}

TEST(Loads, InteractiveLoadsOvertakeBatchOnes) {
  TierRig rig({.tier = {.max_jobs = 1, .job_objects = 1}});
  const std::vector<NodeId> batch = rig.add_below(4, 1);
  const std::vector<NodeId> interactive = rig.add_below(4, 100);
  ASSERT_TRUE(rig.loads().start(request(1, batch, LoadClass::kBatch)).ok());
  ASSERT_TRUE(rig.loads().start(request(2, interactive)).ok());
  EXPECT_EQ(rig.end_of(1), Errc::kOk);
  EXPECT_EQ(rig.end_of(2), Errc::kOk);
  const std::vector<NodeId> order = read_order(rig);
  ASSERT_EQ(order.size(), 8u);
  EXPECT_TRUE(std::equal(interactive.begin(), interactive.end(), order.begin()));
}

// Of one class they are served as they came.
TEST(Loads, OfAClassTheFirstComesFirst) {
  TierRig rig({.tier = {.max_jobs = 1, .job_objects = 1}});
  const std::vector<NodeId> first = rig.add_below(3, 1);
  const std::vector<NodeId> second = rig.add_below(3, 100);
  ASSERT_TRUE(rig.loads().start(request(1, first)).ok());
  ASSERT_TRUE(rig.loads().start(request(2, second)).ok());
  EXPECT_EQ(rig.end_of(2), Errc::kOk);
  const std::vector<NodeId> order = read_order(rig);
  EXPECT_TRUE(std::equal(first.begin(), first.end(), order.begin()));
}

// Each needs more than half of RAM: the second is not begun before it has all it needs.
TEST(Loads, OneOfADomainReservesAtATime) {
  constexpr uint32_t kMost = kRam * 3 / 4;
  TierRig rig;
  const std::vector<NodeId> first = rig.add_below(kMost, 1);
  const std::vector<NodeId> second = rig.add_below(kMost, 100);
  rig.tier().hold(true);
  ASSERT_TRUE(rig.loads().start(request(1, first)).ok());
  ASSERT_TRUE(rig.loads().start(request(2, second)).ok());
  ASSERT_TRUE(rig.until([&] { return rig.tier().job_count() > 0; }));
  rig.step(100);
  const std::vector<NodeId> asked = read_order(rig);
  EXPECT_EQ(asked, first) << "none of the second was asked for";
  EXPECT_EQ(rig.loads().count(), 2u);
  rig.tier().hold(false);
  EXPECT_EQ(rig.end_of(1), Errc::kOk);
  EXPECT_EQ(rig.end_of(2), Errc::kOk);
  for (const NodeId node : second) EXPECT_TRUE(rig.is_right(node));
  EXPECT_TRUE(rig.is_clean());
}

// Reserving takes each of them several steps: turn by turn, neither would ever have all it needs.
TEST(Loads, TwoNeverHoldHalfOfEachOthersMemory) {
  constexpr uint64_t kSmall = 32 << 10;
  constexpr uint32_t kMost = TierRig::kSegmentBytes / kSmall * 3 / 4;
  TierRig rig({.page_bytes = kSmall});
  const std::vector<NodeId> first = rig.add_below(kMost, 1);
  const std::vector<NodeId> second = rig.add_below(kMost, 1000);
  ASSERT_TRUE(rig.loads().start(request(1, first)).ok());
  ASSERT_TRUE(rig.loads().start(request(2, second)).ok());
  EXPECT_EQ(rig.end_of(1), Errc::kOk);
  EXPECT_EQ(rig.end_of(2), Errc::kOk);
  EXPECT_TRUE(rig.is_clean());
}

TEST(Loads, ALoadThatWaitsForMemoryDelaysOnlyItsOwnDomain) {
  constexpr uint32_t kMost = kRam * 3 / 4;
  TierRig rig({.tier = {.job_objects = 1}, .domains = 2});
  const std::vector<NodeId> running = rig.add_below(kMost, 1);
  const std::vector<NodeId> waiting = rig.add_below(kMost, 100);
  const std::vector<NodeId> other = rig.add_below(4, 1, 1);
  rig.tier().hold(true);
  ASSERT_TRUE(rig.loads().start(request(1, running)).ok());
  ASSERT_TRUE(rig.loads().start(request(2, waiting)).ok());
  ASSERT_TRUE(rig.until([&] { return rig.tier().job_count() == kMost; }));
  ASSERT_TRUE(rig.loads().start(request(3, other)).ok());
  ASSERT_TRUE(rig.until([&] { return rig.tier().job_count() == kMost + other.size(); }))
      << "the other domain's load has all it needs";
  EXPECT_EQ(read_order(rig).size(), kMost + other.size());
  rig.tier().hold(false);
  for (const uint64_t tag : {3, 1, 2}) EXPECT_EQ(rig.end_of(tag), Errc::kOk) << tag;
  EXPECT_TRUE(rig.is_clean());
}

// What clients hold they may hold for ever.
TEST(Loads, NoRoomThatNothingWouldMakeIsAnswered) {
  TierRig rig;
  const std::vector<NodeId> missing = rig.add_below(4, 1);
  const std::vector<NodeId> held = rig.add_chain(kRam - 2, 100);
  ASSERT_TRUE(rig.settle());
  for (const NodeId node : held) rig.meddle().pin(node);
  ASSERT_TRUE(rig.loads().start(request(1, missing)).ok());
  EXPECT_EQ(rig.end_of(1), Errc::kResourceExhausted);
  for (const NodeId node : held) EXPECT_TRUE(rig.is_right(node));
  for (const NodeId node : held) rig.meddle().unpin(node);
  ASSERT_TRUE(rig.loads().start(request(2, missing)).ok());
  EXPECT_EQ(rig.end_of(2), Errc::kOk);
  EXPECT_EQ(rig.load_counters().failed, 1u);
  EXPECT_TRUE(rig.is_clean());
}

TEST(Loads, MoreThanTheDomainCanHoldIsRefusedAtOnce) {
  TierRig rig;
  std::vector<NodeId> chain;
  NodeId parent = rig.root();
  for (uint32_t i = 0; i < kRam + 1; ++i) {
    parent = rig.add_span(parent, i + 1);
    chain.push_back(parent);
    ASSERT_TRUE(rig.settle());
    rig.meddle().evict();
  }
  const NodeId bystander = rig.add_span(rig.root(), 500);
  EXPECT_EQ(rig.loads().start(request(1, chain)).code(), Errc::kResourceExhausted);
  EXPECT_EQ(rig.loads().count(), 0u);
  EXPECT_TRUE(rig.inspect().in_ram(bystander)) << "nothing was evicted for it";
  EXPECT_TRUE(rig.is_clean());
}

TEST(Loads, AtTheDeadlineTheHeadIsThere) {
  TierRig rig({.tier = {.least_steps = 1, .most_steps = 1, .max_jobs = 1, .job_objects = 2}});
  const std::vector<NodeId> chain = rig.add_below(6, 1);
  LoadRequest wanted = request(1, chain);
  wanted.deadline_ns = rig.clock.now_ns() + 1'000'000'000;
  ASSERT_TRUE(rig.loads().start(wanted).ok());
  ASSERT_TRUE(rig.until([&] { return rig.loads().next_missing(1) == chain[2]; }));
  rig.tier().hold(true);
  rig.clock.advance(std::chrono::seconds(2));
  EXPECT_EQ(rig.end_of(1), Errc::kDeadlineExceeded);
  EXPECT_TRUE(rig.is_right(chain[0]) && rig.is_right(chain[1]));
  EXPECT_FALSE(rig.inspect().in_ram(chain[2]));
  EXPECT_EQ(rig.load_counters().deadline_exceeded, 1u);
  EXPECT_GT(rig.inspect().moving_count(), 0u) << "what is under way keeps its memory";
  rig.tier().hold(false);
  EXPECT_TRUE(rig.is_clean());
}

// Cancelled with nothing begun, while it reserves, while it reads, and when it has ended.
TEST(Loads, CancelIsCleanInEveryState) {
  TierRig rig({.tier = {.max_jobs = 1, .job_objects = 2}});
  const std::vector<NodeId> chain = rig.add_below(kRam / 2, 1);
  for (uint32_t steps = 0; steps < 12; ++steps) {
    ASSERT_TRUE(rig.loads().start(request(steps, chain)).ok());
    rig.step(steps);
    rig.loads().cancel(steps);
    EXPECT_EQ(rig.loads().next_missing(steps), NodeId{});
    ASSERT_TRUE(rig.is_clean()) << steps;
    rig.meddle().evict();
  }
  EXPECT_EQ(rig.loads().count(), 0u);
  const auto& finished = rig.loads().finished();
  EXPECT_TRUE(std::all_of(finished.begin(), finished.end(),
                          [](const auto& one) { return one.code == Errc::kOk; }));
}

// Who waits behind a load that is cancelled while it waits for memory goes on.
TEST(Loads, CancellingTheOneThatReservesLetsTheNextGoOn) {
  constexpr uint32_t kMost = kRam * 3 / 4;
  TierRig rig;
  const std::vector<NodeId> running = rig.add_below(kMost, 1);
  const std::vector<NodeId> stuck = rig.add_below(kMost, 100);
  const std::vector<NodeId> small = rig.add_below(2, 200);
  rig.tier().hold(true);
  ASSERT_TRUE(rig.loads().start(request(1, running)).ok());
  ASSERT_TRUE(rig.loads().start(request(2, stuck)).ok());
  ASSERT_TRUE(rig.loads().start(request(3, small)).ok());
  ASSERT_TRUE(rig.until([&] { return read_order(rig).size() == kMost; }));
  rig.step(50);
  EXPECT_EQ(read_order(rig).size(), kMost) << "the third stands behind the second";
  rig.loads().cancel(2);
  EXPECT_TRUE(rig.until([&] { return read_order(rig).size() == kMost + small.size(); }));
  rig.tier().hold(false);
  EXPECT_EQ(rig.end_of(1), Errc::kOk);
  EXPECT_EQ(rig.end_of(3), Errc::kOk);
  EXPECT_TRUE(rig.is_clean());
}

// The interactive one stands before it, and waits for it: each would wait for the other.
TEST(Loads, ABatchLoadThatHoldsAPartGivesWayToAnInteractiveOne) {
  constexpr uint32_t kMost = kRam * 3 / 4;
  TierRig rig;
  const std::vector<NodeId> running = rig.add_below(kMost, 1);
  const std::vector<NodeId> batch = rig.add_below(kMost, 100);
  const std::vector<NodeId> interactive = rig.add_below(2, 200);
  rig.tier().hold(true);
  ASSERT_TRUE(rig.loads().start(request(1, running)).ok());
  ASSERT_TRUE(rig.until([&] { return read_order(rig).size() == kMost; }));
  ASSERT_TRUE(rig.loads().start(request(2, batch, LoadClass::kBatch)).ok());
  rig.step(20);
  ASSERT_TRUE(rig.loads().start(request(3, interactive)).ok());
  EXPECT_TRUE(rig.until([&] { return read_order(rig).size() == kMost + interactive.size(); }));
  rig.tier().hold(false);
  for (const uint64_t tag : {1, 3, 2}) EXPECT_EQ(rig.end_of(tag), Errc::kOk) << tag;
  EXPECT_TRUE(rig.is_clean());
}

// They reserve, but no step does more for many tenants than for one.
TEST(Loads, AStepServesSoManyTenantsAndNobodyIsLeftOut) {
  constexpr uint16_t kTenants = 200;
  TierRig rig({.tenants = kTenants, .page_bytes = 4096});
  std::vector<std::vector<NodeId>> chains;
  for (uint16_t t = 0; t < kTenants; ++t) chains.push_back(rig.add_below(1, 1000 + t, t));
  for (uint16_t t = 0; t < kTenants; ++t) {
    ASSERT_TRUE(rig.loads().start(request(t, chains[t])).ok());
  }
  rig.step();
  EXPECT_LT(read_order(rig).size(), size_t{kTenants});
  EXPECT_GT(read_order(rig).size(), size_t{0});
  for (uint16_t t = 0; t < kTenants; ++t) EXPECT_EQ(rig.end_of(t), Errc::kOk) << t;
  EXPECT_TRUE(rig.is_clean());
}

// A tier that takes one job at a time takes it from each tenant in turn.
TEST(Loads, TenantsReadInTurnWhereTheTierIsBusy) {
  TierRig rig({.tier = {.max_jobs = 1, .job_objects = 1}, .tenants = 2, .page_bytes = 4096});
  const std::vector<NodeId> first = rig.add_below(8, 1, 0);
  const std::vector<NodeId> second = rig.add_below(8, 1000, 1);
  ASSERT_TRUE(rig.loads().start(request(1, first)).ok());
  ASSERT_TRUE(rig.loads().start(request(2, second)).ok());
  EXPECT_EQ(rig.end_of(1), Errc::kOk);
  EXPECT_EQ(rig.end_of(2), Errc::kOk);
  const std::vector<NodeId> order = read_order(rig);
  ASSERT_EQ(order.size(), 16u);
  const auto of_second = std::count_if(order.begin(), order.begin() + 8, [&](NodeId node) {
    return std::find(second.begin(), second.end(), node) != second.end();
  });
  EXPECT_GE(of_second, 3);
  EXPECT_LE(of_second, 5);
}

TEST(Loads, TenantsReadByWeight) {
  TierRig rig({.tier = {.max_jobs = 1, .job_objects = 1}, .tenants = 2, .page_bytes = 4096});
  const std::vector<NodeId> light = rig.add_below(40, 1, 0);
  const std::vector<NodeId> heavy = rig.add_below(40, 1000, 1);
  ASSERT_TRUE(rig.cache()
                  .rules()
                  .set_quota({model::TierId::kSsd, "uid:0", "tenant-1"}, cache::Quota{.weight = 3})
                  .ok());
  ASSERT_TRUE(rig.loads().start(request(1, light)).ok());
  ASSERT_TRUE(rig.loads().start(request(2, heavy)).ok());
  EXPECT_EQ(rig.end_of(1), Errc::kOk);
  EXPECT_EQ(rig.end_of(2), Errc::kOk);
  const std::vector<NodeId> order = read_order(rig);
  ASSERT_EQ(order.size(), 80u);
  // While both have something to read.
  const auto of_heavy = std::count_if(order.begin(), order.begin() + 40, [&](NodeId node) {
    return std::find(heavy.begin(), heavy.end(), node) != heavy.end();
  });
  EXPECT_NEAR(static_cast<double>(of_heavy), 30, 3);
}

// What is more waits above the tier: what one tenant asked for first would stand before all of
// another's.
TEST(Loads, ATierHasSoMuchUnderWayAtMost) {
  constexpr uint64_t kPage = 1 << 20;
  constexpr uint32_t kObjects = 14;
  TierRig rig({.tier = {.job_objects = 1}, .page_bytes = kPage, .segment_bytes = 28 << 20});
  std::vector<std::vector<NodeId>> chains;
  for (uint64_t i = 0; i < 2; ++i) chains.push_back(rig.add_below(kObjects, 1 + i * 100));
  rig.tier().hold(true);
  for (uint64_t i = 0; i < 2; ++i) {
    ASSERT_TRUE(rig.loads().start(request(i, chains[i], LoadClass::kBatch)).ok());
  }
  ASSERT_TRUE(rig.until([&] { return rig.tier().job_count() >= kObjects; }));
  rig.step(1000);
  EXPECT_EQ(rig.tier().job_count(), tiering::kTierBatchBytes / kPage);
  rig.tier().hold(false);
  for (uint64_t i = 0; i < 2; ++i) EXPECT_EQ(rig.end_of(i), Errc::kOk);
  EXPECT_TRUE(rig.is_clean());
}

TEST(Loads, WhatCannotBeReadIsAMissWithItsCode) {
  struct Case {
    TierFault fault;
    Errc code;
  };
  for (const Case& one :
       {Case{TierFault::kFail, Errc::kIoError}, Case{TierFault::kForget, Errc::kIoError},
        Case{TierFault::kDamage, Errc::kCorrupt}}) {
    TierRig rig;
    const std::vector<NodeId> chain = rig.add_below(8, 1);
    rig.tier().fail_read(3, one.fault);
    ASSERT_TRUE(rig.loads().start(request(1, chain)).ok());
    // A second load of the same objects is told the same.
    ASSERT_TRUE(rig.loads().start(request(2, chain)).ok());
    EXPECT_EQ(rig.end_of(1), one.code);
    EXPECT_EQ(rig.end_of(2), one.code);
    for (uint32_t i = 0; i < 3; ++i) EXPECT_TRUE(rig.is_right(chain[i])) << i;
    EXPECT_EQ(rig.inspect().counters().quarantined, 5u) << "it and what depends on it";
    EXPECT_EQ(rig.load_counters().corrupt + rig.load_counters().read_failures, 1u);
    EXPECT_EQ(rig.load_counters().failed, 2u);
    EXPECT_TRUE(rig.is_clean());
  }
}

TEST(Loads, ATierThatIsOffTakesNone) {
  TierRig rig;
  const std::vector<NodeId> chain = rig.add_below(4, 1);
  rig.tier().set_mode(tiering::TierMode::kOff);
  EXPECT_EQ(rig.loads().start(request(1, chain)).code(), Errc::kUnavailable);
  rig.tier().set_mode(tiering::TierMode::kReadOnly);
  ASSERT_TRUE(rig.loads().start(request(2, chain)).ok());
  EXPECT_EQ(rig.end_of(2), Errc::kOk);
  EXPECT_TRUE(rig.is_clean());
}

TEST(Loads, ATierThatGoesOffEndsThem) {
  TierRig rig;
  const std::vector<NodeId> chain = rig.add_below(4, 1);
  rig.tier().hold(true);
  ASSERT_TRUE(rig.loads().start(request(1, chain)).ok());
  ASSERT_TRUE(rig.until([&] { return rig.tier().job_count() > 0; }));
  rig.tier().set_mode(tiering::TierMode::kOff);
  EXPECT_EQ(rig.end_of(1), Errc::kIoError);
  rig.tier().hold(false);
  EXPECT_TRUE(rig.is_clean());
}

TEST(Loads, WhatAnotherLoadBringsIsReadOnce) {
  TierRig rig;
  const std::vector<NodeId> chain = rig.add_below(6, 1);
  rig.tier().hold(true);
  ASSERT_TRUE(rig.loads().start(request(1, chain)).ok());
  ASSERT_TRUE(rig.until([&] { return rig.tier().job_count() > 0; }));
  ASSERT_TRUE(rig.loads().start(request(2, chain)).ok());
  rig.step(5);
  rig.tier().hold(false);
  EXPECT_EQ(rig.end_of(1), Errc::kOk);
  EXPECT_EQ(rig.end_of(2), Errc::kOk);
  EXPECT_EQ(read_order(rig), chain);
  EXPECT_EQ(rig.load_counters().shared, chain.size());
}

// A load that ended leaves its reads to their end, for whoever wants the same next.
TEST(Loads, ALoadOutlivedByItsReadsCostsNothing) {
  TierRig rig;
  const std::vector<NodeId> chain = rig.add_below(6, 1);
  rig.tier().hold(true);
  ASSERT_TRUE(rig.loads().start(request(1, chain)).ok());
  ASSERT_TRUE(rig.until([&] { return rig.tier().job_count() > 0; }));
  rig.loads().cancel(1);
  rig.step(5);
  ASSERT_TRUE(rig.loads().start(request(2, chain)).ok());
  rig.tier().hold(false);
  EXPECT_EQ(rig.end_of(2), Errc::kOk);
  for (const NodeId node : chain) EXPECT_TRUE(rig.is_right(node));
  EXPECT_EQ(read_order(rig), chain);
  EXPECT_TRUE(rig.is_clean());
}

TEST(Loads, ADomainHasABoundOfLoads) {
  TierRig rig({.domains = 2});
  const std::vector<NodeId> chain = rig.add_below(1, 1);
  const std::vector<NodeId> other = rig.add_below(1, 1, 1);
  rig.tier().hold(true);
  for (uint64_t tag = 0; tag < tiering::kMaxLoadsOfDomain; ++tag) {
    ASSERT_TRUE(rig.loads().start(request(tag, chain)).ok());
  }
  EXPECT_EQ(rig.loads().start(request(9999, chain)).code(), Errc::kBusy);
  EXPECT_TRUE(rig.loads().start(request(9999, other)).ok()) << "another domain has its own";
  rig.tier().hold(false);
  ASSERT_TRUE(rig.until([&] { return rig.loads().count() == 0; }));
  EXPECT_TRUE(rig.is_clean());
}

// Of a session that pays for what its loads bring.
class ReservedLoads : public testing::Test {
 protected:
  cache::Reservation reserve(uint32_t objects) {
    return rig_.cache().reservations().try_admit(
        {kUser, payer_.tenant(), objects * TierRig::kPageBytes}, TierRig::kSegmentBytes);
  }
  uint64_t unspent() {
    return rig_.cache().reservations().unspent_bytes(kUser) / TierRig::kPageBytes;
  }

  static constexpr model::DomainId kUser{0};
  TierRig rig_;
  cache::TenantHold payer_{&rig_.cache().names().tenants(), kUser, ""};
};

TEST_F(ReservedLoads, WhatALoadBringsUsesItUpWhileItLives) {
  const std::vector<NodeId> chain = rig_.add_below(4, 1);
  const cache::Reservation reserved = reserve(8);
  rig_.tier().hold(true);
  for (const bool cancelled : {false, true}) {
    LoadRequest wanted = request(1, chain);
    wanted.reservation = reserved.ref();
    ASSERT_TRUE(rig_.loads().start(wanted).ok());
    ASSERT_TRUE(rig_.until([&] { return rig_.tier().job_count() > 0; }));
    EXPECT_EQ(unspent(), 4u);
    if (cancelled) rig_.loads().cancel(1);
    rig_.tier().hold(false);
    EXPECT_TRUE(cancelled || rig_.end_of(1) == Errc::kOk);
    EXPECT_EQ(unspent(), 8u);
    ASSERT_TRUE(rig_.is_clean());
    rig_.meddle().evict();
    rig_.tier().hold(true);
  }
  rig_.tier().hold(false);
}

TEST_F(ReservedLoads, OthersAreRefusedWhatItMayStillNeed) {
  const std::vector<NodeId> mine = rig_.add_below(10, 1);
  const std::vector<NodeId> others = rig_.add_below(10, 100);
  const cache::Reservation reserved = reserve(10);
  ASSERT_TRUE(rig_.loads().start(request(1, others)).ok());
  EXPECT_EQ(rig_.end_of(1), Errc::kResourceExhausted) << "6 of 16 are not promised";
  LoadRequest wanted = request(2, mine);
  wanted.reservation = reserved.ref();
  ASSERT_TRUE(rig_.loads().start(wanted).ok());
  EXPECT_EQ(rig_.end_of(2), Errc::kOk);
  for (const NodeId node : mine) EXPECT_TRUE(rig_.is_right(node));
  EXPECT_TRUE(rig_.is_clean());
}

TEST(Loads, EstimatesGrowWithWhatIsUnderWay) {
  cache::TierBytes bytes;
  bytes[model::TierId::kSsd] = 1 << 20;
  TierRig rig;
  const std::vector<NodeId> chain = rig.add_below(kRam / 2, 1);
  const uint64_t alone = rig.loads().estimate_us(bytes);
  rig.tier().hold(true);
  ASSERT_TRUE(rig.loads().start(request(1, chain)).ok());
  EXPECT_GT(rig.loads().estimate_us(bytes), alone);
  rig.tier().hold(false);
  EXPECT_EQ(rig.end_of(1), Errc::kOk);
  EXPECT_EQ(rig.loads().estimate_us(bytes), alone);
}

}  // namespace

}  // namespace quire::tests::loads_test
