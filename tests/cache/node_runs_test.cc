#include "cache/tree/node_runs.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace quire::cache::node_runs_test {
namespace {

using model::NodeId;

TEST(NodeRuns, RunStartsLieApart) {
  NodeRuns runs = NodeRuns::create(1000).value();
  EXPECT_EQ(runs.take_run_start(), NodeId{0});
  EXPECT_EQ(runs.take_run_start(), NodeId{16});
  EXPECT_TRUE(runs.take(NodeId{1}));
  EXPECT_FALSE(runs.take(NodeId{1}));
  EXPECT_FALSE(runs.take(NodeId{48}));  // two runs ahead
  EXPECT_TRUE(runs.take(NodeId{32}));   // the next one
  runs.check_invariants();
}

TEST(NodeRuns, FillerTakesTheEndOfTheOldestPartlyUsedRun) {
  NodeRuns runs = NodeRuns::create(1000).value();
  ASSERT_TRUE(runs.take_run_start());
  ASSERT_TRUE(runs.take_run_start());
  EXPECT_EQ(runs.take_filler(), NodeId{15});
  EXPECT_EQ(runs.take_filler(), NodeId{14});
  runs.check_invariants();
}

TEST(NodeRuns, FillerKeepsToItsColorWhileThatHasGaps) {
  NodeRuns runs = NodeRuns::create(48).value();
  EXPECT_EQ(runs.take_run_start(1), NodeId{0});
  EXPECT_EQ(runs.take_filler(2), NodeId{16}) << "a run of its own, though another has gaps";
  EXPECT_EQ(runs.take_filler(2), NodeId{31});
  EXPECT_EQ(runs.take_filler(1), NodeId{15});
  EXPECT_EQ(runs.take_filler(3), NodeId{32});
  for (int i = 0; i < 14; ++i) ASSERT_TRUE(runs.take_filler(1));
  EXPECT_EQ(runs.take_filler(1), NodeId{30}) << "no run is left: another colour's gap";
  runs.check_invariants();
}

TEST(NodeRuns, EmptiedRunIsUsedAgainBeforeANewOne) {
  NodeRuns runs = NodeRuns::create(1000).value();
  ASSERT_TRUE(runs.take_run_start());
  ASSERT_TRUE(runs.take_run_start());
  runs.release(NodeId{0});
  runs.check_invariants();
  EXPECT_EQ(runs.take_run_start(), NodeId{0});
  EXPECT_EQ(runs.end_of_ids(), 32u);
}

TEST(NodeRuns, GapsAreFilledBeforeMemoryGrowsWithoutBound) {
  constexpr uint32_t kCount = 400'000;
  NodeRuns runs = NodeRuns::create(1ull << 30).value();
  for (uint32_t i = 0; i < kCount; ++i) {
    ASSERT_TRUE(runs.take_run_start() || runs.take_filler());
  }
  EXPECT_LE(runs.end_of_ids(), kCount * 3 / 2 + (1u << 16) + 16);
  runs.check_invariants();
}

TEST(NodeRuns, BoundIsExact) {
  for (const uint32_t bound : {1u, 15u, 16u, 17u, 100u}) {
    NodeRuns runs = NodeRuns::create(bound).value();
    for (uint32_t i = 0; i < bound; ++i) {
      ASSERT_TRUE(runs.take_run_start() || runs.take_filler()) << bound;
    }
    EXPECT_FALSE(runs.take_run_start());
    EXPECT_FALSE(runs.take_filler());
    runs.check_invariants();
  }
}

TEST(NodeRuns, TooManyIdsAreRefused) { EXPECT_FALSE(NodeRuns::create(1ull << 32).ok()); }

TEST(NodeRuns, BehavesLikeASet) {
  std::mt19937_64 random(3);
  NodeRuns runs = NodeRuns::create(500).value();
  std::set<uint32_t> model;
  for (int step = 0; step < 50'000; ++step) {
    const bool growing = step / 1000 % 2 == 0;
    if (!model.empty() && random() % 4 < (growing ? 1 : 3)) {
      const auto victim = std::next(model.begin(), static_cast<long>(random() % model.size()));
      runs.release(NodeId{*victim});
      model.erase(victim);
    } else {
      std::optional<NodeId> id;
      const NodeId wanted{static_cast<uint32_t>(random() % 520)};
      const uint32_t color = random() % NodeRuns::kColors;
      if (random() % 3 == 0) id = runs.take_run_start(color);
      if (!id && random() % 2 == 0 && runs.take(wanted, color)) id = wanted;
      if (!id) id = runs.take_filler(color);
      ASSERT_EQ(id.has_value(), model.size() < 500);
      ASSERT_TRUE(!id || model.insert(id->value).second);
    }
    ASSERT_EQ(runs.used_count(), model.size());
    if (step % 500 == 0) runs.check_invariants();
  }
  for (uint32_t id = 0; id < 600; ++id) EXPECT_EQ(runs.in_use(NodeId{id}), model.contains(id));
}

}  // namespace
}  // namespace quire::cache::node_runs_test
