#include "allocator/extent_map.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace quire::allocator::extent_map_test {
namespace {

TEST(ExtentMap, StartsAsOneFreeRun) {
  const ExtentMap map(512);
  EXPECT_EQ(map.longest_run(), 512u);
  EXPECT_EQ(map.find(512), 0u);
  EXPECT_EQ(map.find(513), std::nullopt);
  map.check_invariants();
}

TEST(ExtentMap, PaddingUpToAPowerOfTwoIsNeverFree) {
  const ExtentMap map(3 * 512);
  EXPECT_EQ(map.longest_run(), 1536u);
  EXPECT_EQ(map.run_at(1530, 100), 6u);
  EXPECT_EQ(map.run_at(1536, 100), 0u);
  map.check_invariants();
}

TEST(ExtentMap, FindsTheLowestRunThatFits) {
  ExtentMap map(512);
  map.take(10, 90);    // 0..9 free
  map.take(130, 300);  // 100..129 free across a word's edge, 430..511 free
  EXPECT_EQ(map.find(10), 0u);
  EXPECT_EQ(map.find(11), 100u);
  EXPECT_EQ(map.find(31), 430u);
  EXPECT_EQ(map.longest_run(), 82u);
  map.check_invariants();
}

TEST(ExtentMap, NeighboursGrowTogetherAgain) {
  ExtentMap map(512);
  map.take(0, 512);
  map.put(100, 50);
  map.put(200, 50);
  EXPECT_EQ(map.longest_run(), 50u);
  map.put(150, 50);
  EXPECT_EQ(map.longest_run(), 150u);
  EXPECT_EQ(map.run_at(100, 512), 150u);
}

TEST(ExtentMapDeathTest, TakingOrPuttingTwiceIsABug) {
  ExtentMap map(512);
  map.take(10, 5);
  EXPECT_DEATH(map.take(14, 1), "check failed");
  map.put(10, 5);
  EXPECT_DEATH(map.put(12, 1), "check failed");
}

// The same questions asked of a plain array of flags.
class PlainMap {
 public:
  explicit PlainMap(uint32_t granules) : free_(granules, true) {}

  uint32_t run_at(uint32_t first) const {
    uint32_t length = 0;
    while (first + length < free_.size() && free_[first + length]) ++length;
    return length;
  }
  std::optional<uint32_t> find(uint32_t count) const {
    for (uint32_t first = 0; first < free_.size(); ++first) {
      if (run_at(first) >= count) return first;
    }
    return std::nullopt;
  }
  void set(uint32_t first, uint32_t count, bool free) {
    std::fill_n(free_.begin() + first, count, free);
  }

 private:
  std::vector<bool> free_;
};

RC_GTEST_PROP(ExtentMap, AgreesWithAPlainArray, ()) {
  const uint32_t granules = 64 * *rc::gen::inRange<uint32_t>(1, 12);
  ExtentMap map(granules);
  PlainMap plain(granules);
  std::vector<std::pair<uint32_t, uint32_t>> taken;
  const int steps = *rc::gen::inRange(0, 200);
  for (int step = 0; step < steps; ++step) {
    const uint32_t count = *rc::gen::inRange<uint32_t>(1, 200);
    const uint32_t pick = *rc::gen::inRange<uint32_t>(0, 1u << 16);
    RC_ASSERT(map.find(count) == plain.find(count));
    RC_ASSERT(map.run_at(pick % granules, count) == std::min(count, plain.run_at(pick % granules)));
    if (pick % 3 != 0 && map.find(count)) {
      const uint32_t first = *map.find(count);
      map.take(first, count);
      plain.set(first, count, false);
      taken.emplace_back(first, count);
    } else if (!taken.empty()) {
      std::swap(taken[pick % taken.size()], taken.back());
      const auto [first, length] = taken.back();
      taken.pop_back();
      map.put(first, length);
      plain.set(first, length, true);
    }
    map.check_invariants();
  }
}

}  // namespace
}  // namespace quire::allocator::extent_map_test
