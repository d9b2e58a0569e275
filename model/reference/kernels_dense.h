// Bodies of the matrix and elementwise kernels. Included by each kernels_*.cc (see lanes.h).
#pragma once

#include "model/reference/kernels.h"
#include "model/reference/lanes.h"

namespace quire::reference {
namespace {

// Accumulators of a register tile: 16 of 32 registers with AVX-512, 8 of 16 otherwise.
constexpr int kGemmRows = kParts == 1 ? 8 : 4;
constexpr int kGemmPanels = kParts == 1 ? 2 : 1;

template <int kRows, int kPanels>
QUIRE_LANES_INLINE void gemm_tile(const GemmCall& call, size_t row, size_t panel) {
  Lanes sum[kRows][kPanels];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (int p = 0; p < kPanels; ++p) sum[r][p] = splat(0.0f);
  }
  const size_t panel_floats = call.inner * kLanes;
  const float* a = call.a + row * call.a_stride;
  const float* b = call.packed + panel * panel_floats;
  for (size_t k = 0; k < call.inner; ++k) {
    Lanes column[kPanels];
#pragma GCC unroll 16
    for (int p = 0; p < kPanels; ++p) column[p] = load(b + p * panel_floats + k * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const Lanes value = splat(a[r * call.a_stride + k]);
#pragma GCC unroll 16
      for (int p = 0; p < kPanels; ++p) sum[r][p] = fma(value, column[p], sum[r][p]);
    }
  }
  float* c = call.c + row * call.c_stride + panel * kLanes;
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (int p = 0; p < kPanels; ++p) store(c + r * call.c_stride + p * kLanes, sum[r][p]);
  }
}

template <int kPanels>
QUIRE_LANES_INLINE void gemm_column(const GemmCall& call, size_t panel) {
  size_t row = 0;
  for (; row + kGemmRows <= call.rows; row += kGemmRows) {
    gemm_tile<kGemmRows, kPanels>(call, row, panel);
  }
  for (; row + 2 <= call.rows; row += 2) gemm_tile<2, kPanels>(call, row, panel);
  if (row < call.rows) gemm_tile<1, kPanels>(call, row, panel);
}

void gemm(const GemmCall& call) {
  const size_t panels = call.columns / kLanes;
  size_t panel = 0;
  for (; panel + kGemmPanels <= panels; panel += kGemmPanels) {
    gemm_column<kGemmPanels>(call, panel);
  }
  for (; panel < panels; ++panel) gemm_column<1>(call, panel);
}

void rms_norm(const float* x, const float* gain, size_t n, float* out) {
  constexpr float kEpsilon = 1e-6f;
  Lanes squares = splat(0.0f);
  for (size_t i = 0; i < n; i += kLanes) {
    const Lanes value = load(x + i);
    squares = fma(value, value, squares);
  }
  const float mean = sum_of(squares) / static_cast<float>(n);
  const Lanes scale = splat(1.0f / __builtin_sqrtf(mean + kEpsilon));
  for (size_t i = 0; i < n; i += kLanes) {
    Lanes value = multiply(load(x + i), scale);
    if (gain != nullptr) value = multiply(value, load(gain + i));
    store(out + i, value);
  }
}

void silu_multiply(const float* gate, const float* up, size_t n, float* out) {
  const Lanes one = splat(1.0f);
  for (size_t i = 0; i < n; i += kLanes) {
    const Lanes g = load(gate + i);
    const Lanes denominator = add(one, exp(subtract(splat(0.0f), g)));
    store(out + i, multiply(divide(g, denominator), load(up + i)));
  }
}

void add_scaled(const float* x, float scale, size_t n, float* y) {
  const Lanes factor = splat(scale);
  for (size_t i = 0; i < n; i += kLanes) store(y + i, fma(factor, load(x + i), load(y + i)));
}

void pool(const PoolSource* sources, size_t count, size_t n, float* out) {
  for (size_t i = 0; i < n; i += kLanes) {
    Lanes largest = add(load(sources[0].score + i), load(sources[0].bias + i));
    for (size_t s = 1; s < count; ++s) {
      largest = maximum(add(load(sources[s].score + i), load(sources[s].bias + i)), largest);
    }
    Lanes total = splat(0.0f);
    Lanes weighted = splat(0.0f);
    for (size_t s = 0; s < count; ++s) {
      const Lanes score = add(load(sources[s].score + i), load(sources[s].bias + i));
      const Lanes weight = exp(subtract(score, largest));
      total = add(total, weight);
      weighted = fma(weight, load(sources[s].kv + i), weighted);
    }
    store(out + i, divide(weighted, total));
  }
}

}  // namespace
}  // namespace quire::reference
