// What lies on the device. Fixed little-endian structs, 4 KiB each, every one with its own CRC32C.
//
//   DIR/superblock          Superblock; replaced by rename, directory synced
//   DIR/superblock.2        a second copy of it; an earlier version makes none
//   DIR/lock                open file description lock: one daemon at a time
//   DIR/layouts/DIGEST      encode(layout); named by the hex SHA-256 of its bytes
//   DIR/manifest/           RocksDB: which slots hold what (tiering/disk/manifest.h)
//   DIR/data.000000 ...     data files of `regions_per_file` regions
//
//   region = [header of slot 0][header of slot 1]...[slot 0][slot 1]...[unused tail]
//            slot_count x 4 KiB              slot_bytes each: pages of one object, 4 KiB aligned
//
//   An object that fits no region takes several, anywhere: its header, then its slot, from the
//   start of the first region to the end of the last. The first names it; the header and the
//   manifest list the others. A directory that may hold one has kLargeObjects set; one of which
//   runs name a retention class, kRetentionClasses.
//
// An object is stored as it is, page by page in whole blocks, in a slot of just that size; or
// encoded (tiering/disk/stored_pages.h), in a slot that is smaller than that.
// All slots of a region have one size, so no object pays for another's size. The headers of a
// region stand together: adjacent objects are one transfer of headers and one of pages, and a
// rebuild reads headers alone. A header names slot, key and generation, so that a misdirected,
// stale, swapped or zeroed block is caught, not only a damaged one.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <type_traits>

#include "model/hash256.h"
#include "model/ids.h"
#include "model/limits.h"
#include "model/page_plan.h"
#include "model/result.h"
#include "model/session_shm.h"

