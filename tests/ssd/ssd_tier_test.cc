// The SSD tier from end to end: a real daemon, the real client library, a real directory.
#include <gtest/gtest.h>

#include "tests/ssd/ssd_faults.h"

namespace quire::tests::ssd_tier_test {

namespace {

constexpr uint32_t kTokens = 400;  // 50 blocks of 8: more than three runs of spans

}  // namespace

TEST(SsdTier, WhatWasCommittedIsDemotedAndComesBackBitExact) {
  SsdRig rig;
  const auto client = rig.daemon().connect();
  rig.commit(*client, 1, kTokens);
  ASSERT_TRUE(rig.settle());
  ASSERT_EQ(rig.empty_ram(), 51u);  // spans and one checkpoint

  const auto reader = rig.session(*client, 1, kTokens);
  const auto match = reader->match(kTokens + 1);
  ASSERT_TRUE(match.ok());
  EXPECT_EQ(match->exact_tokens, kTokens);
  EXPECT_EQ(match->tokens[model::TierId::kSsd], kTokens);
  EXPECT_EQ(match->tokens[model::TierId::kRam], 0u);
  EXPECT_GT(match->load_estimate_us, 0u);
  EXPECT_EQ(check_hit(*reader, *match), 50 + 2);
  ASSERT_TRUE(reader->release(match->lease).ok());
  EXPECT_EQ(rig.counters().promoted, 51u);

  // In RAM now: the next hit moves nothing.
  const uint64_t read = rig.status().mover.read_bytes;
  EXPECT_EQ(rig.hit_tokens(*client, 1, kTokens), static_cast<int>(kTokens));
  EXPECT_EQ(rig.status().mover.read_bytes, read);
}

// A clean stop writes what is left, for 10 s at most: on memory.
TEST(SsdTier, RestartFindsWhatWasDurable) {
  const MemoryDirectory memory;
  SsdRig rig({}, memory.use());
  {
    const auto client = rig.daemon().connect();
    for (uint64_t context = 1; context <= 5; ++context) rig.commit(*client, context, kTokens);
  }
  rig.daemon().restart();
  const auto client = rig.daemon().connect();
  EXPECT_EQ(rig.status().restored.spans, 250u);
  EXPECT_EQ(rig.status().restored.checkpoints, 5u);
  EXPECT_EQ(rig.status().restored.orphans, 0u);
  for (uint64_t context = 1; context <= 5; ++context) {
    EXPECT_EQ(rig.hit_tokens(*client, context, kTokens), static_cast<int>(kTokens));
  }
  EXPECT_EQ(rig.hit_tokens(*client, 6, kTokens), 0);
}

}  // namespace quire::tests::ssd_tier_test
