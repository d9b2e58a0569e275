// A clock that stands still until a test moves it, given to a daemon through DaemonSeams::clock.
// Threads: any; the daemon's threads read it while the test steps it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "model/check.h"
#include "model/clock.h"

namespace quire::tests {

class ManualClock final : public model::Clock {
 public:
  explicit ManualClock(int64_t start_ns = 1'000'000'000) : now_ns_(start_ns) {}

  // release here, acquire below: what a test did before it moved the clock is seen by whoever reads
  // the later time.
  int64_t now_ns() const override { return now_ns_.load(std::memory_order_acquire); }
  // Never back.
  void advance(std::chrono::nanoseconds by) {
    QUIRE_CHECK(by.count() >= 0);
    now_ns_.fetch_add(by.count(), std::memory_order_release);
  }

 private:
  std::atomic<int64_t> now_ns_;
};

}  // namespace quire::tests
