#include "tiering/space/region_slots.h"

#include <gtest/gtest.h>

#include <vector>

namespace quire::tiering::region_slots_test {
namespace {

constexpr uint64_t kRegionBytes = 1 << 20;
constexpr uint64_t kSlotBytes = 4096;

class RegionSlotsTest : public testing::Test {
 protected:
  ~RegionSlotsTest() override { slots_.check_invariants(kRegionBytes); }
  RegionSlots slots_{kSlotBytes, region_geometry(kRegionBytes, kSlotBytes)};
};

TEST_F(RegionSlotsTest, HeadersStandBeforeAsManySlotsAsFit) {
  EXPECT_EQ(slots_.count(), 128u);
  EXPECT_EQ(slots_.data_offset(0), 128 * kSsdBlockBytes);
  EXPECT_EQ(slots_.data_offset(127), kRegionBytes - kSlotBytes);
}

TEST_F(RegionSlotsTest, ASlotIsUsedThenFreeingThenFree) {
  slots_.occupy(5, 3);
  EXPECT_TRUE(slots_.is_used(7));
  slots_.release(7);
  EXPECT_FALSE(slots_.is_used(7));
  EXPECT_TRUE(slots_.is_occupied(7));
  EXPECT_FALSE(slots_.has_room(7, 1)) << "a record of it may still be durable";
  EXPECT_EQ(slots_.occupied_count(), 3u);
  EXPECT_EQ(slots_.freeing_count(), 1u);
  slots_.reclaim(7);
  EXPECT_TRUE(slots_.has_room(7, 1));
  EXPECT_EQ(slots_.occupied_count() + slots_.freeing_count(), 2u);
  EXPECT_TRUE(slots_.has_used());
  slots_.release(5);
  slots_.release(6);
  EXPECT_FALSE(slots_.has_used());
}

TEST_F(RegionSlotsTest, ARunIsKnownByItsFirstSlot) {
  slots_.occupy(60, 10);
  slots_.occupy(70, 2);
  EXPECT_EQ(slots_.run_start(69), 60u) << "across a word";
  EXPECT_EQ(slots_.run_start(70), 70u);
  // What the old runs left does not cut a new one.
  for (uint32_t slot = 60; slot < 72; ++slot) {
    slots_.release(slot);
    slots_.reclaim(slot);
  }
  slots_.occupy(58, 14);
  EXPECT_EQ(slots_.run_start(71), 58u);
}

TEST_F(RegionSlotsTest, RoomEndsWithTheRegion) {
  EXPECT_TRUE(slots_.has_room(126, 2));
  EXPECT_FALSE(slots_.has_room(126, 3));
  slots_.occupy(0, 64);
  slots_.occupy(64, 60);
  const ClearRun rest = slots_.find_room(16);
  EXPECT_EQ(rest.first, 124u);
  EXPECT_EQ(rest.count, 4u);
  slots_.occupy(124, 4);
  EXPECT_TRUE(slots_.full());
  EXPECT_EQ(slots_.find_room(1).count, 0u);
}

TEST_F(RegionSlotsTest, TheSearchGoesOnWhereTheLastRunWasFound) {
  slots_.occupy(64, 1);
  slots_.note_found(64);
  EXPECT_EQ(slots_.find_room(4).first, 65u);
}

TEST_F(RegionSlotsTest, WhatIsNotUsedIsNotReleased) {
  slots_.occupy(0, 1);
  EXPECT_DEATH(slots_.release(1), "check failed");
  EXPECT_DEATH(slots_.reclaim(0), "check failed");
  EXPECT_DEATH(slots_.occupy(0, 1), "check failed");
}

}  // namespace
}  // namespace quire::tiering::region_slots_test
