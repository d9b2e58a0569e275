// Sleeping: a worker reads its signal, finds its queue empty, says that it is asleep, and sleeps
// only while the signal still has that value. The core adds to the signal after every push and then
// looks whether the worker sleeps, so either the worker sees the new value and looks again, or the
// core sees it asleep and wakes it. The kernel compares and sleeps in one step: no wake-up is lost.
//
// Not std::atomic::wait: before it sleeps it yields the processor, and where the core polls on that
// one the worker is not seen as somebody to wake elsewhere. A copy then took a tick of the kernel.
#include "tiering/io/copy_workers.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <utility>
#include <vector>

#include "model/check.h"
#include "model/give_way.h"
#include "tiering/io/spsc_queue.h"

namespace quire::tiering {
namespace {

void relax_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

void call_futex(std::atomic<uint32_t>& word, int operation, uint32_t value) {
  static_assert(sizeof(word) == sizeof(uint32_t) && std::atomic<uint32_t>::is_always_lock_free);
  ::syscall(SYS_futex, &word, operation, value, nullptr, nullptr, 0);
}

// What one client gets before it is the next one's turn: 20 to 50 us.
constexpr uint64_t kPieceBytes = 256 << 10;

using Clock = std::chrono::steady_clock;
constexpr std::chrono::microseconds kBusyAtOnce{500};

// Tasks of one worker: a queue for each client, one piece of each in turn. Worker's thread only.
class Turns {
 public:
  bool empty() const { return queues_.empty(); }
  void add(CopyTask* task);
  // Works on a piece of the next client's first task; the task, when it is finished.
  CopyTask* run_piece();

 private:
  struct Queue {
    uint32_t client;
    CopyTask* first;
    CopyTask* last;
  };
  std::vector<Queue> queues_;  // of clients that have tasks, in the order of their turns
  size_t turn_ = 0;
};

void Turns::add(CopyTask* task) {
  task->next = nullptr;
  for (Queue& queue : queues_) {
    if (queue.client != task->client) continue;
    queue.last->next = task;
    queue.last = task;
    return;
  }
  queues_.push_back({task->client, task, task});
}

CopyTask* Turns::run_piece() {
  Queue& queue = queues_[turn_];
  CopyTask* task = queue.first;
  const bool finished = run_copy_piece(*task, kPieceBytes);
  if (finished) queue.first = task->next;
  if (queue.first == nullptr) {
    queues_.erase(queues_.begin() + static_cast<ptrdiff_t>(turn_));
  } else {
    ++turn_;
  }
  if (turn_ >= queues_.size()) turn_ = 0;
  return finished ? task : nullptr;
}

}  // namespace

class CopyWorkers::Worker {
 public:
  explicit Worker(const CopyWorkersOptions& options)
      : options_(options),
        tasks_(options.queue_entries),
        done_(options.queue_entries),
        thread_([this] { run(); }) {}

  // Finishes what was submitted.
  ~Worker() {
    stopping_.store(true, std::memory_order_release);
    ring();
    thread_.join();
  }

  // Core's side.
  bool has_room() const { return in_flight_ < options_.queue_entries; }
  uint32_t pending() const { return in_flight_ - done_.size(); }  // not finished yet
  uint32_t in_flight() const { return in_flight_; }
  void submit(CopyTask* task);
  size_t poll(std::span<CopyTask*> done);

 private:
  void ring();
  void run();
  void wait(uint32_t seen);
  void give_others_a_turn();

