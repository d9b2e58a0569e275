// The daemon's end of a pipe that a client reads (control/pipe_reply.h): one message at a time, as
// much as the pipe takes, never a wait for the reader.
//
// A reader that is slow, stopped or hostile costs its messages and nothing else: who writes bounds
// what waits for it, and counts what it leaves out. A reader that is gone is noticed by flush(), or
// by reader_gone() when there is nothing to write.
//
// Threads: one, a helper (model/helper_thread.h), whose SIGPIPE is blocked: the reader's end is an
// error of write(). Bounds: the buffer is as large as the largest message.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "model/fd_guard.h"

namespace quire::server {

class PipeWriter {
 public:
  // `write_end`: non-blocking.
  explicit PipeWriter(model::FdGuard write_end) : fd_(std::move(write_end)) {}

  // Precondition: is_flushed(). Goes out whole, unless the reader is gone or goes meanwhile.
  void put(std::string_view message);
  // What the pipe takes now. True: all of it is out, or nobody reads any more.
  bool flush();
  bool is_flushed() const { return sent_ == buffer_.size(); }
  // Nobody can read any more, or writing failed: what was put is lost, and what will be.
  bool reader_gone();
  // Until the pipe takes more or its reader is gone, at most so long.
  void wait(std::chrono::milliseconds at_most);
  // The reader sees the end behind what it was sent.
  void close() { fd_.reset(); }

 private:
  void give_up();

  model::FdGuard fd_;
  std::string buffer_;
  size_t sent_ = 0;
  bool gone_ = false;
};

}  // namespace quire::server
