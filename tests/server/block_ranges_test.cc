// Ranges of blocks, each counted once.
#include "server/rings/block_ranges.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace quire::server::block_ranges_test {
namespace {

// What is new in a range, one by one.
std::set<uint32_t> add(BlockRanges& ranges, BlockRange range) {
  std::set<uint32_t> fresh;
  uint32_t last_end = 0;
  ranges.add(range, [&](const BlockRange& part) {
    EXPECT_LT(part.first, part.end);
    EXPECT_TRUE(fresh.empty() || part.first > last_end) << "ascending, and not touching";
    last_end = part.end;
    for (uint32_t block = part.first; block < part.end; ++block) fresh.insert(block);
  });
  return fresh;
}

TEST(BlockRanges, AgreesWithASetOfBlocks) {
  for (uint32_t seed = 1; seed <= 200; ++seed) {
    std::mt19937 random(seed);
    BlockRanges ranges;
    std::set<uint32_t> model;
    for (int step = 0; step < 60; ++step) {
      const uint32_t first = random() % 60;  // 60 blocks make at most 30 ranges
      const uint32_t count = random() % 8;
      const BlockRange range{first, first + count};
      std::set<uint32_t> expected;
      for (uint32_t block = range.first; block < range.end; ++block) {
        if (model.insert(block).second) expected.insert(block);
      }
      ASSERT_EQ(add(ranges, range), expected) << "seed " << seed;
      ASSERT_EQ(ranges.count(), model.size()) << "seed " << seed;
      uint32_t end = random() % 60;
      const uint32_t from = end;
      while (model.contains(end)) ++end;
      ASSERT_EQ(ranges.end_from(from), end) << "seed " << seed;
    }
  }
}

TEST(BlockRanges, NeighboursBecomeOne) {
  BlockRanges ranges;
  for (uint32_t block = 0; block < 10'000; ++block) add(ranges, {block, block + 1});
  EXPECT_EQ(ranges.size(), 1u);
  EXPECT_EQ(ranges.count(), 10'000u);
}

TEST(BlockRanges, Law10_WhatFindsNoPlaceIsNotCounted) {
  BlockRanges ranges;
  for (uint32_t i = 0; i < BlockRanges::kMaxRanges; ++i) add(ranges, {2 * i, 2 * i + 1});
  EXPECT_TRUE(add(ranges, {1000, 1010}).empty());
  EXPECT_EQ(ranges.count(), BlockRanges::kMaxRanges);
  EXPECT_EQ(add(ranges, {1, 2}).size(), 1u) << "what touches others needs no place";
  EXPECT_EQ(add(ranges, {1000, 1010}).size(), 10u) << "and made one";
}

TEST(BlockRanges, NothingIsAnEmptyRange) {
  BlockRanges ranges;
  EXPECT_TRUE(add(ranges, {5, 5}).empty());
  EXPECT_TRUE(add(ranges, {7, 5}).empty());
  EXPECT_EQ(ranges.size(), 0u);
  EXPECT_EQ(ranges.end_from(5), 5u);
}

}  // namespace
}  // namespace quire::server::block_ranges_test
