// A segment: one memfd of RAM that clients of one domain map read-only.
//
// Sealed with SHRINK | GROW | FUTURE_WRITE (| EXEC where the kernel knows it) | SEAL after the
// daemon took its own writable mapping: every later writable map, write, truncate or punch by
// anyone fails. Mode 0400. Memory is allocated at creation (fallocate), so that shortage is an
// error here and never a SIGBUS later. Facts: kernel man-pages memfd_create(2), fcntl(2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string_view>
#include <utility>

#include "model/fd_guard.h"
#include "model/ids.h"
#include "model/result.h"

namespace quire::allocator {

enum class HugePages : uint8_t {
  kAuto = 0,     // hugetlb, else transparent, else small
  kHugetlb = 1,  // or fail
  kThp = 2,      // transparent, as far as shmem_enabled lets
  kOff = 3,
};
std::string_view huge_pages_name(HugePages mode);
// kInvalidArgument names the allowed words.
model::Result<HugePages> parse_huge_pages(std::string_view word);

enum class Population : uint8_t {
  kEager = 0,  // fallocate + touch at creation
  kLazy = 1,   // address space only; for benchmarks of the index that never touch page bytes
};

// What may keep a segment from being made.
struct SegmentBounds {
  std::stop_token stop;             // asked for: kClosed, seen every 64 MiB
  uint64_t memory_limit_bytes = 0;  // as memory_room() takes it
};

class Segment {
 public:
  // `bytes`: multiple of 2 MiB. Errors: kInvalidArgument, kResourceExhausted (no memory, no huge
  // pages, no descriptor), kIoError, kClosed.
  static model::Result<std::unique_ptr<Segment>> create(uint64_t bytes, HugePages mode,
                                                        Population population,
                                                        const SegmentBounds& bounds = {});
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;
  ~Segment() = default;

  std::byte* data() const { return mapping_.data(); }  // writable, daemon only
  uint64_t bytes() const { return mapping_.bytes(); }
  // Opened O_RDONLY; this is the one that is passed to clients.
  int read_only_fd() const { return read_only_fd_.get(); }
  // What was really granted: 21 for 2 MiB pages (hugetlb, or transparent and verified), else 12.
  uint32_t page_size_log2() const { return page_size_log2_; }
  bool is_hugetlb() const { return hugetlb_; }

 private:
  friend class SegmentRemains;
  Segment() = default;
  model::Result<void> map_and_populate(int fd, uint64_t bytes, HugePages mode,
                                       Population population, const SegmentBounds& bounds);

  model::FdGuard read_only_fd_;
  model::Mapping mapping_;
  uint32_t page_size_log2_ = 12;
  bool hugetlb_ = false;
};

// A segment that the daemon has given up: what tells whether its memory is really gone. The memory
// lives for as long as any process maps the file or holds a descriptor of it, whatever its clients
// said, and the seals keep the daemon from taking it by force. So the daemon opens the file once
// more, for nobody else, and asks the kernel for a write lease, which is refused while another open
// file of it exists: fcntl(2), F_SETLEASE. Threads: one.
class SegmentRemains {
 public:
  explicit SegmentRemains(std::unique_ptr<Segment> segment) : segment_(std::move(segment)) {}

  // Whether another process keeps the memory. The first call unmaps it here, which takes long. A
  // file system without leases: false.
  bool is_kept();

 private:
  std::unique_ptr<Segment> segment_;  // until the file could be opened once more
  model::FdGuard own_;
};

}  // namespace quire::allocator
