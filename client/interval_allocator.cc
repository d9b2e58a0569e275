#include "client/interval_allocator.h"

#include <algorithm>

#include "model/check.h"

namespace quire::client {

IntervalAllocator::IntervalAllocator(uint64_t capacity, uint64_t alignment, size_t max_runs)
    : alignment_(alignment),
      capacity_(capacity & ~(alignment - 1)),
      max_runs_(max_runs),
      free_length_(capacity_) {
  QUIRE_CHECK(alignment != 0 && (alignment & (alignment - 1)) == 0);
  // As many as can ever be free: n runs leave n + 1 gaps at most.
  free_.reserve(max_runs + 1);
  if (capacity_ > 0) free_.push_back({0, capacity_});
}

std::optional<uint64_t> IntervalAllocator::allocate(uint64_t length) {
  QUIRE_CHECK(length > 0);
  if (live_runs_ == max_runs_ || length > capacity_) return std::nullopt;
  const uint64_t rounded = round_up(length);
  const auto fit = std::find_if(free_.begin(), free_.end(), [rounded](const Interval& interval) {
    return interval.end - interval.begin >= rounded;
  });
  if (fit == free_.end()) return std::nullopt;
  const uint64_t offset = fit->begin;
  fit->begin += rounded;
  if (fit->begin == fit->end) free_.erase(fit);
  free_length_ -= rounded;
  ++live_runs_;
  return offset;
}

void IntervalAllocator::free(uint64_t offset, uint64_t length) {
  const Interval run{offset, offset + round_up(length)};
  QUIRE_CHECK(live_runs_ > 0 && run.begin < run.end && run.end <= capacity_);
  const auto next =
      std::lower_bound(free_.begin(), free_.end(), run.begin,
                       [](const Interval& a, uint64_t begin) { return a.begin < begin; });
  // The session computes offsets itself, so a run that is given back twice is a bug of this
  // library.
  QUIRE_CHECK(next == free_.end() || run.end <= next->begin);
  QUIRE_CHECK(next == free_.begin() || std::prev(next)->end <= run.begin);
  insert_merged(next, run);
  free_length_ += run.end - run.begin;
  --live_runs_;
}

void IntervalAllocator::insert_merged(std::vector<Interval>::iterator next, Interval interval) {
  const bool joins_next = next != free_.end() && next->begin == interval.end;
  const bool joins_previous = next != free_.begin() && std::prev(next)->end == interval.begin;
  if (joins_next && joins_previous) {
    std::prev(next)->end = next->end;
    free_.erase(next);
  } else if (joins_next) {
    next->begin = interval.begin;
  } else if (joins_previous) {
    std::prev(next)->end = interval.end;
  } else {
    free_.insert(next, interval);
  }
}

void IntervalAllocator::check_invariants() const {
  uint64_t total = 0;
  for (size_t i = 0; i < free_.size(); ++i) {
    QUIRE_CHECK(free_[i].begin < free_[i].end && free_[i].end <= capacity_);
    QUIRE_CHECK(i == 0 || free_[i - 1].end < free_[i].begin);
    total += free_[i].end - free_[i].begin;
  }
  QUIRE_CHECK(total == free_length_);
  QUIRE_CHECK(free_.size() <= live_runs_ + 1);
  QUIRE_CHECK(live_runs_ > 0 || free_length_ == capacity_);
}

}  // namespace quire::client
