// The k best of a stream of scores, fed in ascending index order. Equal scores: lower index wins.
// The answer depends on the scores alone, not on how the stream was cut. NaN ranks last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "model/reference/kernels.h"

namespace quire::reference {

class TopK {
 public:
  void reset(uint32_t k);
  // Scores of indices first_index .. first_index + count - 1.
  void feed(const Kernels& kernels, const float* scores, uint32_t count, uint32_t first_index);
  // Indices of the best min(k, fed), ascending. Valid until the next call.
  const std::vector<uint32_t>& finish(const Kernels& kernels);

 private:
  void keep_best(const Kernels& kernels);

  uint32_t k_ = 0;
  bool full_ = false;              // k scores were seen, so the threshold holds
  float threshold_ = 0.0f;         // the k-th best at the last keep_best()
  std::vector<uint32_t> ranks_;    // of what may still be chosen; sorts like the scores
  std::vector<uint32_t> indices_;  // of the same, ascending
};

}  // namespace quire::reference
