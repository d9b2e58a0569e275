// Descriptors and names of data files. Their names' durability is tests/ssd/ssd_directory_test.cc.
#include "tiering/disk/data_files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/ssd/scratch_directory.h"
#include "tiering/disk/ssd_format.h"

namespace quire::tiering::data_files_test {
namespace {

using model::Errc;

class DataFilesTest : public testing::Test {
 protected:
  DataFiles files(bool read_only) const {
    return DataFiles(
        {.directory = directory_.get(), .path = scratch_.path(), .read_only = read_only});
  }
  static bool takes_writes(int fd) { return (::fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR; }

  tests::ScratchDirectory scratch_{tests::memory_directory()};
  model::FdGuard directory_{::open(scratch_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
};

TEST_F(DataFilesTest, AFileIsMadeOnceAndOpenedOnce) {
  DataFiles all = files(false);
  EXPECT_EQ(all.open(3, false).code(), Errc::kNotFound);
  const int fd = all.open(3, true).value();
  EXPECT_EQ(all.open(3, true).value(), fd);
  EXPECT_EQ(all.open(3, false).value(), fd);
  EXPECT_TRUE(std::filesystem::exists(scratch_ / "data.000003"));
}

TEST_F(DataFilesTest, NumbersAreListedInOrderAndNamesThatAreNoneLeftOut) {
  DataFiles all = files(false);
  for (const uint32_t number : {10u, 2u, kMaxRegions - 1}) ASSERT_TRUE(all.open(number, true).ok());
  for (const char* name : {"data.0000001", "data.00001x", "data.", "data.099999", "superblock"}) {
    tests::write_bytes(scratch_ / name, "x");
  }
  EXPECT_EQ(all.list().value(), (std::vector<uint32_t>{2, 10, kMaxRegions - 1}));
  EXPECT_EQ(all.open(kMaxRegions, true).code(), Errc::kInvalidArgument);
}

TEST_F(DataFilesTest, WhatIsNoFileIsNamed) {
  std::filesystem::create_directory(scratch_ / "data.000001");
  const auto listed = files(false).list();
  ASSERT_EQ(listed.code(), Errc::kCorrupt);
  EXPECT_NE(listed.error().text.find("data.000001"), std::string::npos);
  EXPECT_EQ(files(false).open(1, false).code(), Errc::kCorrupt);
}

TEST_F(DataFilesTest, ReadOnlyMakesNothingUntilWritesAreAllowed) {
  ASSERT_TRUE(files(false).open(0, true).ok());
  DataFiles all = files(true);
  EXPECT_EQ(all.open(1, true).code(), Errc::kNotFound);
  EXPECT_FALSE(takes_writes(all.open(0, true).value()));
  all.allow_writes();
  EXPECT_FALSE(takes_writes(all.open(0, true).value())) << "it is open";
  EXPECT_TRUE(takes_writes(all.reopen(0).value()));
  EXPECT_TRUE(takes_writes(all.open(0, true).value()));
  EXPECT_TRUE(all.open(1, true).ok());
}

TEST_F(DataFilesTest, AFileThatCannotBeReopenedStaysReadable) {
  DataFiles all = files(false);
  const int fd = all.open(0, true).value();
  std::filesystem::remove(scratch_ / "data.000000");
  EXPECT_EQ(all.reopen(0).code(), Errc::kNotFound);
  EXPECT_EQ(all.open(0, false).value(), fd);
  EXPECT_NE(::fcntl(fd, F_GETFD), -1);
}

TEST_F(DataFilesTest, SizesAreThoseOfTheFileAndHolesHaveNoBlocks) {
  DataFiles all = files(false);
  const int fd = all.open(5, true).value();
  ASSERT_EQ(::ftruncate(fd, 1 << 20), 0);
  ASSERT_EQ(::pwrite(fd, "x", 1, 0), 1);
  EXPECT_EQ(all.bytes(5), 1u << 20);
  EXPECT_GT(all.blocks(5), 0u);
  EXPECT_LT(all.blocks(5), 1u << 20);
  EXPECT_EQ(all.bytes(6), 0u);
  EXPECT_EQ(all.blocks(6), 0u);
  EXPECT_EQ(all.bytes(UINT32_MAX), 0u);
}

TEST_F(DataFilesTest, ANamelessFileLeavesNoName) {
  const auto before = tests::contents_of(scratch_.path());
  const auto file = files(true).nameless();
  ASSERT_TRUE(file.ok()) << file.error().text;
  EXPECT_TRUE(takes_writes(file->get()));
  EXPECT_EQ(tests::contents_of(scratch_.path()), before);
}

}  // namespace
}  // namespace quire::tiering::data_files_test
