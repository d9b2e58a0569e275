// A thread beside the core: its start, its name and share, its loop, its sleep and its end. What it
// works on, and by which rules, is its user's: a queue, and a step that takes from it.
//
//   user:   puts work where step() finds it, then wake()
//   thread: step(), step(), ... until one finds nothing --> sleeps until wake(), or for as long as
//           that step said --> step() ...
//           asked to stop: ends where it would sleep, so what step() finds is finished first
//
// Where everything is to happen in one order (a simulation, a small tool), a helper has no thread:
// it steps on whoever wakes it (HelperOptions::on_caller).
//
// The daemon's own; the client library starts no thread (tests/tidy keeps this header out of it).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <thread>

#include "model/result.h"

namespace quire::model {

struct HelperOptions {
  const char* name = "quire-helper";  // as the kernel shows it; at most 15 bytes
  std::optional<int> niceness;        // gives way so far (model/give_way.h); none: has its share
  int signal = 0;                     // the one that it gets; 0: none
  std::chrono::microseconds spin{0};  // looks for work so long before it sleeps
  // Others that are ready run after so much work without a pause, and then each time after so much
  // more of it; 0: when the kernel says so.
  std::chrono::microseconds yield_after{0};
  std::chrono::microseconds yield_again_after{0};
  // No thread: wake() and stop() step on their caller, until a step finds nothing. Then wake() is
  // for one thread, and none of the locks that step() takes may be held.
  bool on_caller = false;
};

// Starts `body` on a thread with this name and share. It gets no signal but `options.signal` and
// those of its own faults: signals are the core's, and end no system call of a helper.
// kResourceExhausted: the system has no more threads.
Result<std::thread> start_helper(const HelperOptions& options, std::function<void()> body);

// Where threads sleep. A sleeper reads seen(), looks for work, and sleeps only while there was no
// wake() since. Pairing: wake() adds to value_, then loads sleepers_; a sleeper adds to sleepers_,
// then loads value_; all seq_cst, so one of the two sees the other. The kernel compares the value
// and sleeps in one step: no wake-up is lost. What a waker wrote before wake() is seen by whoever
// sees the new value (acquire). Threads: any.
class WakeSignal {
 public:
  static constexpr std::chrono::milliseconds kUntilWoken = std::chrono::milliseconds::max();

  WakeSignal() = default;
  WakeSignal(const WakeSignal&) = delete;
  WakeSignal& operator=(const WakeSignal&) = delete;

  uint32_t seen() const { return value_.load(std::memory_order_acquire); }
  // One of those who sleep looks again; those who do not, look again before they sleep.
  void wake() { wake(1); }
  void wake_all() { wake(INT32_MAX); }
  // True: woken since `seen` was read. Keeps the processor busy for so long.
  bool spin(uint32_t seen, std::chrono::microseconds time) const;
  // Returns when woken since `seen` was read, after `at_most`, or earlier.
  void sleep(uint32_t seen, std::chrono::milliseconds at_most);

 private:
  void wake(int32_t count);

  alignas(64) std::atomic<uint32_t> value_{0};
  std::atomic<uint32_t> sleepers_{0};  // or about to be
};

// Threads: start, stop by its owner; wake by any. Lifetime: the destructor stops and joins; it
// belongs last among its user's members, so that the thread ends before what it uses goes away.
class HelperThread {
 public:
  // What step() answers: there may be more; or nothing is there, until wake() or for a time.
  static constexpr std::chrono::milliseconds kAtOnce{0};
  static constexpr std::chrono::milliseconds kUntilWoken = WakeSignal::kUntilWoken;
  // One bounded piece of work. The token says when the owner waits for the end; a step that began
  // after that and does not answer kAtOnce is the last.
  using Step = std::function<std::chrono::milliseconds(const std::stop_token& stop)>;

  HelperThread() = default;
  // Several threads that take from one queue sleep on one signal, which outlives them.
  explicit HelperThread(WakeSignal* shared) : signal_(shared) {}
  HelperThread(const HelperThread&) = delete;
  HelperThread& operator=(const HelperThread&) = delete;
  ~HelperThread() { stop(); }

  // Once. kResourceExhausted: nothing was started, and it may be tried again. On its caller it
  // first steps at the first wake().
  Result<void> start(const HelperOptions& options, Step step);
  bool started() const { return thread_.joinable() || steps_on_caller_; }
  // After work was put where step() finds it.
  void wake() {
    if (steps_on_caller_) return run_on_caller();
    signal_->wake();
  }
  // Returns when the thread has ended.
  void stop();
  // False: it hangs in a step, and is left behind: this, and what step() uses, must live until the
  // process ends.
  bool stop_within(std::chrono::milliseconds time);

 private:
  void run();
  void run_on_caller();

  WakeSignal own_signal_;
  WakeSignal* signal_ = &own_signal_;
  HelperOptions options_;
  Step step_;
  std::stop_source stop_;
  WakeSignal ended_;  // woken once, after the last step
  bool steps_on_caller_ = false;
  bool stepping_ = false;  // a step that wakes its own helper does not step again
  std::thread thread_;
};

}  // namespace quire::model
