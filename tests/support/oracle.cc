#include "tests/support/oracle.h"

namespace quire::tests {

namespace {

// SplitMix64 (Steele, Lea, Flood 2014): a stream that no other identity shares.
uint64_t mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15ull;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
  return value ^ (value >> 31);
}

std::byte byte_at(uint64_t seed, size_t index) {
  return static_cast<std::byte>(mix(seed + index / 8) >> (index % 8 * 8));
}

uint64_t seed_of(uint64_t key, uint32_t group, uint32_t version) {
  return mix(key ^ mix(uint64_t{group} << 32 | version));
}

}  // namespace

void fill_page(std::span<std::byte> page, uint64_t key, uint32_t group, uint32_t version) {
  const uint64_t seed = seed_of(key, group, version);
  for (size_t i = 0; i < page.size(); ++i) page[i] = byte_at(seed, i);
}

bool check_page(std::span<const std::byte> page, uint64_t key, uint32_t group, uint32_t version) {
  const uint64_t seed = seed_of(key, group, version);
  for (size_t i = 0; i < page.size(); ++i) {
    if (page[i] != byte_at(seed, i)) return false;
  }
  return true;
}

}  // namespace quire::tests
