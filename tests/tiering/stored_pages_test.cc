#include "tiering/disk/stored_pages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include "tiering/io/byte_plane_codec.h"
#include "tiering/io/crc_copy.h"

namespace quire::tiering::stored_pages_test {
namespace {

using Bytes = std::vector<std::byte>;

constexpr auto kNone = static_cast<uint8_t>(CodecId::kNone);
constexpr auto kPlanes = static_cast<uint8_t>(CodecId::kLz4Planes);
constexpr std::byte kTenant{0xff};  // what an earlier user of a slot left

enum class Content { kRandom, kLikeBf16, kConstant };

Bytes make_bytes(Content content, size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  Bytes bytes(count, std::byte{0x41});
  for (size_t i = 0; i < count; ++i) {
    if (content == Content::kConstant) break;
    if (content == Content::kRandom || i % 2 == 0) bytes[i] = static_cast<std::byte>(random());
  }
  return bytes;
}

// Memory that ends where it ends: a sanitizer sees every step over it.
class Exact {
 public:
  explicit Exact(size_t bytes, std::byte fill = kTenant)
      : data_(new std::byte[bytes]), bytes_(bytes) {
    std::fill_n(data_.get(), bytes, fill);
  }
  explicit Exact(std::span<const std::byte> from) : Exact(from.size()) {
    std::copy(from.begin(), from.end(), data_.get());
  }
  std::span<std::byte> span() { return {data_.get(), bytes_}; }

 private:
  std::unique_ptr<std::byte[]> data_;
  size_t bytes_;
};

struct Page {
  size_t bytes = 0;
  Content content = Content::kRandom;
  uint8_t element_bytes = 0;  // asked for
};

// An object, and what became of its pages.
struct Object {
  std::vector<Exact> plain;
  std::vector<uint64_t> plain_bytes;
  std::vector<CopyPage> pages;
  std::vector<StoredPage> stored;

