// Not std::atomic::wait: before it sleeps it yields the processor, and where the core polls on that
// one the thread is not seen as somebody to wake elsewhere. A copy then took a tick of the kernel.
#include "model/helper_thread.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <string>
#include <system_error>
#include <utility>

#include "model/check.h"
#include "model/give_way.h"

namespace quire::model {

namespace {

using SteadyClock = std::chrono::steady_clock;

void relax_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

void call_futex(std::atomic<uint32_t>& word, int operation, uint32_t value, const timespec* time) {
  static_assert(sizeof(word) == sizeof(uint32_t) && std::atomic<uint32_t>::is_always_lock_free);
  ::syscall(SYS_futex, &word, operation, value, time, nullptr, 0);
}

// All but those that a thread's own faults raise: blocked, they would end the process unseen by
// whoever reports them (a sanitizer, a core dump's handler).
sigset_t blocked_signals(int open_signal) {
  sigset_t blocked;
  sigfillset(&blocked);
  for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT}) {
    sigdelset(&blocked, fault);
  }
  if (open_signal != 0) sigdelset(&blocked, open_signal);
  return blocked;
}

// Of the calling thread; a thread that it starts meanwhile inherits the mask, from its first
// instruction on.
class SignalMask {
 public:
  explicit SignalMask(const sigset_t& mask) { ::pthread_sigmask(SIG_SETMASK, &mask, &before_); }
  SignalMask(const SignalMask&) = delete;
  SignalMask& operator=(const SignalMask&) = delete;
  ~SignalMask() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

}  // namespace

Result<std::thread> start_helper(const HelperOptions& options, std::function<void()> body) {
  // Signals are the main thread's: a helper in the middle of a step must not run its handlers.
  const SignalMask mask(blocked_signals(options.signal));
  try {
    return std::thread([options, run = std::move(body)] {
      ::pthread_setname_np(::pthread_self(), options.name);
      if (options.niceness) give_way(*options.niceness);
      run();
    });
  } catch (const std::system_error& error) {
    return make_error(Errc::kResourceExhausted,
                      std::string("start the thread ") + options.name + ": " + error.what() +
                          "; raise the limit of tasks (ulimit -u, RLIMIT_NPROC)");
  }
}

void WakeSignal::wake(int32_t count) {
  value_.fetch_add(1, std::memory_order_seq_cst);
  // Pairs with sleep(), which announces itself before it looks: one of both sees the other. With
  // nobody asleep a wake costs no system call.
  if (sleepers_.load(std::memory_order_seq_cst) == 0) return;
  call_futex(value_, FUTEX_WAKE_PRIVATE, static_cast<uint32_t>(count), nullptr);
}

bool WakeSignal::spin(uint32_t seen, std::chrono::microseconds time) const {
  const SteadyClock::time_point end = SteadyClock::now() + time;
  while (SteadyClock::now() < end) {
    // Reading the clock costs as much as some looks.
    for (int i = 0; i < 16; ++i) {
      if (this->seen() != seen) return true;
      relax_cpu();
    }
  }
  return false;
}

void WakeSignal::sleep(uint32_t seen, std::chrono::milliseconds at_most) {
  const timespec time{.tv_sec = at_most.count() / 1000,
                      .tv_nsec = at_most.count() % 1000 * 1'000'000};
  sleepers_.fetch_add(1, std::memory_order_seq_cst);
  if (value_.load(std::memory_order_seq_cst) == seen) {
    // The kernel compares once more, so a wake between the look and the call is not lost.
    call_futex(value_, FUTEX_WAIT_PRIVATE, seen, at_most == kUntilWoken ? nullptr : &time);
  }
  // Nobody relies on it: one that wakes for nothing costs a system call.
  sleepers_.fetch_sub(1, std::memory_order_relaxed);
}

Result<void> HelperThread::start(const HelperOptions& options, Step step) {
  QUIRE_CHECK(!started() && !stop_.stop_requested());
  options_ = options;
  step_ = std::move(step);
  steps_on_caller_ = options.on_caller;
  if (steps_on_caller_) return {};
  thread_ = QUIRE_TRY(start_helper(options_, [this] { run(); }));
  return {};
}

void HelperThread::run() {
  const std::stop_token stop = stop_.get_token();
  SteadyClock::time_point busy_since = SteadyClock::now();  // or since others had a turn
  auto yield_after = options_.yield_after;
  while (true) {
    // Both before the step: what comes after it is seen by the next one, and a queue that is empty
    // then stays empty.
    const uint32_t seen = signal_->seen();
    const bool last = stop.stop_requested();
    const std::chrono::milliseconds nap = step_(stop);
    if (nap == kAtOnce) {
      // Where processors are few the core or a client may wait for this one, and without this does
      // so for several milliseconds.
      if (yield_after.count() == 0) continue;
      if (SteadyClock::now() - busy_since < yield_after) continue;
      ::sched_yield();
      yield_after = options_.yield_again_after;
    } else if (last) {
      break;
    } else {
      if (!signal_->spin(seen, options_.spin)) signal_->sleep(seen, nap);
      yield_after = options_.yield_after;
    }
    busy_since = SteadyClock::now();
  }
  // For stop_within(): a join could not be given up.
  ended_.wake_all();
}

void HelperThread::run_on_caller() {
  // A step that wakes its own thread must not run inside itself: the loop below goes on with what
  // it left.
  if (std::exchange(stepping_, true)) return;
  while (step_(stop_.get_token()) == kAtOnce) continue;
  stepping_ = false;
}

void HelperThread::stop() {
  if (!started()) return;
  stop_.request_stop();
  if (steps_on_caller_) {
    run_on_caller();  // as a thread would: what was put before the end is finished
    steps_on_caller_ = false;
    return;
  }
  signal_->wake_all();  // on a shared one, whoever wakes may be another
  thread_.join();
}

bool HelperThread::stop_within(std::chrono::milliseconds time) {
  if (!started()) return true;
  if (steps_on_caller_) {
    stop();
    return true;
  }
  stop_.request_stop();
  signal_->wake_all();
  const SteadyClock::time_point end = SteadyClock::now() + time;
  while (ended_.seen() == 0) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - SteadyClock::now());
    if (left.count() <= 0) {
      thread_.detach();
      return false;
    }
    ended_.sleep(0, left);
  }
  thread_.join();
  return true;
}

}  // namespace quire::model
