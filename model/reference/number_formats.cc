#include "model/reference/number_formats.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

namespace quire::reference {
namespace {

constexpr uint32_t kSignBit = 0x80000000u;
constexpr uint32_t kInfinityBits = 0x7f800000u;

}  // namespace

uint8_t encode_e4m3(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits & kSignBit) >> 24;
  const uint32_t magnitude_bits = bits & ~kSignBit;
  if (magnitude_bits > kInfinityBits) return static_cast<uint8_t>(sign | 0x7f);
  const float magnitude = std::bit_cast<float>(magnitude_bits);
  if (magnitude >= kE4m3Max) return static_cast<uint8_t>(sign | 0x7e);
  if (magnitude < 0x1p-6f) {  // subnormal: steps of 2^-9; adding 2^23 rounds to nearest even
    const float steps = (magnitude * 512.0f + 0x1p23f) - 0x1p23f;
    return static_cast<uint8_t>(sign | static_cast<uint32_t>(steps));
  }
  const uint32_t rounded = magnitude_bits + 0x7ffff + ((magnitude_bits >> 20) & 1);
  const uint32_t code = (rounded >> 20) - ((127 - 7) << 3);
  return static_cast<uint8_t>(sign | std::min<uint32_t>(code, 0x7e));
}

uint8_t encode_e2m1(float value) {
  const uint8_t sign = std::signbit(value) ? 8 : 0;
  const float magnitude = std::fabs(value);
  // Midpoints between neighbours; a tie goes to the even code.
  constexpr std::array<float, 7> kMidpoints = {0.25f, 0.75f, 1.25f, 1.75f, 2.5f, 3.5f, 5.0f};
  uint8_t code = 0;
  while (code < 7) {
    const float midpoint = kMidpoints[code];
    const bool tie_stays = code % 2 == 0;
    if (magnitude < midpoint || (tie_stays && magnitude == midpoint)) break;
    ++code;
  }
  return sign | code;
}

uint8_t choose_ue8m0(float largest_magnitude, float format_max) {
  const uint32_t bits = std::bit_cast<uint32_t>(largest_magnitude / format_max);
  const uint32_t exponent = (bits >> 23) & 255;
  const uint32_t round_up = (bits & 0x7fffff) != 0 ? 1 : 0;
  return static_cast<uint8_t>(std::clamp<uint32_t>(exponent + round_up, 1, 254));
}

uint16_t encode_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & ~kSignBit) > kInfinityBits) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

}  // namespace quire::reference
