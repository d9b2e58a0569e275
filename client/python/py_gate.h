// The gate before a handle of libquire, which one thread may use at a time. Python's threads take
// turns; who waits does so without the GIL. A handle of a forked process is not touched at all: its
// locks may be held by threads that the child does not have.
#pragma once

#include <atomic>
#include <mutex>
#include <thread>

#include "client/python/py_errors.h"

namespace quire::client {

// At the module's start.
void watch_forks();
// How often this process, or its ancestors, were forked since.
unsigned forks_so_far();

class CallGate {
 public:
  CallGate() : forks_(forks_so_far()) {}
  CallGate(const CallGate&) = delete;
  CallGate& operator=(const CallGate&) = delete;

  // In a forked child.
  bool forked() const { return forks_ != forks_so_far(); }
  // Neither forked, nor called from within a call of this thread (a segment observer).
  bool usable() const {
    return !forked() && holder_.load(std::memory_order_relaxed) != std::this_thread::get_id();
  }
  // A call that may wait: `body` runs without the GIL.
  template <typename Body>
  auto waiting(Body body) {
    require_usable();
    const nb::gil_scoped_release without_gil;
    const Turn turn(*this);
    return body();
  }
  // A call that never waits: the GIL is given up only when another thread is in a call.
  template <typename Body>
  auto at_once(Body body) {
    require_usable();
    if (mutex_.try_lock()) {
      const Turn turn(*this, std::adopt_lock);
      return body();
    }
    const nb::gil_scoped_release without_gil;
    const Turn turn(*this);
    return body();
  }

 private:
  class Turn {
   public:
    explicit Turn(CallGate& gate) : gate_(gate) {
      gate_.mutex_.lock();
      gate_.holder_.store(std::this_thread::get_id(), std::memory_order_relaxed);
    }
    Turn(CallGate& gate, std::adopt_lock_t) : gate_(gate) {
      gate_.holder_.store(std::this_thread::get_id(), std::memory_order_relaxed);
    }
    ~Turn() {
      gate_.holder_.store({}, std::memory_order_relaxed);
      gate_.mutex_.unlock();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    CallGate& gate_;
  };

  // Raises in a forked child, and in a segment observer that calls Quire. (A thread sees its own
  // store to holder_, and no other's value equals its id.)
  void require_usable() const;

  std::mutex mutex_;
  std::atomic<std::thread::id> holder_;
  unsigned forks_;
};

}  // namespace quire::client
