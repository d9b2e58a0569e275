// Slots that fit no region.
#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "tiering/space/ssd_space.h"

namespace quire::tiering::ssd_space_large_test {
namespace {

using model::Errc;

constexpr uint64_t kRegionBytes = 1 << 20;
constexpr uint64_t kSmall = 4096;

using Regions = std::vector<uint16_t>;

Regions more_of(const SsdSpace& space, uint32_t region) {
  const auto more = space.more_regions(region);
  return {more.begin(), more.end()};
}

TEST(SsdSpaceLarge, ASlotLargerThanARegionTakesSeveral) {
  SsdSpace space(kRegionBytes, 6);
  ASSERT_TRUE(space.claim(SsdSlot::of(1, 0), 1, kSmall).ok());
  const uint64_t large = 3 * kRegionBytes - kSsdBlockBytes;
  const auto made = space.add_region(large);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->region, 0u);
  EXPECT_EQ(made->absent, (std::vector<uint32_t>{0, 2, 3}));
  space.check_invariants();
  const auto run = space.take(large, 5);
  ASSERT_TRUE(run);
  EXPECT_EQ(run->first, SsdSlot::of(0, 0));
  EXPECT_EQ(run->count, 1u);
  EXPECT_EQ(more_of(space, 0), (Regions{2, 3}));
  EXPECT_EQ(space.data_offset(run->first), kSsdBlockBytes);
  EXPECT_EQ(space.usage().used_bytes, 2 * kSsdBlockBytes + 3 * kRegionBytes);
  EXPECT_FALSE(space.take(large, 1));
  EXPECT_FALSE(space.add_region(large)) << "two regions are left";
  space.check_invariants();
  space.release(run->first);
  space.check_invariants();
  EXPECT_FALSE(space.add_region(large));
  space.reclaim(run->first);
  space.check_invariants();
  EXPECT_EQ(more_of(space, 0), Regions{});
  const auto again = space.add_region(large, false);
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->fresh());
  space.drop_region(again->region, {});
  EXPECT_EQ(space.usage().allocated_bytes, 4 * kRegionBytes);
  space.check_invariants();
}

// Given out without blocks, and dropped: what had blocks keeps them.
TEST(SsdSpaceLarge, RegionsOfALargeSlotThatCannotBeAllocatedGoBack) {
  SsdSpace space(kRegionBytes, 3);
  ASSERT_TRUE(space.claim(SsdSlot::of(1, 0), 1, kSmall).ok());
  space.release(SsdSlot::of(1, 0));
  space.reclaim(SsdSlot::of(1, 0));
  EXPECT_FALSE(space.add_region(2 * kRegionBytes, false));
  const auto made = space.add_region(2 * kRegionBytes);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->absent, (std::vector<uint32_t>{0, 2}));
  space.drop_region(made->region, made->absent);
  EXPECT_EQ(space.usage().allocated_bytes, kRegionBytes);
  space.check_invariants();
  EXPECT_EQ(space.add_region(kSmall, false)->region, 1u);
}

TEST(SsdSpaceLarge, Law08_ClaimOfALargeSlotRefusesWhatOverlaps) {
  const uint64_t large = 3 * kRegionBytes - kSsdBlockBytes;
  SsdSpace space(kRegionBytes, 8);
  const auto code = [&](uint32_t region, uint32_t index, const Regions& more) {
    const auto claimed = space.claim(SsdSlot::of(region, index), 1, large, more);
    space.check_invariants();
    return claimed.code();
  };
  EXPECT_EQ(code(5, 0, {}), Errc::kCorrupt);
  EXPECT_EQ(code(5, 0, {1}), Errc::kCorrupt);
  EXPECT_EQ(code(5, 0, {1, 1}), Errc::kCorrupt);
  EXPECT_EQ(code(5, 0, {5, 1}), Errc::kCorrupt);
  EXPECT_EQ(code(5, 1, {1, 2}), Errc::kCorrupt);
  EXPECT_EQ(code(5, 0, {1, kMaxRegions}), Errc::kCorrupt);
  space.stock().hold(6, true);
  EXPECT_EQ(code(5, 0, {1, 6}), Errc::kCorrupt);
  EXPECT_EQ(code(6, 0, {1, 2}), Errc::kCorrupt);
  space.stock().let_go(6);
  EXPECT_EQ(space.claim(SsdSlot::of(5, 0), 1, kSmall, Regions{1}).code(), Errc::kCorrupt);
  EXPECT_EQ(space.usage().used_slots, 0u);
  EXPECT_EQ(code(5, 0, {7, 1}), Errc::kOk);
  EXPECT_EQ(more_of(space, 5), (Regions{7, 1}));
  EXPECT_EQ(code(7, 0, {2, 3}), Errc::kCorrupt);
  EXPECT_EQ(code(0, 0, {5, 3}), Errc::kCorrupt);
  EXPECT_EQ(code(0, 0, {7, 3}), Errc::kCorrupt);
  EXPECT_EQ(space.claim(SsdSlot::of(1, 0), 1, kSmall).code(), Errc::kCorrupt);
  EXPECT_EQ(code(0, 0, {2, 3}), Errc::kOk);
  EXPECT_EQ(space.usage().used_slots, 2u);
}

// Counted whole: the regions of one slot are live together, and all of them are given back.
TEST(SsdSpaceLarge, ALargeSlotCountsWithAllItsRegions) {
  const uint64_t large = 3 * kRegionBytes - kSsdBlockBytes;
  SsdSpace space(kRegionBytes, 4);
  ASSERT_TRUE(space.claim(SsdSlot::of(9, 0), 1, large, Regions{20, 3}).ok());
  EXPECT_EQ(space.live_regions(), 3u);
  EXPECT_TRUE(space.stock().is_taken(20));
  EXPECT_FALSE(space.add_region(2 * kRegionBytes)) << "one region is left";
  ASSERT_TRUE(space.claim(SsdSlot::of(5, 0), 1, large, Regions{6, 7}).ok());
  space.stock().note_blocks(20);
  space.stock().note_blocks(6);
  EXPECT_EQ(space.usage().allocated_bytes, 6 * kRegionBytes);
  EXPECT_TRUE(space.is_over_capacity());
  EXPECT_FALSE(space.stock().take_surplus()) << "all are in use";
  space.check_invariants();
  space.release(SsdSlot::of(9, 0));
  EXPECT_EQ(space.live_regions(), 3u);
  EXPECT_FALSE(space.is_over_capacity());
  space.check_invariants();
  EXPECT_FALSE(space.stock().take_surplus()) << "a record names it";
  space.reclaim(SsdSlot::of(9, 0));
  EXPECT_FALSE(space.add_region(kSmall)) << "blocks are beyond the capacity";
  std::set<uint32_t> given_back;
  while (const auto region = space.stock().take_surplus()) {
    given_back.insert(*region);
    space.stock().given_back(true);
    space.check_invariants();
  }
  EXPECT_EQ(given_back.size(), 2u);
  for (const uint32_t region : {5u, 6u, 7u}) EXPECT_FALSE(given_back.contains(region));
  EXPECT_EQ(space.usage().allocated_bytes, 4 * kRegionBytes);
  EXPECT_TRUE(space.add_region(kSmall));
  EXPECT_FALSE(space.add_region(kSmall));
  space.check_invariants();
}

}  // namespace
}  // namespace quire::tiering::ssd_space_large_test
