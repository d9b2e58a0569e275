// A point on the monotonic clock until which a call may wait. Values copy.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <ctime>

namespace quire::client {

class Deadline {
 public:
  // Passed from the start: look once, never wait.
  static Deadline now() { return Deadline(Clock::now()); }
  // Counted from this call on.
  static Deadline after_ms(uint32_t timeout_ms) {
    return Deadline(Clock::now() + std::chrono::milliseconds(timeout_ms));
  }

  bool passed() const { return Clock::now() >= at_; }
  // Never negative.
  std::chrono::nanoseconds left() const {
    return std::max(std::chrono::nanoseconds(at_ - Clock::now()), std::chrono::nanoseconds(0));
  }
  // For ppoll: what is left, 0 when passed.
  timespec left_timespec() const {
    const int64_t left_ns = left().count();
    return {static_cast<time_t>(left_ns / 1'000'000'000),
            static_cast<long>(left_ns % 1'000'000'000)};
  }

 private:
  using Clock = std::chrono::steady_clock;
  explicit Deadline(Clock::time_point at) : at_(at) {}

  Clock::time_point at_;
};

}  // namespace quire::client
