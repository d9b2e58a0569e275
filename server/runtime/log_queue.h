// Lines on their way to a descriptor whose reader may be slow, stuck or gone.
//
// push() only copies: a private thread writes, and looks with poll() whether the descriptor takes a
// line before it does. What finds the queue full is dropped and counted. Threads: push and counters
// from any. Lifetime: close() waits a bounded time for what is queued; a thread that hangs in a
// write is then left behind, so the object must live until the process ends.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <mutex>
#include <stop_token>
#include <string>

#include "model/helper_thread.h"

namespace quire::server {

class LogQueue {
 public:
  // Beyond them a line is cut. A pipe that poll() calls writable takes so many bytes at once.
  static constexpr size_t kMaxLineBytes = 4096;  // PIPE_BUF
  static constexpr size_t kMaxLines = 1024;      // 4 MiB at the most

  // `fd` is lent; without a thread (no more can be had) everything is dropped.
  explicit LogQueue(int fd);
  LogQueue(const LogQueue&) = delete;
  LogQueue& operator=(const LogQueue&) = delete;
  // Only after close() returned true.
  ~LogQueue() = default;

  // Never blocks on the descriptor. False: dropped.
  bool push(std::string line);
  // Nothing is taken any more. True when everything was written, or given up, within timeout_ms.
  bool close(uint32_t timeout_ms);
  // Lines that found the queue full, or whose write failed.
  uint64_t dropped() const;

 private:
  std::chrono::milliseconds step(const std::stop_token& stop);
  void drop_all();
  bool wait_writable() const;
  bool write_all(const std::string& line) const;

  const int fd_;
  mutable std::mutex mutex_;
  std::deque<std::string> lines_;  // these under mutex_
  uint64_t dropped_ = 0;
  bool closing_ = false;
  model::HelperThread thread_;
};

}  // namespace quire::server
