// Who may have a directory. Other processes and their deaths: tests/ssd/ssd_directory_test.cc; here
// two descriptors of one process, which open file description locks tell apart.
#include "tiering/disk/directory_lock.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/ssd/scratch_directory.h"

namespace quire::tiering::directory_lock_test {
namespace {

using model::Errc;

class DirectoryLockTest : public testing::Test {
 protected:
  LockPlace place(bool has_superblock = true) const {
    return {directory_.get(), scratch_.path(), has_superblock};
  }

  tests::ScratchDirectory scratch_{tests::memory_directory()};
  model::FdGuard directory_{::open(scratch_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
};

TEST_F(DirectoryLockTest, OneHasItUntilItGoes) {
  {
    DirectoryLock first;
    ASSERT_TRUE(first.take(place()).ok());
    ASSERT_TRUE(first.write_pid(scratch_.path()).ok());
    const auto second = DirectoryLock().take(place());
    ASSERT_EQ(second.code(), Errc::kBusy);
    EXPECT_NE(second.error().text.find("pid " + std::to_string(::getpid())), std::string::npos)
        << second.error().text;
    EXPECT_EQ(DirectoryLock().take_to_look(place()).code(), Errc::kBusy);
  }
  EXPECT_TRUE(DirectoryLock().take(place()).ok());
}

TEST_F(DirectoryLockTest, WhoHasItIsNotInItsOwnWay) {
  DirectoryLock lock;
  ASSERT_TRUE(lock.take_to_look(place()).ok());
  ASSERT_TRUE(lock.take(place()).ok());
  EXPECT_TRUE(lock.take(place()).ok());
  EXPECT_EQ(DirectoryLock().take(place()).code(), Errc::kBusy);
}

TEST_F(DirectoryLockTest, LookingMakesNoFileAndTakesOneThatIsThere) {
  DirectoryLock looking;
  ASSERT_TRUE(looking.take_to_look(place()).ok());
  EXPECT_FALSE(looking.has_file());
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "lock"));
  ASSERT_TRUE(DirectoryLock().take(place()).ok());
  ASSERT_TRUE(looking.take_to_look(place()).ok());
  EXPECT_TRUE(looking.has_file());
  EXPECT_EQ(DirectoryLock().take(place()).code(), Errc::kBusy) << "nobody writes meanwhile";
}

TEST_F(DirectoryLockTest, WhatIsSomebodyElsesIsLeftAlone) {
  for (const std::string& text :
       std::vector<std::string>{"a note\n", "12", "12 \n", "123456789012\n", "-1\n"}) {
    tests::write_bytes(scratch_ / "lock", text);
    EXPECT_EQ(DirectoryLock().take(place()).code(), Errc::kInvalidArgument) << text;
    EXPECT_EQ(tests::read_bytes(scratch_ / "lock"), text);
  }
}

// Beside no superblock anybody could have written a number.
TEST_F(DirectoryLockTest, APidIsOursBesideASuperblockOnly) {
  tests::write_bytes(scratch_ / "lock", "4242\n");
  EXPECT_EQ(DirectoryLock().take(place(false)).code(), Errc::kInvalidArgument);
  EXPECT_TRUE(DirectoryLock().take(place(true)).ok());
  tests::write_bytes(scratch_ / "lock", "");
  EXPECT_TRUE(DirectoryLock().take(place(false)).ok());
}

TEST_F(DirectoryLockTest, AShorterPidLeavesNothingOfALongerOne) {
  tests::write_bytes(scratch_ / "lock", "1234567890\n");
  DirectoryLock lock;
  ASSERT_TRUE(lock.take(place()).ok());
  ASSERT_TRUE(lock.write_pid(scratch_.path()).ok());
  EXPECT_EQ(tests::read_bytes(scratch_ / "lock"), std::to_string(::getpid()) + "\n");
}

}  // namespace
}  // namespace quire::tiering::directory_lock_test
