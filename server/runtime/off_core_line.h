// A thread that does one kind of work for the core, one task after the other, where the work may
// take longer than a turn: closing strangers' sockets, unmapping and allocating sessions' memory.
// What waits meanwhile it takes together, where that makes the work less.
//
//   core: give(task) --pipe--> thread: work(tasks) --pipe--> core: take() a receipt of each
//
// Tasks and receipts are values that go through pipes, so the thread shares no memory with the core
// and nobody waits for it at the end: it is detached, and ends when the line does and its last task
// is done. What finds the pipe full waits in the line and is handed over by take(); whoever gives
// tasks bounds them. Threads: core only, but for `work`.
//
// Not model::HelperThread, of which it has the start alone: that loop sleeps on a word of its
// owner's memory, and its owner waits for its end. A close that lingers may take for ever, and
// read() is the one sleep that the end of a pipe ends.
#pragma once

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <deque>
#include <optional>
#include <span>
#include <thread>
#include <type_traits>

#include "model/fd_guard.h"
#include "model/give_way.h"
#include "model/helper_thread.h"
#include "model/result.h"

namespace quire::server {

// Ignored by default, and used by nothing else here; with a handler it ends an interruptible wait.
inline constexpr int kHurrySignal = SIGURG;

// Tasks done together: the last of them waits for the first, and holds what it is charged for.
inline constexpr size_t kMostTasksAtOnce = 16;

template <typename Task, typename Receipt>
class OffCoreLine {
  static_assert(std::is_trivially_copyable_v<Task> && std::is_trivially_copyable_v<Receipt>);
  static_assert(sizeof(Task) <= PIPE_BUF && kMostTasksAtOnce * sizeof(Receipt) <= PIPE_BUF,
                "written and read whole");

 public:
  // Of as many tasks as receipts, at least one.
  using Work = void (*)(std::span<const Task> tasks, std::span<Receipt> receipts);
  // Work that gains nothing from being done together.
  template <Receipt (*kOne)(const Task&)>
  static void one_by_one(std::span<const Task> tasks, std::span<Receipt> receipts) {
    std::transform(tasks.begin(), tasks.end(), receipts.begin(), kOne);
  }

  // `name`: of the thread, at most 15 bytes. at_once: 1..kMostTasksAtOnce. kIoError,
  // kResourceExhausted.
  static model::Result<OffCoreLine> create(const char* name, Work work, size_t at_once = 1) {
    struct sigaction nothing {};
    nothing.sa_handler = [](int) {};
    if (::sigaction(kHurrySignal, &nothing, nullptr) != 0) return model::errno_error("sigaction");
    int tasks[2];
    int done[2];
    if (::pipe2(tasks, O_CLOEXEC) != 0) return model::errno_error("pipe2");
    model::FdGuard task_reader(tasks[0]);
    OffCoreLine line;
    line.tasks_ = model::FdGuard(tasks[1]);
    if (::pipe2(done, O_CLOEXEC) != 0) return model::errno_error("pipe2");
    line.done_ = model::FdGuard(done[0]);
    model::FdGuard done_writer(done[1]);
    // The core's ends only: the thread waits for work, and for the core to collect.
    if (::fcntl(line.tasks_.get(), F_SETFL, O_NONBLOCK) != 0 ||
        ::fcntl(line.done_.get(), F_SETFL, O_NONBLOCK) != 0) {
      return model::errno_error("fcntl");
    }
    // SIGPIPE is blocked: the end of the core's side is an error of write().
    std::thread thread = QUIRE_TRY(model::start_helper(
        {.name = name, .niceness = model::kBesideTheCore, .signal = kHurrySignal},
        [work, at_once, from = task_reader.get(), to = done_writer.get()] {
          run(work, at_once, from, to);
        }));
    line.thread_ = thread.native_handle();
    thread.detach();
    task_reader.release();  // the thread's now
    done_writer.release();
    return line;
  }

  void give(const Task& task) {
    ++open_count_;
    if (!waiting_.empty() || !write_task(task)) waiting_.push_back(task);
  }
  // The next receipt, in the order of the tasks; none while nothing is done.
  std::optional<Receipt> take() {
    while (!waiting_.empty() && write_task(waiting_.front())) waiting_.pop_front();
    Receipt receipt;
    if (open_count_ == 0 || ::read(done_.get(), &receipt, sizeof(receipt)) != sizeof(receipt)) {
      return std::nullopt;
    }
    --open_count_;
    return receipt;
  }
  // Ends the wait of a system call under way, if there is one: the thread gets a signal that does
  // nothing.
  void hurry() {
    if (open_count_ > 0) ::pthread_kill(thread_, kHurrySignal);
  }
  // Tasks that were given and whose receipt was not yet taken.
  size_t open_count() const { return open_count_; }
  // Readable while a receipt waits; for the core's epoll set.
  int done_fd() const { return done_.get(); }

 private:
  OffCoreLine() = default;

  bool write_task(const Task& task) {
    return ::write(tasks_.get(), &task, sizeof(task)) == sizeof(task);
  }
  // As read() and write(), but goes on after a signal.
  template <typename Call>
  static ssize_t uninterrupted(Call&& call) {
    ssize_t result = call();
    while (result < 0 && errno == EINTR) result = call();
    return result;
  }
  // The thread: owns both descriptors, and ends at the end of the tasks' stream.
  static void run(Work work, size_t at_once, int task_end, int done_end) {
    const model::FdGuard task_reader(task_end);
    const model::FdGuard done_writer(done_end);
    std::array<Task, kMostTasksAtOnce> tasks;
    std::array<Receipt, kMostTasksAtOnce> receipts;
    // Tasks are written whole, so whole ones are read.
    const auto next = [&] {
      return ::read(task_reader.get(), tasks.data(), at_once * sizeof(Task));
    };
    for (ssize_t got; (got = uninterrupted(next)) > 0;) {
      const size_t count = static_cast<size_t>(got) / sizeof(Task);
      work(std::span(tasks).first(count), std::span(receipts).first(count));
      const size_t bytes = count * sizeof(Receipt);
      const auto tell = [&] { return ::write(done_writer.get(), receipts.data(), bytes); };
      if (uninterrupted(tell) != static_cast<ssize_t>(bytes)) return;
    }
  }

  model::FdGuard tasks_;      // written by the core
  model::FdGuard done_;       // read by the core
  pthread_t thread_{};        // lives until tasks_ is closed
  std::deque<Task> waiting_;  // the pipe was full
  size_t open_count_ = 0;
};

}  // namespace quire::server
