// An SSD directory that is not there, as it is for a tier that waits until it can be made.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/ssd/directory_rig.h"
#include "tests/ssd/scratch_directory.h"
#include "tests/support/io_rig.h"
#include "tests/support/small_layout.h"
#include "tiering/disk/ssd_directory.h"

namespace quire::tiering::unmade_directory_test {
namespace {

namespace fs = std::filesystem;
using model::Errc;
using tests::make_at;
using tests::open_at;
using tests::Opened;
using tests::ScratchDirectory;
using tests::superblock_at;
using tests::write_bytes;

Opened wait_at(const std::string& path) {
  return SsdDirectory::open(
      {.path = path, .region_bytes = 2ull << 20, .look_only = true, .make_later = true});
}

// Everything that its users do works as in one that open() made.
void expect_in_use(SsdDirectory& directory) {
  EXPECT_FALSE(directory.is_unmade());
  EXPECT_FALSE(directory.read_only());
  EXPECT_TRUE(directory.data_files().open(0, true).ok());
  EXPECT_TRUE(directory.sync_names().ok());
  const model::Layout layout = tests::small_append_layout();
  EXPECT_TRUE(directory.layouts().store(model::layout_digest(layout), layout).ok());
  EXPECT_EQ(open_at(directory.path()).code(), Errc::kBusy) << "it holds the lock";
}

}  // namespace

TEST(UnmadeDirectory, IsEmptyAndNothingOfItIsMadeBeforeItMayBe) {
  const ScratchDirectory scratch;
  const Opened directory = wait_at(scratch / "ssd");
  ASSERT_TRUE(directory.ok()) << directory.error().text;
  EXPECT_TRUE((*directory)->is_unmade());
  EXPECT_TRUE((*directory)->read_only());
  EXPECT_TRUE((*directory)->data_files().list()->empty());
  EXPECT_EQ((*directory)->superblock().region_bytes, 2u << 20);
  EXPECT_FALSE((*directory)->data_files().open(0, true).ok());
  EXPECT_TRUE((*directory)->check_manifest().ok());
  EXPECT_TRUE(fs::is_empty(scratch.path()));
}

TEST(UnmadeDirectory, IsMadeWithTheInstanceThatItHadBefore) {
  const ScratchDirectory scratch;
  const Opened directory = wait_at(scratch / "ssd");
  ASSERT_TRUE(directory.ok()) << directory.error().text;
  const auto instance = (*directory)->superblock().instance;
  ASSERT_TRUE((*directory)->make_writable().ok());
  expect_in_use(**directory);
  const Superblock block = superblock_at(scratch / "ssd");
  EXPECT_EQ(block.instance, instance);
  EXPECT_EQ(block.region_bytes, 2u << 20);
  EXPECT_EQ(block.start_count, 1u);
}

TEST(UnmadeDirectory, ProbedFolderIsFilledAndTheFirstAttemptGoesOnInTheSecond) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "ssd";
  const Opened directory = wait_at(path);
  ASSERT_TRUE(directory.ok()) << directory.error().text;
  ASSERT_TRUE((*directory)->make_folder().ok());
  EXPECT_TRUE((*directory)->data_files().nameless().ok());
  // The superblock's place is taken, so the attempt ends behind its second copy.
  fs::create_directory(path + "/superblock.new");
  EXPECT_FALSE((*directory)->make_writable().ok());
  EXPECT_TRUE((*directory)->is_unmade());
  EXPECT_TRUE(fs::exists(path + "/superblock.2"));
  fs::remove(path + "/superblock.new");
  ASSERT_TRUE((*directory)->make_writable().ok());
  expect_in_use(**directory);
}

TEST(UnmadeDirectory, OfAnotherDaemonIsLeftAlone) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "ssd";
  const Opened directory = wait_at(path);
  ASSERT_TRUE(directory.ok()) << directory.error().text;
  {
    const Opened other = open_at(path);
    ASSERT_TRUE(other.ok());
    EXPECT_EQ((*directory)->make_writable().code(), Errc::kBusy) << "it is at work";
  }
  const auto before = tests::contents_of(path);
  const auto refused = (*directory)->make_writable();
  EXPECT_EQ(refused.code(), Errc::kBusy) << "it has gone, and what it wrote is not ours";
  EXPECT_NE(refused.error().text.find("by another daemon"), std::string::npos);
  EXPECT_TRUE((*directory)->is_unmade());
  EXPECT_EQ(tests::contents_of(path), before);
}

TEST(UnmadeDirectory, WhatIsThereIsOpenedAsItIs) {
  const ScratchDirectory scratch;
  make_at(scratch / "ssd");
  {
    const Opened directory = wait_at(scratch / "ssd");
    ASSERT_TRUE(directory.ok()) << directory.error().text;
    EXPECT_FALSE((*directory)->is_unmade());
    EXPECT_EQ((*directory)->superblock().start_count, 1u);
  }
  fs::remove(scratch / "ssd/superblock");
  fs::remove(scratch / "ssd/superblock.2");
  write_bytes(scratch / "ssd/data.000000", "content");
  EXPECT_EQ(wait_at(scratch / "ssd").code(), Errc::kCorrupt) << "data is no empty directory";
}

}  // namespace quire::tiering::unmade_directory_test
