#include "tiering/transfer/bounce_buffers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

namespace quire::tiering::bounce_buffers_test {
namespace {

constexpr uint64_t kKiB = 1024;
constexpr uint64_t kLimit = 64 * kKiB;

TEST(BounceBuffers, BoundHoldsForWhatIsInUse) {
  BounceBuffers buffers;
  std::byte* first = buffers.take(32 * kKiB, kLimit);
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(buffers.take(36 * kKiB, kLimit), nullptr);
  std::byte* second = buffers.take(32 * kKiB, kLimit);
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(buffers.take(4 * kKiB, kLimit), nullptr);
  EXPECT_EQ(buffers.held_bytes(), kLimit);
  buffers.give_back(first);
  // A lower bound counts what others use.
  EXPECT_EQ(buffers.take(4 * kKiB, 32 * kKiB), nullptr);
  EXPECT_EQ(buffers.take(32 * kKiB, kLimit), first);
  EXPECT_EQ(buffers.held_bytes(), kLimit);
}

TEST(BounceBuffers, FirstOneMayBeOfAnySize) {
  BounceBuffers buffers;
  std::byte* large = buffers.take(3 * kLimit, kLimit);
  ASSERT_NE(large, nullptr);
  EXPECT_EQ(buffers.held_bytes(), 3 * kLimit);
  EXPECT_EQ(buffers.take(4 * kKiB, kLimit), nullptr);
  buffers.give_back(large);
  EXPECT_EQ(buffers.take(3 * kLimit, kLimit), large);
}

TEST(BounceBuffers, SmallestThatFitsIsUsedAgain) {
  BounceBuffers buffers;
  std::byte* of_8 = buffers.take(8 * kKiB, kLimit);
  std::byte* of_32 = buffers.take(32 * kKiB, kLimit);
  std::byte* of_16 = buffers.take(16 * kKiB, kLimit);
  for (std::byte* buffer : {of_32, of_8, of_16}) buffers.give_back(buffer);
  EXPECT_EQ(buffers.take(12 * kKiB, kLimit), of_16);
  EXPECT_EQ(buffers.take(4 * kKiB, kLimit), of_8);
  EXPECT_EQ(buffers.take(8 * kKiB, kLimit), of_32);
  EXPECT_EQ(buffers.held_bytes(), 56 * kKiB);
}

// A buffer is in use whole: one of 32 KiB for 4 would be over the bound, and makes room for one
// of its size.
TEST(BounceBuffers, LargerOneThatIsOverTheBoundIsNotUsed) {
  constexpr uint64_t kLess = 36 * kKiB;
  BounceBuffers buffers;
  buffers.give_back(buffers.take(32 * kKiB, kLess));
  std::byte* of_32 = buffers.take(8 * kKiB, kLess);  // nothing is in use: any will do
  buffers.give_back(of_32);
  std::byte* first = buffers.take(4 * kKiB, kLess);
  EXPECT_EQ(first, of_32);
  buffers.give_back(first);
  BounceBuffers other;
  std::byte* of_8 = other.take(8 * kKiB, kLimit);
  other.give_back(other.take(32 * kKiB, kLimit));
  EXPECT_EQ(other.held_bytes(), 40 * kKiB);
  std::byte* of_4 = other.take(4 * kKiB, kLess);
  ASSERT_NE(of_4, nullptr);
  EXPECT_EQ(other.held_bytes(), 12 * kKiB);
  other.give_back(of_4);
  other.give_back(of_8);
}

TEST(BounceBuffers, FreeOnesGoForANewSize) {
  BounceBuffers buffers;
  std::byte* used = buffers.take(4 * kKiB, kLimit);
  std::vector<std::byte*> free;
  for (int i = 0; i < 5; ++i) free.push_back(buffers.take(12 * kKiB, kLimit));
  for (std::byte* buffer : free) buffers.give_back(buffer);
  EXPECT_EQ(buffers.held_bytes(), kLimit);
  std::memset(used, 0x5a, 4 * kKiB);
  std::byte* large = buffers.take(60 * kKiB, kLimit);
  ASSERT_NE(large, nullptr);
  EXPECT_EQ(buffers.held_bytes(), kLimit);
  std::memset(large, 0, 60 * kKiB);
  for (size_t i = 0; i < 4 * kKiB; ++i) ASSERT_EQ(used[i], std::byte{0x5a});
  buffers.give_back(used);
}

// What is in use never overlaps, keeps its bytes, and is counted.
TEST(BounceBuffers, Law10_AnyOrderOfTakingAndGivingBackStaysWithinTheBound) {
  struct InUse {
    std::byte* data;
    uint64_t bytes;
    uint8_t mark;
  };
  std::mt19937_64 random(3);
  BounceBuffers buffers;
  std::vector<InUse> in_use;
  uint64_t asked = 0;
  uint64_t refused = 0;
  for (int step = 0; step < 3'000; ++step) {
    if (in_use.empty() || random() % 2 == 0) {
      const uint64_t bytes = (1 + random() % 8) * 4096;
      std::byte* data = buffers.take(bytes, kLimit);
      if (data == nullptr) {
        ASSERT_FALSE(in_use.empty());
        ++refused;
      } else {
        EXPECT_EQ(reinterpret_cast<uintptr_t>(data) % 4096, 0u);
        const auto mark = static_cast<uint8_t>(step);
        std::memset(data, mark, bytes);
        in_use.push_back({data, bytes, mark});
        asked += bytes;
      }
    } else {
      const size_t at = random() % in_use.size();
      const InUse one = in_use[at];
      for (uint64_t i = 0; i < one.bytes; i += 512) {
        ASSERT_EQ(one.data[i], static_cast<std::byte>(one.mark));
      }
      buffers.give_back(one.data);
      asked -= one.bytes;
      in_use.erase(in_use.begin() + static_cast<ptrdiff_t>(at));
    }
    ASSERT_LE(asked, kLimit);
    ASSERT_GE(buffers.held_bytes(), asked);
    ASSERT_LE(buffers.held_bytes(), kLimit);
  }
  EXPECT_GT(refused, 100u);
  for (const InUse& one : in_use) buffers.give_back(one.data);
  EXPECT_NE(buffers.take(kLimit, kLimit), nullptr);
  EXPECT_EQ(buffers.held_bytes(), kLimit);
}

}  // namespace
}  // namespace quire::tiering::bounce_buffers_test
