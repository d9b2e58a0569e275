// Lets a test wait for what a SegmentSupply does on its own thread, without sleeping: give
// on_ready() to the supply, then wait(condition). Must outlive the supply.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>

namespace quire::allocator {

class SupplyProbe {
 public:
  std::function<void()> on_ready() {
    return [this] {
      std::lock_guard lock(mutex_);
      ++calls_;
      called_.notify_all();
    };
  }

  // False when the condition does not come to hold within 30 s. It is looked at after each call.
  template <typename Condition>
  bool wait(Condition&& condition) {
    std::unique_lock lock(mutex_);
    return called_.wait_until(lock, std::chrono::system_clock::now() + std::chrono::seconds(30),
                              condition);
  }

  int calls() const { return calls_; }

 private:
  std::mutex mutex_;
  std::condition_variable called_;
  std::atomic<int> calls_ = 0;  // written under mutex_
};

}  // namespace quire::allocator
