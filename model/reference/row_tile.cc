#include "model/reference/row_tile.h"

namespace quire::reference {

void decode_into_tile(const Section& section, uint32_t row, const std::byte* page, uint32_t slot,
                      float* tile) {
  const uint32_t dims = section.format.dims;
  float* values = tile + size_t{dims} * kTileRows + size_t{slot} * dims;
  decode_row(section, row, page, values);
  for (uint32_t d = 0; d < dims; ++d) tile[size_t{d} * kTileRows + slot] = values[d];
}

}  // namespace quire::reference
