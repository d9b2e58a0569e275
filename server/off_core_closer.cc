#include "server/off_core_closer.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <system_error>
#include <thread>

namespace quire::server {

using model::errno_error;
using model::FdGuard;

namespace {

// Ignored by default, and used by nothing else here; with a handler it ends an interruptible wait.
constexpr int kHurrySignal = SIGURG;

// As read() and write(), but goes on after a signal.
template <typename Call>
ssize_t uninterrupted(Call&& call) {
  ssize_t result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

}  // namespace

model::Result<OffCoreCloser> OffCoreCloser::create() {
  struct sigaction nothing {};
  nothing.sa_handler = [](int) {};
  if (::sigaction(kHurrySignal, &nothing, nullptr) != 0) return errno_error("sigaction");
  int tasks[2];
  int done[2];
  if (::pipe2(tasks, O_CLOEXEC) != 0) return errno_error("pipe2");
  FdGuard task_reader(tasks[0]);
  OffCoreCloser closer;
  closer.tasks_ = FdGuard(tasks[1]);
  if (::pipe2(done, O_CLOEXEC) != 0) return errno_error("pipe2");
  closer.done_ = FdGuard(done[0]);
  FdGuard done_writer(done[1]);
  // The core's ends only: the thread waits for work, and for the core to collect.
  if (::fcntl(closer.tasks_.get(), F_SETFL, O_NONBLOCK) != 0 ||
      ::fcntl(closer.done_.get(), F_SETFL, O_NONBLOCK) != 0) {
    return errno_error("fcntl");
  }
  try {
    std::thread thread(run, task_reader.get(), done_writer.get());
    closer.thread_ = thread.native_handle();
    thread.detach();
  } catch (const std::system_error& error) {
    return model::make_error(model::Errc::kResourceExhausted,
                             std::string("cannot start a thread: ") + error.what());
  }
  task_reader.release();  // the thread's now
  done_writer.release();
  return closer;
}

// The closer's thread: owns both descriptors. It ends at the end of the tasks' stream.
void OffCoreCloser::run(int tasks, int done) {
  const FdGuard task_reader(tasks);
  const FdGuard done_writer(done);
  sigset_t others;
  sigfillset(&others);
  sigdelset(&others, kHurrySignal);
  pthread_sigmask(SIG_SETMASK, &others, nullptr);  // the main thread's; and EPIPE is an error
  Task task;
  const auto next = [&] {
    return uninterrupted([&] { return ::read(task_reader.get(), &task, sizeof(task)); });
  };
  while (next() == sizeof(task)) {
    if (task.bytes > 0) ::munmap(reinterpret_cast<void*>(task.address), task.bytes);
    if (task.fd < 0) continue;
    ::close(task.fd);  // closed also when a signal ended its wait
    const auto tell = [&] { return ::write(done_writer.get(), &task.uid, sizeof(task.uid)); };
    if (uninterrupted(tell) != sizeof(task.uid)) return;
  }
}

void OffCoreCloser::close(FdGuard fd, uint32_t uid) {
  if (!fd.valid()) return;
  ++open_count_;
  hand_over({.fd = fd.release(), .uid = uid});
}

void OffCoreCloser::unmap(model::Mapping mapping) {
  if (!mapping.valid()) return;
  const size_t bytes = mapping.bytes();
  const auto address = reinterpret_cast<uint64_t>(mapping.release());
  hand_over({.address = address, .bytes = bytes});
}

void OffCoreCloser::hand_over(const Task& task) {
  if (!waiting_.empty() || !write_task(task)) waiting_.push_back(task);
}

bool OffCoreCloser::write_task(const Task& task) {
  return ::write(tasks_.get(), &task, sizeof(task)) == sizeof(task);
}

void OffCoreCloser::hurry() {
  if (open_count_ > 0) ::pthread_kill(thread_, kHurrySignal);
}

void OffCoreCloser::collect(const std::function<void(uint32_t uid)>& visit) {
  while (!waiting_.empty() && write_task(waiting_.front())) waiting_.pop_front();
  uint32_t uid = 0;
  while (open_count_ > 0 && ::read(done_.get(), &uid, sizeof(uid)) == sizeof(uid)) {
    --open_count_;
    visit(uid);
  }
}

}  // namespace quire::server
