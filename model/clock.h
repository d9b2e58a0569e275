// Monotonic time behind a seam, so that tests step it (tests/support/manual_clock.h, given through
// server::DaemonSeams). Wall clock appears only in labels.
#pragma once

#include <cstdint>

namespace quire::model {

inline constexpr int64_t kNsPerMs = 1'000'000;

class Clock {
 public:
  virtual ~Clock() = default;
  // Nanoseconds since an arbitrary start; never goes back. Threads: any.
  virtual int64_t now_ns() const = 0;
};

// CLOCK_MONOTONIC.
class SystemClock final : public Clock {
 public:
  int64_t now_ns() const override;
};

}  // namespace quire::model
