#include "model/reference/index_keys.h"

#include <array>

namespace quire::reference {

void IndexKeys::put(uint32_t index, const Section& section, uint32_t row, const std::byte* page) {
  std::array<float, kMaxIndexDim> values;
  decode_row(section, row, page, values.data());
  float* group = groups_.data() + size_t{index / 16} * 16 * dims_;
  for (uint32_t d = 0; d < dims_; ++d) group[size_t{d} * 16 + index % 16] = values[d];
}

}  // namespace quire::reference
