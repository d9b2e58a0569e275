#include "tiering/space/ssd_space.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <functional>
#include <random>
#include <set>
#include <vector>

#include "model/check.h"
#include "tests/tiering/space_geometry.h"

namespace quire::tiering::ssd_space_test {
namespace {

using model::Errc;

constexpr uint64_t kRegionBytes = 1 << 20;
constexpr uint64_t kSmall = 4096;       // 128 slots a region
constexpr uint64_t kMiddle = 3 * 4096;  // 64 slots a region
constexpr uint64_t kLarge = 40 * 4096;  // 6 slots a region

// A space whose one region of kMiddle slots is all used.
SsdSpace full_region() {
  SsdSpace space(kRegionBytes, 1);
  EXPECT_TRUE(space.add_region(kMiddle));
  EXPECT_EQ(space.take(kMiddle, 64)->count, 64u);
  return space;
}

void free_slot(SsdSpace& space, uint32_t index) {
  space.release(SsdSlot::of(0, index));
  space.reclaim(SsdSlot::of(0, index));
}

uint32_t first_index(const std::optional<SsdRun>& run) { return run->first.index(); }

TEST(SsdSpace, NothingIsTakenBeforeARegionHasTheSize) {
  SsdSpace space(kRegionBytes, 2);
  EXPECT_FALSE(space.take(kSmall, 1));
  const auto region = space.add_region(kSmall);
  ASSERT_TRUE(region);
  EXPECT_TRUE(region->fresh());
  EXPECT_FALSE(space.take(kMiddle, 1));
  EXPECT_TRUE(space.take(kSmall, 1));
  space.check_invariants();
}

TEST(SsdSpace, Law10_RegionsAreBounded) {
  SsdSpace space(kRegionBytes, 2);
  EXPECT_TRUE(space.add_region(kSmall));
  EXPECT_TRUE(space.take(kSmall, 1));
  EXPECT_TRUE(space.add_region(kLarge));
  EXPECT_TRUE(space.take(kLarge, 1));
  EXPECT_FALSE(space.add_region(kLarge));
  EXPECT_EQ(space.stock().count(), 2u);
}

TEST(SsdSpace, ASlotLargerThanTheSpaceIsRefused) {
  SsdSpace space(kRegionBytes, 2);
  EXPECT_EQ(space.largest_slot_bytes(), 2 * kRegionBytes - kSsdBlockBytes);
  EXPECT_FALSE(space.add_region(2 * kRegionBytes));
  EXPECT_FALSE(space.add_region(0));
  EXPECT_TRUE(space.add_region(kRegionBytes - kSsdBlockBytes));
  EXPECT_EQ(space.take(kRegionBytes - kSsdBlockBytes, 5)->count, 1u);
  space.check_invariants();
}

TEST(SsdSpace, RunsThatFollowEachOtherAreAdjacent) {
  SsdSpace space(kRegionBytes, 1);
  space.add_region(kSmall);
  SsdSlot next = SsdSlot::of(0, 0);
  for (int i = 0; i < 8; ++i) {
    const auto run = space.take(kSmall, 16);
    ASSERT_TRUE(run);
    EXPECT_EQ(run->count, 16u);
    EXPECT_EQ(run->first, next);
    next.value += 16;
  }
  EXPECT_FALSE(space.take(kSmall, 1));
  space.check_invariants();
}

TEST(SsdSpace, ARunIsPlacedBehindAfter) {
  SsdSpace space = full_region();
  for (uint32_t index = 63; index >= 10; --index) free_slot(space, index);
  ASSERT_TRUE(space.claim(SsdSlot::of(0, 40), 1, kMiddle).ok());
  EXPECT_EQ(first_index(space.take(kMiddle, 3, SsdSlot::of(0, 40))), 41u);
  EXPECT_EQ(first_index(space.take(kMiddle, 3)), 10u);
  // Not all of it fits behind slot 12: it goes where it is whole.
  ASSERT_TRUE(space.claim(SsdSlot::of(0, 15), 1, kMiddle).ok());
  EXPECT_EQ(first_index(space.take(kMiddle, 3, SsdSlot::of(0, 12))), 16u);
  EXPECT_EQ(first_index(space.take(kMiddle, 2, SsdSlot::of(0, 12))), 13u);
  space.check_invariants();
}

TEST(SsdSpace, AfterMayNameAnything) {
  SsdSpace space(kRegionBytes, 2);
  space.add_region(kSmall);
  space.add_region(kLarge);
  EXPECT_EQ(first_index(space.take(kSmall, 1, SsdSlot::of(0, 127))), 0u);  // the last of its region
  EXPECT_EQ(first_index(space.take(kSmall, 1, SsdSlot::of(0, 5000))), 1u);  // no such slot
  EXPECT_EQ(first_index(space.take(kSmall, 1, SsdSlot::of(1, 0))), 2u);     // of another size
  EXPECT_EQ(first_index(space.take(kSmall, 1, SsdSlot::of(9999, 0))), 3u);  // no such region
  EXPECT_EQ(first_index(space.take(kSmall, 1, SsdSlot::of(0, 80))), 81u);   // a free slot
  space.check_invariants();
}

TEST(SsdSpace, TheRegionOfAfterComesBeforeTheOneUsedLast) {
  SsdSpace space(kRegionBytes, 2);
  ASSERT_TRUE(space.claim(SsdSlot::of(0, 20), 1, kSmall).ok());
  ASSERT_TRUE(space.claim(SsdSlot::of(0, 22), 1, kSmall).ok());
  ASSERT_TRUE(space.claim(SsdSlot::of(1, 20), 1, kSmall).ok());
  EXPECT_EQ(space.take(kSmall, 4, SsdSlot::of(1, 20))->first, SsdSlot::of(1, 21));
  EXPECT_EQ(space.take(kSmall, 4, SsdSlot::of(0, 20))->first.region(), 0u);
  EXPECT_EQ(space.take(kSmall, 4)->first.region(), 0u);
  EXPECT_EQ(space.take(kSmall, 4, SsdSlot::of(1, 24))->first, SsdSlot::of(1, 25));
  EXPECT_EQ(space.take(kSmall, 4)->first.region(), 1u);
}

// One region of kSmall slots, in which these are free and each other one is a run of its own.
SsdSpace space_with_free(const std::set<uint32_t>& free) {
  SsdSpace space(kRegionBytes, 1);
  for (uint32_t index = 0; index < 128; ++index) {
    if (free.contains(index)) continue;
    EXPECT_TRUE(space.claim(SsdSlot::of(0, index), 1, kSmall).ok());
  }
  return space;
}

TEST(SsdSpace, TheWholeRunIsFoundAmongShorterOnes) {
  for (uint32_t length = 2; length <= kMaxTakenSlots; ++length) {
    for (const uint32_t at : {3u, 60u, 64u, 128u - length}) {
      std::set<uint32_t> free;
      for (uint32_t index = 1; index < 128; index += 2) free.insert(index);
      for (uint32_t index = at; index < at + length; ++index) free.insert(index);
      SsdSpace space = space_with_free(free);
      const auto run = space.take(kSmall, length);
      ASSERT_TRUE(run);
      ASSERT_EQ(run->count, length) << at;
      for (uint32_t i = 0; i < length; ++i) ASSERT_TRUE(free.contains(run->first.index() + i));
      space.check_invariants();
    }
  }
}

TEST(SsdSpace, AShorterRunWhereTheWholeDoesNotFit) {
  SsdSpace space = space_with_free({1, 2, 4, 5, 6, 7, 8, 63, 64});
  const auto run = space.take(kSmall, 16);
  ASSERT_TRUE(run);
  EXPECT_EQ(first_index(run), 4u);
  EXPECT_EQ(run->count, 5u);
  EXPECT_EQ(space.take(kSmall, 16)->count, 2u);
  EXPECT_EQ(space.take(kSmall, 16)->count, 2u);
  EXPECT_FALSE(space.take(kSmall, 16));
  space.check_invariants();
}

TEST(SsdSpace, ATakenRunIsAtMostAWordLong) {
  SsdSpace space(kRegionBytes, 1);
  space.add_region(kSmall);
  EXPECT_EQ(space.take(kSmall, 0xffff'ffff)->count, kMaxTakenSlots);
  space.check_invariants();
}

TEST(SsdSpace, ALongerRunInAnotherRegionIsPreferred) {
  SsdSpace space(kRegionBytes, 2);
  for (uint32_t index = 0; index < 128; ++index) {
    if (index % 32 == 0) continue;
    ASSERT_TRUE(space.claim(SsdSlot::of(0, index), 1, kSmall).ok());
  }
  ASSERT_TRUE(space.claim(SsdSlot::of(1, 0), 8, kSmall).ok());
  // Each region with room is looked into some time; then it is the one used last.
  int short_runs = 0;
  while (space.take(kSmall, 2, SsdSlot::of(0, 3))->count < 2) ++short_runs;
  EXPECT_LT(short_runs, 2);
  EXPECT_EQ(space.take(kSmall, 2)->count, 2u);
  EXPECT_EQ(space.take(kSmall, 2, SsdSlot::of(0, 3))->count, 2u);
  space.check_invariants();
}

TEST(SsdSpace, RunStartKeepsAdjacentRunsApart) {
  SsdSpace space(kRegionBytes, 1);
  space.add_region(kSmall);
  std::vector<SsdRun> runs;
  for (uint32_t count = 1; count < 15; ++count) runs.push_back(*space.take(kSmall, count));
  for (const SsdRun& run : runs) {
    for (uint32_t i = 0; i < run.count; ++i) {
      EXPECT_EQ(space.run_start({run.first.value + i}), run.first);
    }
  }
  // A slot that joins a run's old end starts one of its own.
  const SsdRun run = runs[9];
  const SsdSlot last{run.first.value + run.count - 1};
  space.release(last);
  EXPECT_EQ(space.run_start(last), run.first);
  space.reclaim(last);
  EXPECT_EQ(space.take(kSmall, 1, {last.value - 1})->first, last);
  EXPECT_EQ(space.run_start(last), last);
  EXPECT_EQ(space.run_start({last.value - 1}), run.first);
  space.check_invariants();
}

TEST(SsdSpace, AStartThatWasFreedDoesNotSplitALaterRun) {
  SsdSpace space = full_region();
  for (uint32_t index = 63; index > 0; --index) free_slot(space, index);
  for (uint32_t index = 1; index < 64; ++index) ASSERT_TRUE(space.take(kMiddle, 1));
  for (uint32_t index = 63; index > 0; --index) free_slot(space, index);
  ASSERT_EQ(space.take(kMiddle, 63)->count, 63u);
  EXPECT_EQ(space.run_start(SsdSlot::of(0, 63)), SsdSlot::of(0, 1));
}

TEST(SsdSpace, Law08_AFreeingSlotIsNotHandedOutUntilReclaimed) {
  SsdSpace space = full_region();
  for (uint32_t index = 20; index < 30; ++index) space.release(SsdSlot::of(0, index));
  EXPECT_FALSE(space.take(kMiddle, 1));
  EXPECT_FALSE(space.take(kMiddle, 4, SsdSlot::of(0, 19)));
  EXPECT_EQ(space.claim(SsdSlot::of(0, 25), 1, kMiddle).code(), Errc::kCorrupt);
  EXPECT_FALSE(space.is_used(SsdSlot::of(0, 25)));
  EXPECT_EQ(space.usage().freeing_slots, 10u);
  EXPECT_EQ(space.usage().used_slots, 54u);
  EXPECT_EQ(space.usage().used_bytes, 64 * (kMiddle + kSsdBlockBytes));
  space.reclaim(SsdSlot::of(0, 29));
  EXPECT_EQ(first_index(space.take(kMiddle, 4)), 29u);
  EXPECT_FALSE(space.take(kMiddle, 1));
}

// Two runs of kMiddle slots, 10 and 6, adjacent.
struct TwoRuns {
  SsdSpace space{kRegionBytes, 1};
  SsdRun first;
  SsdRun second;

  TwoRuns() {
    EXPECT_TRUE(space.add_region(kMiddle));
    first = *space.take(kMiddle, 10);
    second = *space.take(kMiddle, 6);
    EXPECT_EQ(second.first.value, first.first.value + 10);
  }
  SsdSlot slot(uint32_t i) const { return {first.first.value + i}; }
};

TEST(SsdSpace, CancelledEndOfARunIsFreeAtOnceAndTheRestStays) {
  TwoRuns runs;
  SsdSpace& space = runs.space;
  space.cancel(runs.slot(7), 3);
  space.check_invariants();
  EXPECT_EQ(space.usage().used_slots, 13u);
  EXPECT_EQ(space.usage().freeing_slots, 0u);
  EXPECT_EQ(space.usage().used_bytes, 13 * (kMiddle + kSsdBlockBytes));
  for (uint32_t i = 0; i < 10; ++i) EXPECT_EQ(space.is_used(runs.slot(i)), i < 7) << i;
  for (uint32_t i = 0; i < 7; ++i) EXPECT_EQ(space.run_start(runs.slot(i)), runs.first.first) << i;
  for (uint32_t i = 10; i < 16; ++i) {
    EXPECT_EQ(space.run_start(runs.slot(i)), runs.second.first) << i;
  }
  // A run that follows takes its place, and is one of its own.
  const SsdRun next = *space.take(kMiddle, 3, runs.slot(6));
  EXPECT_EQ(next.first, runs.slot(7));
  EXPECT_EQ(next.count, 3u);
  EXPECT_EQ(space.run_start(runs.slot(9)), runs.slot(7));
  EXPECT_EQ(space.run_start(runs.slot(6)), runs.first.first);
  space.check_invariants();
}

TEST(SsdSpace, CancelledWholeRunLeavesNothing) {
  TwoRuns runs;
  SsdSpace& space = runs.space;
  space.cancel(runs.first.first, 10);
  space.check_invariants();
  EXPECT_EQ(space.usage().used_slots, 6u);
  EXPECT_EQ(space.usage().freeing_slots, 0u);
  EXPECT_EQ(space.run_start(runs.slot(15)), runs.second.first);
  EXPECT_TRUE(space.claim(runs.first.first, 10, kMiddle).ok());
  space.cancel(runs.first.first, 10);
  // With its last slot the region has no size any more.
  space.cancel(runs.second.first, 6);
  space.check_invariants();
  EXPECT_EQ(space.usage().used_bytes, 0u);
  EXPECT_EQ(space.slot_bytes(0), 0u);
  EXPECT_TRUE(space.add_region(kLarge));
}

TEST(SsdSpace, CancelOfNothingChangesNothing) {
  TwoRuns runs;
  runs.space.cancel(runs.first.first, 0);
  runs.space.cancel(runs.slot(9), 0);
  runs.space.check_invariants();
  EXPECT_EQ(runs.space.usage().used_slots, 16u);
  EXPECT_EQ(runs.space.run_start(runs.slot(9)), runs.first.first);
}

TEST(SsdSpace, Law08_CancelledSlotsBesideFreeingOnesLeaveThoseAlone) {
  TwoRuns runs;
  SsdSpace& space = runs.space;
  for (uint32_t i = 9; i >= 5; --i) space.release(runs.slot(i));
  space.cancel(runs.second.first, 6);
  space.check_invariants();
  EXPECT_EQ(space.usage().freeing_slots, 5u);
  EXPECT_EQ(space.usage().used_slots, 5u);
  EXPECT_EQ(space.run_start(runs.slot(9)), runs.first.first);
  EXPECT_EQ(space.take(kMiddle, 2, runs.slot(4))->first, runs.second.first);
  space.check_invariants();
}

TEST(SsdSpace, ARegionGoesBackToNoSizeWithItsLastSlot) {
  SsdSpace space(kRegionBytes, 1);
  space.add_region(kMiddle);
  const SsdRun run = *space.take(kMiddle, 2);
  space.release({run.first.value + 1});
  space.reclaim({run.first.value + 1});
  space.release(run.first);
  EXPECT_EQ(space.slot_bytes(0), kMiddle);
  EXPECT_FALSE(space.add_region(kLarge));
  space.reclaim(run.first);
  EXPECT_EQ(space.slot_bytes(0), 0u);
  EXPECT_EQ(geometry_of(space, 0).slot_count, 0u);
  EXPECT_FALSE(space.take(kMiddle, 1));
  EXPECT_EQ(space.usage().allocated_bytes, kRegionBytes);
  const auto again = space.add_region(kLarge);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->region, 0u);
  EXPECT_FALSE(again->fresh());
  EXPECT_EQ(space.take(kLarge, 100)->count, 6u);
  space.check_invariants();
}

// A region is made for a size, and by then what wanted it has another one: the codec learns.
TEST(SsdSpace, ARegionThatNobodyTookFromServesAnotherSize) {
  SsdSpace space(kRegionBytes, 1);
  ASSERT_TRUE(space.add_region(kMiddle));
  const auto made = space.add_region(kLarge, false);
  ASSERT_TRUE(made && !made->fresh());
  EXPECT_TRUE(space.take(kLarge, 1));
  EXPECT_FALSE(space.add_region(kMiddle)) << "it is in use";
  space.check_invariants();
}

TEST(SsdSpace, ADroppedRegionIsFreshAgain) {
  SsdSpace space(kRegionBytes, 2);
  ASSERT_TRUE(space.claim(SsdSlot::of(1, 0), 1, kSmall).ok());
  const auto region = space.add_region(kMiddle);
  ASSERT_TRUE(region);
  EXPECT_EQ(region->region, 0u);
  EXPECT_TRUE(region->fresh());
  EXPECT_EQ(space.usage().allocated_bytes, 2 * kRegionBytes);
  space.drop_region(region->region, region->absent);
  EXPECT_EQ(space.usage().allocated_bytes, kRegionBytes);
  EXPECT_FALSE(space.take(kMiddle, 1));
  space.check_invariants();
  EXPECT_TRUE(space.add_region(kMiddle)->fresh());
  // One that went back by itself may be dropped too.
  const SsdRun run = *space.take(kMiddle, 1);
  space.release(run.first);
  space.reclaim(run.first);
  space.drop_region(0, std::vector<uint32_t>{0});
  EXPECT_TRUE(space.add_region(kSmall)->fresh());
  space.check_invariants();
}

TEST(SsdSpace, ARegionWithBlocksIsGivenOutBeforeOneWithout) {
  SsdSpace space(kRegionBytes, 4);
  ASSERT_TRUE(space.claim(SsdSlot::of(0, 0), 1, kSmall).ok());
  ASSERT_TRUE(space.claim(SsdSlot::of(2, 0), 1, kSmall).ok());
  space.release(SsdSlot::of(2, 0));
  space.reclaim(SsdSlot::of(2, 0));
  std::vector<std::pair<uint32_t, bool>> given;
  while (const auto region = space.add_region(kLarge)) {
    given.emplace_back(region->region, region->fresh());
  }
  EXPECT_EQ(given, (std::vector<std::pair<uint32_t, bool>>{{2, false}, {1, true}, {3, true}}));
}

// What a refused claim must not change.
struct Picture {
  SsdSpaceUsage usage;
  uint32_t regions;
  std::vector<bool> used;
};

Picture picture_of(const SsdSpace& space) {
  Picture picture{space.usage(), space.stock().count(), {}};
  for (uint32_t region = 0; region < 4; ++region) {
    for (uint32_t index = 0; index < 130; ++index) {
      picture.used.push_back(space.is_used(SsdSlot::of(region, index)));
    }
  }
  return picture;
}

void expect_refused(SsdSpace& space, SsdSlot first, uint32_t count, uint64_t bytes, Errc code) {
  const Picture before = picture_of(space);
  const auto result = space.claim(first, count, bytes);
  EXPECT_EQ(result.code(), code) << first.region() << " " << first.index() << " " << count;
  const Picture after = picture_of(space);
  EXPECT_EQ(before.usage.used_slots, after.usage.used_slots);
  EXPECT_EQ(before.usage.used_bytes, after.usage.used_bytes);
  EXPECT_EQ(before.usage.allocated_bytes, after.usage.allocated_bytes);
  EXPECT_EQ(before.regions, after.regions);
  EXPECT_EQ(before.used, after.used);
  space.check_invariants();
}

TEST(SsdSpace, Law08_ClaimRefusesWhatOverlaps) {
  SsdSpace space(kRegionBytes, 4);
  ASSERT_TRUE(space.claim(SsdSlot::of(1, 60), 8, kSmall).ok());
  for (uint32_t first = 40; first < 90; ++first) {
    for (uint32_t count = 1; count < 40; ++count) {
      if (first + count <= 60 || first >= 68) continue;
      expect_refused(space, SsdSlot::of(1, first), count, kSmall, Errc::kCorrupt);
    }
  }
  EXPECT_TRUE(space.claim(SsdSlot::of(1, 68), 60, kSmall).ok());
  EXPECT_TRUE(space.claim(SsdSlot::of(1, 0), 60, kSmall).ok());
  EXPECT_FALSE(space.take(kSmall, 1));
  EXPECT_EQ(space.run_start(SsdSlot::of(1, 67)), SsdSlot::of(1, 60));
  EXPECT_EQ(space.run_start(SsdSlot::of(1, 68)), SsdSlot::of(1, 68));
  space.check_invariants();
}

TEST(SsdSpace, Law08_ClaimRefusesWhatDoesNotFit) {
  SsdSpace space(kRegionBytes, 4);
  ASSERT_TRUE(space.claim(SsdSlot::of(1, 0), 2, kMiddle).ok());
  expect_refused(space, SsdSlot::of(1, 4), 1, kSmall, Errc::kCorrupt);    // another size
  expect_refused(space, SsdSlot::of(1, 60), 5, kMiddle, Errc::kCorrupt);  // past the last slot
  expect_refused(space, SsdSlot::of(1, 64), 1, kMiddle, Errc::kCorrupt);
  expect_refused(space, SsdSlot::of(1, 63), 0xffff'ffff, kMiddle, Errc::kCorrupt);
  expect_refused(space, SsdSlot::of(1, 5), 0, kMiddle, Errc::kCorrupt);
  expect_refused(space, SsdSlot::of(2, 0), 1, 0, Errc::kCorrupt);        // no size
  expect_refused(space, SsdSlot::of(2, 0), 1, 5000, Errc::kCorrupt);     // not of blocks
  expect_refused(space, SsdSlot::of(2, 0), 1, 1 << 20, Errc::kCorrupt);  // than a region
  expect_refused(space, SsdSlot::of(2, 0), 1, ~0ull << 12, Errc::kCorrupt);
  expect_refused(space, SsdSlot{}, 1, kSmall, Errc::kCorrupt);  // no slot at all
  space.stock().hold(2, true);
  expect_refused(space, SsdSlot::of(2, 0), 1, kSmall, Errc::kCorrupt);  // others hold it
  EXPECT_TRUE(space.claim(SsdSlot::of(1, 63), 1, kMiddle).ok());
  EXPECT_TRUE(space.claim(SsdSlot::of(3, 127), 1, kSmall).ok());
}

TEST(SsdSpace, RegionsBelowAClaimedOneMayTakeAnySize) {
  SsdSpace space(kRegionBytes, 4);
  ASSERT_TRUE(space.claim(SsdSlot::of(3, 0), 1, kSmall).ok());
  EXPECT_EQ(space.stock().count(), 4u);
  std::set<uint32_t> regions;
  while (const auto region = space.add_region(kLarge)) {
    EXPECT_TRUE(region->fresh());
    regions.insert(region->region);
  }
  EXPECT_EQ(regions, (std::set<uint32_t>{0, 1, 2}));
  space.check_invariants();
}

// Law 8: a lower capacity claims all that there is, and gives no region out until enough are gone.
TEST(SsdSpace, Law08_ClaimsBeyondTheCapacityAreTakenAndNothingIsAdded) {
  SsdSpace space(kRegionBytes, 2);
  for (const uint32_t region : {0u, 3u, 7u}) {
    ASSERT_TRUE(space.claim(SsdSlot::of(region, 0), 2, kLarge).ok());
  }
  EXPECT_TRUE(space.is_over_capacity());
  EXPECT_EQ(space.usage().allocated_bytes, 3 * kRegionBytes);
  EXPECT_FALSE(space.add_region(kSmall).has_value());
  EXPECT_FALSE(space.stock().take_surplus().has_value());
  for (const uint32_t slot : {1u, 0u}) space.release(SsdSlot::of(3, slot));
  EXPECT_FALSE(space.is_over_capacity());
  EXPECT_FALSE(space.stock().take_surplus().has_value());  // its record is not gone
  for (const uint32_t slot : {1u, 0u}) space.reclaim(SsdSlot::of(3, slot));
  EXPECT_FALSE(space.add_region(kSmall).has_value());
  ASSERT_EQ(space.stock().take_surplus(), 3u);
  space.check_invariants();
  space.stock().given_back(true);
  EXPECT_EQ(space.usage().allocated_bytes, 2 * kRegionBytes);
  EXPECT_FALSE(space.stock().take_surplus().has_value());
  EXPECT_FALSE(space.add_region(kSmall).has_value());
  space.cancel(SsdSlot::of(7, 0), 2);
  EXPECT_EQ(space.add_region(kSmall)->region, 7u);
  space.check_invariants();
}

TEST(SsdSpace, Law08_NothingIsTakenFromAHeldRegion) {
  SsdSpace space(kRegionBytes, 3);
  space.stock().hold(1, true);
  space.stock().hold(1, true);
  space.stock().hold(4, false);  // of a file that is missing
  EXPECT_EQ(space.usage().allocated_bytes, kRegionBytes);
  EXPECT_EQ(space.usage().held_regions, 2u);
  EXPECT_EQ(space.add_region(kSmall)->region, 0u);
  EXPECT_EQ(space.add_region(kSmall)->region, 2u);
  EXPECT_FALSE(space.add_region(kSmall).has_value());
  space.check_invariants();
  space.stock().let_go(1);
  EXPECT_FALSE(space.add_region(kSmall).has_value());
  space.stock().let_go(1);
  EXPECT_EQ(space.add_region(kSmall)->region, 1u);
  space.stock().let_go(4);
  space.check_invariants();
}

TEST(SsdSpace, OffsetsAre64Bit) {
  constexpr uint64_t kBytes = 64ull << 30;
  constexpr uint64_t kSlot = 5ull << 30;
  SsdSpace space(kBytes, kMaxRegions);
  ASSERT_TRUE(space.claim(SsdSlot::of(kMaxRegions - 1, 10), 2, kSlot).ok());
  const SsdSlot slot = SsdSlot::of(kMaxRegions - 1, 11);
  EXPECT_EQ(geometry_of(space, slot.region()).slot_count, 12u);
  EXPECT_EQ(header_offset(slot), 11 * kSsdBlockBytes);
  EXPECT_EQ(space.data_offset(slot), 12 * kSsdBlockBytes + 11 * kSlot);
  EXPECT_EQ(space.usage().capacity_bytes, kMaxRegions * kBytes);
  EXPECT_EQ(space.usage().used_bytes, 2 * (kSlot + kSsdBlockBytes));
  space.check_invariants();

  SsdSpace small(1ull << 30, 1);  // the most slots a region can have
  ASSERT_TRUE(small.add_region(4096));
  EXPECT_EQ(geometry_of(small, 0).slot_count, kMaxSlotsPerRegion);
  EXPECT_EQ(header_offset(SsdSlot::of(0, 0xffff)), 0xffffull * 4096);
  EXPECT_EQ(small.data_offset(SsdSlot::of(0, 0xffff)), (0x1'0000ull + 0xffff) * 4096);
}

TEST(SsdSpace, SlotsOfARegionNeverMeet) {
  for (uint64_t bytes = 4096; bytes < kRegionBytes; bytes += 4096) {
    SsdSpace space(kRegionBytes, 1);
    ASSERT_TRUE(space.add_region(bytes));
    uint64_t end = geometry_of(space, 0).slot_count * kSsdBlockBytes;
    for (uint32_t i = 0; i < geometry_of(space, 0).slot_count; ++i) {
      ASSERT_GE(space.data_offset(SsdSlot::of(0, i)), end);
      end = space.data_offset(SsdSlot::of(0, i)) + bytes;
    }
    ASSERT_LE(end, kRegionBytes);
  }
}

TEST(SsdSpaceDeathTest, MisuseIsABug) {
  SsdSpace space(kRegionBytes, 1);
  space.add_region(kSmall);
  const SsdSlot slot = space.take(kSmall, 2)->first;
  EXPECT_DEATH(space.reclaim(slot), "check failed");
  EXPECT_DEATH(space.release(SsdSlot::of(0, 5)), "check failed");
  EXPECT_DEATH(space.drop_region(0, std::vector<uint32_t>{0}), "check failed");
  EXPECT_DEATH(space.run_start(SsdSlot::of(0, 2)), "check failed");
  EXPECT_DEATH(space.cancel(slot, 3), "check failed");
  space.release(slot);
  EXPECT_DEATH(space.release(slot), "check failed");
  EXPECT_DEATH(space.cancel(slot, 1), "check failed");
}

// A million slots: 100 regions of 10,000.
constexpr uint64_t kWideRegion = 10'000ull * 2 * 4096;

TEST(SsdSpace, TheTableIsThreeBitsASlot) {
  SsdSpace space(kWideRegion, 100);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(space.add_region(4096));
  const uint64_t bits = space.table_bytes() * 8;
  EXPECT_GE(bits, 3'000'000u);
  EXPECT_LE(bits, 3'300'000u);
}

// Of this thread's own: what others take of the core does not count.
double seconds_of(const std::function<void()>& work) {
  const auto used = [] {
    timespec time{};
    QUIRE_CHECK(::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
  };
  const double start = used();
  work();
  return used() - start;
}

// Twice the slots may take twice the time and some, not four times: the least of a few tries is
// compared, so that a busy machine does not matter.
TEST(SsdSpace, TimePerSlotDoesNotGrowWithSlots) {
  const auto churn = [](uint32_t regions) {
    SsdSpace space(kWideRegion, regions);
    for (uint32_t region = 0; region < regions; ++region) {
      for (uint32_t i = 0; i < 10'000; i += 8) {
        ASSERT_TRUE(space.claim(SsdSlot::of(region, i), 8, 4096).ok());
      }
    }
    std::mt19937_64 random(3);
    for (uint32_t i = 0; i < regions * 1000; ++i) {
      const SsdSlot slot = SsdSlot::of(random() % regions, random() % 1250 * 8 + 7);
      if (!space.is_used(slot)) continue;
      space.release(slot);
      space.reclaim(slot);
      ASSERT_TRUE(space.take(4096, 1));
    }
  };
  double small = 1e9;
  double large = 1e9;
  for (int i = 0; i < 5; ++i) {
    small = std::min(small, seconds_of([&] { churn(10); }));
    large = std::min(large, seconds_of([&] { churn(100); }));
  }
  RecordProperty("seconds_for_1e6_slots", std::to_string(large));
  EXPECT_LT(large, 10 * small * 5);
}

}  // namespace
}  // namespace quire::tiering::ssd_space_test