namespace quire::tiering {

inline constexpr uint64_t kSsdBlockBytes = 4096;  // O_DIRECT; also the size of every header
inline constexpr uint64_t kSuperblockMagic = 0x4253'4552'4955'51ull;  // "QUIRESB"
inline constexpr uint64_t kExtentMagic = 0x5458'4552'4955'51ull;      // "QUIREXT"
inline constexpr uint16_t kSsdFormatMajor = 1;
inline constexpr uint16_t kSsdFormatMinor = 0;
inline constexpr uint32_t kMaxSsdPages = 128;  // = cache::kMaxPagesPerObject

// Feature bits, as ext4 has them: an unknown incompatible bit refuses the directory, an unknown
// read-only-compatible bit allows reading only, an unknown compatible bit is ignored.
inline constexpr uint64_t kLargeObjects = 1;      // incompatible: objects of several regions
inline constexpr uint64_t kRetentionClasses = 2;  // incompatible: runs that name one
inline constexpr uint64_t kKnownIncompatible = kLargeObjects | kRetentionClasses;
inline constexpr uint64_t kKnownReadOnlyCompatible = 0;

struct Superblock {
  uint64_t magic = kSuperblockMagic;
  uint16_t format_major = kSsdFormatMajor;
  uint16_t format_minor = kSsdFormatMinor;
  uint32_t crc32c = 0;  // of the whole block with this field 0
  uint64_t compatible = 0;
  uint64_t read_only_compatible = 0;
  uint64_t incompatible = 0;
  std::array<uint8_t, 16> instance{};  // random; headers repeat it
  uint64_t start_count = 0;            // +1 at each open; upper part of every generation
  uint64_t region_bytes = 0;
  uint64_t regions_per_file = 0;
  std::array<uint8_t, 4096 - 80> zero{};
};
static_assert(sizeof(Superblock) == kSsdBlockBytes && std::is_trivially_copyable_v<Superblock>);

// Where an object lies: region in the upper half, index of the slot in the lower.
struct SsdSlot {
  static constexpr uint32_t kNone = 0xffff'ffff;
  uint32_t value = kNone;
  uint32_t region() const { return value >> 16; }
  uint32_t index() const { return value & 0xffff; }
  bool valid() const { return value != kNone; }
  static SsdSlot of(uint32_t region, uint32_t index) { return {region << 16 | index}; }
  friend bool operator==(const SsdSlot&, const SsdSlot&) = default;
};
// Of a slot's header, in its region: headers stand together before the slots.
inline uint64_t header_offset(SsdSlot slot) { return slot.index() * kSsdBlockBytes; }
inline constexpr uint32_t kMaxRegions = 1 << 14;         // cache keeps 30 bits of a place
inline constexpr uint32_t kMaxSlotsPerRegion = 1 << 16;  // 4 KiB headers: 256 MiB of them
// Of an object, beside its first: 300 regions of 64 MiB are 18.8 GiB. What a header has room for.
inline constexpr uint32_t kMaxMoreRegions = 300;

enum class CodecId : uint8_t { kNone = 0, kLz4Planes = 1 };

struct StoredPage {
  uint64_t stored_bytes = 0;   // as it lies on the device; 4 KiB aligned start, in plan order
  uint32_t plain_crc32c = 0;   // of the page's bytes, from its sealing (law 4)
  uint32_t stored_crc32c = 0;  // of the stored bytes; equal to plain_crc32c for CodecId::kNone
  uint8_t group = 0;
  uint8_t codec = 0;          // CodecId
  uint8_t tail = 0;           // 1: a checkpoint's tail page
  uint8_t element_bytes = 0;  // of the byte-plane split; 0 for CodecId::kNone
  uint32_t zero = 0;
};
static_assert(sizeof(StoredPage) == 24);

struct ExtentHeader {
  uint64_t magic = kExtentMagic;
  uint16_t format = kSsdFormatMajor;
  uint8_t kind = 0;  // cache::NodeKind: span 2, checkpoint 3
  uint8_t page_count = 0;
  uint32_t crc32c = 0;      // of the whole header with this field 0
  uint64_t generation = 0;  // grows with every object ever written in this directory
  uint32_t slot = 0;        // SsdSlot::value: a block that went elsewhere is caught
  uint32_t units = 0;       // position of the object's end
  uint32_t parent_units = 0;
  uint32_t owner_tag = 0;  // checkpoint: of the conversation that may supersede it
  uint8_t kept = 0;        // checkpoint: never superseded
  std::array<uint8_t, 7> zero{};
  std::array<uint8_t, 16> instance{};
  model::Hash256 root;  // chain hash at position 0: binds domain, tenant, namespace, layout, salt
  model::Hash256 key;
  model::Hash256 parent_key;  // the root's hash at parent_units 0
  model::Hash256 layout_digest;
  uint64_t weights_epoch = 0;
  std::array<char, model::kMaxNameBytes + 1> domain{};
  std::array<char, model::kMaxNameBytes + 1> tenant{};
  std::array<char, model::kMaxNameBytes + 1> namespace_name{};
  std::array<StoredPage, kMaxSsdPages> pages{};
  uint64_t slot_bytes = 0;  // of an encoded object; 0: its pages in whole blocks, none encoded
  uint32_t more_count = 0;  // regions that the object takes beside its own
  std::array<uint16_t, kMaxMoreRegions> more{};  // in the order of its bytes
  // Class that it is kept by; zeros: none, as earlier versions have it.
  std::array<char, model::kMaxRetentionBytes + 1> retention{};
  std::array<uint8_t, 4> reserved{};
};
static_assert(sizeof(ExtentHeader) == kSsdBlockBytes && std::is_trivially_copyable_v<ExtentHeader>);

// Fill in / check the CRC32C. check: kCorrupt with what is wrong (magic, format, CRC); a header of
// a later major format is kUnsupportedVersion.
void seal(Superblock& block);
void seal(ExtentHeader& header);
model::Result<void> check(const Superblock& block);
model::Result<void> check(const ExtentHeader& header);

// Geometry of one region for slots of slot_bytes (a multiple of 4096): as many as fit with their
// headers; 0 when not even one does.
struct RegionGeometry {
  uint32_t slot_count = 0;
  uint64_t slots_offset = 0;  // of slot 0 in the region; headers stand before
};
RegionGeometry region_geometry(uint64_t region_bytes, uint64_t slot_bytes);

// The regions that an object takes beside its first; 0: it fits one, or would take more than
// kMaxMoreRegions.
uint32_t more_regions(uint64_t region_bytes, uint64_t slot_bytes);
// As region_geometry, also for a slot that takes several regions: it is alone in its first.
RegionGeometry slot_geometry(uint64_t region_bytes, uint64_t slot_bytes);

inline uint64_t whole_blocks(uint64_t bytes) { return model::align_up(bytes, kSsdBlockBytes); }
// Bytes an object takes in a slot: each page in whole blocks. As a header has them, and as they
// are to be stored.
uint64_t stored_slot_bytes(std::span<const StoredPage> pages);
uint64_t slot_bytes(const model::PagePlan& plan);

}  // namespace quire::tiering
