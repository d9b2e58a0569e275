// What a compressor remembers of recent tokens: their projections, FP32. An entry pools a whole
// block of `ratio` tokens; with overlap (CSA and its indexer) it also pools the b half of the
// block before (arXiv 2606.19348, section 2).
//
// One token's projection, `width()` floats: kv[halves][dims] | score[halves][dims], half a first.
// Invariants: 1. slot of position p is p mod capacity, so blocks are contiguous; 2. at a multiple
// of ratio only the previous block's b half matters, which is all that a state page holds.
// Threads: different tokens may be written at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "model/reference/decoder_config.h"
#include "model/reference/weights.h"

namespace quire::reference {

class CompressorState {
 public:
  struct Shape {
    uint32_t dims = 0;
    uint32_t ratio = 0;
    uint32_t halves = 1;
  };

  CompressorState(const Shape& shape, uint32_t block_tokens);

  uint32_t ratio() const { return shape_.ratio; }
  uint32_t width() const { return 2 * shape_.halves * shape_.dims; }
  // Projections of `position` and on; contiguous up to the next multiple of 32.
  float* projections(uint32_t position) { return rows_.data() + position % capacity_ * width(); }

  // The entry of block `block` (tokens block * ratio ..), pooled and normed, before RoPE.
  void pool_entry(const Kernels& kernels, const CompressorWeights& weights, uint32_t block,
                  float* entry) const;

  // Overlap state at `end`, a multiple of ratio: kv[ratio][dims], score[ratio][dims], FP32.
  size_t overlap_bytes() const { return size_t{2} * shape_.ratio * shape_.dims * sizeof(float); }
  void save_overlap(uint32_t end, std::byte* to) const;
  void restore_overlap(uint32_t end, const std::byte* from);

 private:
  const float* row(uint32_t position) const {
    return rows_.data() + position % capacity_ * width();
  }

  Shape shape_;
  uint32_t capacity_;
  std::vector<float> rows_;
};

}  // namespace quire::reference
