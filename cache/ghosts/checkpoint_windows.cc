#include "cache/ghosts/checkpoint_windows.h"

#include <algorithm>

namespace quire::cache {

namespace {

// How many buckets of how long make up a window.
struct Span {
  int64_t bucket_us;
  int64_t count;
};
Span span_of(HitWindow window) {
  if (window == HitWindow::kQuarter) return {kMinuteUs, 15};
  if (window == HitWindow::kHour) return {kMinuteUs, 60};
  return {kQuarterUs, 96};
}

}  // namespace

CheckpointTotals& CheckpointTotals::operator+=(const CheckpointTotals& more) {
  prompts += more.prompts;
  prompt_tokens += more.prompt_tokens;
  exact_tokens += more.exact_tokens;
  written_bytes += more.written_bytes;
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i].exact_tokens += more.rows[i].exact_tokens;
    rows[i].written_bytes += more.rows[i].written_bytes;
  }
  return *this;
}

void CheckpointWindows::add(const CheckpointTotals& more, int64_t time_us) {
  if (first_us_ < 0) first_us_ = time_us;
  const auto add_to = [&](std::vector<Bucket>& ring, int64_t bucket_us) {
    const int64_t number = time_us / bucket_us;
    Bucket& bucket = ring[static_cast<size_t>(number) % ring.size()];
    // Begun anew where it was that of an earlier hour or day.
    if (bucket.number != number) bucket = Bucket{.number = number, .totals = {}};
    bucket.totals += more;
  };
  add_to(minutes_, kMinuteUs);
  add_to(quarters_, kQuarterUs);
}

CheckpointTotals CheckpointWindows::totals(HitWindow window, int64_t now_us) const {
  const Span span = span_of(window);
  const int64_t last = now_us / span.bucket_us;
  CheckpointTotals sum;
  for (const Bucket& bucket : span.bucket_us == kMinuteUs ? minutes_ : quarters_) {
    if (bucket.number > last - span.count && bucket.number <= last) sum += bucket.totals;
  }
  return sum;
}

int64_t CheckpointWindows::covered_us(HitWindow window, int64_t now_us) const {
  if (first_us_ < 0) return 0;
  const Span span = span_of(window);
  // The window begins with the oldest of its buckets, and its last one is not over yet.
  const int64_t begin = (now_us / span.bucket_us - span.count + 1) * span.bucket_us;
  return now_us - std::max(begin, first_us_);
}

}  // namespace quire::cache
