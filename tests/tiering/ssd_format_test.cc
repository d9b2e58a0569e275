#include "tiering/disk/ssd_format.h"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <vector>

namespace quire::tiering::ssd_format_test {
namespace {

using model::Errc;

Superblock sealed_superblock() {
  Superblock block;
  block.instance.fill(0x3c);
  block.start_count = 41;
  block.region_bytes = 64 << 20;
  block.regions_per_file = 16;
  seal(block);
  return block;
}

ExtentHeader sealed_header() {
  ExtentHeader header;
  header.kind = 2;
  header.page_count = kMaxSsdPages;
  header.generation = 1ull << 40 | 7;
  header.slot = SsdSlot::of(3, 9).value;
  header.units = 512;
  header.key.bytes.fill(0x77);
  std::strcpy(header.domain.data(), "engine-a");
  for (StoredPage& page : header.pages) page = {.stored_bytes = 5000, .plain_crc32c = 1};
  seal(header);
  return header;
}

// What a flip of each byte in turn makes of a block.
template <typename Block>
void expect_every_flip_detected(const Block& sealed) {
  for (size_t at = 0; at < sizeof(Block); ++at) {
    for (const uint8_t flip : {0x01, 0x80, 0xff}) {
      std::array<uint8_t, sizeof(Block)> bytes;
      std::memcpy(bytes.data(), &sealed, sizeof(Block));
      bytes[at] ^= flip;
      Block damaged;
      std::memcpy(&damaged, bytes.data(), sizeof(Block));
      ASSERT_EQ(check(damaged).code(), Errc::kCorrupt) << "byte " << at;
    }
  }
}

template <typename Block>
Block filled_with(uint8_t byte) {
  Block block;
  std::memset(static_cast<void*>(&block), byte, sizeof(block));
  return block;
}

TEST(SsdFormat, SealedBlocksPass) {
  EXPECT_TRUE(check(sealed_superblock()).ok());
  EXPECT_TRUE(check(sealed_header()).ok());
  Superblock twice = sealed_superblock();
  seal(twice);
  EXPECT_EQ(twice.crc32c, sealed_superblock().crc32c);
}

TEST(SsdFormat, UnsealedBlocksAreCorrupt) {
  EXPECT_EQ(check(Superblock{}).code(), Errc::kCorrupt);
  EXPECT_EQ(check(ExtentHeader{}).code(), Errc::kCorrupt);
  Superblock changed = sealed_superblock();
  ++changed.start_count;
  EXPECT_EQ(check(changed).code(), Errc::kCorrupt);
}

TEST(SsdFormat, EveryFlippedByteOfASuperblockIsDetected) {
  expect_every_flip_detected(sealed_superblock());
}

TEST(SsdFormat, EveryFlippedByteOfAHeaderIsDetected) {
  expect_every_flip_detected(sealed_header());
}

TEST(SsdFormat, ZeroedAndErasedBlocksAreCorrupt) {
  for (const uint8_t byte : {0x00, 0xff}) {
    EXPECT_EQ(check(filled_with<Superblock>(byte)).code(), Errc::kCorrupt);
    EXPECT_EQ(check(filled_with<ExtentHeader>(byte)).code(), Errc::kCorrupt);
  }
}

TEST(SsdFormat, OneKindOfBlockIsNotTheOther) {
  Superblock block;
  const ExtentHeader header = sealed_header();
  std::memcpy(static_cast<void*>(&block), &header, sizeof(block));
  EXPECT_EQ(check(block).code(), Errc::kCorrupt);
  seal(block);  // even with a checksum that is right
  EXPECT_EQ(check(block).code(), Errc::kCorrupt);
}

TEST(SsdFormat, Law14_ALaterMajorFormatIsRefusedByName) {
  Superblock block = sealed_superblock();
  block.format_major = kSsdFormatMajor + 1;
  seal(block);
  EXPECT_EQ(check(block).code(), Errc::kUnsupportedVersion);
  EXPECT_NE(check(block).error().text.find("format 2"), std::string::npos);
  ExtentHeader header = sealed_header();
  header.format = kSsdFormatMajor + 1;
  seal(header);
  EXPECT_EQ(check(header).code(), Errc::kUnsupportedVersion);
}

TEST(SsdFormat, Law14_ALaterMinorFormatIsRead) {
  Superblock block = sealed_superblock();
  block.format_minor = kSsdFormatMinor + 1;
  seal(block);
  EXPECT_TRUE(check(block).ok());
}

TEST(SsdFormat, TooManyPagesAreCorrupt) {
  ExtentHeader header = sealed_header();
  header.page_count = kMaxSsdPages + 1;
  seal(header);
  EXPECT_EQ(check(header).code(), Errc::kCorrupt);
}

// Offsets are the format: a change of one makes directories of this version unreadable.
TEST(SsdFormat, FieldsLieWhereTheyLay) {
  EXPECT_EQ(offsetof(Superblock, crc32c), 12u);
  EXPECT_EQ(offsetof(Superblock, incompatible), 32u);
  EXPECT_EQ(offsetof(Superblock, instance), 40u);
  EXPECT_EQ(offsetof(Superblock, regions_per_file), 72u);
  EXPECT_EQ(offsetof(ExtentHeader, crc32c), 12u);
  EXPECT_EQ(offsetof(ExtentHeader, generation), 16u);
  EXPECT_EQ(offsetof(ExtentHeader, slot), 24u);
  EXPECT_EQ(offsetof(ExtentHeader, instance), 48u);
  EXPECT_EQ(offsetof(ExtentHeader, key), 96u);
  EXPECT_EQ(offsetof(ExtentHeader, weights_epoch), 192u);
  EXPECT_EQ(offsetof(ExtentHeader, pages) % 8, 0u);
  EXPECT_EQ(offsetof(ExtentHeader, slot_bytes), 3464u);
  EXPECT_EQ(offsetof(ExtentHeader, more_count), 3472u);
  EXPECT_EQ(offsetof(ExtentHeader, more), 3476u);
  EXPECT_EQ(offsetof(ExtentHeader, reserved) + sizeof(ExtentHeader::reserved),
            sizeof(ExtentHeader));
}

TEST(SsdFormat, SlotsHoldRegionAndIndex) {
  const SsdSlot slot = SsdSlot::of(kMaxRegions - 1, kMaxSlotsPerRegion - 1);
  EXPECT_EQ(slot.region(), kMaxRegions - 1);
  EXPECT_EQ(slot.index(), kMaxSlotsPerRegion - 1);
  EXPECT_TRUE(slot.valid());
  EXPECT_FALSE(SsdSlot{}.valid());
}

TEST(SsdFormat, ARegionHoldsAsManySlotsAsFitWithTheirHeaders) {
  for (const uint64_t region_bytes : {1ull << 20, 64ull << 20, (1ull << 30) + 4096}) {
    for (uint64_t slot_bytes = 4096; slot_bytes <= region_bytes;
         slot_bytes += 4096 + slot_bytes / 16384 * 4096) {
      const RegionGeometry geometry = region_geometry(region_bytes, slot_bytes);
      const uint64_t one = slot_bytes + kSsdBlockBytes;
      EXPECT_EQ(geometry.slots_offset, geometry.slot_count * kSsdBlockBytes);
      EXPECT_LE(geometry.slot_count * one, region_bytes);
      EXPECT_TRUE(geometry.slot_count == kMaxSlotsPerRegion ||
                  (geometry.slot_count + 1) * one > region_bytes);
    }
  }
}

TEST(SsdFormat, GeometryAtItsEnds) {
  EXPECT_EQ(region_geometry(1 << 20, 0).slot_count, 0u);
  EXPECT_EQ(region_geometry(1 << 20, 1 << 20).slot_count, 0u);
  EXPECT_EQ(region_geometry(1 << 20, (1 << 20) - 4096).slot_count, 1u);
  EXPECT_EQ(region_geometry(1ull << 30, 4096).slot_count, kMaxSlotsPerRegion);
  EXPECT_EQ(region_geometry(64ull << 30, 5ull << 30).slot_count, 12u);
}

TEST(SsdFormat, ASlotThatFitsNoRegionTakesSeveral) {
  constexpr uint64_t kRegion = 1 << 20;
  EXPECT_EQ(more_regions(kRegion, 0), 0u);
  EXPECT_EQ(more_regions(kRegion, kRegion - 4096), 0u);
  EXPECT_EQ(more_regions(kRegion, kRegion), 1u);
  EXPECT_EQ(more_regions(kRegion, 2 * kRegion - 4096), 1u);
  EXPECT_EQ(more_regions(kRegion, 2 * kRegion), 2u);
  const uint64_t most = (kMaxMoreRegions + 1) * kRegion - 4096;
  EXPECT_EQ(more_regions(kRegion, most), kMaxMoreRegions);
  EXPECT_EQ(more_regions(kRegion, most + 4096), 0u);
  EXPECT_EQ(more_regions(kRegion, ~0ull << 12), 0u);
  EXPECT_EQ(slot_geometry(kRegion, most).slot_count, 1u);
  EXPECT_EQ(slot_geometry(kRegion, most).slots_offset, kSsdBlockBytes);
  EXPECT_EQ(slot_geometry(kRegion, most + 4096).slot_count, 0u);
  EXPECT_EQ(slot_geometry(kRegion, 4096).slot_count, region_geometry(kRegion, 4096).slot_count);
}

TEST(SsdFormat, StoredPagesAreRoundedUpOneByOne) {
  std::vector<StoredPage> pages(3);
  EXPECT_EQ(stored_slot_bytes(pages), 0u);
  pages[0].stored_bytes = 1;
  pages[1].stored_bytes = 4096;
  pages[2].stored_bytes = 4097;
  EXPECT_EQ(stored_slot_bytes(pages), 4u * 4096);
  pages[2].stored_bytes = (5ull << 30) + 1;
  EXPECT_EQ(stored_slot_bytes(pages), 3 * 4096 + (5ull << 30));
}

}  // namespace
}  // namespace quire::tiering::ssd_format_test
