// What was hit in the last quarter of an hour, hour and day, by the tier and by each ghost: a ring
// of minutes for an hour, one of quarters of an hour for a day, and what was since the start.
//
// A ghost sees a sample of the conversations; what the tier itself hit in that sample is known, and
// what it hit in all. So an estimate is the tier's own share of hits, plus what the ghost hit more
// than the tier in the sample: that some conversations repeat more than others falls out. The error
// is told by leaving out one of eight parts of the sample at a time (the jackknife), and is none
// where everything is sampled. Threads: one owner. Nothing is allocated after construction.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "cache/ghosts/sample_rule.h"

namespace quire::cache {

// How long the buckets of such rings are.
inline constexpr int64_t kMinuteUs = 60'000'000;
inline constexpr int64_t kQuarterUs = 15 * kMinuteUs;

enum class HitWindow : uint8_t { kQuarter = 0, kHour, kDay, kSinceStart };

// One prompt, in tokens.
struct PromptHits {
  int64_t time_us = 0;
  uint64_t prompt = 0;
  uint64_t hit = 0;    // by the tier
  uint64_t fresh = 0;  // never seen before, by the ceiling's sample
};

// Of all prompts in a window.
struct WindowTotals {
  double prompt_tokens = 0;
  double hit_tokens = 0;
  double ceiling_tokens = 0;
  double sampled_tokens = 0;  // of the prompts that the ghosts saw
};

struct HitEstimate {
  double hit_tokens = 0;
  double percent = 0;       // of the prompts' tokens
  double error_points = 0;  // a standard error of the percent
};

class HitWindows {
 public:
  explicit HitWindows(uint32_t ghost_count);

  void add(const PromptHits& prompt);
  // The same prompt is of the sample, in this part of it; hit tokens by ghost.
  void add_sampled(const PromptHits& prompt, uint32_t part, std::span<const uint32_t> hits);

  // As of `now_us`.
  WindowTotals totals(HitWindow window, int64_t now_us) const;
  HitEstimate estimate(HitWindow window, uint32_t ghost, int64_t now_us) const;
  uint64_t held_bytes() const;

 private:
  static constexpr uint32_t kParts = SampleRule::kParts;
  static constexpr uint32_t kMinutes = 60;
  static constexpr uint32_t kQuarters = 96;

  // Tokens of one part of the sample.
  struct Part {
    double prompt = 0;
    double hit = 0;
  };
  struct Bucket {
    int64_t number = -1;  // of its minute or quarter
    WindowTotals totals;
    std::array<Part, kParts> parts{};
  };
  struct Ring {
    Ring(int64_t each_us, uint32_t count, uint32_t ghost_count)
        : bucket_us(each_us), buckets(count), hits(size_t{count} * ghost_count * kParts) {}
    int64_t bucket_us;
    std::vector<Bucket> buckets;
    std::vector<float> hits;  // by bucket, ghost and part
  };
  struct Range {
    const Ring* ring;
    int64_t first;  // number of the oldest bucket
    int64_t last;
  };

  size_t index(const Ring& ring, const Bucket& bucket, uint32_t ghost) const;
  Bucket& bucket_at(Ring& ring, int64_t time_us);
  Range range(HitWindow window, int64_t now_us) const;
  template <typename Visit>
  static void for_each(const Range& range, Visit&& visit);

  const uint32_t ghost_count_;
  std::array<Ring, 3> rings_;
};

}  // namespace quire::cache
