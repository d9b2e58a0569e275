// Bitmaps of slots, 64 to a word, and the search for a run of clear bits. The bits past the last
// slot are set, so that nothing ends beyond it. Threads: any one at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace quire::tiering {

using SlotBits = std::vector<uint64_t>;

inline constexpr uint32_t kWordBits = 64;
inline constexpr uint64_t kAllBits = ~0ull;

inline bool bit_at(const SlotBits& bits, uint32_t index) {
  return bits[index / kWordBits] >> index % kWordBits & 1;
}
inline void set_bit(SlotBits& bits, uint32_t index) {
  bits[index / kWordBits] |= 1ull << index % kWordBits;
}
inline void clear_bit(SlotBits& bits, uint32_t index) {
  bits[index / kWordBits] &= ~(1ull << index % kWordBits);
}

// Calls visit(word, mask) for the words that hold [first, first + count).
template <typename Visit>
void for_words(uint32_t first, uint32_t count, Visit visit) {
  while (count > 0) {
    const uint32_t shift = first % kWordBits;
    const uint32_t in_word = std::min(count, kWordBits - shift);
    visit(first / kWordBits, kAllBits >> (kWordBits - in_word) << shift);
    first += in_word;
    count -= in_word;
  }
}

bool any_set(const SlotBits& bits, uint32_t first, uint32_t count);
uint64_t count_set(const SlotBits& bits);
// The last set bit at or before `index`. Precondition: there is one.
uint32_t last_set(const SlotBits& bits, uint32_t index);

struct ClearRun {
  uint32_t first = 0;
  uint32_t count = 0;  // 0: no bit is clear
};
// The first run of `count` clear bits (1 to 64) from word `from_word` on, all around; where there
// is none, one at least half as long as the longest.
ClearRun find_clear_run(const SlotBits& bits, size_t from_word, uint32_t count);

}  // namespace quire::tiering
