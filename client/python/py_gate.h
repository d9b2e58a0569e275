// The gate before a handle of libquire, which one thread may use at a time. Python's threads take
// turns; who waits does so without the GIL. A handle of a forked process is not touched at all: its
// locks may be held by threads that the child does not have.
#pragma once

#include <mutex>

#include "client/python/py_errors.h"

namespace quire::client {

// At the module's start.
void watch_forks();
// How often this process, or its ancestors, were forked since.
unsigned forks_so_far();

// While a thread is in a segment observer, which libquire calls in the middle of a call.
class ObserverScope {
 public:
  ObserverScope();
  ~ObserverScope();
  ObserverScope(const ObserverScope&) = delete;
  ObserverScope& operator=(const ObserverScope&) = delete;
};
bool in_observer();

class CallGate {
 public:
  CallGate() : forks_(forks_so_far()) {}
  CallGate(const CallGate&) = delete;
  CallGate& operator=(const CallGate&) = delete;

  // In a forked child.
  bool forked() const { return forks_ != forks_so_far(); }
  // Neither forked, nor called by a segment observer.
  bool usable() const { return !forked() && !in_observer(); }
  // A call that may wait: `body` runs without the GIL.
  template <typename Body>
  auto waiting(Body body) {
    require_usable();
    const nb::gil_scoped_release without_gil;
    const std::lock_guard turn(mutex_);
    return body();
  }
  // A call that never waits: the GIL is given up only when another thread is in a call.
  template <typename Body>
  auto at_once(Body body) {
    require_usable();
    if (mutex_.try_lock()) {
      const std::lock_guard turn(mutex_, std::adopt_lock);
      return body();
    }
    const nb::gil_scoped_release without_gil;
    const std::lock_guard turn(mutex_);
    return body();
  }

 private:
  // Raises in a forked child, and in a segment observer that calls Quire.
  void require_usable() const;

  std::mutex mutex_;
  unsigned forks_;
};

}  // namespace quire::client
