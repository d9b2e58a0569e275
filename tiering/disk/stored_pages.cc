#include "tiering/disk/stored_pages.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "model/check.h"
#include "tiering/io/byte_plane_codec.h"
#include "tiering/io/crc_copy.h"

namespace quire::tiering {

namespace {

constexpr auto kPlanes = static_cast<uint8_t>(CodecId::kLz4Planes);

// Bytes of the encoded page; 0: it does not save a block, or was not to be encoded.
uint64_t encode(CopyPage& page, StoredPage& stored, std::span<std::byte> room) {
  const uint64_t plain_blocks = whole_blocks(page.bytes);
  if (stored.element_bytes == 0 || plain_blocks <= kSsdBlockBytes) return 0;
  const uint64_t bytes =
      byte_plane_encode({page.source, page.bytes}, stored.element_bytes,
                        room.first(std::min<uint64_t>(room.size(), plain_blocks - kSsdBlockBytes)));
  if (bytes == 0) return 0;
  page.crc32c = crc32c(page.source, page.bytes);
  stored.codec = kPlanes;
  stored.stored_crc32c = crc32c(room.data(), bytes);
  return bytes;
}

uint64_t keep(CopyPage& page, StoredPage& stored, std::span<std::byte> room) {
  if (room.size() < whole_blocks(page.bytes)) return 0;
  page.crc32c = crc_copy(room.data(), page.source, page.bytes);
  stored.codec = static_cast<uint8_t>(CodecId::kNone);
  stored.element_bytes = 0;
  stored.stored_crc32c = page.crc32c;
  return page.bytes;
}

}  // namespace

bool encode_pages(std::span<CopyPage> pages, std::span<StoredPage> stored,
                  std::span<std::byte> slot) {
  QUIRE_CHECK(slot.size() % kSsdBlockBytes == 0);
  for (size_t p = 0; p < pages.size(); ++p) {
    uint64_t bytes = encode(pages[p], stored[p], slot);
    if (bytes == 0) bytes = keep(pages[p], stored[p], slot);
    if (bytes == 0) return false;
    const uint64_t blocks = whole_blocks(bytes);
    std::memset(slot.data() + bytes, 0, blocks - bytes);
    stored[p].stored_bytes = bytes;
    stored[p].plain_crc32c = pages[p].crc32c;
    slot = slot.subspan(blocks);
  }
  return true;
}

bool fit_slot(std::span<const StoredPage> stored, std::span<const uint64_t> plain_bytes,
              uint64_t slot_bytes) {
  uint64_t left = slot_bytes;
  for (size_t p = 0; p < stored.size(); ++p) {
    const StoredPage& page = stored[p];
    const uint8_t element = page.element_bytes;
    const bool encoded = page.codec == kPlanes && page.stored_bytes < plain_bytes[p] &&
                         page.stored_bytes > 0 &&
                         (element == 1 || element == 2 || element == 4 || element == 8);
    const bool kept = page.codec == static_cast<uint8_t>(CodecId::kNone) && element == 0 &&
                      page.stored_bytes == plain_bytes[p] &&
                      page.stored_crc32c == page.plain_crc32c;
    if (!encoded && !kept) return false;
    const uint64_t blocks = whole_blocks(page.stored_bytes);
    if (blocks > left) return false;
    left -= blocks;
  }
  return true;
}

bool decode_pages(std::span<CopyPage> pages, std::span<const StoredPage> stored,
                  std::span<const std::byte> slot) {
  for (size_t p = 0; p < pages.size(); ++p) {
    CopyPage& page = pages[p];
    const auto bytes = slot.first(stored[p].stored_bytes);
    slot = slot.subspan(whole_blocks(bytes.size()));
    if (stored[p].codec != kPlanes) {
      page.crc32c = crc_copy(page.target, bytes.data(), bytes.size());
      if (page.crc32c != stored[p].stored_crc32c) return false;
      continue;
    }
    if (crc32c(bytes.data(), bytes.size()) != stored[p].stored_crc32c) return false;
    const std::span<std::byte> plain(page.target, page.bytes);
    if (!byte_plane_decode(bytes, stored[p].element_bytes, plain).ok()) return false;
    page.crc32c = crc32c(page.target, page.bytes);
  }
  return true;
}

void sample_page(std::span<const std::byte> page, PageSample& sample) {
  std::array<std::byte, kCodecBlockBytes> scratch;
  const uint64_t blocks = std::max<uint64_t>(1, page.size() / kCodecBlockBytes);
  const auto rest = page.subspan(sample.turn % blocks * kCodecBlockBytes);
  const auto block = rest.first(std::min<size_t>(rest.size(), kCodecBlockBytes));
  sample.plain_bytes = block.size();
  sample.stored_bytes =
      byte_plane_encode(block, sample.element_bytes, std::span(scratch).first(block.size()));
}

}  // namespace quire::tiering
