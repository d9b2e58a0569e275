// A step over and over on a thread of its own, until the end of its life.
#pragma once

#include <atomic>
#include <functional>
#include <thread>
#include <utility>

namespace quire::bench {

class Repeated {
 public:
  explicit Repeated(std::function<void()> step)
      : thread_([this, step = std::move(step)] {
          while (!stopping_.load()) step();
        }) {}
  ~Repeated() {
    stopping_.store(true);
    thread_.join();
  }
  Repeated(const Repeated&) = delete;
  Repeated& operator=(const Repeated&) = delete;

 private:
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace quire::bench
