// Who waits for a copy, and who is found again.
#include "tiering/demotion/candidate_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "tests/tiering/tier_rig.h"
#include "tiering/demotion/demotion_jobs.h"

namespace quire::tiering::candidate_queue_test {
namespace {

using model::NodeId;
using model::TierId;

class CandidateQueueTest : public testing::Test {
 protected:
  // Of nodes that nobody demotes.
  CandidateQueueTest() { rig_.tier().set_mode(TierMode::kReadOnly); }
  bool wanted(NodeId node) { return wants_copy(rig_.cache(), TierId::kSsd, node); }
  static std::vector<NodeId> take_all(CandidateQueue& queue) {
    std::vector<NodeId> nodes;
    while (!queue.empty()) nodes.push_back(queue.take_first().node);
    return nodes;
  }
  // Sweeps to its end, with an empty queue before each step.
  std::vector<NodeId> sweep(CandidateQueue& queue) {
    std::vector<NodeId> found;
    for (int i = 0; i < 100 && !queue.idle(); ++i) {
      queue.sweep(7);
      for (const NodeId node : take_all(queue)) found.push_back(node);
    }
    return found;
  }

  tests::TierRig rig_;
};

TEST_F(CandidateQueueTest, WhatIsInRamAloneWantsACopy) {
  const NodeId node = rig_.add_span(rig_.root(), 1);
  EXPECT_TRUE(wanted(node));
  EXPECT_FALSE(wanted(rig_.root())) << "no object";
  UnderWay under_way;
  DemotionJobs jobs(&rig_.cache(), &under_way);
  const uint32_t job = jobs.start(std::span(&node, 1), 0);
  EXPECT_FALSE(wanted(node)) << "on its way";
  jobs.release(job, 0);
  jobs.finish(job, 1);
  EXPECT_TRUE(wanted(node));
  rig_.tier().set_mode(TierMode::kOk);
  ASSERT_TRUE(rig_.settle());
  EXPECT_FALSE(wanted(node)) << "it has one";
}

TEST_F(CandidateQueueTest, OrderIsThatOfComingButForWhatGoesFirst) {
  CandidateQueue queue(&rig_.cache(), TierId::kSsd, 8);
  EXPECT_TRUE(queue.add({NodeId{1}, false, 10}));
  EXPECT_TRUE(queue.add({NodeId{2}, true, 20}));
  queue.add_first({NodeId{3}, false, 30});
  EXPECT_EQ(queue.size(), 3u);
  EXPECT_EQ(take_all(queue), (std::vector<NodeId>{NodeId{3}, NodeId{1}, NodeId{2}}));
}

TEST_F(CandidateQueueTest, TheFirstIsDueAfterItsDelay) {
  CandidateQueue queue(&rig_.cache(), TierId::kSsd, 8);
  EXPECT_FALSE(queue.is_due(100, 0)) << "nobody is there";
  queue.add({NodeId{1}, false, 10});
  EXPECT_FALSE(queue.is_due(14, 5));
  EXPECT_TRUE(queue.is_due(15, 5));
}

TEST_F(CandidateQueueTest, WhoFindsNoPlaceIsFoundByASweep) {
  const std::vector<NodeId> chain = rig_.add_chain(6, 1);
  CandidateQueue queue(&rig_.cache(), TierId::kSsd, 2);
  EXPECT_TRUE(queue.add({chain[0]}));
  EXPECT_TRUE(queue.add({chain[1]}));
  EXPECT_FALSE(queue.add({chain[2]}));
  EXPECT_EQ(queue.sweep(7), 0u) << "there is no place yet";
  EXPECT_FALSE(queue.idle());
  EXPECT_EQ(take_all(queue), (std::vector<NodeId>{chain[0], chain[1]}));
  EXPECT_FALSE(queue.idle()) << "some are to be found";
  const std::vector<NodeId> found = sweep(queue);
  EXPECT_EQ(std::set(found.begin(), found.end()), std::set(chain.begin(), chain.end()));
  EXPECT_TRUE(queue.idle());
}

// One who was looked at before it was refused is found by the next sweep.
TEST_F(CandidateQueueTest, ASweepUnderWayIsNotTheLast) {
  const std::vector<NodeId> chain = rig_.add_chain(6, 1);
  CandidateQueue queue(&rig_.cache(), TierId::kSsd, 2);
  queue.sweep_soon();
  ASSERT_EQ(queue.sweep(7), 2u) << "as many as there is place for";
  EXPECT_FALSE(queue.add({chain[0]})) << "refused again";
  take_all(queue);
  const std::vector<NodeId> found = sweep(queue);
  EXPECT_EQ(std::count(found.begin(), found.end(), chain[0]), 1);
  EXPECT_EQ(found.size(), 4 + chain.size()) << "the rest of the first, and all of the second";
}

TEST_F(CandidateQueueTest, ASweepFindsOnlyWhatWantsACopy) {
  rig_.tier().set_mode(TierMode::kOk);
  rig_.add_chain(3, 1);
  ASSERT_TRUE(rig_.settle());
  rig_.tier().set_mode(TierMode::kReadOnly);
  const NodeId fresh = rig_.add_span(rig_.root(), 50);
  CandidateQueue queue(&rig_.cache(), TierId::kSsd, 8);
  queue.sweep_soon();
  EXPECT_EQ(sweep(queue), std::vector<NodeId>{fresh});
}

}  // namespace
}  // namespace quire::tiering::candidate_queue_test
