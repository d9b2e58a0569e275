#include "model/reference/compressor_state.h"

#include <cstring>

namespace quire::reference {
namespace {

uint32_t round_up(uint32_t value, uint32_t to) { return (value + to - 1) / to * to; }

}  // namespace

// A block of tokens per step, the open and the previous compress block; a multiple of ratio and 32
// because hca_ratio, a divisor of block_tokens, is a multiple of both.
CompressorState::CompressorState(const Shape& shape, uint32_t block_tokens)
    : shape_(shape),
      capacity_(block_tokens + round_up(2 * shape.ratio, block_tokens)),
      rows_(size_t{capacity_} * width()) {}

void CompressorState::pool_entry(const Kernels& kernels, const CompressorWeights& weights,
                                 uint32_t block, float* entry) const {
  const uint32_t dims = shape_.dims;
  const uint32_t score_offset = shape_.halves * dims;
  std::vector<PoolSource> sources;
  sources.reserve(size_t{2} * shape_.ratio);
  const auto add_half = [&](uint32_t first_token, uint32_t half) {
    for (uint32_t i = 0; i < shape_.ratio; ++i) {
      const float* projection = row(first_token + i) + half * dims;
      const float* bias = weights.position_bias.data() + (half * shape_.ratio + i) * dims;
      sources.push_back({projection, projection + score_offset, bias});
    }
  };
  if (shape_.halves == 2 && block > 0) add_half((block - 1) * shape_.ratio, 1);
  add_half(block * shape_.ratio, 0);
  kernels.pool(sources.data(), sources.size(), dims, entry);
  kernels.rms_norm(entry, weights.norm.data(), dims, entry);
}

void CompressorState::save_overlap(uint32_t end, std::byte* to) const {
  const size_t row_bytes = shape_.dims * sizeof(float);
  for (uint32_t i = 0; i < shape_.ratio; ++i) {
    const float* b_half = row(end - shape_.ratio + i) + shape_.dims;
    std::memcpy(to + i * row_bytes, b_half, row_bytes);
    std::memcpy(to + (shape_.ratio + i) * row_bytes, b_half + 2 * shape_.dims, row_bytes);
  }
}

void CompressorState::restore_overlap(uint32_t end, const std::byte* from) {
  const size_t row_bytes = shape_.dims * sizeof(float);
  for (uint32_t i = 0; i < shape_.ratio; ++i) {
    float* b_half = projections(end - shape_.ratio + i) + shape_.dims;
    std::memcpy(b_half, from + i * row_bytes, row_bytes);
    std::memcpy(b_half + 2 * shape_.dims, from + (shape_.ratio + i) * row_bytes, row_bytes);
  }
}

}  // namespace quire::reference
