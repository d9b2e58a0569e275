// Sixteen decoded rows, as the attend kernel reads them (kernels.h): once transposed, once as rows.
// Always filled from a stored, quantised row.
#pragma once

#include <cstddef>
#include <cstdint>

#include "model/reference/kernels.h"
#include "model/reference/row_format.h"

namespace quire::reference {

inline constexpr uint32_t kTileRows = 16;

inline size_t tile_floats(uint32_t dims) { return size_t{2} * kTileRows * dims; }

// Decodes a row of a section into row `slot` of the tile.
void decode_into_tile(const Section& section, uint32_t row, const std::byte* page, uint32_t slot,
                      float* tile);

}  // namespace quire::reference
