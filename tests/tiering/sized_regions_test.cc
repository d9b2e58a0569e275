#include "tiering/space/sized_regions.h"

#include <gtest/gtest.h>

#include <vector>

namespace quire::tiering::sized_regions_test {
namespace {

constexpr uint64_t kRegionBytes = 1 << 20;
constexpr uint64_t kSmall = 4096;       // 128 slots a region
constexpr uint64_t kLarge = 40 * 4096;  // 6 slots a region

class SizedRegionsTest : public testing::Test {
 protected:
  ~SizedRegionsTest() override { sized_.check_invariants(); }
  void give(uint32_t region, uint64_t slot_bytes) { sized_.give(region, slot_bytes, {}); }
  SsdRun take(uint64_t slot_bytes, uint32_t count, SsdSlot after = {}) {
    return sized_.take(slot_bytes, count, after).value();
  }
  SizedRegions sized_{kRegionBytes};
};

TEST_F(SizedRegionsTest, ARunGoesToARegionOfItsSize) {
  give(3, kSmall);
  give(1, kLarge);
  EXPECT_EQ(take(kLarge, 2).first.region(), 1u);
  EXPECT_EQ(take(kSmall, 2).first.region(), 3u);
  EXPECT_FALSE(sized_.take(2 * kSmall, 1, {}));
}

TEST_F(SizedRegionsTest, ARunGoesBehindItsParentWhereAllOfItFits) {
  give(0, kLarge);
  give(1, kLarge);
  const SsdRun parent = take(kLarge, 2);
  const uint32_t other = 1 - parent.first.region();
  EXPECT_EQ(take(kLarge, 2, {parent.first.value + 1}).first.value, parent.first.value + 2);
  // Two are left there: what is longer goes elsewhere, whole.
  const SsdRun longer = take(kLarge, 4, {parent.first.value + 3});
  EXPECT_EQ(longer.first.region(), other);
  EXPECT_EQ(longer.count, 4u);
}

TEST_F(SizedRegionsTest, WhereNoRegionHasAllOfARunAPartIsTaken) {
  give(0, kLarge);
  EXPECT_EQ(take(kLarge, 4).count, 4u);
  EXPECT_EQ(take(kLarge, 4).count, 2u);
  EXPECT_FALSE(sized_.take(kLarge, 1, {})) << "full";
}

TEST_F(SizedRegionsTest, AFullRegionIsFoundAgainWhenASlotOfItIsFree) {
  give(0, kLarge);
  const SsdRun all = take(kLarge, 6);
  sized_.release({all.first.value + 5});
  EXPECT_FALSE(sized_.take(kLarge, 1, {})) << "freeing is not free";
  EXPECT_FALSE(sized_.reclaim({all.first.value + 5}));
  EXPECT_EQ(take(kLarge, 1).first.index(), 5u);
}

TEST_F(SizedRegionsTest, LiveIsARegionWithAUsedSlot) {
  give(0, kLarge);
  EXPECT_EQ(sized_.live_count(), 0u);
  const SsdRun run = take(kLarge, 1);
  EXPECT_EQ(sized_.live_count(), 1u);
  sized_.release(run.first);
  EXPECT_EQ(sized_.live_count(), 0u) << "only its record is left";
  EXPECT_TRUE(sized_.reclaim(run.first));
  EXPECT_EQ(sized_.take_back(0), std::vector<uint32_t>{0});
}

TEST_F(SizedRegionsTest, ASlotOfSeveralRegionsComesAndGoesWithThem) {
  const uint64_t bytes = 2 * kRegionBytes;
  const std::vector<uint16_t> more = {5, 2};
  sized_.give(4, bytes, more);
  EXPECT_TRUE(sized_.is_part(5) && sized_.is_part(2));
  EXPECT_FALSE(sized_.is_part(4));
  EXPECT_EQ(sized_.slots_in(5), nullptr);
  EXPECT_EQ(sized_.more_regions(4).size(), 2u);
  const SsdRun run = take(bytes, 3);
  EXPECT_EQ(run.count, 1u);
  EXPECT_EQ(sized_.live_count(), 3u);
  sized_.release(run.first);
  EXPECT_TRUE(sized_.reclaim(run.first));
  EXPECT_EQ(sized_.take_back(4), (std::vector<uint32_t>{4, 5, 2}));
  EXPECT_FALSE(sized_.is_part(5) || sized_.is_part(2));
  EXPECT_FALSE(sized_.take(bytes, 1, {}));
}

TEST_F(SizedRegionsTest, UntouchedIsWhatNothingWasEverTakenOf) {
  give(0, kSmall);
  give(1, kLarge);
  EXPECT_EQ(sized_.untouched_beside(kSmall), std::vector<uint32_t>{1});
  const SsdRun run = take(kLarge, 1);
  EXPECT_TRUE(sized_.untouched_beside(kSmall).empty());
  EXPECT_DEATH(sized_.take_back(1), "check failed") << "in use";
  sized_.release(run.first);
  EXPECT_TRUE(sized_.reclaim(run.first)) << "nothing is left there";
  sized_.take_back(1);
  give(1, kSmall);
}

}  // namespace
}  // namespace quire::tiering::sized_regions_test
