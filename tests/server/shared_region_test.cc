#include "server/rings/shared_region.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace quire::server::shared_region_test {
namespace {

uint64_t allocated_bytes(const SharedRegion& region) {
  struct stat file {};
  EXPECT_EQ(::fstat(region.client_fd(), &file), 0);
  return static_cast<uint64_t>(file.st_blocks) * 512;
}

// The largest is 32 MiB: allocated by the core it would keep everybody waiting.
TEST(SharedRegion, Law06_MemoryOfWhatMayBeLargeIsMadeElsewhere) {
  constexpr uint64_t kBytes = 8 << 20;
  auto region = SharedRegion::create(kBytes, ClientAccess::kReadOnly, Allocation::kElsewhere);
  ASSERT_TRUE(region.ok());
  EXPECT_EQ(allocated_bytes(*region), 0u);
  *region->data() = std::byte{1};  // the core writes a header before the rest is there
  EXPECT_EQ(allocated_bytes(*region), 4096u);
  const model::FdGuard file = region->take_unallocated();
  ASSERT_EQ(::fallocate(file.get(), 0, 0, kBytes), 0);
  EXPECT_EQ(allocated_bytes(*region), kBytes);
  EXPECT_EQ(*region->data(), std::byte{1});
  EXPECT_FALSE(region->take_unallocated().valid()) << "only one may write besides the mapping";
}

TEST(SharedRegion, IsAllocatedInFullAtOnceWhereItIsSmall) {
  auto region = SharedRegion::create(10000, ClientAccess::kReadOnly);
  ASSERT_TRUE(region.ok());
  EXPECT_EQ(allocated_bytes(*region), 12288u);
}

}  // namespace
}  // namespace quire::server::shared_region_test
