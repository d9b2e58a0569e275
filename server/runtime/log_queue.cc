#include "server/runtime/log_queue.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>

namespace quire::server {

namespace {

constexpr int kLookAgainMs = 100;  // whether the queue was closed, while nobody reads

}  // namespace

LogQueue::LogQueue(int fd) : fd_(fd) {
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error&) {
    closing_ = true;
    ended_ = true;
  }
}

bool LogQueue::push(std::string line) {
  if (line.size() > kMaxLineBytes) {
    line.resize(kMaxLineBytes - 4);
    line += "...\n";
  }
  {
    const std::lock_guard lock(mutex_);
    if (closing_ || lines_.size() == kMaxLines) {
      ++dropped_;
      return false;
    }
    lines_.push_back(std::move(line));
  }
  changed_.notify_all();
  return true;
}

void LogQueue::run() {
  sigset_t all;
  sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
  ::pthread_setname_np(::pthread_self(), "quire-log");
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return closing_ || !lines_.empty(); });
    if (lines_.empty()) break;
    const bool last_try = closing_;
    lock.unlock();
    const bool writable = wait_writable();
    lock.lock();
    if (!writable && last_try) break;  // nobody reads, and the process wants to end
    if (!writable) continue;           // the line keeps its place in the queue
    const std::string line = std::move(lines_.front());
    lines_.pop_front();
    lock.unlock();
    const bool written = write_all(line);
    lock.lock();
    if (!written) ++dropped_;
  }
  dropped_ += lines_.size();
  lines_.clear();
  ended_ = true;
  lock.unlock();
  changed_.notify_all();
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
  std::unique_lock lock(mutex_);
  closing_ = true;
  changed_.notify_all();
  const bool ended =
      changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms), [this] { return ended_; });
  lock.unlock();
  if (!thread_.joinable()) return ended;
  if (ended) {
    thread_.join();
  } else {
    thread_.detach();
  }
  return ended;
}

uint64_t LogQueue::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

}  // namespace quire::server
