#include "server/off_core_closer.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <system_error>
#include <thread>

namespace quire::server {

using model::errno_error;
using model::FdGuard;

model::Result<OffCoreCloser> OffCoreCloser::create() {
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
    std::thread(run, task_reader.get(), done_writer.get()).detach();
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
  sigset_t none;
  sigfillset(&none);
  pthread_sigmask(SIG_BLOCK, &none, nullptr);  // signals are the main thread's, and EPIPE an error
  Task task;
  while (::read(task_reader.get(), &task, sizeof(task)) == sizeof(task)) {
    if (task.bytes > 0) ::munmap(reinterpret_cast<void*>(task.address), task.bytes);
    if (task.fd < 0) continue;
    ::close(task.fd);
    if (::write(done_writer.get(), &task.uid, sizeof(task.uid)) != sizeof(task.uid)) return;
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

void OffCoreCloser::collect(const std::function<void(uint32_t uid)>& visit) {
  while (!waiting_.empty() && write_task(waiting_.front())) waiting_.pop_front();
  uint32_t uid = 0;
  while (open_count_ > 0 && ::read(done_.get(), &uid, sizeof(uid)) == sizeof(uid)) {
    --open_count_;
    visit(uid);
  }
}

}  // namespace quire::server
