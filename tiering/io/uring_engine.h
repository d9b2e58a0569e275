// io_uring as an IoEngine: one ring, its files and buffers registered with the kernel.
//
// 1. The ring is restricted before it is enabled: operations of an engine on registered files, and
// the
//    two updates of the tables. What takes over the process opens no file through it.
// 2. A completion that belongs to no operation in flight is counted and dropped (FlightTable).
// 3. poll() makes no system call when there is nothing to fetch.
// A loop that waits for wake_fd() must not take EINTR for an end: the kernel interrupts a waiting
// thread to finish its operations. When the kernel has no memory for an entry (EAGAIN, EBUSY), it
// stays queued and the next flush() or poll() tries again, so poll() on a tick while in_flight().
// Lifetime: the destructor abandons what is in flight. The kernel holds the pages it transfers to
// until the device answers, so that is safe for the machine, but bytes may still arrive in memory
// that others share: do not reuse memory of an operation that poll() never returned.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "model/result.h"
#include "tiering/io/buffer_table.h"
#include "tiering/io/flight_table.h"
#include "tiering/io/io_engine.h"

struct io_uring;
struct io_uring_sqe;

namespace quire::tiering {

struct UringOptions {
  uint32_t queue_depth = 256;   // a power of two, 1 to 4096
  uint32_t max_files = 64;      // 1 to 32768
  uint32_t max_buffers = 4096;  // 1 to 16384: the kernel's bound; one for each started GiB
};

class UringEngine final : public IoEngine {
 public:
  // kUnavailable: io_uring is refused or too old here; use the thread engine.
  static model::Result<std::unique_ptr<IoEngine>> create(const UringOptions& options);
  ~UringEngine() override;
  UringEngine(const UringEngine&) = delete;
  UringEngine& operator=(const UringEngine&) = delete;

  std::string_view name() const override { return "io_uring"; }
  model::Result<FileIndex> add_file(int fd) override;
  void remove_file(FileIndex file) override;
  model::Result<void> add_buffer(std::span<std::byte> memory) override;
  // Safe with operations in flight on it: the kernel keeps the pages until the last one finished.
  void remove_buffer(const std::byte* start) override;
  uint64_t registered_bytes() const override { return buffers_.bytes(); }
  bool submit(IoOp* op) override;
  void flush() override;
  size_t poll(std::span<IoOp*> done) override;
  size_t in_flight() const override { return flights_.size(); }
  uint32_t queue_depth() const override { return options_.queue_depth; }
  uint64_t stale_completions() const override { return flights_.stale_count(); }
  int wake_fd() const override;

 private:
  explicit UringEngine(const UringOptions& options);
  model::Result<void> open();
  model::Result<void> register_tables();
  model::Result<void> add_piece(std::span<std::byte> memory, const std::byte* range_start);
  int update_buffer(uint16_t index, std::byte* start, uint64_t bytes);
  void prepare(io_uring_sqe* entry, const IoOp& op) const;
  void enqueue(uint64_t id, const IoOp& op);
  void fail_queued(int error);
  size_t return_failed(std::span<IoOp*> done);

  const UringOptions options_;
  std::unique_ptr<::io_uring> ring_;  // none: never opened
  FlightTable flights_;
  std::vector<uint32_t> free_files_;
  BufferTable buffers_;
  std::vector<uint64_t> failed_ids_;  // the kernel refused to take them; poll() returns them
  int failed_error_ = 0;              // why
  bool queued_is_due_ = false;        // a flush() left entries behind
};

}  // namespace quire::tiering
