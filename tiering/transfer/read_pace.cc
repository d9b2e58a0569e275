#include "tiering/transfer/read_pace.h"

#include "model/check.h"

namespace quire::tiering {

namespace {

// A reading interval shorter than this says little about bandwidth; a longer one is cut.
constexpr int64_t kMinBusyNs = 5'000'000;
constexpr int64_t kMaxBusyNs = 50'000'000;

}  // namespace

void ReadPace::begun() {
  // The clock is read for the first of those in flight alone: this is in every load's way.
  if (in_flight_++ > 0) return;
  busy_since_ns_ = clock_->now_ns();
  busy_bytes_ = 0;
}

void ReadPace::ended(uint64_t plain_bytes) {
  QUIRE_CHECK(in_flight_ > 0);
  const int64_t now = clock_->now_ns();
  busy_bytes_ += plain_bytes;
  --in_flight_;
  const int64_t took = now - busy_since_ns_;
  // A device that never pauses is measured all the same, piece by piece.
  if (in_flight_ > 0 && took < kMaxBusyNs) return;
  if (took >= kMinBusyNs) {
    estimator_->observe_busy_interval(busy_bytes_, took);
  } else {
    estimator_->observe_idle_read(busy_bytes_, took);
  }
  busy_since_ns_ = now;
  busy_bytes_ = 0;
}

}  // namespace quire::tiering
