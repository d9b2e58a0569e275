// Sixteen floats that move together: the unit of every kernel. One definition per kernel file,
// chosen by that file's compile options, hence the unnamed namespace in a header: each kernels_*.cc
// must get its own copy, or the linker would merge code for different machines. For the same reason
// kernel files include no standard library templates. Only kernels_*.cc may include this.
//
// With FMA (AVX2, AVX-512) both widths give the same bits; the portable build multiplies and adds
// with two roundings and gives its own.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace quire::reference {
namespace {

#if defined(__AVX512F__)
constexpr int kPartLanes = 16;
#elif defined(__AVX2__)
constexpr int kPartLanes = 8;
#else
constexpr int kPartLanes = 4;
#endif
constexpr int kLanes = 16;
constexpr int kParts = kLanes / kPartLanes;

typedef float Part __attribute__((vector_size(kPartLanes * 4)));
typedef uint32_t PartBits __attribute__((vector_size(kPartLanes * 4)));

#define QUIRE_LANES_INLINE inline __attribute__((always_inline))

struct Lanes {
  Part part[kParts];
};

QUIRE_LANES_INLINE Part splat_part(float value) {
#if defined(__AVX512F__)
  return (Part)_mm512_set1_ps(value);
#elif defined(__AVX2__)
  return (Part)_mm256_set1_ps(value);
#else
  return Part{value, value, value, value};
#endif
}

QUIRE_LANES_INLINE Part fma_part(Part a, Part b, Part c) {
#if defined(__AVX512F__)
  return (Part)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
  return (Part)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
  return a * b + c;
#endif
}

// Unaligned.
QUIRE_LANES_INLINE Lanes load(const float* from) {
  Lanes out;
  __builtin_memcpy(&out, from, sizeof(out));
  return out;
}

QUIRE_LANES_INLINE void store(float* to, const Lanes& value) {
  __builtin_memcpy(to, &value, sizeof(value));
}

QUIRE_LANES_INLINE Lanes splat(float value) {
  Lanes out;
  for (int i = 0; i < kParts; ++i) out.part[i] = splat_part(value);
  return out;
}

// a * b + c
QUIRE_LANES_INLINE Lanes fma(const Lanes& a, const Lanes& b, const Lanes& c) {
  Lanes out;
  for (int i = 0; i < kParts; ++i) out.part[i] = fma_part(a.part[i], b.part[i], c.part[i]);
  return out;
}

QUIRE_LANES_INLINE Lanes add(const Lanes& a, const Lanes& b) {
  Lanes out;
  for (int i = 0; i < kParts; ++i) out.part[i] = a.part[i] + b.part[i];
  return out;
}

QUIRE_LANES_INLINE Lanes subtract(const Lanes& a, const Lanes& b) {
  Lanes out;
  for (int i = 0; i < kParts; ++i) out.part[i] = a.part[i] - b.part[i];
  return out;
}

QUIRE_LANES_INLINE Lanes multiply(const Lanes& a, const Lanes& b) {
  Lanes out;
  for (int i = 0; i < kParts; ++i) out.part[i] = a.part[i] * b.part[i];
  return out;
}

QUIRE_LANES_INLINE Lanes divide(const Lanes& a, const Lanes& b) {
  Lanes out;
  for (int i = 0; i < kParts; ++i) out.part[i] = a.part[i] / b.part[i];
  return out;
}

// b where a is NaN.
QUIRE_LANES_INLINE Lanes maximum(const Lanes& a, const Lanes& b) {
  Lanes out;
  for (int i = 0; i < kParts; ++i) {
    out.part[i] = a.part[i] > b.part[i] ? a.part[i] : b.part[i];
  }
  return out;
}

// e^x within 2 ulp for x in [-87, 87]; 0 below, e^87 above. Cephes' polynomial.
QUIRE_LANES_INLINE Part exp_part(Part x) {
  const Part low = splat_part(-87.0f);
  const Part high = splat_part(87.0f);
  const Part magic = splat_part(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  Part y = x > low ? x : low;
  y = y < high ? y : high;
  const Part shifted = fma_part(y, splat_part(1.44269504088896341f), magic);
  const Part n = shifted - magic;
  Part r = fma_part(n, splat_part(-0.693359375f), y);
  r = fma_part(n, splat_part(2.12194440e-4f), r);
  Part p = splat_part(1.9875691500e-4f);
  p = fma_part(p, r, splat_part(1.3981999507e-3f));
  p = fma_part(p, r, splat_part(8.3334519073e-3f));
  p = fma_part(p, r, splat_part(4.1665795894e-2f));
  p = fma_part(p, r, splat_part(1.6666665459e-1f));
  p = fma_part(p, r, splat_part(5.0000001201e-1f));
  p = fma_part(p, r * r, r + splat_part(1.0f));
  const PartBits exponent = ((PartBits)shifted - (PartBits)magic + 127u) << 23;
  const Part result = p * (Part)exponent;
  return x > low ? result : splat_part(0.0f);
}

QUIRE_LANES_INLINE Lanes exp(const Lanes& x) {
  Lanes out;
  for (int i = 0; i < kParts; ++i) out.part[i] = exp_part(x.part[i]);
  return out;
}

// Bit i = lane i > limit. False for NaN.
QUIRE_LANES_INLINE uint32_t above(const Lanes& value, float limit) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask((__m512)value.part[0], _mm512_set1_ps(limit), _CMP_GT_OQ);
#elif defined(__AVX2__)
  const __m256 limits = _mm256_set1_ps(limit);
  const __m256 low = _mm256_cmp_ps((__m256)value.part[0], limits, _CMP_GT_OQ);
  const __m256 high = _mm256_cmp_ps((__m256)value.part[1], limits, _CMP_GT_OQ);
  return static_cast<uint32_t>(_mm256_movemask_ps(low) | _mm256_movemask_ps(high) << 8);
#else
  float lane[kLanes];
  store(lane, value);
  uint32_t bits = 0;
  for (int i = 0; i < kLanes; ++i) bits |= (lane[i] > limit ? 1u : 0u) << i;
  return bits;
#endif
}

// Fixed tree: (lane i) + (lane i + 8), then 4, 2, 1.
QUIRE_LANES_INLINE float sum_of(const Lanes& value) {
  float lane[kLanes];
  store(lane, value);
  for (int step = kLanes / 2; step > 0; step /= 2) {
    for (int i = 0; i < step; ++i) lane[i] += lane[i + step];
  }
  return lane[0];
}

QUIRE_LANES_INLINE float largest_of(const Lanes& value) {
  float lane[kLanes];
  store(lane, value);
  float largest = lane[0];
  for (int i = 1; i < kLanes; ++i) largest = lane[i] > largest ? lane[i] : largest;
  return largest;
}

}  // namespace
}  // namespace quire::reference
