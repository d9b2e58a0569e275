#include "client/interval_allocator.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace quire::client::interval_allocator_test {
namespace {

TEST(IntervalAllocator, RoundsLengthsUpToTheAlignment) {
  IntervalAllocator area(256, 64, 8);
  EXPECT_EQ(area.allocate(1), 0u);
  EXPECT_EQ(area.allocate(65), 64u);
  EXPECT_EQ(area.free_length(), 64u);
  area.check_invariants();
}

TEST(IntervalAllocator, RefusesWhatDoesNotFitInOnePiece) {
  IntervalAllocator area(192, 64, 8);
  ASSERT_EQ(area.allocate(64), 0u);
  ASSERT_EQ(area.allocate(64), 64u);
  ASSERT_EQ(area.allocate(64), 128u);
  area.free(0, 64);
  area.free(128, 64);
  EXPECT_EQ(area.allocate(128), std::nullopt);  // 128 free, in two pieces
  area.check_invariants();
}

TEST(IntervalAllocator, MergesWithBothNeighbours) {
  IntervalAllocator area(192, 64, 8);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(area.allocate(64).has_value());
  area.free(0, 64);
  area.free(128, 64);
  area.free(64, 64);
  EXPECT_EQ(area.allocate(192), 0u);
  area.check_invariants();
}

TEST(IntervalAllocator, RefusesMoreRunsThanStated) {
  IntervalAllocator area(1024, 64, 2);
  ASSERT_TRUE(area.allocate(64).has_value());
  ASSERT_TRUE(area.allocate(64).has_value());
  EXPECT_EQ(area.allocate(64), std::nullopt);
  area.free(0, 64);
  EXPECT_EQ(area.allocate(64), 0u);
}

TEST(IntervalAllocator, HugeLengthDoesNotWrap) {
  IntervalAllocator area(1024, 64, 2);
  EXPECT_EQ(area.allocate(~uint64_t{0}), std::nullopt);
}

TEST(IntervalAllocator, RandomRunsNeverOverlapAndAllComeBack) {
  IntervalAllocator area(1 << 16, 64, 64);
  std::mt19937 random(7);
  std::map<uint64_t, uint64_t> live;  // offset -> length
  for (int step = 0; step < 20000; ++step) {
    if (random() % 2 == 0) {
      const uint64_t length = 1 + random() % 4000;
      const auto offset = area.allocate(length);
      if (!offset) continue;
      const auto next = live.lower_bound(*offset);
      ASSERT_TRUE(next == live.end() || *offset + length <= next->first);
      ASSERT_TRUE(next == live.begin() ||
                  std::prev(next)->first + std::prev(next)->second <= *offset);
      live.emplace(*offset, length);
    } else if (!live.empty()) {
      const auto victim = std::next(live.begin(), static_cast<long>(random() % live.size()));
      area.free(victim->first, victim->second);
      live.erase(victim);
    }
    if (step % 64 == 0) area.check_invariants();
  }
  for (const auto& [offset, length] : live) area.free(offset, length);
  area.check_invariants();
  EXPECT_EQ(area.free_length(), area.capacity());
}

TEST(IntervalAllocatorDeathTest, SecondFreeIsABug) {
  IntervalAllocator area(256, 64, 8);
  ASSERT_TRUE(area.allocate(64).has_value());
  ASSERT_TRUE(area.allocate(64).has_value());
  area.free(0, 64);
  EXPECT_DEATH(area.free(0, 64), "check failed");
}

}  // namespace
}  // namespace quire::client::interval_allocator_test
