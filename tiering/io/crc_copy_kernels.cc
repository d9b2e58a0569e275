#include "tiering/io/crc_copy_kernels.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace quire::tiering {
namespace {

#if defined(__x86_64__)

__attribute__((target("avx512f"))) void copy_avx512(std::byte* target, const std::byte* source,
                                                    size_t bytes) {
  for (size_t i = 0; i < bytes; i += 64) {
    _mm512_stream_si512(reinterpret_cast<__m512i*>(target + i), _mm512_loadu_si512(source + i));
  }
}

__attribute__((target("avx2"))) void copy_avx2(std::byte* target, const std::byte* source,
                                               size_t bytes) {
  for (size_t i = 0; i < bytes; i += 64) {
    const auto* from = reinterpret_cast<const __m256i*>(source + i);
    auto* to = reinterpret_cast<__m256i*>(target + i);
    const __m256i a = _mm256_loadu_si256(from);
    const __m256i b = _mm256_loadu_si256(from + 1);
    _mm256_stream_si256(to, a);
    _mm256_stream_si256(to + 1, b);
  }
}

void copy_sse2(std::byte* target, const std::byte* source, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 64) {
    const auto* from = reinterpret_cast<const __m128i*>(source + i);
    auto* to = reinterpret_cast<__m128i*>(target + i);
    const __m128i a = _mm_loadu_si128(from);
    const __m128i b = _mm_loadu_si128(from + 1);
    const __m128i c = _mm_loadu_si128(from + 2);
    const __m128i d = _mm_loadu_si128(from + 3);
    _mm_stream_si128(to, a);
    _mm_stream_si128(to + 1, b);
    _mm_stream_si128(to + 2, c);
    _mm_stream_si128(to + 3, d);
  }
}

constexpr std::array<StreamKernel, 3> kKernels = {{
    {"avx512", copy_avx512},
    {"avx2", copy_avx2},
    {"sse2", copy_sse2},
}};

// A processor with one of these sets has all that follow it.
size_t first_usable() {
  if (__builtin_cpu_supports("avx512f")) return 0;
  return __builtin_cpu_supports("avx2") ? 1 : 2;
}

#else

void copy_plain(std::byte* target, const std::byte* source, size_t bytes) {
  std::memcpy(target, source, bytes);
}

constexpr std::array<StreamKernel, 1> kKernels = {{{"plain", copy_plain}}};

size_t first_usable() { return 0; }

#endif

}  // namespace

std::span<const StreamKernel> stream_kernels() {
  return std::span<const StreamKernel>(kKernels).subspan(first_usable());
}

void stream_fence() {
#if defined(__x86_64__)
  _mm_sfence();
#endif
}

}  // namespace quire::tiering
