// What a start makes of a directory before anything is moved. What becomes of runs of the manifest
// is tests/ssd/ssd_keep_test.cc and ssd_recovery_test.cc.
#include "tiering/ssd/ssd_contents.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <memory>

#include "tests/ssd/scratch_directory.h"
#include "tests/support/faulty_file_system.h"
#include "tests/tiering/tier_rig.h"
#include "tiering/io/thread_engine.h"

namespace quire::tiering::ssd_contents_test {
namespace {

using model::Errc;

constexpr uint64_t kRegionBytes = 1 << 20;

class SsdContentsTest : public testing::Test {
 protected:
  SsdContentsTest() { file_system_.skip_device_syncs(); }
  model::Result<std::unique_ptr<SsdContents>> open(uint64_t capacity_bytes = 8 * kRegionBytes) {
    SsdContentsOptions options;
    options.directory = {.path = path_, .region_bytes = kRegionBytes, .regions_per_file = 2};
    options.capacity_bytes = capacity_bytes;
    options.manifest_env = file_system_.env();
    options.manifest_on_caller = true;
    health_ = SsdHealth(SsdHealthOptions{});
    return SsdContents::open(
        {.cache = &rig_.cache(), .engine = engine_.get(), .health = &health_, .clock = &rig_.clock},
        options);
  }
  std::unique_ptr<SsdContents> start() {
    auto contents = open().value();
    QUIRE_CHECK(contents->restore().ok());
    return contents;
  }

  tests::TierRig rig_;
  tests::ScratchDirectory scratch_{tests::memory_directory()};
  const std::string path_ = scratch_ / "ssd";
  tests::FaultyFileSystem file_system_;
  std::unique_ptr<IoEngine> engine_ =
      ThreadEngine::create({.queue_depth = 8, .max_files = 8}).value();
  SsdHealth health_{SsdHealthOptions{}};
};

TEST_F(SsdContentsTest, ANewDirectoryIsEmptyAndTakesWrites) {
  const auto contents = start();
  EXPECT_TRUE(health_.may_write());
  EXPECT_FALSE(contents->waits_for_writes());
  EXPECT_EQ(contents->restored().runs, 0u);
  EXPECT_EQ(contents->space()->usage().capacity_bytes, 8 * kRegionBytes);
  EXPECT_TRUE(contents->make_writable().ok()) << "it is";
}

TEST_F(SsdContentsTest, TooSmallACapacityMakesNothing) {
  EXPECT_EQ(open(2 * kRegionBytes - 1).code(), Errc::kInvalidArgument);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(SsdContentsTest, NoTwoStartsShareAGeneration) {
  const uint64_t first = start()->first_generation();
  const uint64_t second = start()->first_generation();
  EXPECT_EQ(second - first, uint64_t{1} << 40);
}

TEST_F(SsdContentsTest, ASecondTierIsRefused) {
  const auto contents = start();
  EXPECT_EQ(open().code(), Errc::kBusy);
}

// A manifest made anew would have everything in its files written over.
TEST_F(SsdContentsTest, Law08_DataWithoutAManifestIsNoNewDirectory) {
  ASSERT_TRUE(start()->directory()->data_files().open(0, true).ok());
  std::filesystem::remove_all(path_ + "/manifest");
  const auto contents = open();
  ASSERT_EQ(contents.code(), Errc::kCorrupt);
  EXPECT_NE(contents.error().text.find("quirectl rebuild"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(path_ + "/manifest/CURRENT"));
}

TEST_F(SsdContentsTest, Law09_WhatCannotBeWrittenToIsReadUntilItCan) {
  start();
  file_system_.fail_change(1, ENOSPC, true);
  const auto contents = start();
  EXPECT_TRUE(contents->waits_for_writes());
  EXPECT_TRUE(health_.may_read());
  EXPECT_FALSE(health_.may_write());
  EXPECT_FALSE(contents->make_writable().ok());
  EXPECT_TRUE(contents->waits_for_writes()) << "as it was";
  file_system_.lift();
  ASSERT_TRUE(contents->make_writable().ok());
  EXPECT_FALSE(contents->waits_for_writes());
  ManifestBatch batch;
  batch.put_epoch("domain", "name", 1);
  ASSERT_TRUE(contents->manifest()->submit(std::move(batch)));
  EXPECT_TRUE(contents->manifest()->poll().at(0).result.ok());
}

TEST_F(SsdContentsTest, Law09_AManifestThatFailedGoesOn) {
  const auto contents = start();
  const auto write = [&](uint64_t epoch) {
    ManifestBatch batch;
    batch.put_epoch("domain", "name", epoch);
    QUIRE_CHECK(contents->manifest()->submit(std::move(batch)));
    return contents->manifest()->poll().at(0).result.ok();
  };
  file_system_.fail_change(1, EIO, true);
  EXPECT_FALSE(write(1));
  EXPECT_FALSE(contents->waits_for_writes()) << "this start was counted";
  file_system_.lift();
  EXPECT_FALSE(write(2)) << "nothing overtakes what failed";
  ASSERT_TRUE(contents->make_writable().ok());
  EXPECT_TRUE(write(3));
}

}  // namespace
}  // namespace quire::tiering::ssd_contents_test
