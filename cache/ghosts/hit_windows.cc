#include "cache/ghosts/hit_windows.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace quire::cache {

namespace {

constexpr int64_t kAllUs = INT64_MAX;

// How much more of its prompts a ghost hit than the tier, of parts of the sample.
struct Difference {
  double prompt = 0;
  double more = 0;
  double share() const { return prompt > 0 ? more / prompt : 0; }
};

}  // namespace

HitWindows::HitWindows(uint32_t ghost_count)
    : ghost_count_(ghost_count),
      rings_{Ring(kMinuteUs, kMinutes, ghost_count), Ring(kQuarterUs, kQuarters, ghost_count),
             Ring(kAllUs, 1, ghost_count)} {}

size_t HitWindows::index(const Ring& ring, const Bucket& bucket, uint32_t ghost) const {
  const auto at = static_cast<size_t>(&bucket - ring.buckets.data());
  return (at * ghost_count_ + ghost) * kParts;
}

// Begins it anew where it was that of an earlier hour or day.
HitWindows::Bucket& HitWindows::bucket_at(Ring& ring, int64_t time_us) {
  const int64_t number = time_us / ring.bucket_us;
  Bucket& bucket = ring.buckets[static_cast<size_t>(number) % ring.buckets.size()];
  if (bucket.number == number) return bucket;
  bucket = Bucket{.number = number};
  const auto begin = ring.hits.begin() + static_cast<std::ptrdiff_t>(index(ring, bucket, 0));
  std::fill_n(begin, size_t{ghost_count_} * kParts, 0.0f);
  return bucket;
}

void HitWindows::add(const PromptHits& prompt) {
  for (Ring& ring : rings_) {
    WindowTotals& totals = bucket_at(ring, prompt.time_us).totals;
    totals.prompt_tokens += static_cast<double>(prompt.prompt);
    totals.hit_tokens += static_cast<double>(prompt.hit);
    // May be below zero for one prompt: its new blocks stand for others'.
    totals.ceiling_tokens += static_cast<double>(prompt.prompt) - static_cast<double>(prompt.fresh);
  }
}

void HitWindows::add_sampled(const PromptHits& prompt, uint32_t part,
                             std::span<const uint32_t> hits) {
  for (Ring& ring : rings_) {
    Bucket& bucket = bucket_at(ring, prompt.time_us);
    bucket.totals.sampled_tokens += static_cast<double>(prompt.prompt);
    bucket.parts[part].prompt += static_cast<double>(prompt.prompt);
    bucket.parts[part].hit += static_cast<double>(prompt.hit);
    float* by_ghost = &ring.hits[index(ring, bucket, 0)];
    for (uint32_t ghost = 0; ghost < ghost_count_; ++ghost) {
      by_ghost[ghost * kParts + part] += static_cast<float>(hits[ghost]);
    }
  }
}

HitWindows::Range HitWindows::range(HitWindow window, int64_t now_us) const {
  const Ring& ring = rings_[window == HitWindow::kSinceStart ? 2
                            : window == HitWindow::kDay      ? 1
                                                             : 0];
  const int64_t count = window == HitWindow::kQuarter ? kQuarterUs / kMinuteUs
                                                      : static_cast<int64_t>(ring.buckets.size());
  const int64_t last = now_us / ring.bucket_us;
  return {.ring = &ring, .first = last - count + 1, .last = last};
}

template <typename Visit>
void HitWindows::for_each(const Range& range, Visit&& visit) {
  for (const Bucket& bucket : range.ring->buckets) {
    if (bucket.number >= range.first && bucket.number <= range.last) visit(bucket);
  }
}

WindowTotals HitWindows::totals(HitWindow window, int64_t now_us) const {
  WindowTotals sum;
  for_each(range(window, now_us), [&](const Bucket& bucket) {
    sum.prompt_tokens += bucket.totals.prompt_tokens;
    sum.hit_tokens += bucket.totals.hit_tokens;
    sum.ceiling_tokens += bucket.totals.ceiling_tokens;
    sum.sampled_tokens += bucket.totals.sampled_tokens;
  });
  sum.ceiling_tokens = std::clamp(sum.ceiling_tokens, 0.0, sum.prompt_tokens);
  return sum;
}

HitEstimate HitWindows::estimate(HitWindow window, uint32_t ghost, int64_t now_us) const {
  const Range found = range(window, now_us);
  const WindowTotals all = totals(window, now_us);
  if (all.prompt_tokens <= 0) return {};
  std::array<Difference, kParts> parts{};
  Difference sum;
  for_each(found, [&](const Bucket& bucket) {
    const float* hits = &found.ring->hits[index(*found.ring, bucket, ghost)];
    for (uint32_t part = 0; part < kParts; ++part) {
      const double more = static_cast<double>(hits[part]) - bucket.parts[part].hit;
      parts[part].prompt += bucket.parts[part].prompt;
      parts[part].more += more;
      sum.prompt += bucket.parts[part].prompt;
      sum.more += more;
    }
  });
  const double share = std::clamp(all.hit_tokens / all.prompt_tokens + sum.share(), 0.0, 1.0);
  double spread = 0;
  for (const Difference& part : parts) {
    const Difference rest{.prompt = sum.prompt - part.prompt, .more = sum.more - part.more};
    spread += (rest.share() - sum.share()) * (rest.share() - sum.share());
  }
  const double unseen = 1 - std::min(1.0, all.sampled_tokens / all.prompt_tokens);
  const double error = std::sqrt(spread * (kParts - 1) / kParts * unseen);
  return {
      .hit_tokens = share * all.prompt_tokens, .percent = 100 * share, .error_points = 100 * error};
}

uint64_t HitWindows::held_bytes() const {
  uint64_t bytes = sizeof(*this);
  for (const Ring& ring : rings_) {
    bytes += ring.buckets.capacity() * sizeof(Bucket) + ring.hits.capacity() * sizeof(float);
  }
  return bytes;
}

}  // namespace quire::cache
