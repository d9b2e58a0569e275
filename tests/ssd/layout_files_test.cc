// Layouts that outlive their daemon.
#include "tiering/disk/layout_files.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "model/chain_hash.h"
#include "tests/ssd/scratch_directory.h"

namespace quire::tiering::layout_files_test {
namespace {

using model::Errc;

class LayoutFilesTest : public testing::Test {
 protected:
  LayoutFilesTest() { layout_.groups.push_back({.name = "global", .page_bytes = 4096}); }
  model::Result<void> open(LayoutFiles& files, bool read_only = false) const {
    return files.open(directory_.get(), scratch_.path(), read_only);
  }
  void make_place() { std::filesystem::create_directory(scratch_ / "layouts"); }
  std::string path_of_only() const {
    return std::filesystem::directory_iterator(scratch_ / "layouts")->path();
  }

  tests::ScratchDirectory scratch_{tests::memory_directory()};
  model::FdGuard directory_{::open(scratch_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  model::Layout layout_{.name = "small", .unit_tokens = 4, .block_tokens = 4};
  const model::Hash256 digest() const { return model::sha256(model::encode(layout_)); }
};

TEST_F(LayoutFilesTest, WhatIsStoredIsLoadedByItsDigest) {
  make_place();
  LayoutFiles files;
  ASSERT_TRUE(open(files).ok());
  EXPECT_EQ(files.load(digest()).code(), Errc::kNotFound);
  ASSERT_TRUE(files.store(digest(), layout_).ok());
  ASSERT_TRUE(files.store(digest(), layout_).ok()) << "twice";
  EXPECT_EQ(files.load(digest()).value().name, "small");
  EXPECT_EQ(files.list(), std::vector<model::Hash256>{digest()});
}

TEST_F(LayoutFilesTest, ADigestOfAnotherLayoutIsRefused) {
  make_place();
  LayoutFiles files;
  ASSERT_TRUE(open(files).ok());
  EXPECT_EQ(files.store(model::Hash256{}, layout_).code(), Errc::kInvalidArgument);
  EXPECT_TRUE(files.list().empty());
}

TEST_F(LayoutFilesTest, DamageIsCorruptUntilItIsStoredAgain) {
  make_place();
  LayoutFiles files;
  ASSERT_TRUE(open(files).ok());
  ASSERT_TRUE(files.store(digest(), layout_).ok());
  tests::write_bytes(path_of_only(), tests::read_bytes(path_of_only()) + "x");
  EXPECT_EQ(files.load(digest()).code(), Errc::kCorrupt);
  ASSERT_TRUE(files.store(digest(), layout_).ok());
  EXPECT_TRUE(files.load(digest()).ok());
}

// Upper case would be a second file of the same layout.
TEST_F(LayoutFilesTest, OtherNamesAreNoLayouts) {
  make_place();
  LayoutFiles files;
  ASSERT_TRUE(open(files).ok());
  for (const std::string& name : {std::string(64, 'A'), std::string(63, '0'), std::string("x")}) {
    tests::write_bytes(scratch_ / ("layouts/" + name), "x");
  }
  EXPECT_TRUE(files.list().empty());
}

TEST_F(LayoutFilesTest, ReadOnlyStoresNothingAndFindsNoneWhereNoneWereMade) {
  LayoutFiles files;
  ASSERT_TRUE(open(files, true).ok());
  EXPECT_EQ(files.load(digest()).code(), Errc::kNotFound);
  EXPECT_TRUE(files.list().empty());
  EXPECT_EQ(open(files).code(), Errc::kIoError) << "who writes has made their place";
  make_place();
  ASSERT_TRUE(open(files, true).ok());
  EXPECT_EQ(files.store(digest(), layout_).code(), Errc::kUnsupportedVersion);
  EXPECT_TRUE(std::filesystem::is_empty(scratch_ / "layouts"));
}

TEST_F(LayoutFilesTest, SomethingElseInTheirPlaceIsNamed) {
  tests::write_bytes(scratch_ / "layouts", "x");
  LayoutFiles files;
  const auto opened = open(files);
  ASSERT_EQ(opened.code(), Errc::kCorrupt);
  EXPECT_NE(opened.error().text.find("/layouts is not a directory"), std::string::npos);
}

}  // namespace
}  // namespace quire::tiering::layout_files_test
