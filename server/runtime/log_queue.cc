#include "server/runtime/log_queue.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace quire::server {

using model::HelperThread;

namespace {

constexpr int kLookAgainMs = 100;  // whether the queue was closed, while nobody reads

}  // namespace

LogQueue::LogQueue(int fd) : fd_(fd) {
  const auto started = thread_.start({.name = "quire-log"},
                                     [this](const std::stop_token& stop) { return step(stop); });
  closing_ = !started.ok();
}

bool LogQueue::push(std::string line) {
  if (line.size() > kMaxLineBytes) {
    line.resize(kMaxLineBytes - 4);
    line += "...\n";
  }
  {
    const std::lock_guard lock(mutex_);
    // The caller may be the core: it never waits for whoever reads standard error (law 6).
    if (closing_ || lines_.size() == kMaxLines) {
      ++dropped_;
      return false;
    }
    lines_.push_back(std::move(line));
  }
  thread_.wake();
  return true;
}

// One line. While nobody reads, it keeps its place in the queue, and what the queue cannot hold is
// dropped by push().
std::chrono::milliseconds LogQueue::step(const std::stop_token& stop) {
  const bool last_try = stop.stop_requested();
  std::unique_lock lock(mutex_);
  if (lines_.empty()) return HelperThread::kUntilWoken;
  lock.unlock();
  if (!wait_writable()) {
    if (!last_try) return HelperThread::kAtOnce;
    drop_all();  // nobody reads, and the process wants to end
    return HelperThread::kUntilWoken;
  }
  lock.lock();
  const std::string line = std::move(lines_.front());
  lines_.pop_front();
  lock.unlock();
  const bool written = write_all(line);
  lock.lock();
  if (!written) ++dropped_;
  return HelperThread::kAtOnce;
}

void LogQueue::drop_all() {
  const std::lock_guard lock(mutex_);
  dropped_ += lines_.size();
  lines_.clear();
}

// True also for a descriptor that can only fail: the write says so.
bool LogQueue::wait_writable() const {
  pollfd target{fd_, POLLOUT, 0};
  return ::poll(&target, 1, kLookAgainMs) > 0;
}

bool LogQueue::write_all(const std::string& line) const {
  for (size_t done = 0; done < line.size();) {
    const ssize_t written = ::write(fd_, line.data() + done, line.size() - done);
    if (written > 0) {
      done += static_cast<size_t>(written);
    } else if (written < 0 && errno == EAGAIN) {
      if (!wait_writable()) return false;  // a reader that went slow in the middle of a line
    } else if (written == 0 || errno != EINTR) {
      return false;
    }
  }
  return true;
}

bool LogQueue::close(uint32_t timeout_ms) {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  return thread_.stop_within(std::chrono::milliseconds(timeout_ms));
}

uint64_t LogQueue::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

}  // namespace quire::server
