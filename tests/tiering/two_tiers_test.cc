// An SSD and a cluster below RAM at once: who writes, who reads, and who helps out.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/tiering/tier_rig.h"

namespace quire::tests::two_tiers_test {
namespace {

using model::Errc;
using model::NodeId;

constexpr model::TierId kSsd = model::TierId::kSsd;
constexpr model::TierId kCluster = model::TierId::kCluster;
constexpr int64_t kNever = INT64_MAX;

class TwoTiers : public testing::Test {
 protected:
  explicit TwoTiers(const MemoryTierOptions& ssd = {}, const MemoryTierOptions& cluster = {})
      : rig_({.tier = ssd, .cluster = cluster}) {}

  // A chain whose pages are on both tiers only.
  std::vector<NodeId> add_below_both(uint32_t count, uint64_t first_number) {
    std::vector<NodeId> chain = rig_.add_chain(count, first_number);
    QUIRE_CHECK(settle());
    rig_.meddle().evict();
    for (const NodeId node : chain) QUIRE_CHECK(!rig_.inspect().in_ram(node));
    return chain;
  }
  bool settle() {
    rig_.step();  // what is fresh becomes a candidate
    return rig_.until([&] { return rig_.set().idle() && rig_.set().queued() == 0; });
  }
  Errc load(const std::vector<NodeId>& nodes, uint64_t tag = 1) {
    const auto started = rig_.loads().start({.tag = tag, .deadline_ns = kNever, .nodes = nodes});
    return started.ok() ? rig_.end_of(tag) : started.code();
  }
  static std::vector<NodeId> read(const MemoryTier& tier) {
    std::vector<NodeId> nodes;
    for (const TierCall& call : tier.calls()) {
      if (!call.write) nodes.insert(nodes.end(), call.nodes.begin(), call.nodes.end());
    }
    return nodes;
  }
  bool is_on(NodeId node, model::TierId tier) {
    const ObjectState object = rig_.inspect().object(node);
    return tier == kSsd ? object.on_ssd : object.on_cluster;
  }

