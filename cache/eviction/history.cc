#include "cache/eviction/history.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace quire::cache {

namespace {

constexpr uint32_t kSeenBits = 3;
// Memory is for what the tier holds; of what it held, a quarter as much is remembered.
constexpr uint32_t kHeldToRemembered = 4;
constexpr uint32_t kLeastCapacity = 16;

}  // namespace

uint32_t History::fingerprint(const model::Hash256& key) {
  const auto print = static_cast<uint32_t>(key.word(1)) & ~kSeenBits;
  return print == 0 ? kSeenBits + 1 : print;
}

// The word of this fingerprint, or the free one where it would stand; null: no table yet.
uint32_t* History::find(Generation& generation, uint32_t print) {
  const size_t size = generation.words.size();
  if (size == 0) return nullptr;
  // Ends at a free word: add() starts a new generation before more than half of the words are
  // taken.
  for (size_t at = (print >> 2) & (size - 1);; at = (at + 1) & (size - 1)) {
    uint32_t& word = generation.words[at];
    if (word == 0 || (word & ~kSeenBits) == print) return &word;
  }
}

void History::add(const model::Hash256& key, bool often, uint32_t held, double share) {
  Generation* young = &generations_.front();
  if (young->added >= young->capacity) {
    const auto of_tier = static_cast<uint32_t>(held / share);
    const uint32_t remembered =
        std::bit_ceil(std::clamp(of_tier / kHeldToRemembered, kMinCapacity, kMaxCapacity));
    const uint32_t capacity = std::max(kLeastCapacity, static_cast<uint32_t>(remembered * share));
    std::swap(generations_[0], generations_[1]);
    *young = Generation{.words = std::vector<uint32_t>(std::bit_ceil(size_t{capacity} * 2)),
                        .capacity = capacity};
  }
  const uint32_t print = fingerprint(key);
  uint32_t* word = find(*young, print);
  const Seen seen = often ? Seen::kOften : Seen::kOnce;
  if (*word == 0) {
    ++young->added;
  } else if ((*word & kSeenBits) != kTaken) {
    --young->counts[*word & kSeenBits];
  }
  *word = print | static_cast<uint32_t>(seen);
  ++young->counts[static_cast<size_t>(seen)];
}

void History::prefetch(const model::Hash256& key) const {
  const std::vector<uint32_t>& words = generations_.front().words;
  if (!words.empty()) __builtin_prefetch(&words[(fingerprint(key) >> 2) & (words.size() - 1)]);
  asm volatile("");  // as in ChainIndex::prefetch()
}

Seen History::take(const model::Hash256& key) {
  const uint32_t print = fingerprint(key);
  for (Generation& generation : generations_) {
    uint32_t* word = find(generation, print);
    if (word == nullptr || *word == 0 || (*word & kSeenBits) == kTaken) continue;
    const uint32_t seen = *word & kSeenBits;
    *word = print | kTaken;
    --generation.counts[seen];
    return static_cast<Seen>(seen);
  }
  return Seen::kNever;
}

uint32_t History::count(Seen seen) const {
  uint32_t total = 0;
  for (const Generation& generation : generations_) {
    total += generation.counts[static_cast<size_t>(seen)];
  }
  return total;
}

uint64_t History::held_bytes() const {
  uint64_t bytes = 0;
  for (const Generation& generation : generations_) {
    bytes += generation.words.capacity() * sizeof(uint32_t);
  }
  return bytes;
}

}  // namespace quire::cache
