// The seam to the device. Two engines behind it, with the same tests: io_uring (UringEngine) and a
// few threads that call pread and pwrite (ThreadEngine), for where io_uring is refused.
//
//   submit() queues -> flush() hands everything queued to the kernel -> poll() returns it, once
//
// An operation is whole or it failed: fewer bytes than asked for are an error (ENODATA), never a
// success; a completion that belongs to no operation in flight is counted and never handed out
// (Mooncake a16e042b8). EINTR and EAGAIN are retried inside, everything else is the caller's.
// The submitter owns an operation and its memory until poll() returns it, also when it hangs.
// Threads: core only; wake_fd() is for its event loop. Bounds: queue_depth operations in flight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "model/ids.h"
#include "model/result.h"

namespace quire::tiering {

using FileIndex = model::Id<struct FileTag, uint32_t>;

enum class IoKind : uint8_t {
  kRead = 0,
  kWrite = 1,
  kSync = 2,        // fdatasync: data and what is needed to read it back
  kAllocate = 3,    // fallocate(0) of [offset, offset + bytes): the file grows, blocks are reserved
  kDeallocate = 4,  // gives the blocks of [offset, offset + bytes) back; the file keeps its size
};
inline constexpr size_t kIoKinds = 5;

class IoClient;  // tiering/io/io_port.h

struct IoOp {
  IoKind kind = IoKind::kRead;
  FileIndex file;
  uint64_t offset = 0;        // reads and writes: offset, data and bytes are multiples of 4096
  std::byte* data = nullptr;  // kWrite only reads it
  uint64_t bytes = 0;         // at most kMaxIoBytes for reads and writes
  uint64_t tag = 0;           // the submitter's; nobody else reads it
  // Where it waits for its submitter once it is done; engines do not look at it.
  IoClient* client = nullptr;
  int64_t submitted_ns = 0;  // to the engine; the port's
  // Out. errno; 0: all of it was transferred. ENODATA: short, `transferred` says how much.
  int error = 0;
  uint64_t transferred = 0;
};

inline constexpr uint64_t kMaxIoBytes = 1ull << 30;  // a page is at most that

class IoEngine {
 public:
  virtual ~IoEngine() = default;
  virtual std::string_view name() const = 0;  // "io_uring", "pread"

  // The descriptor stays the caller's and open until remove_file(). kBusy: no place.
  virtual model::Result<FileIndex> add_file(int fd) = 0;
  virtual void remove_file(FileIndex file) = 0;  // precondition: none of its operations in flight

  // Memory that operations will name; registered with the kernel where it can be, so that a
  // transfer pins no pages. Operations on other memory work too. kResourceExhausted: not
  // registered (locked-memory limit), it works unregistered. Ranges do not overlap.
  virtual model::Result<void> add_buffer(std::span<std::byte> memory) = 0;
  virtual void remove_buffer(const std::byte* start) = 0;  // unknown: nothing happens
  virtual uint64_t registered_bytes() const = 0;

  // False: queue_depth operations are in flight; nothing was taken.
  virtual bool submit(IoOp* op) = 0;
  virtual void flush() = 0;
  // Finished operations, in any order; returns how many. Never blocks.
  virtual size_t poll(std::span<IoOp*> done) = 0;
  virtual size_t in_flight() const = 0;  // submitted and not yet returned by poll()
  virtual uint32_t queue_depth() const = 0;
  virtual uint64_t stale_completions() const = 0;  // of no operation in flight; always 0
  // Becomes readable when poll() may have something; for epoll, level-triggered, read by poll().
  virtual int wake_fd() const = 0;
};

}  // namespace quire::tiering
