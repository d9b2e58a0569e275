// Which of two copies is believed. What a directory does with it: tests/ssd/ssd_directory_test.cc.
#include "tiering/disk/superblocks.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "model/fd_guard.h"
#include "tests/ssd/directory_rig.h"
#include "tests/ssd/scratch_directory.h"

namespace quire::tiering::superblocks_test {
namespace {

using model::Errc;

Superblock block_of(uint64_t start_count, uint8_t instance = 1) {
  Superblock block;
  block.region_bytes = 1 << 20;
  block.regions_per_file = 4;
  block.start_count = start_count;
  block.instance[0] = instance;
  seal(block);
  return block;
}

class SuperblocksTest : public testing::Test {
 protected:
  void write_copy(size_t copy, const Superblock& block) {
    tests::write_superblock(scratch_ / Superblocks::kNames[copy], block);
  }
  void damage_copy(size_t copy) {
    const std::string path = scratch_ / Superblocks::kNames[copy];
    std::string bytes = tests::read_bytes(path);
    bytes[100] = static_cast<char>(bytes[100] ^ 1);
    tests::write_bytes(path, bytes);
  }
  // Start count of the one that is believed.
  uint64_t believed() { return superblocks_.read().value().start_count; }

  tests::ScratchDirectory scratch_{tests::memory_directory()};
  model::FdGuard directory_{::open(scratch_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  Superblocks superblocks_{directory_.get(), scratch_.path()};
};

TEST_F(SuperblocksTest, WhatIsWrittenIsReadOfEitherCopy) {
  EXPECT_EQ(superblocks_.read().code(), Errc::kNotFound);
  ASSERT_TRUE(superblocks_.write(block_of(7)).ok());
  for (const char* name : Superblocks::kNames) {
    EXPECT_EQ(tests::read_bytes(scratch_ / name).size(), sizeof(Superblock)) << name;
  }
  EXPECT_EQ(believed(), 7u);
  EXPECT_EQ(superblocks_.damage(), "");
}

TEST_F(SuperblocksTest, TheLaterOfTwoGoodCopiesIsBelieved) {
  write_copy(0, block_of(7));
  write_copy(1, block_of(8));
  EXPECT_EQ(believed(), 8u) << "a kill between the two";
  write_copy(1, block_of(6));
  EXPECT_EQ(believed(), 7u);
  EXPECT_EQ(superblocks_.damage(), "") << "late is no damage";
}

TEST_F(SuperblocksTest, OfTwoInstancesTheFirstIsBelieved) {
  write_copy(0, block_of(2, 1));
  write_copy(1, block_of(9, 2));
  EXPECT_EQ(believed(), 2u);
}

TEST_F(SuperblocksTest, ADamagedCopyIsNamedAndTheOtherBelieved) {
  for (const size_t bad : {0u, 1u}) {
    ASSERT_TRUE(superblocks_.write(block_of(7)).ok());
    damage_copy(bad);
    EXPECT_EQ(believed(), 7u);
    EXPECT_NE(superblocks_.damage().find(scratch_ / Superblocks::kNames[bad]), std::string::npos)
        << superblocks_.damage();
  }
}

TEST_F(SuperblocksTest, OneCopyOfAnEarlierVersionIsNoDamage) {
  write_copy(0, block_of(7));
  EXPECT_EQ(believed(), 7u);
  EXPECT_EQ(superblocks_.damage(), "");
}

TEST_F(SuperblocksTest, WithoutAGoodCopyNothingIsBelieved) {
  ASSERT_TRUE(superblocks_.write(block_of(7)).ok());
  damage_copy(0);
  damage_copy(1);
  EXPECT_EQ(superblocks_.read().code(), Errc::kCorrupt);
  std::filesystem::remove(scratch_ / Superblocks::kNames[0]);
  EXPECT_EQ(superblocks_.read().code(), Errc::kCorrupt) << "not as if there had been none";
}

// A good copy of ours beside it is no reason to write over what a later daemon wrote.
TEST_F(SuperblocksTest, Law14_OneCopyOfALaterDaemonIsEnough) {
  Superblock later = block_of(9);
  later.incompatible = ~kKnownIncompatible;
  for (const size_t copy : {0u, 1u}) {
    ASSERT_TRUE(superblocks_.write(block_of(7)).ok());
    write_copy(copy, later);
    EXPECT_EQ(superblocks_.read().code(), Errc::kUnsupportedVersion) << copy;
  }
}

TEST_F(SuperblocksTest, SizesAreCheckedAlsoOfAWholeCopy) {
  Superblock block = block_of(7);
  block.region_bytes = (1 << 20) + 1;
  write_copy(0, block);
  EXPECT_EQ(superblocks_.read().code(), Errc::kCorrupt);
}

}  // namespace
}  // namespace quire::tiering::superblocks_test
