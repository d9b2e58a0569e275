// 256-bit identity, compared whole (law 1).
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace quire::model {

struct alignas(8) Hash256 {
  std::array<uint8_t, 32> bytes{};

  friend bool operator==(const Hash256& a, const Hash256& b) {
    return std::memcmp(a.bytes.data(), b.bytes.data(), 32) == 0;
  }
  // Word i of 4, little-endian: input for a keyed table hash, never identity by itself.
  uint64_t word(size_t i) const {
    uint64_t value;
    std::memcpy(&value, bytes.data() + 8 * i, 8);
    return value;
  }
};
static_assert(sizeof(Hash256) == 32);

}  // namespace quire::model