  TierRig rig_;
};

TEST_F(TwoTiers, WhatIsFreshGoesToBoth) {
  const auto chain = rig_.add_chain(12, 1);
  ASSERT_TRUE(settle());
  EXPECT_EQ(rig_.tier().object_count(), 12u);
  EXPECT_EQ(rig_.cluster().object_count(), 12u);
  for (const NodeId node : chain) {
    EXPECT_TRUE(is_on(node, kSsd));
    EXPECT_TRUE(is_on(node, kCluster));
  }
  EXPECT_TRUE(rig_.is_clean());
}

// They end their writes whenever they like: an object is on its way to one of them at a time.
TEST_F(TwoTiers, TakeTurnsWithEachObject) {
  rig_.tier().hold(true);
  const auto chain = rig_.add_chain(3, 1);
  ASSERT_TRUE(rig_.until([&] { return rig_.tier().job_count() > 0; }));
  rig_.step(50);
  EXPECT_EQ(rig_.cluster().job_count(), 0u);
  EXPECT_TRUE(rig_.cluster().calls().empty());
  rig_.tier().hold(false);
  rig_.cluster().hold(true);
  ASSERT_TRUE(rig_.until([&] { return rig_.cluster().job_count() > 0; }));
  const NodeId child = rig_.add_span(chain.back(), 50);
  ASSERT_TRUE(rig_.until([&] { return is_on(child, kSsd); })) << "its parent is on the SSD";
  rig_.cluster().hold(false);
  ASSERT_TRUE(settle());
  EXPECT_TRUE(is_on(child, kCluster));
  EXPECT_TRUE(rig_.is_clean());
}

TEST_F(TwoTiers, HaveOnePartOfRamUnderWayTogether) {
  rig_.tier().hold(true);
  rig_.cluster().hold(true);
  for (uint64_t number = 1; number <= TierRig::kRamObjects - 2; ++number) {
    rig_.add_span(rig_.root(), number);
    rig_.clock.advance(std::chrono::milliseconds(2));
    rig_.step(4);
  }
  EXPECT_EQ(rig_.tier().job_count() + rig_.cluster().job_count(), TierRig::kRamObjects / 4 + 1);
  rig_.tier().hold(false);
  rig_.cluster().hold(false);
  ASSERT_TRUE(settle());
  EXPECT_EQ(rig_.cluster().object_count(), TierRig::kRamObjects - 2);
  EXPECT_TRUE(rig_.is_clean());
}

// A parent that is on its way to the other tier is waited for, not refused.
TEST_F(TwoTiers, WritesAChildBehindAParentThatIsOnItsWayElsewhere) {
  rig_.tier().fail_write(0);
  rig_.cluster().hold(true);
  const auto chain = rig_.add_chain(1, 1);
  ASSERT_TRUE(rig_.until([&] { return rig_.cluster().job_count() > 0; }));
  const NodeId child = rig_.add_span(chain.back(), 2);
  rig_.step(200);
  rig_.cluster().hold(false);
  ASSERT_TRUE(settle());
  EXPECT_TRUE(is_on(child, kSsd));
  EXPECT_TRUE(is_on(child, kCluster));
}

TEST_F(TwoTiers, EachObjectIsReadFromTheFastestThatHasIt) {
  const auto chain = add_below_both(10, 1);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(rig_.meddle().evict_from_ssd());
  EXPECT_EQ(load(chain), Errc::kOk);
  EXPECT_EQ(read(rig_.tier()), std::vector<NodeId>(chain.begin(), chain.begin() + 6));
  EXPECT_EQ(read(rig_.cluster()), std::vector<NodeId>(chain.begin() + 6, chain.end()));
  for (const NodeId node : chain) EXPECT_TRUE(rig_.is_right(node));
  EXPECT_TRUE(rig_.is_clean());
}

TEST_F(TwoTiers, Law04_WhatTheSsdDamagedComesFromTheCluster) {
  const auto chain = add_below_both(6, 1);
  rig_.tier().fail_read(2, TierFault::kDamage);
  EXPECT_EQ(load(chain), Errc::kOk);
  for (const NodeId node : chain) EXPECT_TRUE(rig_.is_right(node));
  EXPECT_EQ(read(rig_.cluster()), std::vector<NodeId>{chain[2]});
  EXPECT_EQ(rig_.loads().counters(kSsd).corrupt, 1u);
  EXPECT_EQ(rig_.loads().counters(kSsd).passed_on, 1u);
  EXPECT_EQ(rig_.inspect().counters().quarantined, 0u);
  EXPECT_TRUE(rig_.is_clean());
}

TEST_F(TwoTiers, Law04_WhatBothDamagedIsNeverDelivered) {
  const auto chain = add_below_both(6, 1);
  rig_.tier().fail_read(2, TierFault::kDamage);
  rig_.cluster().fail_read(0, TierFault::kDamage);
  EXPECT_EQ(load(chain), Errc::kCorrupt);
  EXPECT_TRUE(rig_.is_right(chain[1]));
  EXPECT_FALSE(rig_.inspect().in_ram(chain[2]));
  EXPECT_EQ(rig_.inspect().counters().quarantined, 4u) << "it and what hangs on it";
  EXPECT_TRUE(rig_.is_clean());
}

TEST_F(TwoTiers, Law09_AnSsdThatCannotReadIsHelpedOut) {
  const auto chain = add_below_both(6, 1);
  rig_.tier().fail_read(0);
  EXPECT_EQ(load(chain), Errc::kOk);
  EXPECT_EQ(rig_.loads().counters(kSsd).read_failures, 1u);
  EXPECT_TRUE(rig_.is_clean());
}

// A hint may be gone when it is read: the head before it is delivered.
TEST_F(TwoTiers, Law09_WhatIsGoneFromTheClusterCutsTheLoad) {
  const auto chain = add_below_both(6, 1);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(rig_.meddle().evict_from_ssd());
  rig_.cluster().remove(chain[3]);
  EXPECT_EQ(load(chain), Errc::kIoError);
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(rig_.is_right(chain[i]));
  EXPECT_EQ(rig_.inspect().counters().spans, 3u) << "nobody is told of it again";
  EXPECT_TRUE(rig_.is_clean());
}

TEST_F(TwoTiers, Law09_WithTheSsdOffTheClusterDelivers) {
  const auto chain = add_below_both(6, 1);
  rig_.tier().set_mode(tiering::TierMode::kOff);
  rig_.step();
  EXPECT_EQ(load(chain), Errc::kOk);
  EXPECT_EQ(read(rig_.cluster()), chain);
  EXPECT_TRUE(rig_.is_clean());
}

TEST_F(TwoTiers, Law15_ALoadFromAClusterThatHangsEndsByItsDeadlineWithItsHead) {
  const auto chain = add_below_both(6, 1);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(rig_.meddle().evict_from_ssd());
  rig_.cluster().hold(true);
  const int64_t deadline_ns = rig_.clock.now_ns() + 20 * model::kNsPerMs;
  ASSERT_TRUE(rig_.loads().start({.tag = 1, .deadline_ns = deadline_ns, .nodes = chain}).ok());
  EXPECT_EQ(rig_.end_of(1), Errc::kDeadlineExceeded);
  for (size_t i = 0; i < 2; ++i) EXPECT_TRUE(rig_.is_right(chain[i]));
  for (size_t i = 2; i < 6; ++i) EXPECT_FALSE(rig_.inspect().in_ram(chain[i]));
  // What comes late is read to its end, and is whole.
  rig_.cluster().hold(false);
  EXPECT_TRUE(rig_.is_clean());
  for (size_t i = 2; i < 6; ++i) EXPECT_TRUE(rig_.is_right(chain[i]));
}

class BusyCluster : public TwoTiers {
 protected:
  BusyCluster() : TwoTiers({}, {.max_jobs = 1, .job_objects = 1}) {}
};

TEST_F(BusyCluster, WhatIsPassedOnWaitsForARecord) {
  const auto chain = add_below_both(6, 1);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(rig_.meddle().evict_from_ssd());
  rig_.cluster().hold(true);
  rig_.tier().fail_read(1);
  ASSERT_TRUE(rig_.loads().start({.tag = 1, .deadline_ns = kNever, .nodes = chain}).ok());
  ASSERT_TRUE(rig_.until([&] { return rig_.loads().counters(kSsd).passed_on == 1; }));
  rig_.step(20);
  EXPECT_EQ(rig_.cluster().job_count(), 1u);
  EXPECT_FALSE(rig_.loads().idle());
  rig_.cluster().hold(false);
  EXPECT_EQ(rig_.end_of(1), Errc::kOk);
  for (const NodeId node : chain) EXPECT_TRUE(rig_.is_right(node));
  EXPECT_TRUE(rig_.is_clean());
}

TEST_F(BusyCluster, WhatWaitsForATierThatGoesOffEnds) {
  const auto chain = add_below_both(6, 1);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(rig_.meddle().evict_from_ssd());
  rig_.cluster().hold(true);
  rig_.tier().fail_read(1);
  ASSERT_TRUE(rig_.loads().start({.tag = 1, .deadline_ns = kNever, .nodes = chain}).ok());
  ASSERT_TRUE(rig_.until([&] { return rig_.loads().counters(kSsd).passed_on == 1; }));
  rig_.cluster().set_mode(tiering::TierMode::kOff);
  rig_.cluster().hold(false);
  EXPECT_EQ(rig_.end_of(1), Errc::kIoError);
  EXPECT_TRUE(rig_.is_right(chain[0]));
  EXPECT_TRUE(rig_.is_clean());
}

TEST_F(TwoTiers, EstimatesAreOfTheTierThatDelivers) {
  cache::TierBytes ssd;
  ssd[kSsd] = 1 << 20;
  cache::TierBytes cluster;
  cluster[kCluster] = 1 << 20;
  const uint64_t alone = rig_.loads().estimate_us(cluster);
  EXPECT_EQ(rig_.loads().estimate_us(ssd + cluster), rig_.loads().estimate_us(ssd) + alone);
  const auto chain = add_below_both(6, 1);
  rig_.tier().hold(true);
  ASSERT_TRUE(rig_.loads().start({.tag = 1, .deadline_ns = kNever, .nodes = chain}).ok());
  EXPECT_EQ(rig_.loads().estimate_us(cluster), alone) << "what waits for the SSD is not before it";
  rig_.cluster().set_mode(tiering::TierMode::kOff);
  EXPECT_EQ(rig_.loads().estimate_us(cluster), 0u);
  rig_.tier().hold(false);
  EXPECT_EQ(rig_.end_of(1), Errc::kOk);
}

}  // namespace
}  // namespace quire::tests::two_tiers_test
