// Narrow number formats of V4 cache rows: FP8 E4M3 (OCP OFP8, no infinities), FP4 E2M1 and the
// UE8M0 scale (OCP Microscaling 1.0), BF16. Encoders round to nearest even and saturate; they
// never produce a NaN code from a number. Pure bit work: same result on every machine.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace quire::reference {

inline constexpr float kE4m3Max = 448.0f;
inline constexpr float kE2m1Max = 6.0f;

constexpr std::array<float, 256> make_e4m3_values() {
  std::array<float, 256> values{};
  for (uint32_t code = 0; code < 256; ++code) {
    const uint32_t exponent = (code >> 3) & 15;
    const uint32_t mantissa = code & 7;
    float magnitude = static_cast<float>(mantissa) * 0x1p-9f;
    if (exponent != 0) {
      magnitude = std::bit_cast<float>(((exponent + 127 - 7) << 23) | (mantissa << 20));
    }
    if ((code & 0x7f) == 0x7f) magnitude = std::bit_cast<float>(0x7fc00000u);
    values[code] = (code & 0x80) != 0 ? -magnitude : magnitude;
  }
  return values;
}

// Value of every code. Rows are decoded by the million: tables beat bit work.
inline constexpr std::array<float, 256> kE4m3Values = make_e4m3_values();
inline constexpr std::array<float, 16> kE2m1Values = {0.0f,  0.5f,  1.0f,  1.5f,  2.0f,  3.0f,
                                                      4.0f,  6.0f,  -0.0f, -0.5f, -1.0f, -1.5f,
                                                      -2.0f, -3.0f, -4.0f, -6.0f};

uint8_t encode_e4m3(float value);  // NaN gives the NaN code 0x7f, with the sign
inline float decode_e4m3(uint8_t code) { return kE4m3Values[code]; }

uint8_t encode_e2m1(float value);  // low 4 bits; NaN, which E2M1 lacks, gives +-6
inline float decode_e2m1(uint8_t code) { return kE2m1Values[code & 15]; }  // high bits ignored

// 2^(code - 127). Code 255 (NaN in the standard) decodes to infinity.
inline float decode_ue8m0(uint8_t code) {
  if (code == 0) return 0x1p-127f;
  return std::bit_cast<float>(static_cast<uint32_t>(code) << 23);
}
// Code of the smallest power of two s with largest_magnitude / s <= format_max; at least code 1.
uint8_t choose_ue8m0(float largest_magnitude, float format_max);

uint16_t encode_bf16(float value);
inline float decode_bf16(uint16_t code) {
  return std::bit_cast<float>(static_cast<uint32_t>(code) << 16);
}

}  // namespace quire::reference
