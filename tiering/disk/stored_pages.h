// The stored form of an object whose pages are worth encoding: its pages in plan order, each at a
// 4 KiB aligned start of the slot, byte-plane lz4 (tiering/io/byte_plane_codec.h) where it was
// asked for and saves a block, else as they are; zeros up to the next block. Both CRC32C, that of
// the plain and that of the stored bytes, go into the header.
//
// Pure functions over caller's memory; threads: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tiering/disk/ssd_format.h"
#include "tiering/io/copy_engine.h"

namespace quire::tiering {

// Encodes pages[p].bytes from pages[p].source and sets its crc32c. In: stored[p].element_bytes, 0
// to store the page as it is. Out: the other fields of stored[p] but group and tail. False: they do
// not fit the slot; what was set is of no use then.
bool encode_pages(std::span<CopyPage> pages, std::span<StoredPage> stored,
                  std::span<std::byte> slot);

// True when the pages, as the header has them, are such as encode_pages makes of pages of
// `plain_bytes` and lie inside the slot: only then may they be decoded.
bool fit_slot(std::span<const StoredPage> stored, std::span<const uint64_t> plain_bytes,
              uint64_t slot_bytes);

// Decodes into pages[p].target and sets its crc32c. Precondition: fit_slot. False: a CRC32C of
// stored bytes is wrong, or they do not decode.
bool decode_pages(std::span<CopyPage> pages, std::span<const StoredPage> stored,
                  std::span<const std::byte> slot);

// What encoding makes of one block of 64 KiB of a page, or of all of a smaller one.
struct PageSample {
  uint8_t element_bytes = 0;  // 0: no sample is wanted
  uint64_t turn = 0;          // chooses the block
  uint64_t plain_bytes = 0;   // out
  uint64_t stored_bytes = 0;  // out; 0: it did not get smaller
};
void sample_page(std::span<const std::byte> page, PageSample& sample);

}  // namespace quire::tiering
