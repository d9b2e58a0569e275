#include "cache/ghosts/anchor_finder.h"

#include <algorithm>

namespace quire::cache {

namespace {

uint32_t short_key(uint64_t key) {
  const auto low = static_cast<uint32_t>(key);
  return low == 0 ? 1 : low;  // 0 is a free place
}

}  // namespace

// Keys are even already; the low bits of an anchor are also those of the entry's fingerprint, and
// policies that sample by it must not see one part of it only.
uint32_t AnchorFinder::hash_of(uint64_t key) {
  key = (key ^ key >> 31) * 0x9e3779b97f4a7c15ull;
  return static_cast<uint32_t>(key >> 32);
}

// The place of the key, or the free one where it would stand.
AnchorFinder::Beginning* AnchorFinder::find_place(uint32_t key) {
  for (size_t at = (key * 0x9e3779b1u) >> (32 - kPlaceBits);; ++at) {
    Beginning& one = beginnings_[at & (kPlaces - 1)];
    if (one.key == key || one.key == 0) return &one;
  }
}

// What no hub was found below since the last time makes way.
void AnchorFinder::clear_rare() {
  std::vector<Beginning> kept;
  kept.reserve(beginnings_.size());
  for (const Beginning& one : beginnings_) {
    if (one.key != 0 && one.kept) kept.push_back(one);
  }
  // Hubs alone that fill the table would never make way.
  if (kept.size() > kPlaces / 2) kept.clear();
  std::fill(beginnings_.begin(), beginnings_.end(), Beginning{});
  for (Beginning& one : kept) {
    one.kept = false;
    *find_place(one.key) = one;
  }
  used_ = static_cast<uint32_t>(kept.size());
}

Anchor AnchorFinder::find(std::span<const uint64_t> keys) {
  if (used_ > kPlaces / 4 * 3) clear_rare();
  uint32_t above = 0;
  Beginning* parent = nullptr;
  for (uint32_t i = 0; i < keys.size() && i < above + kDeepest; ++i) {
    Beginning* one = find_place(short_key(keys[i]));
    if (one->key == 0) {
      *one = Beginning{.key = short_key(keys[i])};
      ++used_;
      if (parent != nullptr && parent->children < UINT16_MAX) ++parent->children;
      break;
    }
    // The last block of a prompt is an anchor whatever is below it.
    if (one->children >= kHubChildren && i + 1 < keys.size()) above = i + 1;
    parent = one;
  }
  for (uint32_t i = 0; i < above; ++i) find_place(short_key(keys[i]))->kept = true;
  return {.blocks_above = above, .hash = hash_of(keys[above])};
}

}  // namespace quire::cache
