// Byte geometry of the three page types, so that an engine can declare a layout from it.
//
// append page   of one block of block_tokens: per layer in order, CSA main rows then CSA index
//               keys, or HCA rows. Sections in MODEL1 order (row_format.h), each padded to a
//               multiple of a main row's data bytes, as FlashMLA pads to 576.
// window page   at a resume point h: per layer the main rows of tokens h - window .. h - 1, oldest
//               first, MODEL1 order, no pad. Rows before token 0 are zero.
// state page    at h, a multiple of unit_tokens: per CSA layer what the next block's overlap needs,
//               the previous block's b half, FP32 little endian:
//               main kv[ratio][dims], main score[ratio][dims], index kv[...], index score[...].
//               HCA layers hold nothing there: no HCA block is open at a multiple of hca_ratio.
// Layers are named by their number in DecoderConfig::layers. Immutable; threads: any.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "model/reference/decoder_config.h"
#include "model/reference/row_format.h"

namespace quire::reference {

enum class Tensor : uint8_t { kCsaMain, kCsaIndex, kHcaMain, kWindow, kState };

// Bytes [offset, offset + bytes) of a page.
struct PageRange {
  uint32_t layer = 0;
  Tensor tensor = Tensor::kCsaMain;
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

class KvGeometry {
 public:
  explicit KvGeometry(const DecoderConfig& config);

  std::span<const PageRange> append_ranges() const { return append_ranges_; }
  std::span<const PageRange> window_ranges() const { return window_ranges_; }
  std::span<const PageRange> state_ranges() const { return state_ranges_; }
  uint64_t append_page_bytes() const { return append_page_bytes_; }
  uint64_t window_page_bytes() const { return window_page_bytes_; }
  uint64_t state_page_bytes() const { return state_page_bytes_; }
  uint32_t block_tokens() const { return block_tokens_; }
  uint32_t unit_tokens() const { return unit_tokens_; }  // resume points are its multiples
  uint32_t window_tokens() const { return window_tokens_; }

  // Sections of an append page; call only for a layer that has one.
  const Section& main_section(uint32_t layer) const { return *layers_[layer].main; }
  const Section& index_section(uint32_t layer) const { return *layers_[layer].index; }
  // Section of a window page; state offset of a CSA layer in a state page.
  const Section& window_section(uint32_t layer) const { return layers_[layer].window; }
  uint64_t state_offset(uint32_t layer) const { return layers_[layer].state_offset; }

 private:
  struct LayerPlace {
    std::optional<Section> main;
    std::optional<Section> index;
    Section window;
    uint64_t state_offset = 0;
  };

  Section append_section(uint32_t layer, Tensor tensor, const RowFormat& format, uint32_t rows);
  void place_csa(const DecoderConfig& config, uint32_t layer);
  void place_window(const DecoderConfig& config, uint32_t layer);

  uint32_t block_tokens_;
  uint32_t unit_tokens_;
  uint32_t window_tokens_;
  uint64_t section_align_bytes_;
  uint64_t append_page_bytes_ = 0;
  uint64_t window_page_bytes_ = 0;
  uint64_t state_page_bytes_ = 0;
  std::vector<LayerPlace> layers_;
  std::vector<PageRange> append_ranges_;
  std::vector<PageRange> window_ranges_;
  std::vector<PageRange> state_ranges_;
};

}  // namespace quire::reference