  explicit Object(const std::vector<Page>& made) {
    for (size_t p = 0; p < made.size(); ++p) {
      plain.emplace_back(make_bytes(made[p].content, made[p].bytes, p + made[p].bytes));
      plain_bytes.push_back(made[p].bytes);
      pages.push_back({.source = plain.back().span().data(), .bytes = made[p].bytes});
      stored.push_back({.group = static_cast<uint8_t>(7 + p),
                        .tail = static_cast<uint8_t>(p % 2),
                        .element_bytes = made[p].element_bytes});
    }
  }
  uint64_t whole_bytes() const {
    uint64_t bytes = 0;
    for (const uint64_t page : plain_bytes) bytes += whole_blocks(page);
    return bytes;
  }
};

struct Decoded {
  bool ok = false;
  std::vector<Exact> plain;
  std::vector<uint32_t> crc32c;
};

Decoded decode(const std::vector<uint64_t>& plain_bytes, std::span<const StoredPage> stored,
               std::span<const std::byte> slot) {
  Decoded decoded;
  std::vector<CopyPage> pages;
  for (const uint64_t bytes : plain_bytes) {
    decoded.plain.emplace_back(bytes);
    pages.push_back({.target = decoded.plain.back().span().data(), .bytes = bytes});
  }
  decoded.ok = decode_pages(pages, stored, slot);
  for (const CopyPage& page : pages) decoded.crc32c.push_back(page.crc32c);
  return decoded;
}

// What a load asks of an object before it is served.
bool is_served(const std::vector<uint64_t>& plain_bytes, std::span<const StoredPage> stored,
               std::span<const std::byte> slot) {
  const Decoded decoded = decode(plain_bytes, stored, slot);
  bool served = decoded.ok;
  for (size_t p = 0; p < stored.size() && served; ++p) {
    served = decoded.crc32c[p] == stored[p].plain_crc32c;
  }
  return served;
}

void expect_stored_right(Object& object, std::span<const std::byte> slot) {
  uint64_t at = 0;
  for (size_t p = 0; p < object.pages.size(); ++p) {
    const StoredPage& stored = object.stored[p];
    const uint64_t plain = object.plain_bytes[p];
    EXPECT_EQ(stored.group, 7 + p);
    EXPECT_EQ(stored.tail, p % 2);
    EXPECT_EQ(stored.zero, 0u);
    EXPECT_EQ(object.pages[p].crc32c, crc32c(object.pages[p].source, plain));
    EXPECT_EQ(stored.plain_crc32c, object.pages[p].crc32c);
    EXPECT_EQ(stored.stored_crc32c, crc32c(slot.data() + at, stored.stored_bytes));
    if (stored.codec == kPlanes) {
      EXPECT_LT(whole_blocks(stored.stored_bytes), whole_blocks(plain));
      EXPECT_NE(stored.element_bytes, 0);
    } else {
      EXPECT_EQ(stored.codec, kNone);
      EXPECT_EQ(stored.element_bytes, 0);
      EXPECT_EQ(stored.stored_bytes, plain);
      EXPECT_TRUE(std::equal(object.pages[p].source, object.pages[p].source + plain, &slot[at]));
    }
    const uint64_t end = at + whole_blocks(stored.stored_bytes);
    for (uint64_t i = at + stored.stored_bytes; i < end; ++i) {
      ASSERT_EQ(slot[i], std::byte{0}) << "padding of page " << p;
    }
    at = end;
  }
  // Behind the last page nothing is touched, and nothing is written to the device.
  EXPECT_EQ(at, stored_slot_bytes(object.stored));
  for (uint64_t i = at; i < slot.size(); ++i) ASSERT_EQ(slot[i], kTenant);
}

void expect_round_trip(const std::vector<Page>& made) {
  Object object(made);
  Exact slot(object.whole_bytes());
  ASSERT_TRUE(encode_pages(object.pages, object.stored, slot.span()));
  expect_stored_right(object, slot.span());
  ASSERT_TRUE(fit_slot(object.stored, object.plain_bytes, slot.span().size()));
  Decoded decoded = decode(object.plain_bytes, object.stored, slot.span());
  ASSERT_TRUE(decoded.ok);
  for (size_t p = 0; p < made.size(); ++p) {
    EXPECT_EQ(decoded.crc32c[p], object.stored[p].plain_crc32c);
    ASSERT_TRUE(std::ranges::equal(decoded.plain[p].span(), object.plain[p].span())) << p;
  }
}

constexpr size_t kBlock = kSsdBlockBytes;

TEST(StoredPages, RoundTripOfEverySizeAroundABlock) {
  for (const size_t middle : {kBlock, 2 * kBlock, 3 * kBlock, size_t{kCodecBlockBytes}}) {
    for (const size_t bytes : {middle - 1, middle, middle + 1, middle + 7}) {
      for (const Content content : {Content::kRandom, Content::kLikeBf16, Content::kConstant}) {
        for (const uint8_t element : {0, 1, 2, 4, 8}) {
          expect_round_trip({{bytes, content, element}});
        }
      }
    }
  }
}

TEST(StoredPages, RoundTripOfMixesOfPages) {
  constexpr std::array<size_t, 14> kSizes = {1,    2,     63,    4'095,  4'096,  4'097,  5'000,
                                             8192, 9'001, 20000, 65'535, 65'537, 69'632, 140'003};
  constexpr std::array<uint8_t, 5> kElements = {0, 1, 2, 4, 8};
  std::mt19937_64 random(5);
  for (int round = 0; round < 60; ++round) {
    std::vector<Page> pages(1 + random() % 6);
    for (Page& page : pages) {
      page = {.bytes = kSizes[random() % kSizes.size()],
              .content = static_cast<Content>(random() % 3),
              .element_bytes = kElements[random() % kElements.size()]};
    }
    expect_round_trip(pages);
    if (HasFailure()) return;
  }
}

TEST(StoredPages, EncodedWhereAskedForAndWhereItSavesABlock) {
  Object object({{20'000, Content::kLikeBf16, 2},
                 {20'000, Content::kLikeBf16, 0},   // not asked for
                 {20'000, Content::kRandom, 2},     // does not compress
                 {8'192, Content::kLikeBf16, 2},    // compresses, but not to one block
                 {4'096, Content::kConstant, 1},    // a block or less cannot take fewer
                 {4'097, Content::kConstant, 1}});  // a byte more can
  Exact slot(object.whole_bytes());
  ASSERT_TRUE(encode_pages(object.pages, object.stored, slot.span()));
  const std::array<uint8_t, 6> expected = {kPlanes, kNone, kNone, kNone, kNone, kPlanes};
  for (size_t p = 0; p < expected.size(); ++p) EXPECT_EQ(object.stored[p].codec, expected[p]) << p;
  EXPECT_EQ(object.stored[0].element_bytes, 2);
  EXPECT_EQ(object.stored[5].element_bytes, 1);
  EXPECT_EQ(whole_blocks(object.stored[0].stored_bytes), 3 * kBlock);
}

TEST(StoredPages, SlotOfJustTheSizeIsEnoughAndABlockLessIsNot) {
  const std::vector<std::vector<Page>> objects = {
      {{20'000, Content::kLikeBf16, 2}},
      {{20'000, Content::kRandom, 2}},
      {{5'000, Content::kRandom, 0}, {20'000, Content::kLikeBf16, 2}},
      {{20'000, Content::kLikeBf16, 2}, {5'000, Content::kRandom, 0}},
      {{70'000, Content::kLikeBf16, 2},
       {300, Content::kConstant, 1},
       {70'000, Content::kConstant, 4}},
  };
  for (const std::vector<Page>& made : objects) {
    Object first(made);
    Exact roomy(first.whole_bytes());
    ASSERT_TRUE(encode_pages(first.pages, first.stored, roomy.span()));
    const uint64_t bytes = stored_slot_bytes(first.stored);
    Object again(made);
    Exact slot(bytes);
    ASSERT_TRUE(encode_pages(again.pages, again.stored, slot.span()));
    EXPECT_TRUE(std::ranges::equal(slot.span(), roomy.span().first(bytes)));
    EXPECT_TRUE(fit_slot(again.stored, again.plain_bytes, bytes));
    EXPECT_FALSE(fit_slot(again.stored, again.plain_bytes, bytes - kBlock));
    for (uint64_t less = 0; less < bytes; less += kBlock) {
      Object too_large(made);
      Exact small(less);
      EXPECT_FALSE(encode_pages(too_large.pages, too_large.stored, small.span())) << less;
    }
  }
}

// Encoded and kept pages, the latter in front and behind.
Object mixed_object() {
  return Object({{301, Content::kRandom, 0},
                 {12'288, Content::kLikeBf16, 2},
                 {4'097, Content::kConstant, 8},
                 {77, Content::kRandom, 2}});
}

TEST(StoredPages, Law04_EveryFlippedBitIsFound) {
  Object object = mixed_object();
  Exact slot(object.whole_bytes());
  ASSERT_TRUE(encode_pages(object.pages, object.stored, slot.span()));
  ASSERT_EQ(object.stored[1].codec, kPlanes);
  ASSERT_EQ(object.stored[2].codec, kPlanes);
  ASSERT_TRUE(is_served(object.plain_bytes, object.stored, slot.span()));
  uint64_t at = 0;
  for (const StoredPage& page : object.stored) {
    for (uint64_t byte = at; byte < at + page.stored_bytes; ++byte) {
      for (int bit = 0; bit < 8; ++bit) {
        slot.span()[byte] ^= std::byte{1} << bit;
        ASSERT_FALSE(is_served(object.plain_bytes, object.stored, slot.span())) << byte;
        slot.span()[byte] ^= std::byte{1} << bit;
      }
    }
    at += whole_blocks(page.stored_bytes);
  }
}

// Also when the CRC32C of the stored bytes was made after the damage.
TEST(StoredPages, Law04_WhatDecodesToOtherBytesIsFound) {
  Object object = mixed_object();
  Exact slot(object.whole_bytes());
  ASSERT_TRUE(encode_pages(object.pages, object.stored, slot.span()));
  const uint64_t at = whole_blocks(object.stored[0].stored_bytes);
  StoredPage& page = object.stored[1];
  const auto stored = slot.span().subspan(at, page.stored_bytes);
  for (size_t bit = 0; bit < stored.size() * 8; bit += bit < 800 ? 1 : 23) {
    stored[bit / 8] ^= std::byte{1} << bit % 8;
    page.stored_crc32c = crc32c(stored.data(), stored.size());
    ASSERT_FALSE(is_served(object.plain_bytes, object.stored, slot.span())) << bit;
    stored[bit / 8] ^= std::byte{1} << bit % 8;
  }
  page.stored_crc32c = crc32c(stored.data(), stored.size());
  EXPECT_TRUE(is_served(object.plain_bytes, object.stored, slot.span()));
  for (const uint8_t element : {1, 4, 8}) {
    page.element_bytes = element;
    EXPECT_TRUE(fit_slot(object.stored, object.plain_bytes, slot.span().size()));
    EXPECT_FALSE(is_served(object.plain_bytes, object.stored, slot.span())) << int{element};
  }
  page.element_bytes = 2;
  // A part of it, with a CRC32C of its own.
  for (uint64_t bytes = 1; bytes < stored.size(); bytes += 97) {
    page.stored_bytes = bytes;
    page.stored_crc32c = crc32c(stored.data(), bytes);
    const uint64_t slot_bytes = slot.span().size();
    if (!fit_slot(object.stored, object.plain_bytes, slot_bytes)) continue;
    EXPECT_FALSE(is_served(object.plain_bytes, object.stored, slot.span())) << bytes;
  }
}

TEST(StoredPages, GarbageWithRightChecksumsStaysInItsBounds) {
  std::mt19937_64 random(9);
  for (int round = 0; round < 100; ++round) {
    const std::vector<uint64_t> plain_bytes = {1 + random() % 70'000, 1 + random() % 9'000};
    std::vector<StoredPage> stored(2);
    Exact slot(whole_blocks(plain_bytes[0]) + whole_blocks(plain_bytes[1]));
    for (std::byte& byte : slot.span()) byte = static_cast<std::byte>(random());
    uint64_t at = 0;
    for (size_t p = 0; p < 2; ++p) {
      stored[p].codec = kPlanes;
      stored[p].element_bytes = static_cast<uint8_t>(1u << random() % 4);
      stored[p].stored_bytes = 1 + random() % plain_bytes[p];
      const auto length = static_cast<uint32_t>(stored[p].stored_bytes - 4);
      if (stored[p].stored_bytes > 4) std::memcpy(&slot.span()[at], &length, sizeof(length));
      stored[p].stored_crc32c = crc32c(&slot.span()[at], stored[p].stored_bytes);
      at += whole_blocks(stored[p].stored_bytes);
    }
    if (!fit_slot(stored, plain_bytes, slot.span().size())) continue;
    decode(plain_bytes, stored, slot.span());
  }
}

struct Lie {
  const char* name;
  std::function<void(std::vector<StoredPage>&)> tell;
};

TEST(StoredPages, Law04_FieldsThatNoEncodingMakesAreRefused) {
  constexpr uint64_t kHuge = ~0ull;
  const std::vector<Lie> lies = {
      {"unknown codec", [](auto& pages) { pages[1].codec = 2; }},
      {"codec 255", [](auto& pages) { pages[0].codec = 255; }},
      {"elements of three", [](auto& pages) { pages[1].element_bytes = 3; }},
      {"elements of none", [](auto& pages) { pages[1].element_bytes = 0; }},
      {"elements of 16", [](auto& pages) { pages[1].element_bytes = 16; }},
      {"elements of a kept page", [](auto& pages) { pages[0].element_bytes = 2; }},
      {"as large as plain", [](auto& pages) { pages[1].stored_bytes = 12'288; }},
      {"larger than plain", [](auto& pages) { pages[1].stored_bytes = 12'289; }},
      {"nothing stored", [](auto& pages) { pages[1].stored_bytes = 0; }},
      {"huge", [](auto& pages) { pages[1].stored_bytes = kHuge; }},
      {"huge, and its blocks are none", [](auto& pages) { pages[1].stored_bytes = kHuge - 4094; }},
      {"huge and kept", [](auto& pages) { pages[0].stored_bytes = kHuge; }},
      {"kept and empty", [](auto& pages) { pages[0].stored_bytes = 0; }},
      {"kept and shorter", [](auto& pages) { pages[0].stored_bytes = 300; }},
      {"kept and longer", [](auto& pages) { pages[0].stored_bytes = 302; }},
      {"kept with two checksums", [](auto& pages) { ++pages[0].stored_crc32c; }},
      {"an encoded page as kept", [](auto& pages) { pages[1].codec = kNone; }},
      {"a kept page as encoded", [](auto& pages) { pages[0].codec = kPlanes; }},
  };
  Object object = mixed_object();
  Exact room(object.whole_bytes());
  ASSERT_TRUE(encode_pages(object.pages, object.stored, room.span()));
  const uint64_t slot_bytes = stored_slot_bytes(object.stored);
  ASSERT_TRUE(fit_slot(object.stored, object.plain_bytes, slot_bytes));
  for (const Lie& lie : lies) {
    std::vector<StoredPage> stored = object.stored;
    lie.tell(stored);
    EXPECT_FALSE(fit_slot(stored, object.plain_bytes, slot_bytes)) << lie.name;
    EXPECT_FALSE(fit_slot(stored, object.plain_bytes, room.span().size())) << lie.name;
  }
  // These are lies only where there is no room for them.
  object.stored[1].stored_bytes = 3 * kBlock - 1;
  EXPECT_FALSE(fit_slot(object.stored, object.plain_bytes, slot_bytes));
  EXPECT_TRUE(fit_slot(object.stored, object.plain_bytes, room.span().size()));
  EXPECT_TRUE(fit_slot({}, {}, 0));
  EXPECT_FALSE(fit_slot(object.stored, object.plain_bytes, 0));
}

PageSample sample(std::span<const std::byte> page, uint64_t turn, uint8_t element = 2) {
  Exact exact(page);
  PageSample sampled{.element_bytes = element, .turn = turn};
  sample_page(exact.span(), sampled);
  return sampled;
}

TEST(StoredPages, SampleOfASmallPageIsAllOfIt) {
  for (const size_t bytes : {size_t{1}, size_t{5'000}, kCodecBlockBytes - 1, kCodecBlockBytes}) {
    const Bytes page = make_bytes(Content::kLikeBf16, bytes, bytes);
    for (const uint64_t turn : {0, 1, 77}) {
      const PageSample sampled = sample(page, turn);
      EXPECT_EQ(sampled.plain_bytes, bytes);
      if (bytes == 1) continue;  // cannot get smaller
      EXPECT_GT(sampled.stored_bytes, bytes / 2);
      EXPECT_LT(sampled.stored_bytes, bytes * 6 / 10);
    }
  }
  EXPECT_EQ(sample(make_bytes(Content::kConstant, 1, 1), 0).stored_bytes, 0u);
  EXPECT_EQ(sample(make_bytes(Content::kRandom, 9'000, 1), 0).stored_bytes, 0u);
  EXPECT_EQ(sample(make_bytes(Content::kRandom, 65'536, 1), 3).stored_bytes, 0u);
}

// Three blocks and a rest: the first is random, the second constant, the third between.
TEST(StoredPages, SampleOfALargePageTakesItsBlocksInTurn) {
  Bytes page = make_bytes(Content::kRandom, kCodecBlockBytes, 1);
  for (const Content content : {Content::kConstant, Content::kLikeBf16, Content::kRandom}) {
    const size_t bytes = content == Content::kRandom ? 1'001 : kCodecBlockBytes;
    const Bytes block = make_bytes(content, bytes, 2);
    page.insert(page.end(), block.begin(), block.end());
  }
  for (uint64_t turn = 0; turn < 9; ++turn) {
    const PageSample sampled = sample(page, turn);
    EXPECT_EQ(sampled.plain_bytes, kCodecBlockBytes);
    switch (turn % 3) {
      case 0:
        EXPECT_EQ(sampled.stored_bytes, 0u);
        break;
      case 1:
        EXPECT_GT(sampled.stored_bytes, 0u);
        EXPECT_LT(sampled.stored_bytes, 1'000u);
        break;
      default:
        EXPECT_GT(sampled.stored_bytes, kCodecBlockBytes / 2);
        EXPECT_LT(sampled.stored_bytes, kCodecBlockBytes * 6 / 10);
    }
  }
  EXPECT_EQ(sample(page, ~0ull).plain_bytes, kCodecBlockBytes);
}

}  // namespace
}  // namespace quire::tiering::stored_pages_test
