#include "tests/support/memory_tier.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/tiering/tier_rig.h"

namespace quire::tests::memory_tier_test {

namespace {

using model::Errc;
using model::NodeId;

// How a load of the whole chain ends.
Errc load(TierRig& rig, const std::vector<NodeId>& chain) {
  QUIRE_CHECK(rig.loads().start({.tag = 1, .deadline_ns = INT64_MAX, .nodes = chain}).ok());
  return rig.end_of(1);
}

TEST(MemoryTier, KeepsBytesAndGivesThemBack) {
  TierRig rig;
  const std::vector<NodeId> chain = rig.add_below(5, 1);
  // Other bytes in the pages' place meanwhile.
  for (uint64_t i = 0; i < TierRig::kRamObjects; ++i) rig.add_span(rig.root(), 500 + i);
  ASSERT_TRUE(rig.settle());
  EXPECT_EQ(load(rig, chain), Errc::kOk);
  for (const NodeId node : chain) EXPECT_TRUE(rig.is_right(node));
}

TEST(MemoryTier, OneSeedIsOneHistory) {
  const auto history = [](uint64_t seed) {
    TierRig rig({.tier = {.seed = seed, .least_steps = 1, .most_steps = 20, .job_objects = 1}});
    const std::vector<NodeId> chain = rig.add_chain(8, 1);
    std::vector<uint64_t> counts;
    for (int i = 0; i < 60; ++i) {
      rig.step();
      counts.push_back(rig.tier().object_count());
    }
    return counts;
  };
  EXPECT_EQ(history(1), history(1));
  EXPECT_NE(history(1), history(2));
}

TEST(MemoryTier, HoldsJobsUntilTheyMayEnd) {
  TierRig rig;
  rig.tier().hold(true);
  rig.add_chain(2, 1);
  rig.step(50);
  EXPECT_EQ(rig.tier().job_count(), 1u);
  EXPECT_EQ(rig.tier().object_count(), 0u);
  rig.tier().hold(false);
  rig.step(2);
  EXPECT_EQ(rig.tier().job_count(), 0u);
  EXPECT_EQ(rig.tier().object_count(), 2u);
}

TEST(MemoryTier, WrongBytesAreFoundOut) {
  TierRig rig;
  const std::vector<NodeId> chain = rig.add_below(3, 1);
  rig.tier().fail_read(1, TierFault::kDamage);
  EXPECT_EQ(load(rig, chain), Errc::kCorrupt);
  EXPECT_TRUE(rig.is_right(chain[0]));
}

TEST(MemoryTier, WhatIsForgottenIsGone) {
  TierRig rig;
  const std::vector<NodeId> chain = rig.add_below(3, 1);
  rig.tier().fail_read(2, TierFault::kForget);
  EXPECT_EQ(load(rig, chain), Errc::kIoError);
  EXPECT_EQ(rig.tier().object_count(), 2u);
}

// Once and for good.
TEST(MemoryTier, TheNthWriteFails) {
  TierRig rig;
  rig.tier().fail_write(2);
  const std::vector<NodeId> chain = rig.add_chain(4, 1);
  ASSERT_TRUE(rig.settle());
  EXPECT_EQ(rig.demotion().counters().failed, 2u) << "it and the one behind it in its job";
  rig.tier().fail_write(0, true);
  rig.add_span(chain.back(), 50);
  ASSERT_TRUE(rig.until([&] { return rig.demotion().counters().failed > 10; }));
  EXPECT_EQ(rig.tier().object_count(), 4u);
}

TEST(MemoryTier, NeverHoldsMoreThanItsCapacity) {
  TierRig rig({.tier = {.most_steps = 5, .capacity_bytes = 6 * TierRig::kPageBytes}});
  for (uint64_t number = 1; number < 14; ++number) {
    rig.add_span(rig.root(), number);
    rig.step();
    ASSERT_LE(rig.tier().held_bytes(), 6 * TierRig::kPageBytes);
  }
  ASSERT_TRUE(rig.until([&] { return rig.set().idle(); }));
  EXPECT_EQ(rig.tier().object_count(), 6u);
}

}  // namespace

}  // namespace quire::tests::memory_tier_test
