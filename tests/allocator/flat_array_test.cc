#include "allocator/flat_array.h"

#include <gtest/gtest.h>

#include <utility>

namespace quire::allocator::flat_array_test {
namespace {

TEST(FlatArray, ReservesMoreThanTheMachineHasAndHoldsNothing) {
  auto array = FlatArray<uint64_t>::reserve(size_t{1} << 35);  // 256 GiB
  ASSERT_TRUE(array.ok());
  EXPECT_EQ(array->max_count(), size_t{1} << 35);
  EXPECT_EQ((*array)[array->max_count() - 1], 0u);
}

TEST(FlatArray, CountsTheMemoryOfWhatIsUsedInWholePages) {
  constexpr size_t kHuge = size_t{2} << 20;
  const auto huge = FlatArray<uint64_t>::reserve(size_t{1} << 24);  // 128 MiB
  ASSERT_TRUE(huge.ok());
  EXPECT_EQ(huge->held_bytes(0), 0u);
  EXPECT_EQ(huge->held_bytes(1), kHuge);
  EXPECT_EQ(huge->held_bytes(kHuge / 8), kHuge);
  EXPECT_EQ(huge->held_bytes(kHuge / 8 + 1), 2 * kHuge);
  const auto small = FlatArray<uint64_t>::reserve(1000, ReservedMemory::Pages::kSmall);
  ASSERT_TRUE(small.ok());
  EXPECT_EQ(small->held_bytes(1), 4096u);
  EXPECT_EQ(small->held_bytes(1000), 8000u) << "no more than was reserved";
}

TEST(FlatArray, ElementsStartAsZeroAndKeepWhatIsWritten) {
  auto array = FlatArray<uint64_t>::reserve(size_t{1} << 24);
  ASSERT_TRUE(array.ok());
  (*array)[5] = 7;
  EXPECT_EQ((*array)[5], 7u);
  EXPECT_EQ((*array)[6], 0u);
}

TEST(FlatArray, MoveKeepsElementsInPlace) {
  auto reserved = FlatArray<uint32_t>::reserve(1000);
  ASSERT_TRUE(reserved.ok());
  FlatArray<uint32_t> first = std::move(reserved).value();
  first[999] = 3;
  const uint32_t* const place = first.data();
  FlatArray<uint32_t> second;
  second = std::move(first);
  EXPECT_EQ(second.data(), place);
  EXPECT_EQ(second[999], 3u);
}

TEST(FlatArray, EmptyReservationIsFine) {
  auto array = FlatArray<uint32_t>::reserve(0);
  ASSERT_TRUE(array.ok());
  EXPECT_EQ(array->held_bytes(0), 0u);
}

TEST(ReservedMemory, AddressSpaceShortageIsAnError) {
  EXPECT_EQ(ReservedMemory::reserve(size_t{1} << 60).code(), model::Errc::kResourceExhausted);
}

}  // namespace
}  // namespace quire::allocator::flat_array_test
