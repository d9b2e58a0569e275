#include "tiering/io/copy_workers.h"

#include <chrono>
#include <utility>
#include <vector>

#include "model/check.h"
#include "model/helper_thread.h"
#include "tiering/io/spsc_queue.h"

namespace quire::tiering {
namespace {

using model::HelperThread;

// What one client gets before it is the next one's turn: 20 to 50 us.
constexpr uint64_t kPieceBytes = 256 << 10;
// Then the core, or a client, runs if it waits for this processor. More often it would cost commits
// a quarter of their speed; but what goes on and on is nobody's one commit, and waits for others.
constexpr std::chrono::microseconds kBusyAtOnce{500};
constexpr std::chrono::microseconds kBusyAgain{100};

model::HelperOptions thread_options(const CopyWorkersOptions& options) {
  model::HelperOptions thread{.name = options.background ? "quire-check" : "quire-copy",
                              .spin = std::chrono::microseconds(options.spin_us),
                              .yield_after = kBusyAtOnce,
                              .yield_again_after = kBusyAgain};
  // Its share of the processor stays: any other program of the host would hold the device up.
  if (options.background) thread.niceness = 0;
  return thread;
}

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
  // The destructor finishes what was submitted: the thread goes on until its queue is empty.
  explicit Worker(const CopyWorkersOptions& options)
      : options_(options), tasks_(options.queue_entries), done_(options.queue_entries) {}

  // Core's side.
  model::Result<void> start() {
    return thread_.start(thread_options(options_), [this](const auto&) { return step(); });
  }
  bool has_room() const { return in_flight_ < options_.queue_entries; }
  uint32_t pending() const { return in_flight_ - done_.size(); }  // not finished yet
  uint32_t in_flight() const { return in_flight_; }
  void submit(CopyTask* task);
  size_t poll(std::span<CopyTask*> done);

 private:
  std::chrono::milliseconds step();

  const CopyWorkersOptions& options_;
  SpscQueue<CopyTask*> tasks_;  // core to worker
  SpscQueue<CopyTask*> done_;   // worker to core; has room for all that are in flight
  uint32_t in_flight_ = 0;      // core only
  Turns turns_;                 // worker only; what it took from tasks_
  HelperThread thread_;         // last: ends before what it uses goes away
};

void CopyWorkers::Worker::submit(CopyTask* task) {
  QUIRE_CHECK(tasks_.push(task));
  ++in_flight_;
  thread_.wake();
}

size_t CopyWorkers::Worker::poll(std::span<CopyTask*> done) {
  size_t count = 0;
  while (count < done.size() && done_.pop(&done[count])) ++count;
  in_flight_ -= static_cast<uint32_t>(count);
  return count;
}

std::chrono::milliseconds CopyWorkers::Worker::step() {
  CopyTask* task = nullptr;
  while (tasks_.pop(&task)) turns_.add(task);
  if (turns_.empty()) return HelperThread::kUntilWoken;
  if (CopyTask* finished = turns_.run_piece()) {
    QUIRE_CHECK(done_.push(finished));
    if (options_.on_done) options_.on_done();
  }
  return HelperThread::kAtOnce;
}

CopyWorkers::CopyWorkers(CopyWorkersOptions options) : options_(std::move(options)) {
  QUIRE_CHECK(options_.threads > 0);
  for (uint32_t i = 0; i < options_.threads; ++i) {
    auto worker = std::make_unique<Worker>(options_);
    // Fewer workers are slower and right; without any the daemon cannot take a commit.
    if (!worker->start().ok()) break;
    workers_.push_back(std::move(worker));
  }
  QUIRE_CHECK(!workers_.empty());
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
