#include "model/reference/kv_geometry.h"

namespace quire::reference {

KvGeometry::KvGeometry(const DecoderConfig& config)
    : block_tokens_(config.block_tokens),
      unit_tokens_(config.hca_ratio),
      window_tokens_(config.window_tokens),
      section_align_bytes_(main_row_format(config).data_bytes),
      layers_(config.layers.size()) {
  for (uint32_t layer = 0; layer < layers_.size(); ++layer) {
    place_window(config, layer);
    if (config.layers[layer] == LayerKind::kCsa) place_csa(config, layer);
    if (config.layers[layer] == LayerKind::kHca) {
      layers_[layer].main = append_section(layer, Tensor::kHcaMain, main_row_format(config),
                                           config.block_tokens / config.hca_ratio);
    }
  }
}

Section KvGeometry::append_section(uint32_t layer, Tensor tensor, const RowFormat& format,
                                   uint32_t rows) {
  const Section section = make_section(format, rows, append_page_bytes_, section_align_bytes_);
  append_ranges_.push_back({layer, tensor, section.offset, section.bytes});
  append_page_bytes_ += section.bytes;
  return section;
}

void KvGeometry::place_csa(const DecoderConfig& config, uint32_t layer) {
  const uint32_t rows = config.block_tokens / config.csa_ratio;
  LayerPlace& place = layers_[layer];
  place.main = append_section(layer, Tensor::kCsaMain, main_row_format(config), rows);
  place.index = append_section(layer, Tensor::kCsaIndex, index_row_format(config), rows);

  const uint64_t floats_per_token = 2ull * (config.head_dims() + config.index_dim);
  const uint64_t bytes = config.csa_ratio * floats_per_token * sizeof(float);
  place.state_offset = state_page_bytes_;
  state_ranges_.push_back({layer, Tensor::kState, state_page_bytes_, bytes});
  state_page_bytes_ += bytes;
}

void KvGeometry::place_window(const DecoderConfig& config, uint32_t layer) {
  Section& section = layers_[layer].window;
  section = make_section(main_row_format(config), config.window_tokens, window_page_bytes_, 1);
  window_ranges_.push_back({layer, Tensor::kWindow, section.offset, section.bytes});
  window_page_bytes_ += section.bytes;
}

}  // namespace quire::reference
