// What each checkpoint policy would have written and brought in the last quarter of an hour, hour
// and day, beside what was written and brought: a ring of minutes for an hour, one of quarters of
// an hour for a day (as HitWindows). Threads: one owner. Nothing is allocated after construction.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "cache/ghosts/hit_windows.h"

namespace quire::cache {

inline constexpr size_t kAdvisedPolicies = 7;  // CheckpointGhosts::policies()

struct CheckpointTotals {
  struct Row {
    uint64_t exact_tokens = 0;
    uint64_t written_bytes = 0;
  };
  uint64_t prompts = 0;
  uint64_t prompt_tokens = 0;
  uint64_t exact_tokens = 0;                 // really announced
  uint64_t written_bytes = 0;                // of checkpoints that really became visible
  std::array<Row, kAdvisedPolicies> rows{};  // in the order of CheckpointGhosts::policies()

  CheckpointTotals& operator+=(const CheckpointTotals& more);
};

class CheckpointWindows {
 public:
  CheckpointWindows() : minutes_(60), quarters_(96) {}

  void add(const CheckpointTotals& more, int64_t time_us);
  // As of `now_us`. kSinceStart: as kDay.
  CheckpointTotals totals(HitWindow window, int64_t now_us) const;
  // Of that time, how much there is something known of: all of it, or what is over since the start.
  int64_t covered_us(HitWindow window, int64_t now_us) const;

 private:
  struct Bucket {
    int64_t number = -1;  // of its minute or quarter
    CheckpointTotals totals;
  };
  std::vector<Bucket> minutes_;
  std::vector<Bucket> quarters_;
  int64_t first_us_ = -1;  // of the first thing that was told; -1: nothing was
};

}  // namespace quire::cache
