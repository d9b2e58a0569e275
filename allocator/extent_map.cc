#include "allocator/extent_map.h"

#include <algorithm>
#include <bit>

#include "model/check.h"

namespace quire::allocator {
namespace {

constexpr uint32_t kWordBits = 64;

// Bits [first, end) of a word; end in 1..64.
uint64_t mask_of(uint32_t first, uint32_t end) {
  return (~uint64_t{0} << first) & (~uint64_t{0} >> (kWordBits - end));
}

// Lowest start of `count` ones in a row; the word has such a run.
uint32_t find_in_word(uint64_t word, uint32_t count) {
  uint32_t first = 0;
  while (true) {
    first += static_cast<uint32_t>(std::countr_zero(word >> first));
    const uint32_t length = static_cast<uint32_t>(std::countr_one(word >> first));
    if (length >= count) return first;
    first += length;
  }
}

}  // namespace

ExtentMap::ExtentMap(uint32_t granules)
    : granules_(granules),
      leaf_count_(std::bit_ceil(std::max<uint32_t>(1, (granules + kWordBits - 1) / kWordBits))),
      words_(leaf_count_, 0),
      tree_(2 * size_t{leaf_count_}) {
  QUIRE_CHECK(granules > 0);
  set_range(0, granules, true);
  update_tree(0, leaf_count_ - 1);
}

ExtentMap::Run ExtentMap::word_run(uint64_t word) {
  if (word == ~uint64_t{0}) return {kWordBits, kWordBits, kWordBits};
  uint32_t longest = 0;
  // Each step shortens every run by one bit: there are as many steps as the longest run has bits.
  for (uint64_t rest = word; rest != 0; rest &= rest << 1) ++longest;
  return {static_cast<uint32_t>(std::countr_one(word)),
          static_cast<uint32_t>(std::countl_one(word)), longest};
}

ExtentMap::Run ExtentMap::joined(const Run& left, const Run& right, uint32_t child_granules) {
  Run run;
  // A half that is free throughout joins the run at its border; else the run ends within the half.
  run.prefix = left.prefix + (left.prefix == child_granules ? right.prefix : 0);
  run.suffix = right.suffix + (right.suffix == child_granules ? left.suffix : 0);
  run.longest = std::max({left.longest, right.longest, left.suffix + right.prefix});
  return run;
}

std::optional<uint32_t> ExtentMap::find(uint32_t count) const {
  QUIRE_CHECK(count > 0);
  if (longest_run() < count) return std::nullopt;
  size_t node = 1;
  uint32_t first = 0;
  uint32_t node_granules = leaf_count_ * kWordBits;
  while (node < leaf_count_) {
    const Run& left = tree_[2 * node];
    const Run& right = tree_[2 * node + 1];
    node_granules /= 2;
    // Left, across the middle, right: the first that is long enough is the lowest.
    if (left.longest >= count) {
      node = 2 * node;
    } else if (left.suffix + right.prefix >= count) {
      return first + node_granules - left.suffix;
    } else {
      node = 2 * node + 1;
      first += node_granules;
    }
  }
  return first + find_in_word(words_[node - leaf_count_], count);
}

uint32_t ExtentMap::run_at(uint32_t first, uint32_t limit) const {
  QUIRE_CHECK(first <= granules_);
  limit = std::min(limit, granules_ - first);
  uint32_t length = 0;
  while (length < limit) {
    const uint32_t at = first + length;
    const uint32_t rest = kWordBits - at % kWordBits;
    const uint64_t word = words_[at / kWordBits] >> (at % kWordBits);
    const uint32_t step = std::min(rest, static_cast<uint32_t>(std::countr_one(word)));
    length += step;
    if (step < rest) break;
  }
  return std::min(length, limit);
}

void ExtentMap::take(uint32_t first, uint32_t count) {
  QUIRE_CHECK(count > 0 && run_at(first, count) == count);
  set_range(first, count, false);
  update_tree(first / kWordBits, (first + count - 1) / kWordBits);
}

void ExtentMap::put(uint32_t first, uint32_t count) {
  QUIRE_CHECK(count > 0 && count <= granules_ && first <= granules_ - count);
  set_range(first, count, true);
  update_tree(first / kWordBits, (first + count - 1) / kWordBits);
}

void ExtentMap::set_range(uint32_t first, uint32_t count, bool free) {
  const uint32_t end = first + count;
  while (first < end) {
    const uint32_t word = first / kWordBits;
    const uint32_t word_end = std::min(end, (word + 1) * kWordBits);
    const uint64_t mask = mask_of(first % kWordBits, word_end - word * kWordBits);
    QUIRE_CHECK((words_[word] & mask) == (free ? 0 : mask));  // put twice, or taken twice
    // All bits of the mask are the other way, as was checked, so turning them sets them.
    words_[word] ^= mask;
    first = word_end;
  }
}

void ExtentMap::update_tree(uint32_t first_word, uint32_t last_word) {
  for (uint32_t word = first_word; word <= last_word; ++word) {
    tree_[leaf_count_ + word] = word_run(words_[word]);
  }
  // Level by level: neighbouring words share most of their ancestors, and each is computed once.
  size_t first = leaf_count_ + first_word;
  size_t last = leaf_count_ + last_word;
  for (uint32_t child_granules = kWordBits; first > 1; child_granules *= 2) {
    first /= 2;
    last /= 2;
    for (size_t node = first; node <= last; ++node) {
      tree_[node] = joined(tree_[2 * node], tree_[2 * node + 1], child_granules);
    }
  }
}

void ExtentMap::check_invariants() const {
  for (uint32_t word = 0; word < leaf_count_; ++word) {
    QUIRE_CHECK(tree_[leaf_count_ + word] == word_run(words_[word]));
  }
  for (size_t granule = granules_; granule < size_t{leaf_count_} * kWordBits; ++granule) {
    QUIRE_CHECK(!is_free(static_cast<uint32_t>(granule)));
  }
  uint32_t child_granules = kWordBits;
  for (size_t level = leaf_count_ / 2; level >= 1; level /= 2, child_granules *= 2) {
    for (size_t node = level; node < 2 * level; ++node) {
      QUIRE_CHECK(tree_[node] == joined(tree_[2 * node], tree_[2 * node + 1], child_granules));
    }
  }
}

}  // namespace quire::allocator
