#include "tiering/io/byte_plane_codec.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace quire::tiering::byte_plane_codec_test {
namespace {

using Bytes = std::vector<std::byte>;

constexpr std::array<uint8_t, 4> kElements = {1, 2, 4, 8};

enum class Kind { kRandom, kConstant, kBf16, kFp8, kFloat };
constexpr std::array kKinds = {Kind::kRandom, Kind::kConstant, Kind::kBf16, Kind::kFp8,
                               Kind::kFloat};

// Sign, 4 bits of exponent, 3 of mantissa; cut, not rounded.
uint8_t fp8_of(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const int exponent = std::clamp(static_cast<int>(bits >> 23 & 0xff) - 127 + 7, 0, 15);
  return static_cast<uint8_t>(bits >> 24 & 0x80) | static_cast<uint8_t>(exponent << 3) |
         static_cast<uint8_t>(bits >> 20 & 7);
}

Bytes make_data(Kind kind, size_t bytes, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal(0, 1);
  Bytes data(bytes, std::byte{0x5a});
  for (size_t i = 0; i < bytes && kind != Kind::kConstant;) {
    uint32_t bits = static_cast<uint32_t>(random());
    size_t width = 1;
    if (kind == Kind::kBf16) {
      bits = std::bit_cast<uint32_t>(normal(random)) >> 16;
      width = 2;
    } else if (kind == Kind::kFp8) {
      bits = fp8_of(normal(random));
    } else if (kind == Kind::kFloat) {
      bits = std::bit_cast<uint32_t>(normal(random));
      width = 4;
    }
    for (size_t byte = 0; byte < width && i < bytes; ++byte, ++i) {
      data[i] = static_cast<std::byte>(bits >> 8 * byte);
    }
  }
  return data;
}

// A copy that ends where its allocation ends: a sanitizer sees every step over it.
class Exact {
 public:
  explicit Exact(size_t bytes) : data_(new std::byte[bytes]()), bytes_(bytes) {}
  explicit Exact(std::span<const std::byte> from) : Exact(from.size()) {
    std::copy(from.begin(), from.end(), data_.get());
  }
  std::span<std::byte> span() { return {data_.get(), bytes_}; }

