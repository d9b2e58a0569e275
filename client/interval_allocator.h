// Hands out runs of [0, capacity) first fit: which part of a shared area is in use. Holds no memory
// of the area itself.
//
// 1. Free intervals are ascending, not empty, and never touch each other.
// 2. Free intervals and live runs together cover [0, capacity) once.
// 3. At most max_runs runs are live, so at most max_runs + 1 intervals are free: no allocation
// after
//    construction.
// Fills come and go nearly in order, so the list stays short and first fit reuses warm memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace quire::client {

class IntervalAllocator {
 public:
  // Lengths are rounded up to `alignment` (a power of two); capacity is rounded down to it.
  IntervalAllocator(uint64_t capacity, uint64_t alignment, size_t max_runs);

  // Start of a run of `length` > 0. Nothing when no interval is long enough or max_runs are live.
  std::optional<uint64_t> allocate(uint64_t length);
  // Gives back exactly what allocate(length) returned.
  void free(uint64_t offset, uint64_t length);

  uint64_t capacity() const { return capacity_; }
  uint64_t free_length() const { return free_length_; }
  size_t live_runs() const { return live_runs_; }
  void check_invariants() const;

 private:
  struct Interval {
    uint64_t begin = 0;
    uint64_t end = 0;
  };
  uint64_t round_up(uint64_t length) const { return (length + alignment_ - 1) & ~(alignment_ - 1); }
  void insert_merged(std::vector<Interval>::iterator next, Interval interval);

  uint64_t alignment_;
  uint64_t capacity_;
  size_t max_runs_;
  std::vector<Interval> free_;
  uint64_t free_length_;
  size_t live_runs_ = 0;
};

}  // namespace quire::client
