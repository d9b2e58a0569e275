#include "model/helper_thread.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <semaphore>
#include <string>
#include <vector>

#include "tests/support/patience.h"

namespace quire::model::helper_thread_test {
namespace {

using namespace std::chrono_literals;
using tests::kPatience;

// Work is a number: push() adds to it, each step takes one.
class Counter {
 public:
  std::chrono::milliseconds step() {
    if (done_.load() == given_.load()) return HelperThread::kUntilWoken;
    done_.fetch_add(1);
    done_.notify_all();
    return HelperThread::kAtOnce;
  }
  HelperThread::Step as_step() {
    return [this](const std::stop_token&) { return step(); };
  }
  void give(uint32_t count) { given_.fetch_add(count); }
  uint32_t done() const { return done_.load(); }
  bool await(uint32_t count) const {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (done() < count && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    return done() == count;
  }

 private:
  std::atomic<uint32_t> given_{0};
  std::atomic<uint32_t> done_{0};
};

// A step that says when it runs, and waits there until it may go on.
struct Gate {
  std::counting_semaphore<> entered{0};
  std::counting_semaphore<> open{0};

  void pass() {
    entered.release();
    open.acquire();
  }
};

TEST(HelperThread, StepsUntilItFindsNothing) {
  Counter counter;
  HelperThread thread;
  counter.give(100);
  ASSERT_TRUE(thread.start({}, counter.as_step()).ok());
  EXPECT_TRUE(counter.await(100)) << "what was there before it started";
  counter.give(50);
  thread.wake();
  EXPECT_TRUE(counter.await(150));
}

// What comes after the step looked, and before the thread sleeps.
TEST(HelperThread, WorkThatComesAfterTheLookIsSeen) {
  std::counting_semaphore<> done{0};
  bool given = false;
  HelperThread thread;
  ASSERT_TRUE(thread
                  .start({},
                         [&](const std::stop_token&) {
                           if (given) {
                             done.release();
                           } else {
                             given = true;
                             thread.wake();
                           }
                           return HelperThread::kUntilWoken;
                         })
                  .ok());
  EXPECT_TRUE(done.try_acquire_for(kPatience));
}

// The same of a thread that is asked to stop meanwhile.
TEST(HelperThread, WorkThatComesBeforeStopIsFinished) {
  std::counting_semaphore<> looked{0};
  bool given = false;
  bool done = false;
  HelperThread thread;
  ASSERT_TRUE(thread
                  .start({},
                         [&](const std::stop_token& stop) {
                           if (given) {
                             done = true;
                             return HelperThread::kUntilWoken;
                           }
                           looked.release();
                           while (!stop.stop_requested()) std::this_thread::yield();
                           given = true;
                           return HelperThread::kUntilWoken;
                         })
                  .ok());
  looked.acquire();
  thread.stop();
  EXPECT_TRUE(done);
}

// Each round finds the thread at another place between its last look and its sleep.
TEST(HelperThread, NoWakeUpIsLost) {
  for (const auto spin : {0us, 20us}) {
    Counter counter;
    HelperThread thread;
    ASSERT_TRUE(thread.start({.spin = spin}, counter.as_step()).ok());
    for (uint32_t round = 1; round <= 1000; ++round) {
      counter.give(1);
      thread.wake();
      ASSERT_TRUE(counter.await(round)) << "round " << round;
      for (uint32_t i = 0; i < round % 300; ++i) (void)counter.done();
    }
  }
}

TEST(HelperThread, StopFinishesWhatTheStepFinds) {
  for (int round = 0; round < 100; ++round) {
    Counter counter;
    {
      HelperThread thread;
      ASSERT_TRUE(thread.start({}, counter.as_step()).ok());
      counter.give(20);
    }
    EXPECT_EQ(counter.done(), 20u);
  }
}

TEST(HelperThread, StepIsToldThatTheOwnerWaits) {
  Gate gate;
  HelperThread thread;
  bool told = false;
  ASSERT_TRUE(thread
                  .start({},
                         [&](const std::stop_token& stop) {
                           if (told) return HelperThread::kUntilWoken;
                           gate.entered.release();
                           while (!stop.stop_requested()) std::this_thread::yield();
                           told = true;
                           return HelperThread::kAtOnce;
                         })
                  .ok());
  gate.entered.acquire();
  thread.stop();
  EXPECT_TRUE(told);
  EXPECT_FALSE(thread.started());
}

TEST(HelperThread, NapEndsWithoutAWakeUp) {
  std::counting_semaphore<> naps{0};
  HelperThread thread;
  ASSERT_TRUE(thread
                  .start({},
                         [&](const std::stop_token&) {
                           naps.release();
                           return 1ms;
                         })
                  .ok());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(naps.try_acquire_for(kPatience)) << i;
}

TEST(HelperThread, WorkGoesToWhoeverSleepsOnTheSharedSignal) {
  Gate gate;
  std::atomic<int> given{1};
  std::counting_semaphore<> taken{0};
  const auto step = [&](const std::stop_token&) {
    int number = given.load();
    if (number == 0 || !given.compare_exchange_strong(number, number - 1)) {
      return number == 0 ? HelperThread::kUntilWoken : HelperThread::kAtOnce;
    }
    if (number == 2) {
      taken.release();
    } else {
      gate.pass();
    }
    return HelperThread::kAtOnce;
  };
  WakeSignal signal;
  std::vector<std::unique_ptr<HelperThread>> threads;
  for (int i = 0; i < 2; ++i) {
    threads.push_back(std::make_unique<HelperThread>(&signal));
    ASSERT_TRUE(threads.back()->start({}, step).ok());
  }
  ASSERT_TRUE(gate.entered.try_acquire_for(kPatience)) << "one is busy for as long as we like";
  for (int round = 0; round < 500; ++round) {
    given.store(2);
    signal.wake();
    // The one that is not busy takes the 2, then the 1, which keeps it until it may go on.
    ASSERT_TRUE(taken.try_acquire_for(kPatience)) << "round " << round;
    ASSERT_TRUE(gate.entered.try_acquire_for(kPatience)) << "round " << round;
    gate.open.release();
  }
  gate.open.release();
}

TEST(HelperThread, OnItsCallerItStepsWhenWokenAndBeforeItEnds) {
  Counter work;
  work.give(2);
  HelperThread helper;
  ASSERT_TRUE(helper.start({.on_caller = true}, work.as_step()).ok());
  EXPECT_TRUE(helper.started());
  EXPECT_EQ(work.done(), 0u);
  helper.wake();
  EXPECT_EQ(work.done(), 2u);
  work.give(1);
  helper.stop();
  EXPECT_EQ(work.done(), 3u);
  EXPECT_FALSE(helper.started());
  work.give(1);
  helper.wake();
  EXPECT_EQ(work.done(), 3u);
}

TEST(HelperThread, AStepThatWakesItsOwnHelperOnTheCallerEnds) {
  int steps = 0;  // before the helper, whose end is one more
  HelperThread helper;
  const auto step = [&](const std::stop_token&) {
    helper.wake();
    return ++steps < 3 ? HelperThread::kAtOnce : HelperThread::kUntilWoken;
  };
  ASSERT_TRUE(helper.start({.on_caller = true}, step).ok());
  helper.wake();
  EXPECT_EQ(steps, 3);
}

TEST(HelperThread, StopWithinWaitsForAnEndThatComes) {
  Counter counter;
  HelperThread thread;
  EXPECT_TRUE(thread.stop_within(0ms)) << "nothing was started";
  ASSERT_TRUE(thread.start({}, counter.as_step()).ok());
  counter.give(10);
  EXPECT_TRUE(thread.stop_within(kPatience));
  EXPECT_EQ(counter.done(), 10u);
  EXPECT_FALSE(thread.started());
}

TEST(HelperThread, StopWithinLeavesOneThatHangsBehind) {
  struct LeftBehind {
    Gate gate;
    HelperThread thread;
  };
  // Never destroyed: the thread uses it for longer than we can tell.
  static std::vector<LeftBehind*> all;
  LeftBehind* const left = all.emplace_back(new LeftBehind());
  ASSERT_TRUE(left->thread
                  .start({},
                         [left](const std::stop_token&) {
                           left->gate.pass();
                           return HelperThread::kUntilWoken;
                         })
                  .ok());
  left->gate.entered.acquire();
  EXPECT_FALSE(left->thread.stop_within(1ms));
  EXPECT_FALSE(left->thread.started()) << "nothing more is waited for";
  left->gate.open.release();
}

struct Surroundings {
  std::string name;
  sigset_t blocked{};
  int policy = -1;
  int niceness = -1;
};

Surroundings surroundings_of(const HelperOptions& options) {
  Surroundings seen;
  auto thread = start_helper(options, [&] {
    std::string name(16, '\0');
    ::pthread_getname_np(::pthread_self(), name.data(), name.size());
    seen.name = name.c_str();
    ::pthread_sigmask(SIG_SETMASK, nullptr, &seen.blocked);
    seen.policy = ::sched_getscheduler(0);
    seen.niceness = ::getpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()));
  });
  EXPECT_TRUE(thread.ok());
  if (thread.ok()) thread->join();
  return seen;
}

TEST(HelperThread, HasItsNameAndNoSignalsButItsFaults) {
  sigset_t before;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &before);
  const Surroundings plain = surroundings_of({.name = "quire-some-name"});
  EXPECT_EQ(plain.name, "quire-some-name");
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGURG}) {
    EXPECT_EQ(::sigismember(&plain.blocked, signal), 1) << signal;
  }
  for (const int fault : {SIGSEGV, SIGBUS, SIGABRT}) {
    EXPECT_EQ(::sigismember(&plain.blocked, fault), 0) << fault;
  }
  const Surroundings urged = surroundings_of({.signal = SIGURG});
  EXPECT_EQ(::sigismember(&urged.blocked, SIGURG), 0);
  EXPECT_EQ(::sigismember(&urged.blocked, SIGINT), 1);
  sigset_t after;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &after);
  for (const int signal : {SIGINT, SIGTERM, SIGURG}) {
    EXPECT_EQ(::sigismember(&after, signal), ::sigismember(&before, signal)) << "the caller's";
  }
}

TEST(HelperThread, GivesWayOnlyWhenAskedTo) {
  const int own = ::getpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()));
  const Surroundings full = surroundings_of({});
  EXPECT_EQ(full.policy, ::sched_getscheduler(0));
  EXPECT_EQ(full.niceness, own);
  const Surroundings behind = surroundings_of({.niceness = 19});
  EXPECT_EQ(behind.policy, SCHED_BATCH);
  EXPECT_EQ(behind.niceness, 19);
}

}  // namespace
}  // namespace quire::model::helper_thread_test