 private:
  std::unique_ptr<std::byte[]> data_;
  size_t bytes_;
};

Bytes encoded(std::span<const std::byte> plain, uint8_t element_bytes) {
  Exact stored(byte_plane_bound(plain.size()));
  const uint64_t bytes = byte_plane_encode(plain, element_bytes, stored.span());
  EXPECT_EQ(bytes == 0, plain.empty());
  EXPECT_LE(bytes, byte_plane_bound(plain.size()));
  return {stored.span().begin(), stored.span().begin() + static_cast<ptrdiff_t>(bytes)};
}

model::Result<void> decode(std::span<const std::byte> stored, uint8_t element_bytes,
                           size_t plain_bytes, Bytes* plain = nullptr) {
  Exact from(stored);
  Exact to(plain_bytes);
  auto result = byte_plane_decode(from.span(), element_bytes, to.span());
  if (plain != nullptr) plain->assign(to.span().begin(), to.span().end());
  return result;
}

void expect_round_trip(const Bytes& plain, uint8_t element_bytes) {
  const Bytes stored = encoded(plain, element_bytes);
  Bytes back;
  const auto result = decode(stored, element_bytes, plain.size(), &back);
  ASSERT_TRUE(result.ok()) << result.error().text;
  ASSERT_EQ(back, plain) << plain.size() << " bytes, elements of " << int{element_bytes};
}

TEST(BytePlaneCodec, RoundTripOfEverySizeAroundABlock) {
  for (const Kind kind : kKinds) {
    for (const uint8_t element : kElements) {
      for (const size_t middle : {kCodecBlockBytes, 2 * kCodecBlockBytes}) {
        const Bytes plain = make_data(kind, middle + 20, middle);
        for (size_t bytes = middle - 20; bytes <= middle + 20; bytes += element == 8 ? 1 : 4) {
          expect_round_trip({plain.begin(), plain.begin() + static_cast<ptrdiff_t>(bytes)},
                            element);
        }
      }
    }
  }
}

TEST(BytePlaneCodec, RoundTripOfEverySmallSize) {
  for (const Kind kind : kKinds) {
    for (const uint8_t element : kElements) {
      for (size_t bytes = 1; bytes < 300; ++bytes) {
        expect_round_trip(make_data(kind, bytes, bytes), element);
      }
    }
  }
}

TEST(BytePlaneCodec, RoundTripOfPages) {
  for (const Kind kind : kKinds) {
    for (const uint8_t element : kElements) {
      for (const size_t bytes : {size_t{584 * 64}, size_t{500'003}}) {
        expect_round_trip(make_data(kind, bytes, 9), element);
      }
    }
  }
}

// The stored form is a format: another reader must see the planes where the header says.
TEST(BytePlaneCodec, ByteIOfEachElementIsInPlaneI) {
  for (const uint8_t element : kElements) {
    constexpr size_t kCount = 1000;
    Bytes plain(kCount * element + (element - 1));
    Bytes planes = plain;
    for (size_t i = 0; i < plain.size(); ++i) {
      const size_t place = i < kCount * element ? i % element * kCount + i / element : i;
      planes[place] = plain[i] = static_cast<std::byte>(i / element * (i % element + 3) >> 4);
    }
    // Elements of one byte are stored as they come: what split made, lz4 makes the same of.
    EXPECT_EQ(encoded(plain, element), encoded(planes, 1)) << int{element};
  }
}

TEST(BytePlaneCodec, PlainBlocksCostTheirLengthOnly) {
  const Bytes plain = make_data(Kind::kRandom, 3 * kCodecBlockBytes + 17, 1);
  const Bytes stored = encoded(plain, 2);
  EXPECT_EQ(stored.size(), plain.size() + 4 * 4);
  EXPECT_EQ(stored.size(), byte_plane_bound(plain.size()));
  EXPECT_EQ(stored[0], std::byte{0});
  EXPECT_EQ(stored[2], std::byte{1});
  EXPECT_EQ(stored[3], std::byte{0x80});
  EXPECT_TRUE(std::equal(stored.begin() + 4, stored.begin() + 4 + kCodecBlockBytes, plain.begin()));
}

TEST(BytePlaneCodec, WhatRepeatsShrinks) {
  const Bytes constant(1 << 20, std::byte{7});
  EXPECT_LT(encoded(constant, 2).size(), constant.size() / 100);
  const Bytes bf16 = make_data(Kind::kBf16, 1 << 20, 2);
  EXPECT_LT(encoded(bf16, 2).size(), bf16.size() * 95 / 100);
  EXPECT_LT(encoded(bf16, 2).size(), encoded(bf16, 1).size());
}

TEST(BytePlaneCodec, EncodesIntoExactlyWhatItNeedsAndNoLess) {
  for (const Kind kind : kKinds) {
    for (const size_t bytes : {size_t{1}, size_t{700}, size_t{9000}}) {
      const Bytes plain = make_data(kind, bytes, 4);
      const Bytes stored = encoded(plain, 2);
      for (size_t room = 0; room <= stored.size() + 1; room += room + 60 < stored.size() ? 53 : 1) {
        Exact target(room);
        const uint64_t written = byte_plane_encode(plain, 2, target.span());
        if (room < stored.size()) {
          ASSERT_EQ(written, 0u) << room << " of " << stored.size();
        } else {
          ASSERT_EQ(written, stored.size());
        }
      }
    }
  }
}

TEST(BytePlaneCodec, NothingIsEncodedAsNothing) {
  EXPECT_EQ(encoded({}, 2).size(), 0u);
  EXPECT_TRUE(decode({}, 2, 0).ok());
  EXPECT_EQ(decode(Bytes(1), 2, 0).code(), model::Errc::kCorrupt);
}

TEST(BytePlaneCodec, BoundsAre64Bit) {
  EXPECT_EQ(byte_plane_bound(0), 0u);
  EXPECT_EQ(byte_plane_bound(1), 5u);
  EXPECT_EQ(byte_plane_bound(kCodecBlockBytes), kCodecBlockBytes + 4);
  EXPECT_EQ(byte_plane_bound(8ull << 30), (8ull << 30) + 4 * (8ull << 14));
}

TEST(BytePlaneCodec, AnUnknownElementIsCorrupt) {
  const Bytes stored = encoded(Bytes(100), 2);
  for (const int element : {0, 3, 5, 7, 16, 255}) {
    EXPECT_EQ(decode(stored, static_cast<uint8_t>(element), 100).code(), model::Errc::kCorrupt);
  }
}

TEST(BytePlaneCodec, AnotherLengthIsCorrupt) {
  for (const Kind kind : kKinds) {
    for (const size_t bytes : {size_t{100}, kCodecBlockBytes, 2 * kCodecBlockBytes + 5}) {
      const Bytes stored = encoded(make_data(kind, bytes, 5), 2);
      for (const size_t other :
           {size_t{0}, size_t{1}, bytes - 1, bytes + 1, 2 * bytes, bytes + kCodecBlockBytes}) {
        EXPECT_EQ(decode(stored, 2, other).code(), model::Errc::kCorrupt) << bytes << " " << other;
      }
    }
  }
}

TEST(BytePlaneCodec, EveryTruncationIsCorrupt) {
  for (const Kind kind : kKinds) {
    const Bytes stored = encoded(make_data(kind, kCodecBlockBytes + 300, 6), 4);
    for (size_t bytes = 0; bytes < stored.size(); bytes += bytes < 64 ? 1 : 601) {
      ASSERT_EQ(decode(std::span(stored).first(bytes), 4, kCodecBlockBytes + 300).code(),
                model::Errc::kCorrupt);
    }
    Bytes longer = stored;
    longer.push_back(std::byte{0});
    EXPECT_EQ(decode(longer, 4, kCodecBlockBytes + 300).code(), model::Errc::kCorrupt);
  }
}

// lz4 carries no checksum: a flip may decode to other bytes, which the page's CRC32C catches, but
// never to another number of them, and nothing outside is touched (sanitizers watch).
TEST(BytePlaneCodec, FlippedBitsStayInside) {
  for (const Kind kind : kKinds) {
    for (const uint8_t element : kElements) {
      const Bytes plain = make_data(kind, 700, 7);
      Bytes stored = encoded(plain, element);
      uint64_t refused = 0;
      for (size_t bit = 0; bit < stored.size() * 8; ++bit) {
        stored[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
        const auto result = decode(stored, element, plain.size());
        ASSERT_TRUE(result.ok() || result.code() == model::Errc::kCorrupt);
        refused += result.ok() ? 0 : 1;
        stored[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
      }
      EXPECT_GE(refused, 32u);  // at least every flip of the length
    }
  }
}

TEST(BytePlaneCodec, RandomInputStaysInside) {
  std::mt19937_64 random(8);
  for (int i = 0; i < 20'000; ++i) {
    const size_t bytes = random() % 400;
    Bytes stored = make_data(random() % 4 == 0 ? Kind::kFp8 : Kind::kRandom, bytes, random());
    const size_t plain_bytes = random() % 2000;
    if (bytes > 4 && random() % 4 != 0) {  // a length that leads into lz4
      const auto inside = static_cast<uint32_t>(bytes - 4 - (random() % 8 == 0 ? 1 : 0));
      for (size_t k = 0; k < 4; ++k) stored[k] = static_cast<std::byte>(inside >> 8 * k);
    }
    const auto result = decode(stored, kElements[random() % 4], plain_bytes);
    ASSERT_TRUE(result.ok() || result.code() == model::Errc::kCorrupt);
  }
}

// One form only for each block, so that no reader depends on what an encoder never writes.
TEST(BytePlaneCodec, ACompressedBlockThatIsNotSmallerIsCorrupt) {
  Bytes stored(4 + 1 + 10, std::byte{7});  // a token and 10 literals
  stored[0] = std::byte{11};
  stored[1] = stored[2] = stored[3] = std::byte{0};
  stored[4] = std::byte{0xa0};
  EXPECT_EQ(decode(stored, 1, 10).code(), model::Errc::kCorrupt);
}

TEST(BytePlaneCodec, AMatchFromBeforeTheBlockIsCorrupt) {
  // 1 literal, a match of 4 + 15 + 20 bytes from so far back, 5 literals.
  for (const uint8_t back : {uint8_t{1}, uint8_t{2}, uint8_t{200}}) {
    const std::vector<uint8_t> bytes = {11, 0, 0, 0, 0x1f, 0xaa, back, 0, 20, 0x50, 1, 2, 3, 4, 5};
    Bytes stored;
    for (const uint8_t byte : bytes) stored.push_back(std::byte{byte});
    EXPECT_EQ(decode(stored, 2, 45).ok(), back == 1) << int{back};
  }
}

TEST(CodecSampler, LearnsFromOnePageInSo) {
  CodecSampler sampler({.sample_every = 8});
  EXPECT_EQ(sampler.observed(), 0u);
  for (int i = 0; i < 80; ++i) {
    if (!sampler.should_try()) continue;
    EXPECT_TRUE(i < 4 || i % 8 == 0) << i;
    sampler.observe(1000, 950);
  }
  EXPECT_EQ(sampler.observed(), kSamplesToEnter + 9);
  EXPECT_FALSE(sampler.worthwhile());
  EXPECT_NEAR(sampler.ratio(), 0.95, 1e-9);
}

TEST(CodecSampler, PaysOnceEnoughPagesSaySo) {
  CodecSampler sampler({.sample_every = 8});
  EXPECT_EQ(sampler.ratio(), 1.0);
  for (uint32_t i = 1; i <= kSamplesToEnter; ++i) {
    EXPECT_FALSE(sampler.worthwhile());
    sampler.observe(1000, 500);
  }
  EXPECT_TRUE(sampler.worthwhile());
}

TEST(CodecSampler, EntersBelowOneRatioAndLeavesAboveAnother) {
  CodecSampler sampler({.worth_ratio = 0.8, .leave_ratio = 0.9});
  for (int i = 0; i < 200; ++i) sampler.observe(1000, 850);
  EXPECT_FALSE(sampler.worthwhile());
  for (int i = 0; i < 200; ++i) sampler.observe(1000, 790);
  EXPECT_TRUE(sampler.worthwhile());
  for (int i = 0; i < 200; ++i) sampler.observe(1000, 850);
  EXPECT_TRUE(sampler.worthwhile());
  for (int i = 0; i < 200; ++i) sampler.observe(1000, 910);
  EXPECT_FALSE(sampler.worthwhile());
}

TEST(CodecSampler, WhatDidNotFitCountsAsOne) {
  CodecSampler sampler({});
  for (int i = 0; i < 10; ++i) sampler.observe(1000, 500);
  EXPECT_TRUE(sampler.worthwhile());
  for (int i = 0; i < 60; ++i) sampler.observe(1000, 0);
  EXPECT_FALSE(sampler.worthwhile());
  EXPECT_NEAR(sampler.ratio(), 1.0, 0.001);
}

TEST(CodecSampler, OneOddPageDoesNotDecide) {
  CodecSampler sampler({});
  for (int i = 0; i < 100; ++i) sampler.observe(1000, 600);
  sampler.observe(1000, 0);
  EXPECT_TRUE(sampler.worthwhile());
  sampler.observe(0, 0);
  EXPECT_TRUE(sampler.worthwhile());
}

}  // namespace
}  // namespace quire::tiering::byte_plane_codec_test
