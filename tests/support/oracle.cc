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

constexpr size_t kAlike = 512;  // bytes

// The bytes of a page from its first on.
class Content {
 public:
  Content(uint64_t seed, uint32_t version) : seed_(seed), like_bf16_((version & kLikeBf16) != 0) {}
  std::byte next() {
    const size_t i = index_++;
    if (i % 8 == 0) word_ = mix(seed_ + i / 8);
    if (i % kAlike == 0) upper_ = mix(seed_ ^ i / kAlike);
    const uint64_t byte = like_bf16_ && i % 2 == 1 ? upper_ : word_ >> (i % 8 * 8);
    return static_cast<std::byte>(byte);
  }

 private:
  uint64_t seed_;
  bool like_bf16_;
  size_t index_ = 0;
  uint64_t word_ = 0;
  uint64_t upper_ = 0;
};

uint64_t seed_of(uint64_t key, uint32_t group, uint32_t version) {
  return mix(key ^ mix(uint64_t{group} << 32 | version));
}

}  // namespace

void fill_page(std::span<std::byte> page, uint64_t key, uint32_t group, uint32_t version) {
  Content content(seed_of(key, group, version), version);
  for (std::byte& byte : page) byte = content.next();
}

bool check_page(std::span<const std::byte> page, uint64_t key, uint32_t group, uint32_t version) {
  Content content(seed_of(key, group, version), version);
  for (const std::byte byte : page) {
    if (byte != content.next()) return false;
  }
  return true;
}

}  // namespace quire::tests
