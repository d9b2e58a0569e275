// Deadlines of records known by their index, the earliest first. Each index stands here once.
// Threads: core only. Bound: the number of indexes. No allocation after create().
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "allocator/flat_array.h"
#include "model/result.h"

namespace quire::server {

inline constexpr int64_t kNoDeadline = std::numeric_limits<int64_t>::max();

class DeadlineHeap {
 public:
  // For indexes below the bound. kResourceExhausted: no address space.
  static model::Result<DeadlineHeap> create(uint32_t max_indexes);

  // Precondition: not here.
  void add(uint32_t index, int64_t deadline_ns);
  // Not here: nothing happens.
  void remove(uint32_t index);
  bool holds(uint32_t index) const { return places_[index] != 0; }
  size_t size() const { return heap_.size(); }
  // Precondition: not empty.
  uint32_t earliest() const { return heap_.front().index; }
  // kNoDeadline when it is empty.
  int64_t earliest_ns() const { return heap_.empty() ? kNoDeadline : heap_.front().deadline_ns; }
  void check_invariants() const;

 private:
  struct Entry {
    int64_t deadline_ns = 0;
    uint32_t index = 0;
  };
  void put(size_t place, const Entry& entry);
  void sift_up(size_t place, Entry entry);
  void sift_down(size_t place, Entry entry);

  std::vector<Entry> heap_;
  allocator::FlatArray<uint32_t> places_;  // by index: place in the heap + 1; 0 = not here
};

}  // namespace quire::server
