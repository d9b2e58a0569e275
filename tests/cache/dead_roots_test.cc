// What is left of an older epoch goes in bounded steps, and what is pinned is not looked at again
// and again.
#include <gtest/gtest.h>

#include "tests/cache/store_rig.h"

namespace quire::cache::dead_roots_test {
namespace {

using model::NodeId;

constexpr uint32_t kBudget = 64;
constexpr uint32_t kDepth = 300;

class DeadRoots : public testing::Test {
 protected:
  // A later epoch of the rig's namespace: its root is dead from now on.
  void raise_epoch() {
    RootKey key = rig_.root().key;
    key.weights_epoch = 1;
    QUIRE_CHECK(rig_.cache().open_session(key, 1, later_).ok());
  }
  void TearDown() override { rig_.cache().close_session(later_); }

  // One step, and what it cost.
  uint64_t step() {
    const uint64_t before = rig_.inspect().steps();
    left_ = rig_.meddle().reclaim_dead(kBudget);
    return rig_.inspect().steps() - before;
  }
  // Steps until nothing is left to do.
  uint32_t steps_to_the_end() {
    uint32_t count = 0;
    for (left_ = true; left_; ++count) {
      EXPECT_LE(step(), kBudget + 8) << "one node more than the budget";
      if (count > 10'000) break;
    }
    return count;
  }

  StoreRig rig_;
  CacheSession later_;
  bool left_ = true;
};

TEST_F(DeadRoots, LongPathGoesInBoundedSteps) {
  rig_.add_chain(kDepth, 1000);
  raise_epoch();
  EXPECT_GT(steps_to_the_end(), kDepth / kBudget);
  EXPECT_EQ(rig_.inspect().counters().spans, 0u);
  EXPECT_EQ(rig_.inspect().counters().stale_dropped, kDepth);
}

TEST_F(DeadRoots, PinnedPathIsLookedAtOnceUntilSomethingChanges) {
  const auto path = rig_.add_chain(kDepth, 1000);
  rig_.meddle().pin(path.back());
  for (uint32_t i = 0; i < kDepth; i += 10) rig_.add_span(path[i], 5000 + i);
  raise_epoch();
  EXPECT_LT(steps_to_the_end(), 100u);
  EXPECT_EQ(rig_.inspect().counters().spans, kDepth) << "what hangs from the path is gone";
  EXPECT_EQ(step(), 0u);
  rig_.meddle().unpin(path.back());
  EXPECT_LT(steps_to_the_end(), 100u);
  EXPECT_EQ(rig_.inspect().counters().spans, 0u);
}

TEST_F(DeadRoots, SweepSurvivesTheLossOfTheNodeItStandsAt) {
  const auto path = rig_.add_chain(kDepth, 1000);
  raise_epoch();
  for (uint32_t i = 0; left_ && i < 10'000; ++i) {
    step();
    rig_.meddle().evict(1);
    rig_.cache().check_invariants();
  }
  EXPECT_EQ(rig_.inspect().counters().spans, 0u);
}

TEST_F(DeadRoots, EmptyRootIsForgottenWithItsLastNode) {
  CacheSession second;
  RootKey key = rig_.root().key;
  key.namespace_name = "other";
  ASSERT_TRUE(rig_.cache().open_session(key, 1, second).ok());
  const tests::NewObject span{.root = second.root,
                              .parent = rig_.cache().names().root(second.root).node,
                              .hash = StoreRig::key(1),
                              .units = 2};
  ASSERT_TRUE(tests::ObjectMaker(rig_.cache()).make_now(span).valid());
  rig_.cache().close_session(second);
  key.weights_epoch = 1;
  ASSERT_TRUE(rig_.cache().open_session(key, 1, second).ok());
  raise_epoch();
  steps_to_the_end();
  EXPECT_EQ(rig_.inspect().counters().spans, 0u);
  EXPECT_EQ(rig_.cache().names().dead_roots().size(), 1u) << "the rig's session is open";
  rig_.cache().close_session(second);
}

}  // namespace
}  // namespace quire::cache::dead_roots_test
