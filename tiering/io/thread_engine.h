// pread and pwrite on a few threads as an IoEngine: for where io_uring is refused.
//
// flush() puts what was submitted into one bounded queue, threads take from it, and what they
// finished waits in another for poll(). One lock, never held over a transfer. A device that hangs
// takes its threads along: with `threads` operations hung, nothing moves (the submitter's deadlines
// notice), and the destructor waits for them, because a thread in pread cannot be ended.
// Lifetime: the destructor abandons what no thread has begun and finishes the rest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "model/fd_guard.h"
#include "model/result.h"
#include "tiering/io/io_engine.h"

namespace quire::tiering {

struct ThreadOptions {
  uint32_t threads = 4;        // 1 to 256
  uint32_t queue_depth = 256;  // a power of two, 1 to 4096
  uint32_t max_files = 64;     // 1 to 32768
};

class ThreadEngine final : public IoEngine {
 public:
  static model::Result<std::unique_ptr<IoEngine>> create(const ThreadOptions& options);
  ~ThreadEngine() override;
  ThreadEngine(const ThreadEngine&) = delete;
  ThreadEngine& operator=(const ThreadEngine&) = delete;

  std::string_view name() const override { return "pread"; }
  model::Result<FileIndex> add_file(int fd) override;
  void remove_file(FileIndex file) override;
  // Nothing to register with: always ok.
  model::Result<void> add_buffer(std::span<std::byte> memory) override;
  void remove_buffer(const std::byte*) override {}
  uint64_t registered_bytes() const override { return 0; }
  bool submit(IoOp* op) override;
  void flush() override;
  size_t poll(std::span<IoOp*> done) override;
  size_t in_flight() const override { return in_flight_; }
  uint32_t queue_depth() const override { return options_.queue_depth; }
  uint64_t stale_completions() const override { return 0; }
  int wake_fd() const override;

 private:
  class Pool;
  struct Task {
    IoOp* op = nullptr;
    int fd = -1;  // looked up by the core: the table of files is its own
  };

  ThreadEngine(const ThreadOptions& options, std::unique_ptr<Pool> pool);

  const ThreadOptions options_;
  std::vector<int> files_;     // -1: free
  std::vector<Task> pending_;  // submitted, not flushed
  size_t in_flight_ = 0;
  std::unique_ptr<Pool> pool_;
};

}  // namespace quire::tiering