  const CopyWorkersOptions& options_;
  SpscQueue<CopyTask*> tasks_;  // core to worker
  SpscQueue<CopyTask*> done_;   // worker to core; has room for all that are in flight
  uint32_t in_flight_ = 0;      // core only
  Turns turns_;                 // worker only; what it took from tasks_
  Clock::time_point busy_since_ = Clock::now();  // worker only; or since others had a turn
  // Core stores before it rings; the worker loads before it looks at tasks_, so an empty queue then
  // stays empty.
  std::atomic<bool> stopping_{false};
  alignas(64) std::atomic<uint32_t> signal_{0};
  std::atomic<bool> asleep_{false};  // or about to be
  std::thread thread_;               // last: starts when the rest is there
};

void CopyWorkers::Worker::submit(CopyTask* task) {
  QUIRE_CHECK(tasks_.push(task));
  ++in_flight_;
  ring();
}

size_t CopyWorkers::Worker::poll(std::span<CopyTask*> done) {
  size_t count = 0;
  while (count < done.size() && done_.pop(&done[count])) ++count;
  in_flight_ -= static_cast<uint32_t>(count);
  return count;
}

void CopyWorkers::Worker::ring() {
  signal_.fetch_add(1, std::memory_order_seq_cst);
  if (asleep_.load(std::memory_order_seq_cst)) call_futex(signal_, FUTEX_WAKE_PRIVATE, 1);
}

void CopyWorkers::Worker::run() {
  // Its share of the processor stays: any other program of the host would hold the device up.
  if (options_.background) model::give_way();
  while (true) {
    const uint32_t seen = signal_.load(std::memory_order_acquire);
    const bool stop = stopping_.load(std::memory_order_acquire);
    CopyTask* task = nullptr;
    while (tasks_.pop(&task)) turns_.add(task);
    if (!turns_.empty()) {
      if (CopyTask* finished = turns_.run_piece()) {
        QUIRE_CHECK(done_.push(finished));
        if (options_.on_done) options_.on_done();
      }
      give_others_a_turn();
    } else if (stop) {
      return;
    } else {
      wait(seen);
      busy_since_ = Clock::now();
    }
  }
}

// Where processors are few, the core or a client may wait for this one, and without this does so
// for several milliseconds. More often it would cost commits a quarter of their speed.
void CopyWorkers::Worker::give_others_a_turn() {
  if (turns_.empty() || Clock::now() - busy_since_ < kBusyAtOnce) return;
  ::sched_yield();
  busy_since_ = Clock::now();
}

// Returns when the signal differs from `seen`, or earlier.
void CopyWorkers::Worker::wait(uint32_t seen) {
  const Clock::time_point sleep_at = Clock::now() + std::chrono::microseconds(options_.spin_us);
  while (Clock::now() < sleep_at) {
    for (int i = 0; i < 16; ++i) {
      if (signal_.load(std::memory_order_acquire) != seen) return;
      relax_cpu();
    }
  }
  asleep_.store(true, std::memory_order_seq_cst);
  if (signal_.load(std::memory_order_seq_cst) == seen) {
    call_futex(signal_, FUTEX_WAIT_PRIVATE, seen);
  }
  asleep_.store(false, std::memory_order_relaxed);
}

CopyWorkers::CopyWorkers(CopyWorkersOptions options) : options_(std::move(options)) {
  QUIRE_CHECK(options_.threads > 0);
  for (uint32_t i = 0; i < options_.threads; ++i) {
    workers_.push_back(std::make_unique<Worker>(options_));
  }
}

CopyWorkers::~CopyWorkers() = default;

bool CopyWorkers::submit(CopyTask* task) {
  Worker* shortest = nullptr;
  for (const std::unique_ptr<Worker>& worker : workers_) {
    if (!worker->has_room()) continue;
    if (shortest == nullptr || worker->pending() < shortest->pending()) shortest = worker.get();
  }
  if (shortest == nullptr) return false;
  shortest->submit(task);
  return true;
}

size_t CopyWorkers::poll(std::span<CopyTask*> done) {
  size_t count = 0;
  for (const std::unique_ptr<Worker>& worker : workers_) {
    count += worker->poll(done.subspan(count));
  }
  return count;
}

size_t CopyWorkers::in_flight() const {
  size_t count = 0;
  for (const std::unique_ptr<Worker>& worker : workers_) count += worker->in_flight();
  return count;
}

}  // namespace quire::tiering
