#include "tiering/disk/ssd_format.h"

#include <algorithm>
#include <string>

#include "tiering/io/crc_copy.h"

namespace quire::tiering {

using model::Errc;
using model::make_error;

namespace {

template <typename Block>
uint32_t crc_of(Block block) {
  block.crc32c = 0;
  return crc32c(reinterpret_cast<const std::byte*>(&block), sizeof(block));
}

}  // namespace

void seal(Superblock& block) { block.crc32c = crc_of(block); }
void seal(ExtentHeader& header) { header.crc32c = crc_of(header); }

model::Result<void> check(const Superblock& block) {
  if (block.magic != kSuperblockMagic) return make_error(Errc::kCorrupt, "not a superblock");
  if (block.crc32c != crc_of(block)) {
    return make_error(Errc::kCorrupt, "the superblock's checksum is wrong");
  }
  if (block.format_major > kSsdFormatMajor) {
    return make_error(Errc::kUnsupportedVersion,
                      "the directory has format " + std::to_string(block.format_major) +
                          "; this daemon reads up to " + std::to_string(kSsdFormatMajor));
  }
  return {};
}

model::Result<void> check(const ExtentHeader& header) {
  if (header.magic != kExtentMagic) return make_error(Errc::kCorrupt, "not an extent header");
  if (header.crc32c != crc_of(header)) {
    return make_error(Errc::kCorrupt, "the extent header's checksum is wrong");
  }
  if (header.format > kSsdFormatMajor) {
    return make_error(Errc::kUnsupportedVersion, "the extent has a later format");
  }
  if (header.page_count > kMaxSsdPages || header.more_count > kMaxMoreRegions) {
    return make_error(Errc::kCorrupt, "the extent header names too many pages or regions");
  }
  return {};
}

RegionGeometry region_geometry(uint64_t region_bytes, uint64_t slot_bytes) {
  // Also what a disk says: nothing larger than a region fits one.
  if (slot_bytes == 0 || slot_bytes > region_bytes) return {};
  const uint64_t count =
      std::min<uint64_t>(region_bytes / (slot_bytes + kSsdBlockBytes), kMaxSlotsPerRegion);
  return {static_cast<uint32_t>(count), count * kSsdBlockBytes};
}

uint32_t more_regions(uint64_t region_bytes, uint64_t slot_bytes) {
  if (slot_bytes == 0 || region_geometry(region_bytes, slot_bytes).slot_count > 0) return 0;
  const uint64_t most = (uint64_t{kMaxMoreRegions} + 1) * region_bytes - kSsdBlockBytes;
  if (slot_bytes > most) return 0;
  return static_cast<uint32_t>((slot_bytes + kSsdBlockBytes - 1) / region_bytes);
}

RegionGeometry slot_geometry(uint64_t region_bytes, uint64_t slot_bytes) {
  if (more_regions(region_bytes, slot_bytes) > 0) return {1, kSsdBlockBytes};
  return region_geometry(region_bytes, slot_bytes);
}

uint64_t stored_slot_bytes(std::span<const StoredPage> pages) {
  uint64_t bytes = 0;
  for (const StoredPage& page : pages) bytes += whole_blocks(page.stored_bytes);
  return bytes;
}

uint64_t slot_bytes(const model::PagePlan& plan) {
  uint64_t bytes = 0;
  for (const model::PlannedPage& page : plan.pages) bytes += whole_blocks(page.bytes);
  return bytes;
}

}  // namespace quire::tiering
