// Functions that other threads hand to the core, which runs them between two turns.
//
// Threads: add() any, the rest the core.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <vector>

namespace quire::server {

class CallQueue {
 public:
  // Whoever adds wakes the core afterwards.
  void add(std::function<void()> function) {
    // Set under the lock under which the core clears it: no call is left behind a cleared flag.
    const std::lock_guard lock(mutex_);
    calls_.push_back(std::move(function));
    waits_.store(true, std::memory_order_seq_cst);
  }

  // In one order with the word that the core sleeps: a call is seen before the sleep, or wakes it.
  bool waits() const { return waits_.load(std::memory_order_seq_cst); }

  void run() {
    std::vector<std::function<void()>> calls;
    {
      const std::lock_guard lock(mutex_);
      // Run without the lock: a call may make another one.
      calls.swap(calls_);
      waits_.store(false, std::memory_order_relaxed);
    }
    for (const auto& function : calls) function();
  }

 private:
  std::mutex mutex_;
  std::vector<std::function<void()>> calls_;  // guarded by mutex_
  std::atomic<bool> waits_{false};
};

}  // namespace quire::server
