// Which blocks of a context something was done with, each counted once however often it is named:
// the ranks of a session load the same blocks, each its own groups.
//
// Sorted, disjoint, not touching. Bound: kMaxRanges; what finds no place beyond it is not counted,
// so that a count is never too large. No allocation.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace quire::server {

// Blocks [first, end).
struct BlockRange {
  uint32_t first = 0;
  uint32_t end = 0;
  friend bool operator==(const BlockRange&, const BlockRange&) = default;
};

class BlockRanges {
 public:
  static constexpr size_t kMaxRanges = 32;  // loads come in few pieces, and neighbours merge

  // Calls on_new(BlockRange) for each part that was not named before, ascending.
  template <typename OnNew>
  void add(BlockRange range, OnNew&& on_new);
  void clear() { size_ = 0; }
  uint64_t count() const;  // blocks named
  // Where the blocks named end that follow on each other from `first` on; `first` itself when it
  // was not named.
  uint32_t end_from(uint32_t first) const;
  // Ranges, not blocks.
  size_t size() const { return size_; }

 private:
  std::array<BlockRange, kMaxRanges> ranges_{};
  size_t size_ = 0;
};

template <typename OnNew>
void BlockRanges::add(BlockRange range, OnNew&& on_new) {
  if (range.first >= range.end) return;
  // Those that touch the new one become one with it.
  size_t from = 0;
  while (from < size_ && ranges_[from].end < range.first) ++from;
  size_t to = from;
  while (to < size_ && ranges_[to].first <= range.end) ++to;
  if (from == to && size_ == kMaxRanges) return;
  uint32_t at = range.first;
  BlockRange merged = range;
  for (size_t i = from; i < to; ++i) {
    if (at < ranges_[i].first) on_new(BlockRange{at, ranges_[i].first});
    at = std::max(at, ranges_[i].end);
    merged.first = std::min(merged.first, ranges_[i].first);
    merged.end = std::max(merged.end, ranges_[i].end);
  }
  if (at < range.end) on_new(BlockRange{at, range.end});
  if (from == to) {
    std::copy_backward(ranges_.begin() + from, ranges_.begin() + size_,
                       ranges_.begin() + size_ + 1);
    ++size_;
  } else {
    std::copy(ranges_.begin() + to, ranges_.begin() + size_, ranges_.begin() + from + 1);
    size_ -= to - from - 1;
  }
  ranges_[from] = merged;
}

inline uint64_t BlockRanges::count() const {
  uint64_t count = 0;
  for (size_t i = 0; i < size_; ++i) count += ranges_[i].end - ranges_[i].first;
  return count;
}

inline uint32_t BlockRanges::end_from(uint32_t first) const {
  for (size_t i = 0; i < size_; ++i) {
    if (ranges_[i].first <= first && first < ranges_[i].end) return ranges_[i].end;
  }
  return first;
}

}  // namespace quire::server
