#include "tiering/io/crc_copy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string_view>
#include <vector>

#include "tiering/io/crc_copy_kernels.h"

namespace quire::tiering::crc_copy_test {
namespace {

constexpr std::byte kGuard{0xa5};

// RFC 3720 by its definition: one bit at a time.
uint32_t bitwise_crc32c(const std::byte* data, size_t bytes) {
  uint32_t state = ~0u;
  for (size_t i = 0; i < bytes; ++i) {
    state ^= std::to_integer<uint32_t>(data[i]);
    for (int bit = 0; bit < 8; ++bit) state = state >> 1 ^ (state & 1 ? 0x82f63b78u : 0);
  }
  return ~state;
}

std::vector<std::byte> random_bytes(size_t bytes) {
  std::mt19937_64 random(bytes);
  std::vector<std::byte> data(bytes);
  for (std::byte& byte : data) byte = static_cast<std::byte>(random());
  return data;
}

// Copies source[offset, offset + bytes) to a target at `target_offset` and checks what lies around.
void check_copy(const std::vector<std::byte>& source, size_t source_offset, size_t target_offset,
                size_t bytes) {
  std::vector<std::byte> target(bytes + target_offset + 128, kGuard);
  const std::byte* from = source.data() + source_offset;
  std::byte* to = target.data() + target_offset;
  ASSERT_EQ(crc_copy(to, from, bytes), bitwise_crc32c(from, bytes)) << bytes;
  ASSERT_TRUE(std::equal(from, from + bytes, to)) << bytes;
  for (size_t i = 0; i < target.size(); ++i) {
    if (i >= target_offset && i < target_offset + bytes) continue;
    ASSERT_EQ(target[i], kGuard) << bytes << " wrote at " << i;
  }
}

TEST(Crc32c, KnownVectors) {
  const std::string_view digits = "123456789";
  EXPECT_EQ(crc32c(reinterpret_cast<const std::byte*>(digits.data()), digits.size()), 0xE3069283);
  const std::vector<std::byte> zeros(32);
  EXPECT_EQ(crc32c(zeros.data(), zeros.size()), 0x8A9136AA);
  const std::vector<std::byte> ones(32, std::byte{0xff});
  EXPECT_EQ(crc32c(ones.data(), ones.size()), 0x62A8AB43);
  EXPECT_EQ(crc32c(nullptr, 0), 0u);
}

TEST(Crc32c, AgreesWithTheDefinitionAtEverySizeAndAlignment) {
  const std::vector<std::byte> data = random_bytes(1200);
  for (size_t bytes = 0; bytes <= 1100; ++bytes) {
    const size_t offset = bytes % 67;
    ASSERT_EQ(crc32c(data.data() + offset, bytes), bitwise_crc32c(data.data() + offset, bytes));
  }
}

TEST(CrcCopy, EverySmallSizeAtChangingAlignments) {
  const std::vector<std::byte> source = random_bytes(1300);
  for (size_t bytes = 0; bytes <= 1100; ++bytes) check_copy(source, bytes % 67, bytes % 61, bytes);
}

TEST(CrcCopy, EveryAlignmentOfSourceAndTargetWhenStreaming) {
  const std::vector<std::byte> source = random_bytes(20'000);
  for (size_t offset = 0; offset < 64; ++offset) {
    check_copy(source, offset, 0, 17'000);
    check_copy(source, 0, offset, 17'000 + offset);
    check_copy(source, offset, 63 - offset, 16'384);
  }
}

TEST(CrcCopy, SizesAroundThePieces) {
  const std::vector<std::byte> source = random_bytes((1 << 20) + 200);
  for (const size_t base : {16u << 10, 20u << 10, 64u << 10, 1u << 20}) {
    for (const size_t more : {-65, -64, -1, 0, 1, 63, 64, 65})
      check_copy(source, 3, 5, base + more);
  }
}

TEST(CrcCopy, EveryKernelOfThisMachineCopiesTheSameBytes) {
  constexpr size_t kBytes = 64 * 129;
  const std::vector<std::byte> source = random_bytes(kBytes + 64);
  for (const StreamKernel& kernel : stream_kernels()) {
    for (size_t offset = 0; offset < 64; offset += 7) {
      alignas(64) static std::byte target[kBytes + 64];
      std::memset(target, 0xa5, sizeof(target));
      kernel.copy(target, source.data() + offset, kBytes);
      stream_fence();
      EXPECT_EQ(std::memcmp(target, source.data() + offset, kBytes), 0) << kernel.name;
      EXPECT_EQ(target[kBytes], kGuard) << kernel.name;
      kernel.copy(target, source.data(), 0);
    }
  }
}

TEST(CrcCopy, Law04_EveryFlippedBitChangesTheChecksum) {
  std::vector<std::byte> data = random_bytes(4096);
  const uint32_t sealed = crc32c(data.data(), data.size());
  for (size_t bit = 0; bit < data.size() * 8; bit += 5) {
    const std::byte flip{static_cast<unsigned char>(1u << bit % 8)};
    data[bit / 8] ^= flip;
    ASSERT_NE(crc32c(data.data(), data.size()), sealed) << bit;
    data[bit / 8] ^= flip;
  }
}

}  // namespace
}  // namespace quire::tiering::crc_copy_test
