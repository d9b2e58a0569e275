// Free room of one segment in 4 KiB granules: a bitmap (1 = free) with a tree of longest runs over
// its 64-bit words.
//
//   tree node = {free run at its start, at its end, longest inside}; node i has children 2i, 2i + 1
//   words     = the leaves, padded with full ones to a power of two
//
// Neighbouring free extents are one run by construction, so nothing is ever coalesced. All calls
// take O(log granules) plus one step for each 64 granules of the range. Memory is fixed at
// construction: 128 KiB for a segment of 1 GiB. Core thread only.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace quire::allocator {

class ExtentMap {
 public:
  static constexpr uint64_t kGranuleBytes = 4096;  // O_DIRECT

  explicit ExtentMap(uint32_t granules);  // all free

  uint32_t granules() const { return granules_; }
  uint32_t longest_run() const { return tree_[1].longest; }
  // First granule of the lowest free run of at least `count` > 0.
  std::optional<uint32_t> find(uint32_t count) const;
  // Length of the free run that starts exactly at `first`, counted up to `limit`. `first` may be
  // the end of the segment.
  uint32_t run_at(uint32_t first, uint32_t limit) const;

  // The range must be wholly free (take) or wholly taken (put).
  void take(uint32_t first, uint32_t count);
  void put(uint32_t first, uint32_t count);

  bool is_free(uint32_t granule) const { return (words_[granule / 64] >> (granule % 64)) & 1; }
  uint64_t table_bytes() const {
    return words_.size() * sizeof(uint64_t) + tree_.size() * sizeof(Run);
  }
  void check_invariants() const;

 private:
  struct Run {
    uint32_t prefix = 0;
    uint32_t suffix = 0;
    uint32_t longest = 0;
    friend bool operator==(const Run&, const Run&) = default;
  };
  static Run word_run(uint64_t word);
  static Run joined(const Run& left, const Run& right, uint32_t child_granules);
  void set_range(uint32_t first, uint32_t count, bool free);
  void update_tree(uint32_t first_word, uint32_t last_word);

  uint32_t granules_;
  uint32_t leaf_count_;  // power of two
  std::vector<uint64_t> words_;
  std::vector<Run> tree_;  // [1] is the root; [leaf_count_ + i] is words_[i]
};

}  // namespace quire::allocator
