#include "model/reference/packed_matrix.h"

namespace quire::reference {

PackedMatrix pack_matrix(const std::vector<float>& values, uint32_t inner, uint32_t columns) {
  PackedMatrix matrix{.inner = inner, .columns = (columns + 15) / 16 * 16, .panels = {}};
  matrix.panels.resize(size_t{inner} * matrix.columns);
  for (uint32_t k = 0; k < inner; ++k) {
    for (uint32_t n = 0; n < columns; ++n) {
      const size_t panel = n / 16;
      matrix.panels[(panel * inner + k) * 16 + n % 16] = values[size_t{k} * columns + n];
    }
  }
  return matrix;
}

void multiply(const Kernels& kernels, const float* in, uint32_t rows, const PackedMatrix& matrix,
              float* out) {
  kernels.gemm({.a = in,
                .a_stride = matrix.inner,
                .rows = rows,
                .packed = matrix.panels.data(),
                .inner = matrix.inner,
                .columns = matrix.columns,
                .c = out,
                .c_stride = matrix.columns});
}

}  // namespace quire::reference
