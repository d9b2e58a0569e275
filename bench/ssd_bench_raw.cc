#include "bench/ssd_bench_raw.h"

#include <fcntl.h>
#include <liburing.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>

#include "bench/bench_daemon.h"
#include "bench/measure.h"

namespace quire::bench {

namespace {

constexpr uint32_t kRingEntries = 256;
constexpr uint32_t kMaxFiles = 64;

}  // namespace

RawDevice::RawDevice(uint64_t buffer_bytes)
    : memory_(or_exit(allocator::Segment::create(buffer_bytes, allocator::HugePages::kAuto,
                                                 allocator::Population::kEager),
                      "map a buffer")),
      ring_(std::make_unique<::io_uring>()) {
  for (uint64_t at = 0; at < buffer_bytes; at += sizeof(at)) {
    const uint64_t word = at * 0x9e3779b97f4a7c15ull;
    std::memcpy(memory_->data() + at, &word, sizeof(word));
  }
  io_uring_params params = {};
  params.flags = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL;
  QUIRE_CHECK(io_uring_queue_init_params(kRingEntries, ring_.get(), &params) == 0);
  const iovec range = {memory_->data(), buffer_bytes};
  QUIRE_CHECK(io_uring_register_buffers(ring_.get(), &range, 1) == 0);
  QUIRE_CHECK(io_uring_register_files_sparse(ring_.get(), kMaxFiles) == 0);
}

RawDevice::~RawDevice() { io_uring_queue_exit(ring_.get()); }

void RawDevice::open_files(const std::vector<std::string>& paths) {
  files_.clear();
  for (const std::string& path : paths) {
    files_.emplace_back(::open(path.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
    QUIRE_CHECK(files_.back().get() >= 0);
  }
  register_files();
}

void RawDevice::make_file(const std::string& path, uint64_t bytes) {
  files_.clear();
  files_.emplace_back(::open(path.c_str(), O_RDWR | O_DIRECT | O_CREAT | O_CLOEXEC, 0600));
  QUIRE_CHECK(files_.back().get() >= 0);
  QUIRE_CHECK(::fallocate(files_.back().get(), 0, 0, static_cast<off_t>(bytes)) == 0);
  QUIRE_CHECK(::fsync(files_.back().get()) == 0);
  register_files();
}

void RawDevice::register_files() {
  std::array<int, kMaxFiles> descriptors;
  descriptors.fill(-1);
  QUIRE_CHECK(files_.size() <= kMaxFiles);
  for (size_t i = 0; i < files_.size(); ++i) descriptors[i] = files_[i].get();
  QUIRE_CHECK(io_uring_register_files_update(ring_.get(), 0, descriptors.data(), kMaxFiles) ==
              static_cast<int>(kMaxFiles));
}

double RawDevice::read(std::span<const RawOp> ops, const RawLimits& limits) {
  const Stopwatch watch;
  transfer(ops, limits, false);
  return watch.seconds();
}

double RawDevice::write(std::span<const RawOp> ops, const RawLimits& limits) {
  const Stopwatch watch;
  transfer(ops, limits, true);
  for (const model::FdGuard& file : files_) QUIRE_CHECK(::fdatasync(file.get()) == 0);
  return watch.seconds();
}

void RawDevice::transfer(std::span<const RawOp> ops, const RawLimits& limits, bool write) {
  size_t next = 0;
  uint32_t in_flight = 0;
  uint64_t bytes_in_flight = 0;
  std::array<io_uring_cqe*, 64> done;
  while (next < ops.size() || in_flight > 0) {
    for (; next < ops.size() && in_flight < limits.queue_depth; ++next) {
      const RawOp& op = ops[next];
      if (in_flight > 0 && bytes_in_flight + op.bytes > limits.queue_bytes) break;
      if (cursor_ + op.bytes > memory_->bytes()) cursor_ = 0;
      io_uring_sqe* entry = io_uring_get_sqe(ring_.get());
      const auto file = static_cast<int>(op.file);
      const auto bytes = static_cast<unsigned>(op.bytes);
      if (write) {
        io_uring_prep_write_fixed(entry, file, memory_->data() + cursor_, bytes, op.offset, 0);
      } else {
        io_uring_prep_read_fixed(entry, file, memory_->data() + cursor_, bytes, op.offset, 0);
      }
      entry->flags |= IOSQE_FIXED_FILE;
      entry->user_data = op.bytes;
      cursor_ += op.bytes;
      bytes_in_flight += op.bytes;
      ++in_flight;
    }
    QUIRE_CHECK(io_uring_submit_and_wait(ring_.get(), 1) >= 0);
    const unsigned seen = io_uring_peek_batch_cqe(ring_.get(), done.data(), done.size());
    for (unsigned i = 0; i < seen; ++i) {
      QUIRE_CHECK(done[i]->res >= 0 && static_cast<uint64_t>(done[i]->res) == done[i]->user_data);
      bytes_in_flight -= done[i]->user_data;
    }
    in_flight -= seen;
    io_uring_cq_advance(ring_.get(), seen);
  }
}

}  // namespace quire::bench
