// A weight matrix in the order the gemm kernel reads: panels of 16 columns, zero padded.
#pragma once

#include <cstdint>
#include <vector>

#include "model/reference/kernels.h"

namespace quire::reference {

struct PackedMatrix {
  uint32_t inner = 0;    // K: input channels
  uint32_t columns = 0;  // N: output channels, padded to a multiple of 16
  std::vector<float> panels;
};

// `values` is row-major [inner][columns].
PackedMatrix pack_matrix(const std::vector<float>& values, uint32_t inner, uint32_t columns);

// out[rows][matrix.columns] = in[rows][matrix.inner] * matrix, all three dense.
void multiply(const Kernels& kernels, const float* in, uint32_t rows, const PackedMatrix& matrix,
              float* out);

}  // namespace quire::reference
