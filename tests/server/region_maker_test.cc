#include "server/runtime/region_maker.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <thread>
#include <vector>

#include "tests/support/patience.h"

namespace quire::server::region_maker_test {
namespace {

using model::FdGuard;

constexpr uint64_t kBytes = 1 << 20;

FdGuard memory_file() {
  FdGuard fd(::memfd_create("maker-test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(::ftruncate(fd.get(), kBytes), 0);
  EXPECT_EQ(::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_GROW), 0);  // as a session's
  return fd;
}

struct Made {
  uint64_t id = 0;
  bool made = false;
};

std::vector<Made> collected(RegionMaker& maker, size_t count) {
  std::vector<Made> all;
  const auto start = std::chrono::steady_clock::now();
  while (all.size() < count && std::chrono::steady_clock::now() - start < tests::kPatience) {
    maker.collect([&](uint64_t id, bool made) { all.push_back({id, made}); });
    std::this_thread::yield();
  }
  return all;
}

TEST(RegionMaker, AllocatesTheWholeFile) {
  auto maker = RegionMaker::create();
  ASSERT_TRUE(maker.ok());
  FdGuard file = memory_file();
  maker->make(FdGuard(::dup(file.get())), kBytes, 1, 5);
  const auto all = collected(*maker, 1);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].id, 5u);
  EXPECT_TRUE(all[0].made);
  struct stat made {};
  ASSERT_EQ(::fstat(file.get(), &made), 0);
  EXPECT_EQ(static_cast<uint64_t>(made.st_blocks) * 512, kBytes);
}

TEST(RegionMaker, TellsWhatCannotBeMade) {
  auto maker = RegionMaker::create();
  ASSERT_TRUE(maker.ok());
  maker->make(memory_file(), 2 * kBytes, 1, 5);  // a sealed file does not grow
  const auto all = collected(*maker, 1);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_FALSE(all[0].made);
}

TEST(RegionMaker, Law06_UserWithManyRequestsWaitsForItsOwn) {
  auto maker = RegionMaker::create();
  ASSERT_TRUE(maker.ok());
  for (uint64_t id = 1; id <= 20; ++id) maker->make(memory_file(), kBytes, 1, id);
  maker->make(memory_file(), kBytes, 2, 100);
  const auto all = collected(*maker, 21);
  ASSERT_EQ(all.size(), 21u);
  // One of the other's was under way, and one had its turn before.
  EXPECT_TRUE(all[1].id == 100 || all[2].id == 100);
}

TEST(RegionMaker, WhatIsForgottenIsNotMade) {
  auto maker = RegionMaker::create();
  ASSERT_TRUE(maker.ok());
  FdGuard file = memory_file();
  maker->make(memory_file(), kBytes, 1, 1);  // the thread is at this one
  maker->make(FdGuard(::dup(file.get())), kBytes, 1, 2);
  maker->make(memory_file(), kBytes, 2, 3);
  maker->forget(2);
  const auto all = collected(*maker, 2);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].id, 1u);
  EXPECT_EQ(all[1].id, 3u);
  struct stat untouched {};
  ASSERT_EQ(::fstat(file.get(), &untouched), 0);
  EXPECT_EQ(untouched.st_blocks, 0);
}

}  // namespace
}  // namespace quire::server::region_maker_test
