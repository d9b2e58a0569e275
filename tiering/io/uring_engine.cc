#include "tiering/io/uring_engine.h"

#include <fcntl.h>
#include <liburing.h>
#include <sys/uio.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <optional>
#include <utility>

#include "model/check.h"
#include "tiering/io/uring_setup.h"

namespace quire::tiering {
namespace {

using model::Errc;
using model::make_error;
using model::Result;

constexpr uint64_t kMaxPieceBytes = 1ull << 30;  // the kernel's bound for a registered buffer
constexpr int kMaxFlushRetries = 16;
constexpr size_t kPollBatch = 64;

Result<void> check_options(const UringOptions& options) {
  if (!std::has_single_bit(options.queue_depth) || options.queue_depth > 4096) {
    return make_error(Errc::kInvalidArgument, "queue_depth: a power of two up to 4096");
  }
  if (options.max_files == 0 || options.max_files > 32768) {
    return make_error(Errc::kInvalidArgument, "max_files: 1 to 32768");
  }
  if (options.max_buffers == 0 || options.max_buffers > 16384) {
    return make_error(Errc::kInvalidArgument, "max_buffers: 1 to 16384");
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<IoEngine>> UringEngine::create(const UringOptions& options) {
  QUIRE_TRY(check_options(options));
  std::unique_ptr<UringEngine> engine(new UringEngine(options));
  QUIRE_TRY(engine->open());
  return std::unique_ptr<IoEngine>(std::move(engine));
}

UringEngine::UringEngine(const UringOptions& options)
    : options_(options), flights_(options.queue_depth), buffers_(options.max_buffers) {
  free_files_.reserve(options.max_files);
  for (uint32_t file = options.max_files; file > 0; --file) free_files_.push_back(file - 1);
  failed_ids_.reserve(options.queue_depth);
}

UringEngine::~UringEngine() {
  if (ring_ != nullptr) io_uring_queue_exit(ring_.get());
}

Result<void> UringEngine::open() {
  auto ring = std::make_unique<::io_uring>();
  const int error = open_ring(options_.queue_depth, ring.get());
  if (error != 0) return setup_error("io_uring_setup", error);
  ring_ = std::move(ring);
  QUIRE_TRY(register_tables());
  QUIRE_TRY(restrict_and_enable(ring_->ring_fd));
  // A filter may allow the set-up and refuse the use: better known now.
  const int entered = io_uring_get_events(ring_.get());
  if (entered < 0) return setup_error("io_uring_enter", -entered);
  return {};
}

Result<void> UringEngine::register_tables() {
  int result = io_uring_register_files_sparse(ring_.get(), options_.max_files);
  if (result < 0) return setup_error("register a table of files", -result);
  result = io_uring_register_buffers_sparse(ring_.get(), options_.max_buffers);
  if (result < 0) return setup_error("register a table of buffers", -result);
  return {};
}

Result<FileIndex> UringEngine::add_file(int fd) {
  if (free_files_.empty()) return make_error(Errc::kBusy, "no place for a file: raise max_files");
  const uint32_t index = free_files_.back();
  // To the kernel -1 means "empty the place" and is fine.
  const int result = fd < 0 ? -EBADF : io_uring_register_files_update(ring_.get(), index, &fd, 1);
  if (result != 1) {
    errno = result < 0 ? -result : EBADF;
    return model::errno_error("register a file");
  }
  free_files_.pop_back();
  return FileIndex{index};
}

void UringEngine::remove_file(FileIndex file) {
  QUIRE_CHECK(file.value < options_.max_files);
  int none = -1;
  io_uring_register_files_update(ring_.get(), file.value, &none, 1);
  free_files_.push_back(file.value);
}

// Pieces that were added when a later one is refused go again: all of a range or nothing.
Result<void> UringEngine::add_buffer(std::span<std::byte> memory) {
  if (memory.empty()) return make_error(Errc::kInvalidArgument, "a buffer of no bytes");
  for (size_t offset = 0; offset < memory.size(); offset += kMaxPieceBytes) {
    const size_t bytes = std::min<size_t>(memory.size() - offset, kMaxPieceBytes);
    Result<void> added = add_piece(memory.subspan(offset, bytes), memory.data());
    if (!added.ok()) {
      remove_buffer(memory.data());
      return added;
    }
  }
  return {};
}

Result<void> UringEngine::add_piece(std::span<std::byte> memory, const std::byte* range_start) {
  const std::optional<uint16_t> index = buffers_.free_index();
  if (!index) {
    return make_error(Errc::kResourceExhausted,
                      "no place for a buffer: raise max_buffers; it works unregistered");
  }
  const int error = update_buffer(*index, memory.data(), memory.size());
  if (error == ENOMEM) {
    return make_error(Errc::kResourceExhausted,
                      "register a buffer: over the locked-memory limit; raise RLIMIT_MEMLOCK "
                      "(LimitMEMLOCK=infinity); it works unregistered");
  }
  if (error != 0) {
    errno = error;
    return model::errno_error("register a buffer");
  }
  buffers_.add(memory, range_start);
  return {};
}

// An operation in flight holds a reference to the kernel's entry for its buffer, and the entry to
// the pages; taking the entry out of the table only stops new operations from finding it.
void UringEngine::remove_buffer(const std::byte* start) {
  for (const uint16_t index : buffers_.remove(start)) update_buffer(index, nullptr, 0);
}

// Tag 0: the kernel posts no completion when it lets go of the entry. Returns 0 or an errno.
int UringEngine::update_buffer(uint16_t index, std::byte* start, uint64_t bytes) {
  const iovec range = {start, bytes};
  const __u64 tag = 0;
  const int result = io_uring_register_buffers_update_tag(ring_.get(), index, &range, &tag, 1);
  if (result < 0) return -result;
  return result == 1 ? 0 : EINVAL;
}

void UringEngine::prepare(io_uring_sqe* entry, const IoOp& op) const {
  const int file = static_cast<int>(op.file.value);
  const auto bytes = static_cast<unsigned>(op.bytes);
  // To the ring -1 means "where the file's position is"; any other negative offset is EINVAL.
  const uint64_t offset = std::min(op.offset, UINT64_MAX - 1);
  const bool moves_bytes = op.kind == IoKind::kRead || op.kind == IoKind::kWrite;
  const std::optional<uint16_t> buffer =
      moves_bytes ? buffers_.find({op.data, op.bytes}) : std::nullopt;
  switch (op.kind) {
    case IoKind::kRead:
      io_uring_prep_read(entry, file, op.data, bytes, offset);
      if (buffer) entry->opcode = IORING_OP_READ_FIXED;
      break;
    case IoKind::kWrite:
      io_uring_prep_write(entry, file, op.data, bytes, offset);
      if (buffer) entry->opcode = IORING_OP_WRITE_FIXED;
      break;
    case IoKind::kSync:
      io_uring_prep_fsync(entry, file, IORING_FSYNC_DATASYNC);
      break;
    case IoKind::kAllocate:
      io_uring_prep_fallocate(entry, file, 0, static_cast<off_t>(offset),
                              static_cast<off_t>(op.bytes));
      break;
    case IoKind::kDeallocate:
      io_uring_prep_fallocate(entry, file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                              static_cast<off_t>(offset), static_cast<off_t>(op.bytes));
      break;
  }
  if (buffer) entry->buf_index = *buffer;
  entry->flags |= IOSQE_FIXED_FILE;
}

// There is always an entry: the queue has queue_depth of them and each operation at most one.
void UringEngine::enqueue(uint64_t id, const IoOp& op) {
  io_uring_sqe* entry = io_uring_get_sqe(ring_.get());
  QUIRE_CHECK(entry != nullptr);
  prepare(entry, op);
  entry->user_data = id;
}

bool UringEngine::submit(IoOp* op) {
  const bool moves_bytes = op->kind == IoKind::kRead || op->kind == IoKind::kWrite;
  QUIRE_CHECK(!moves_bytes || op->bytes <= kMaxIoBytes);
  if (flights_.full()) return false;
  op->error = 0;
  op->transferred = 0;
  enqueue(flights_.add(op), *op);
  return true;
}

void UringEngine::flush() {
  int result = 0;
  for (int i = 0; i < kMaxFlushRetries && io_uring_sq_ready(ring_.get()) > 0; ++i) {
    result = io_uring_submit(ring_.get());
    if (result < 0 && result != -EINTR) break;
  }
  const bool passing = result >= 0 || result == -EINTR || result == -EAGAIN || result == -EBUSY;
  if (!passing) fail_queued(-result);
  queued_is_due_ = io_uring_sq_ready(ring_.get()) > 0;
}

// Takes back what the kernel will not have. It looks at the queue only while it is called, so that
// the tail may be moved back.
void UringEngine::fail_queued(int error) {
  io_uring_sq& queue = ring_->sq;
  const unsigned head = *queue.khead;
  for (unsigned at = head; at != queue.sqe_tail; ++at) {
    failed_ids_.push_back(queue.sqes[at & queue.ring_mask].user_data);
  }
  queue.sqe_head = head;
  queue.sqe_tail = head;
  *queue.ktail = head;
  failed_error_ = error;
}

size_t UringEngine::return_failed(std::span<IoOp*> done) {
  size_t count = 0;
  while (count < done.size() && !failed_ids_.empty()) {
    const FlightTable::Outcome outcome = flights_.fail(failed_ids_.back(), failed_error_);
    failed_ids_.pop_back();
    if (outcome.verdict == FlightTable::Verdict::kDone) done[count++] = outcome.op;
  }
  return count;
}

size_t UringEngine::poll(std::span<IoOp*> done) {
  if (queued_is_due_) flush();
  size_t count = return_failed(done);
  bool again = false;
  std::array<io_uring_cqe*, kPollBatch> entries;
  while (count < done.size()) {
    // Looks at the shared memory; enters the kernel only when a flag there says that it holds back
    // completions (an overflow, or task work that cooperative mode left for us).
    const unsigned seen = io_uring_peek_batch_cqe(
        ring_.get(), entries.data(),
        static_cast<unsigned>(std::min(done.size() - count, entries.size())));
    if (seen == 0) break;
    for (unsigned i = 0; i < seen; ++i) {
      const FlightTable::Outcome outcome =
          flights_.complete(entries[i]->user_data, entries[i]->res);
      if (outcome.verdict == FlightTable::Verdict::kDone) done[count++] = outcome.op;
      if (outcome.verdict == FlightTable::Verdict::kRetry) {
        enqueue(outcome.id, *outcome.op);
        again = true;
      }
    }
    io_uring_cq_advance(ring_.get(), seen);
  }
  if (again) flush();
  return count;
}

int UringEngine::wake_fd() const { return ring_->ring_fd; }

}  // namespace quire::tiering
