// Jobs that a tier was given, by a number that its events name. Numbers are used again; a job keeps
// its address until it is given back. Threads: core only. Bound: the tier's own, which refuses what
// it has no record for.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "model/check.h"

namespace quire::tiering {

template <typename Job>
class JobTable {
 public:
  // A job as it was made by default, until give_back().
  uint32_t take() {
    ++in_use_;
    if (free_.empty()) {
      jobs_.emplace_back();
      return static_cast<uint32_t>(jobs_.size() - 1);
    }
    const uint32_t number = free_.back();
    free_.pop_back();
    return number;
  }
  Job& operator[](uint32_t number) {
    QUIRE_CHECK(number < jobs_.size());
    return jobs_[number];
  }
  const Job& operator[](uint32_t number) const {
    QUIRE_CHECK(number < jobs_.size());
    return jobs_[number];
  }
  // What it holds goes: its pins, for example.
  void give_back(uint32_t number) {
    QUIRE_CHECK(number < jobs_.size() && in_use_ > 0);
    jobs_[number] = Job{};
    free_.push_back(number);
    --in_use_;
  }
  // Every number that was ever taken is below.
  uint32_t end_of_numbers() const { return static_cast<uint32_t>(jobs_.size()); }
  size_t in_use() const { return in_use_; }

 private:
  std::deque<Job> jobs_;
  std::vector<uint32_t> free_;
  size_t in_use_ = 0;
};

}  // namespace quire::tiering
