#include "server/shared_region.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

namespace quire::server {
namespace {

uint64_t allocated_bytes(const SharedRegion& region) {
  struct stat file {};
  EXPECT_EQ(::fstat(region.client_fd(), &file), 0);
  return static_cast<uint64_t>(file.st_blocks) * 512;
}

// The largest is 32 MiB: allocated at once it would keep everybody waiting.
TEST(SharedRegion, Law06_IsAllocatedInStepsThatCostTheSame) {
  constexpr uint64_t kBytes = 1 << 20;  // below a huge page, so that each step shows
  constexpr uint64_t kStep = 256 << 10;
  auto region = SharedRegion::create(kBytes, ClientAccess::kReadOnly, Allocation::kInSteps);
  ASSERT_TRUE(region.ok());
  EXPECT_EQ(allocated_bytes(*region), 0u);
  for (uint64_t done = kStep; done < kBytes; done += kStep) {
    const auto more = region->allocate_step(kStep);
    ASSERT_TRUE(more.ok());
    EXPECT_FALSE(*more);
    EXPECT_EQ(allocated_bytes(*region), done);
  }
  ASSERT_TRUE(region->allocate_step(kStep).ok());
  EXPECT_EQ(allocated_bytes(*region), kBytes);
  EXPECT_TRUE(*region->allocate_step(kStep)) << "and nothing is left to do";
}

TEST(SharedRegion, IsAllocatedInFullAtOnceWhereItIsSmall) {
  auto region = SharedRegion::create(10000, ClientAccess::kReadOnly);
  ASSERT_TRUE(region.ok());
  EXPECT_EQ(allocated_bytes(*region), 12288u);
}

}  // namespace
}  // namespace quire::server
