#include "model/reference/window_ring.h"

#include <algorithm>
#include <cstring>

namespace quire::reference {

WindowRing::WindowRing(const DecoderConfig& config)
    : window_tokens_(config.window_tokens),
      capacity_((config.window_tokens + config.block_tokens + 31) / 32 * 32),
      section_(make_section(main_row_format(config), capacity_, 0, 1)),
      rows_(section_.bytes),
      tiles_(capacity_ / kTileRows * tile_floats(config.head_dims())) {}

float* WindowRing::tile_of(uint32_t position) {
  return tiles_.data() + position % capacity_ / kTileRows * tile_floats(section_.format.dims);
}

void WindowRing::store(uint32_t position, const float* values) {
  const uint32_t slot = position % capacity_;
  encode_row(section_, slot, values, rows_.data());
  decode_into_tile(section_, slot, rows_.data(), slot % kTileRows, tile_of(position));
}

void WindowRing::append_tiles(uint32_t position, std::vector<TileRef>* out) const {
  const uint32_t begin = position + 1 - std::min(window_tokens_, position + 1);
  const uint32_t end = position + 1;
  for (uint32_t at = begin / kTileRows * kTileRows; at < end; at += kTileRows) {
    const size_t tile = at % capacity_ / kTileRows;
    out->push_back({.tile = tiles_.data() + tile * tile_floats(section_.format.dims),
                    .begin = std::max(at, begin) - at,
                    .end = std::min(at + kTileRows, end) - at});
  }
}

void WindowRing::save(uint32_t end, const Section& section, std::byte* page) const {
  std::memset(page + section.offset, 0, section.bytes);
  for (uint32_t row = 0; row < window_tokens_; ++row) {
    if (end + row < window_tokens_) continue;  // before token 0
    const uint32_t slot = (end + row - window_tokens_) % capacity_;
    std::memcpy(page + section.data_offset(row), rows_.data() + section_.data_offset(slot),
                section.format.data_bytes);
    std::memcpy(page + section.footer_offset(row), rows_.data() + section_.footer_offset(slot),
                section.format.footer_bytes);
  }
}

void WindowRing::restore(uint32_t end, const Section& section, const std::byte* page) {
  for (uint32_t row = 0; row < window_tokens_; ++row) {
    if (end + row < window_tokens_) continue;
    const uint32_t position = end + row - window_tokens_;
    const uint32_t slot = position % capacity_;
    std::memcpy(rows_.data() + section_.data_offset(slot), page + section.data_offset(row),
                section.format.data_bytes);
    std::memcpy(rows_.data() + section_.footer_offset(slot), page + section.footer_offset(row),
                section.format.footer_bytes);
    decode_into_tile(section_, slot, rows_.data(), slot % kTileRows, tile_of(position));
  }
}

}  // namespace quire::reference
