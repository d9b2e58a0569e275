// How candidates become runs, and what is pinned of those under way.
#include "tiering/demotion/demotion_runs.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/tiering/tier_rig.h"
#include "tiering/demotion/demotion_jobs.h"

namespace quire::tiering::demotion_runs_test {
namespace {

using model::NodeId;
using model::TierId;

class DemotionRunsTest : public testing::Test {
 protected:
  DemotionRunsTest() { rig_.tier().set_mode(TierMode::kReadOnly); }
  // Copies of all that is there; nothing more is demoted afterwards.
  void copy_all() {
    rig_.tier().set_mode(TierMode::kOk);
    ASSERT_TRUE(rig_.settle());
    rig_.tier().set_mode(TierMode::kReadOnly);
  }
  std::vector<NodeId> nodes(size_t run) { return runs_.runs()[run].nodes; }

  tests::TierRig rig_;
  DemotionRuns runs_{&rig_.cache(), TierId::kSsd};
};

TEST_F(DemotionRunsTest, APathComesParentsFirstInOneRun) {
  const std::vector<NodeId> chain = rig_.add_chain(5, 1);
  runs_.add({chain.back(), true, 40});
  ASSERT_EQ(runs_.runs().size(), 1u);
  EXPECT_EQ(nodes(0), chain);
  EXPECT_TRUE(runs_.runs()[0].batch);
  EXPECT_EQ(runs_.runs()[0].since_ns, 40);
}

TEST_F(DemotionRunsTest, NeighboursJoinARunThatIsThere) {
  const std::vector<NodeId> chain = rig_.add_chain(5, 1);
  for (const NodeId node : chain) runs_.add({node});
  ASSERT_EQ(runs_.runs().size(), 1u);
  EXPECT_EQ(nodes(0), chain);
  for (const NodeId node : chain) EXPECT_TRUE(wants_copy(rig_.cache(), TierId::kSsd, node));
}

TEST_F(DemotionRunsTest, ABranchIsARunOfItsOwnBehindItsParents) {
  const std::vector<NodeId> chain = rig_.add_chain(4, 1);
  const NodeId branch = rig_.add_span(chain[1], 50);
  runs_.add({branch});
  runs_.add({chain.back()});
  ASSERT_EQ(runs_.runs().size(), 2u);
  EXPECT_EQ(nodes(0), (std::vector<NodeId>{chain[0], chain[1], branch}));
  EXPECT_EQ(nodes(1), (std::vector<NodeId>{chain[2], chain[3]}));
}

TEST_F(DemotionRunsTest, ARunIsNoLongerThanAJob) {
  const std::vector<NodeId> chain = rig_.add_chain(tests::TierRig::kRamObjects, 1);
  static_assert(tests::TierRig::kRamObjects >= kMaxJobObjects);
  runs_.add({chain.back()});
  for (const DemotionRun& run : runs_.runs()) EXPECT_LE(run.nodes.size(), kMaxJobObjects);
  EXPECT_EQ(nodes(0).size(), kMaxJobObjects);
}

TEST_F(DemotionRunsTest, ARunIsOfOneRetentionClass) {
  std::vector<NodeId> chain = rig_.add_chain(2, 1);
  for (const uint64_t number : {3, 4}) {
    chain.push_back(rig_.add_span(chain.back(), number, 0, "5m"));
  }
  runs_.add({chain.back()});
  ASSERT_EQ(runs_.runs().size(), 2u);
  EXPECT_EQ(nodes(0), (std::vector<NodeId>{chain[0], chain[1]}));
  EXPECT_EQ(nodes(1), (std::vector<NodeId>{chain[2], chain[3]}));
}

TEST_F(DemotionRunsTest, WhatHasACopyIsLeftOut) {
  const std::vector<NodeId> chain = rig_.add_chain(3, 1);
  copy_all();
  const NodeId fresh = rig_.add_span(chain.back(), 50);
  runs_.add({fresh});
  ASSERT_EQ(runs_.runs().size(), 1u);
  EXPECT_EQ(nodes(0), std::vector<NodeId>{fresh});
}

TEST_F(DemotionRunsTest, ClearForgetsAll) {
  const std::vector<NodeId> chain = rig_.add_chain(3, 1);
  runs_.add({chain.back()});
  runs_.clear();
  EXPECT_TRUE(runs_.empty());
  runs_.add({chain[0]});
  EXPECT_EQ(nodes(0), std::vector<NodeId>{chain[0]});
}

class DemotionJobsTest : public DemotionRunsTest {
 protected:
  // All others are in RAM alone.
  bool moves(NodeId node) { return !wants_copy(rig_.cache(), TierId::kSsd, node); }
  UnderWay under_way_;
  DemotionJobs jobs_{&rig_.cache(), &under_way_};
};

TEST_F(DemotionJobsTest, WhatIsUnderWayIsPinnedAndMarked) {
  const std::vector<NodeId> chain = rig_.add_chain(3, 1);
  const uint32_t job = jobs_.start(std::span(chain).subspan(1), 40);
  EXPECT_EQ(jobs_.node(job, 1), chain[2]);
  EXPECT_EQ(jobs_.since_ns(job), 40);
  EXPECT_EQ(jobs_.bytes(), 2 * tests::TierRig::kPageBytes);
  EXPECT_FALSE(moves(chain[0]));
  EXPECT_TRUE(moves(chain[1]) && moves(chain[2]));
  EXPECT_GT(rig_.inspect().pin_count(), 0u);
  jobs_.release(job, 1);
  EXPECT_FALSE(moves(chain[2]));
  EXPECT_TRUE(moves(chain[1]));
  jobs_.release(job, 0);
  EXPECT_EQ(rig_.inspect().pin_count(), 0u) << "the parent's too";
  jobs_.finish(job, 2);
  EXPECT_EQ(jobs_.bytes(), 0u);
}

TEST_F(DemotionJobsTest, AJobEndsWithItsLastObject) {
  const std::vector<NodeId> chain = rig_.add_chain(3, 1);
  const uint32_t job = jobs_.start(chain, 40);
  const uint64_t bytes = jobs_.bytes();
  jobs_.release(job, 2);
  jobs_.finish(job, 1);
  EXPECT_EQ(jobs_.bytes(), bytes) << "counted until all of it is done";
  for (const uint32_t object : {1u, 0u}) jobs_.release(job, object);
  jobs_.finish(job, 2);
  EXPECT_EQ(jobs_.bytes(), 0u);
  EXPECT_EQ(jobs_.start(std::span(chain).first(1), 50), job) << "its number is free";
  jobs_.release(job, 0);
  jobs_.finish(job, 1);
}

}  // namespace
}  // namespace quire::tiering::demotion_runs_test
