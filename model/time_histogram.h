// How long something took, counted in classes: a count of each class and the sum of all. Classes of
// operations grow by 1, 2, 5, 10; those of ages reach from a hundredth of a second to a week.
// Adding is O(1), and nothing is allocated. Values copy; a copy is a snapshot.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace quire::model {

class TimeHistogram {
 public:
  // The longest time of each class but the last one, which has none.
  using Bounds = std::array<int64_t, 22>;
  static constexpr Bounds kBoundsNs{
      1'000,         2'000,         5'000,         10'000,        20'000,      50'000,
      100'000,       200'000,       500'000,       1'000'000,     2'000'000,   5'000'000,
      10'000'000,    20'000'000,    50'000'000,    100'000'000,   200'000'000, 500'000'000,
      1'000'000'000, 2'000'000'000, 5'000'000'000, 10'000'000'000};
  static constexpr int64_t kSecond = 1'000'000'000;
  static constexpr int64_t kHour = 3600 * kSecond;
  static constexpr Bounds kAgeBoundsNs{
      kSecond / 100,  kSecond / 10, kSecond,       2 * kSecond,   5 * kSecond,   10 * kSecond,
      30 * kSecond,   60 * kSecond, 120 * kSecond, 300 * kSecond, 600 * kSecond, 1200 * kSecond,
      1800 * kSecond, kHour,        2 * kHour,     4 * kHour,     8 * kHour,     12 * kHour,
      24 * kHour,     48 * kHour,   96 * kHour,    168 * kHour};

  // `bounds`: one of the above, which outlives it.
  constexpr explicit TimeHistogram(const Bounds& bounds = kBoundsNs) : bounds_(&bounds) {}
  const Bounds& bounds_ns() const { return *bounds_; }

  // So many that took so long. A clock that was read twice for one moment may say less than 0.
  void add(int64_t time_ns, uint64_t times = 1) {
    const int64_t time = std::max<int64_t>(time_ns, 0);
    const auto bound = std::lower_bound(bounds_->begin(), bounds_->end(), time);
    counts_[static_cast<size_t>(bound - bounds_->begin())] += times;
    sum_ns_ += static_cast<uint64_t>(time) * times;
  }

  // Of one class; index kBoundsNs.size(): longer than all bounds.
  uint64_t count_of(size_t index) const { return counts_[index]; }
  uint64_t count() const {
    uint64_t count = 0;
    for (const uint64_t one : counts_) count += one;
    return count;
  }
  uint64_t sum_ns() const { return sum_ns_; }
  // The bound of the class in which this part of the times lies, 0 where there are none; of times
  // above all bounds the last bound: it was longer.
  int64_t quantile_ns(double part) const {
    const uint64_t all = count();
    if (all == 0) return 0;
    const auto rank = static_cast<uint64_t>(part * static_cast<double>(all - 1));
    uint64_t seen = 0;
    for (size_t i = 0; i < bounds_->size(); ++i) {
      seen += counts_[i];
      if (seen > rank) return (*bounds_)[i];
    }
    return bounds_->back();
  }

 private:
  const Bounds* bounds_;
  std::array<uint64_t, kBoundsNs.size() + 1> counts_{};
  uint64_t sum_ns_ = 0;
};

}  // namespace quire::model
