// Decoded index keys of one CSA layer, in the order the index kernel reads: groups of 16 keys, each
// transposed [dims][16]. Derived from the stored rows only, so it can be rebuilt from pages.
// Threads: different keys may be put at once; no reads meanwhile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "model/reference/decoder_config.h"
#include "model/reference/row_format.h"

namespace quire::reference {

class IndexKeys {
 public:
  explicit IndexKeys(uint32_t dims) : dims_(dims) {}

  // Makes room for rows [0, rows), rows a multiple of 16. Moves groups: not while others read.
  void grow(uint32_t rows) { groups_.resize(size_t{rows} * dims_); }
  // Decodes row `row` of `page`'s section as key number `index`.
  void put(uint32_t index, const Section& section, uint32_t row, const std::byte* page);
  // Groups from key `index` on; `index` is a multiple of 16.
  const float* from(uint32_t index) const { return groups_.data() + size_t{index} * dims_; }

 private:
  uint32_t dims_;
  std::vector<float> groups_;
};

}  // namespace quire::reference
