// Places of runs at a start. Whole starts with runs that cannot be served: ssd_keep_test.cc.
#include "tiering/restore/run_keeper.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/ssd/manifest_rig.h"
#include "tests/ssd/mover_rig.h"

namespace quire::tiering::run_keeper_test {
namespace {

using model::Errc;
using tests::MoverRig;

constexpr uint64_t kSlotBytes = MoverRig::kObjectBytes;

class RunKeeperTest : public testing::Test {
 protected:
  // Spans in the slots of a region from `slot` on.
  static RunRecord run_at(uint32_t region, uint32_t slot, uint32_t count) {
    RunRecord run = tests::make_run(1, 2 + 2 * slot + 100 * region, count);
    run.key.slot = SsdSlot::of(region, slot);
    return run;
  }
  // Of the four regions of a file.
  void make_file(uint32_t number, uint64_t regions) {
    const int fd = directory().data_files().open(number, true).value();
    QUIRE_CHECK(::ftruncate(fd, static_cast<off_t>(regions * MoverRig::kRegionBytes)) == 0);
  }
  SsdDirectory& directory() { return *rig_.contents().directory(); }
  const KeptCount& kept(KeptReason reason) {
    return rig_.contents().kept()->counts()[static_cast<size_t>(reason)];
  }

  MoverRig rig_;
  RunKeeper keeper_{{.directory = rig_.contents().directory(),
                     .space = &rig_.space(),
                     .roots = rig_.contents().roots(),
                     .kept = rig_.contents().kept()}};
};

TEST_F(RunKeeperTest, Law08_TwoRunsNeverHaveOneSlot) {
  make_file(0, 4);
  ASSERT_TRUE(keeper_.claim(run_at(1, 0, 3), kSlotBytes).ok());
  ASSERT_TRUE(keeper_.claim(run_at(1, 3, 3), kSlotBytes).ok());
  const auto claimed = keeper_.claim(run_at(1, 5, 2), kSlotBytes);
  ASSERT_EQ(claimed.code(), Errc::kCorrupt);
  EXPECT_NE(claimed.error().text.find("quirectl rebuild"), std::string::npos);
  EXPECT_EQ(keeper_.keep(run_at(1, 2, 1), kSlotBytes, KeptReason::kMisfit).code(), Errc::kCorrupt);
}

TEST_F(RunKeeperTest, DataEndsWithItsFile) {
  make_file(0, 2);
  EXPECT_TRUE(keeper_.has_data(run_at(1, 0, 1)));
  EXPECT_FALSE(keeper_.has_data(run_at(2, 0, 1)));
  EXPECT_FALSE(keeper_.has_data(run_at(4, 0, 1))) << "another file";
  RunRecord large = run_at(0, 0, 1);
  large.more = {1, 2};
  EXPECT_FALSE(keeper_.has_data(large)) << "a part of it is missing";
}

TEST_F(RunKeeperTest, WhatIsKeptIsCountedAndNamesItsSpans) {
  make_file(0, 4);
  const RunRecord run = run_at(1, 0, 3);
  ASSERT_TRUE(keeper_.keep(run, kSlotBytes, KeptReason::kTablesFull).ok());
  ASSERT_TRUE(keeper_.finish().ok());
  EXPECT_EQ(kept(KeptReason::kTablesFull).objects, 3u);
  EXPECT_EQ(rig_.space().usage().used_slots, 3u);
  for (const model::Hash256& key : run.keys) {
    EXPECT_EQ(keeper_.reason_of(key), KeptReason::kTablesFull);
  }
  EXPECT_FALSE(keeper_.reason_of(run.parent_key));
}

TEST_F(RunKeeperTest, ARunOfUnknownSizeTakesThatOfItsRegion) {
  make_file(0, 4);
  ASSERT_TRUE(keeper_.keep(run_at(1, 4, 2), 0, KeptReason::kNoLayout).ok());
  EXPECT_EQ(rig_.space().usage().used_slots, 0u) << "others may tell";
  ASSERT_TRUE(keeper_.claim(run_at(1, 0, 3), kSlotBytes).ok());
  ASSERT_TRUE(keeper_.finish().ok());
  EXPECT_EQ(rig_.space().usage().used_slots, 5u);
}

TEST_F(RunKeeperTest, WhereNobodyTellsTheSizeTheRegionIsHeld) {
  make_file(0, 4);
  ASSERT_TRUE(keeper_.keep(run_at(1, 0, 2), 0, KeptReason::kNoLayout).ok());
  ASSERT_TRUE(keeper_.finish().ok());
  EXPECT_TRUE(rig_.space().stock().is_held(1));
  EXPECT_FALSE(rig_.space().stock().is_held(2));
}

// Made anew it would pass for damaged.
TEST_F(RunKeeperTest, Law08_AllThatIsMissingOfAFileIsHeld) {
  make_file(0, 2);
  ASSERT_TRUE(keeper_.keep(run_at(2, 0, 1), kSlotBytes, KeptReason::kNoData).ok());
  ASSERT_TRUE(keeper_.finish().ok());
  EXPECT_FALSE(rig_.space().stock().is_held(1)) << "it is there";
  EXPECT_TRUE(rig_.space().stock().is_held(2));
  EXPECT_TRUE(rig_.space().stock().is_held(3));
}

}  // namespace
}  // namespace quire::tiering::run_keeper_test
