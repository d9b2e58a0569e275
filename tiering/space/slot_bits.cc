// A search goes over the bitmap once, 64 slots a step: with x the free slots from some slot on, bit
// i of x & x >> 1 says that two slots from i on are free, of that & itself >> 2 that four are, and
// so on. So each step knows the longest run that starts in its word to within a factor of two,
// whatever the slots look like, and count says where to stop.
#include "tiering/space/slot_bits.h"

#include <bit>

#include "model/check.h"

namespace quire::tiering {

namespace {

__extension__ using Wide = unsigned __int128;

// `word` and the one after it, which is occupied when there is none.
Wide free_from_word(const SlotBits& occupied, size_t word) {
  const uint64_t next = word + 1 < occupied.size() ? ~occupied[word + 1] : 0;
  return Wide{next} << kWordBits | ~occupied[word];
}

struct WordRun {
  uint32_t length = 0;  // exactly count, or a power of two below it; 0: none starts in this word
  uint32_t bit = 0;
};

WordRun longest_run(Wide free, uint32_t count) {
  if (static_cast<uint64_t>(free) == 0) return {};
  uint32_t length = 1;
  while (length < count) {
    const uint32_t step = std::min(length, count - length);
    const Wide longer = free & free >> step;
    if (static_cast<uint64_t>(longer) == 0) break;
    free = longer;
    length += step;
  }
  return {length, static_cast<uint32_t>(std::countr_zero(static_cast<uint64_t>(free)))};
}

}  // namespace

bool any_set(const SlotBits& bits, uint32_t first, uint32_t count) {
  bool any = false;
  for_words(first, count, [&](uint32_t word, uint64_t mask) { any |= (bits[word] & mask) != 0; });
  return any;
}

uint64_t count_set(const SlotBits& bits) {
  uint64_t count = 0;
  for (const uint64_t word : bits) count += static_cast<uint64_t>(std::popcount(word));
  return count;
}

uint32_t last_set(const SlotBits& bits, uint32_t index) {
  uint32_t word = index / kWordBits;
  uint64_t before = bits[word] & kAllBits >> (kWordBits - 1 - index % kWordBits);
  while (before == 0) {
    QUIRE_CHECK(word > 0);
    before = bits[--word];
  }
  return (word + 1) * kWordBits - 1 - static_cast<uint32_t>(std::countl_zero(before));
}

ClearRun find_clear_run(const SlotBits& bits, size_t from_word, uint32_t count) {
  const size_t words = bits.size();
  WordRun best;
  size_t best_word = 0;
  for (size_t i = 0; i < words && best.length < count; ++i) {
    const size_t word = from_word + i < words ? from_word + i : from_word + i - words;
    if (bits[word] == kAllBits) continue;
    const WordRun run = longest_run(free_from_word(bits, word), count);
    if (run.length > best.length) {
      best = run;
      best_word = word;
    }
  }
  if (best.length == 0) return {};
  ClearRun run{.first = static_cast<uint32_t>(best_word * kWordBits + best.bit)};
  const auto end = static_cast<uint32_t>(words * kWordBits);
  while (run.count < count && run.first + run.count < end && !bit_at(bits, run.first + run.count)) {
    ++run.count;
  }
  return run;
}

}  // namespace quire::tiering
