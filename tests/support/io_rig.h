// What tests of the I/O engines need: files, memory, waiting for operations, and a child process.
#pragma once

#include <fcntl.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "model/fd_guard.h"
#include "tiering/io/io_engine.h"

namespace quire::tests {

inline constexpr uint64_t kBlockBytes = 4096;

// A file without a name, `bytes` long, in the system's temporary directory, or in the current one
// where the first has no O_DIRECT.
model::FdGuard scratch_file(uint64_t bytes, int flags = O_RDWR | O_DIRECT);

// Zeroed pages; for O_DIRECT and for registering.
class PageMemory {
 public:
  explicit PageMemory(uint64_t bytes);
  PageMemory(const PageMemory&) = delete;
  PageMemory& operator=(const PageMemory&) = delete;
  ~PageMemory();

  std::byte* data() const { return data_; }
  std::byte* block(uint64_t index) const { return data_ + index * kBlockBytes; }
  std::span<std::byte> span() const { return {data_, bytes_}; }

 private:
  std::byte* data_ = nullptr;
  uint64_t bytes_ = 0;
};

void fill_random(std::span<std::byte> memory, uint64_t seed);
std::vector<std::byte> random_bytes(uint64_t bytes, uint64_t seed);

// Waits for the descriptor with poll(2); a wait of 60 s is false.
bool wait_readable(int fd);
bool is_readable_now(int fd);

// Sleeps on wake_fd() until poll() returns something, and returns that.
std::vector<tiering::IoOp*> wait_done(tiering::IoEngine& engine);
// Flushes, and waits until `count` operations came back.
std::vector<tiering::IoOp*> finish(tiering::IoEngine& engine, size_t count);
// One operation to its end, with its out fields.
tiering::IoOp run(tiering::IoEngine& engine, tiering::IoOp op);

// Runs `body` in a forked child; its result is the exit status. A signal is 128 + its number.
int run_in_child(const std::function<int()>& body);
// For a child: the system call fails with `error` from here on. False: no filters here.
bool refuse_syscall(long number, int error);
// For a child: openat(2) with this flag fails with `error`. False: no filters here.
bool refuse_open_with(int flag, int error);
// Whether a child can have its system calls refused.
bool has_filters();
// For a child: the system call ends the process with SIGSYS.
bool forbid_syscall(long number);

}  // namespace quire::tests
