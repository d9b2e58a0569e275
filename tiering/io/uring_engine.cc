#include "tiering/io/uring_engine.h"

#include <fcntl.h>
#include <liburing.h>
#include <sys/uio.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "model/check.h"

namespace quire::tiering {
namespace {

using model::Errc;
using model::make_error;
using model::Result;

constexpr uint64_t kMaxPieceBytes = 1ull << 30;  // the kernel's bound for a registered buffer
constexpr int kMaxFlushRetries = 16;
constexpr size_t kPollBatch = 64;

constexpr std::array<io_uring_op, 6> kAllowedOperations = {
    IORING_OP_READ,        IORING_OP_WRITE, IORING_OP_READ_FIXED,
    IORING_OP_WRITE_FIXED, IORING_OP_FSYNC, IORING_OP_FALLOCATE};
constexpr std::array<unsigned, 2> kAllowedUpdates = {IORING_REGISTER_FILES_UPDATE,
                                                     IORING_REGISTER_BUFFERS_UPDATE};

model::Error setup_error(std::string_view what, int error) {
  const std::string text = std::string(what) + ": " + std::strerror(error);
  if (error == EPERM || error == EACCES || error == ENOSYS) {
    return make_error(Errc::kUnavailable,
                      text +
                          ": io_uring is refused here; allow it (sysctl kernel.io_uring_disabled"
                          "=0, and io_uring_setup, _enter and _register in the container's or "
                          "the unit's seccomp profile) or use the thread engine");
  }
  if (error == EINVAL) {
    return make_error(Errc::kUnavailable,
                      text +
                          ": this kernel's io_uring lacks it (Linux 5.19 has all that is "
                          "needed); use the thread engine");
  }
  if (error == ENOMEM || error == EMFILE || error == ENFILE) {
    return make_error(Errc::kResourceExhausted,
                      text +
                          ": raise the locked-memory or descriptor limit, lower the queue "
                          "depth, or use the thread engine");
  }
  return make_error(Errc::kIoError, text);
}

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

// Returns 0 or an errno. Without the wishes a completion interrupts this thread, and an entry that
// is refused ends the system call that takes them: slower, no worse.
int open_ring(uint32_t queue_depth, io_uring* ring) {
  constexpr unsigned kWishes =
      IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL;
  io_uring_params params = {};
  params.flags = IORING_SETUP_R_DISABLED | kWishes;
  int result = io_uring_queue_init_params(queue_depth, ring, &params);
  if (result == -EINVAL) {
    params = {};
    params.flags = IORING_SETUP_R_DISABLED;
    result = io_uring_queue_init_params(queue_depth, ring, &params);
  }
  return -result;
}

}  // namespace

// By number: the shared library of liburing 2.3 does not export its wrappers of these two.
Result<void> restrict_and_enable(int ring_fd) {
  std::array<io_uring_restriction, kAllowedOperations.size() + kAllowedUpdates.size() + 2> rules{};
  io_uring_restriction* rule = rules.data();
  for (const io_uring_op operation : kAllowedOperations) {
    rule->opcode = IORING_RESTRICTION_SQE_OP;
    (rule++)->sqe_op = static_cast<uint8_t>(operation);
  }
  for (const unsigned update : kAllowedUpdates) {
    rule->opcode = IORING_RESTRICTION_REGISTER_OP;
    (rule++)->register_op = static_cast<uint8_t>(update);
  }
  // Registered files only, and no links, drains or forced workers.
  rule->opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
  (rule++)->sqe_flags = IOSQE_FIXED_FILE;
  rule->opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED;
  (rule++)->sqe_flags = IOSQE_FIXED_FILE;
  int result = io_uring_register(static_cast<unsigned>(ring_fd), IORING_REGISTER_RESTRICTIONS,
                                 rules.data(), static_cast<unsigned>(rules.size()));
  if (result < 0) return setup_error("restrict the ring", -result);
  result =
      io_uring_register(static_cast<unsigned>(ring_fd), IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
  if (result < 0) return setup_error("enable the ring", -result);
  return {};
}

Result<std::unique_ptr<IoEngine>> UringEngine::create(const UringOptions& options) {
  QUIRE_TRY(check_options(options));
  std::unique_ptr<UringEngine> engine(new UringEngine(options));
  QUIRE_TRY(engine->open());
  return std::unique_ptr<IoEngine>(std::move(engine));
}

UringEngine::UringEngine(const UringOptions& options)
    : options_(options), flights_(options.queue_depth) {
  free_files_.reserve(options.max_files);
  for (uint32_t file = options.max_files; file > 0; --file) free_files_.push_back(file - 1);
  free_buffers_.reserve(options.max_buffers);
  for (uint32_t buffer = options.max_buffers; buffer > 0; --buffer) {
    free_buffers_.push_back(static_cast<uint16_t>(buffer - 1));
  }
  pieces_.reserve(options.max_buffers);
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
  if (free_buffers_.empty()) {
    return make_error(Errc::kResourceExhausted,
                      "no place for a buffer: raise max_buffers; it works unregistered");
  }
  const auto next = std::upper_bound(
      pieces_.begin(), pieces_.end(), memory.data(),
      [](const std::byte* start, const Piece& piece) { return start < piece.start; });
  QUIRE_CHECK(next == pieces_.end() || memory.data() + memory.size() <= next->start);
  QUIRE_CHECK(next == pieces_.begin() ||
              std::prev(next)->start + std::prev(next)->bytes <= memory.data());
  const uint16_t index = free_buffers_.back();
  const int error = update_buffer(index, memory.data(), memory.size());
  if (error == ENOMEM) {
    return make_error(Errc::kResourceExhausted,
                      "register a buffer: over the locked-memory limit; raise RLIMIT_MEMLOCK "
                      "(LimitMEMLOCK=infinity); it works unregistered");
  }
  if (error != 0) {
    errno = error;
    return model::errno_error("register a buffer");
  }
  free_buffers_.pop_back();
  pieces_.insert(next, Piece{memory.data(), memory.size(), index, range_start});
  registered_bytes_ += memory.size();
  return {};
}

// An operation in flight holds a reference to the kernel's entry for its buffer, and the entry to
// the pages; taking the entry out of the table only stops new operations from finding it.
void UringEngine::remove_buffer(const std::byte* start) {
  const auto is_gone = [start](const Piece& piece) { return piece.range_start == start; };
  for (const Piece& piece : pieces_) {
    if (!is_gone(piece)) continue;
    update_buffer(piece.index, nullptr, 0);
    free_buffers_.push_back(piece.index);
    registered_bytes_ -= piece.bytes;
  }
  std::erase_if(pieces_, is_gone);
}

// Tag 0: the kernel posts no completion when it lets go of the entry. Returns 0 or an errno.
int UringEngine::update_buffer(uint16_t index, std::byte* start, uint64_t bytes) {
  const iovec range = {start, bytes};
  const __u64 tag = 0;
  const int result = io_uring_register_buffers_update_tag(ring_.get(), index, &range, &tag, 1);
  if (result < 0) return -result;
  return result == 1 ? 0 : EINVAL;
}

uint16_t UringEngine::find_buffer(const IoOp& op) const {
  auto next = std::upper_bound(
      pieces_.begin(), pieces_.end(), op.data,
      [](const std::byte* start, const Piece& piece) { return start < piece.start; });
  if (next == pieces_.begin()) return kNoIndex;
  const Piece& piece = *std::prev(next);
  const uint64_t offset = static_cast<uint64_t>(op.data - piece.start);
  return offset <= piece.bytes && op.bytes <= piece.bytes - offset ? piece.index : kNoIndex;
}

void UringEngine::prepare(io_uring_sqe* entry, const IoOp& op) const {
  const int file = static_cast<int>(op.file.value);
  const auto bytes = static_cast<unsigned>(op.bytes);
  // To the ring -1 means "where the file's position is"; any other negative offset is EINVAL.
  const uint64_t offset = std::min(op.offset, UINT64_MAX - 1);
  const bool moves_bytes = op.kind == IoKind::kRead || op.kind == IoKind::kWrite;
  const uint16_t buffer = moves_bytes ? find_buffer(op) : kNoIndex;
  switch (op.kind) {
    case IoKind::kRead:
      io_uring_prep_read(entry, file, op.data, bytes, offset);
      if (buffer != kNoIndex) entry->opcode = IORING_OP_READ_FIXED;
      break;
    case IoKind::kWrite:
      io_uring_prep_write(entry, file, op.data, bytes, offset);
      if (buffer != kNoIndex) entry->opcode = IORING_OP_WRITE_FIXED;
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
  if (buffer != kNoIndex) entry->buf_index = buffer;
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
