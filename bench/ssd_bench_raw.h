// What the device gives to a bare io_uring loop: the limit beside every figure of the SSD tier. The
// same operations as the daemon's (sizes, offsets, registered memory on the same kind of pages,
// registered files, O_DIRECT), nothing else: no index, no checks, no manifest.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "allocator/segment.h"
#include "model/fd_guard.h"

struct io_uring;

namespace quire::bench {

struct RawOp {
  uint32_t file = 0;  // index of the files given to RawDevice::open_files
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

struct RawLimits {
  uint32_t queue_depth = 64;
  uint64_t queue_bytes = 32ull << 20;
};

class RawDevice {
 public:
  explicit RawDevice(uint64_t buffer_bytes);
  ~RawDevice();

  // At most 64, in place of those before.
  void open_files(const std::vector<std::string>& paths);
  // A fresh file of so many bytes, allocated; in place of the files before.
  void make_file(const std::string& path, uint64_t bytes);
  // Seconds from the first submission to the last completion.
  double read(std::span<const RawOp> ops, const RawLimits& limits);
  // The same, and to the end of an fdatasync.
  double write(std::span<const RawOp> ops, const RawLimits& limits);
  bool huge_pages() const { return memory_->page_size_log2() > 12; }

 private:
  void transfer(std::span<const RawOp> ops, const RawLimits& limits, bool write);
  void register_files();

  std::unique_ptr<allocator::Segment> memory_;
  std::unique_ptr<::io_uring> ring_;
  std::vector<model::FdGuard> files_;
  uint64_t cursor_ = 0;  // in memory_: operations take turns through all of it
};

}  // namespace quire::bench
