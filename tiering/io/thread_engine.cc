#include "tiering/io/thread_engine.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <string>
#include <utility>

#include "model/check.h"
#include "model/helper_thread.h"

namespace quire::tiering {
namespace {

using model::Errc;
using model::HelperThread;
using model::make_error;
using model::Result;

constexpr int kMaxRetries = 16;  // of EINTR and EAGAIN in a row

// One system call of an operation; bytes, or -1 and errno.
ssize_t step(const IoOp& op, int fd) {
  const auto offset = static_cast<off_t>(op.offset + op.transferred);
  const uint64_t left = op.bytes - op.transferred;
  switch (op.kind) {
    case IoKind::kRead:
      return ::pread(fd, op.data + op.transferred, left, offset);
    case IoKind::kWrite:
      return ::pwrite(fd, op.data + op.transferred, left, offset);
    case IoKind::kSync:
      return ::fdatasync(fd);
    case IoKind::kAllocate:
      return ::fallocate(fd, 0, offset, static_cast<off_t>(op.bytes));
    case IoKind::kDeallocate:
      return ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset,
                         static_cast<off_t>(op.bytes));
  }
  return 0;
}

void run_op(IoOp& op, int fd) {
  const bool moves_bytes = op.kind == IoKind::kRead || op.kind == IoKind::kWrite;
  int retries = 0;
  while (true) {
    const ssize_t result = step(op, fd);
    if (result < 0) {
      op.error = errno;
      const bool passing = op.error == EINTR || op.error == EAGAIN;
      if (!passing || ++retries > kMaxRetries) return;
      continue;
    }
    retries = 0;
    op.transferred += static_cast<uint64_t>(result);
    const bool whole = !moves_bytes || op.transferred == op.bytes;
    op.error = whole ? 0 : ENODATA;
    if (whole || result == 0) return;
  }
}

Result<void> check_options(const ThreadOptions& options) {
  if (options.threads == 0 || options.threads > 256) {
    return make_error(Errc::kInvalidArgument, "threads: 1 to 256");
  }
  if (!std::has_single_bit(options.queue_depth) || options.queue_depth > 4096) {
    return make_error(Errc::kInvalidArgument, "queue_depth: a power of two up to 4096");
  }
  if (options.max_files == 0 || options.max_files > 32768) {
    return make_error(Errc::kInvalidArgument, "max_files: 1 to 32768");
  }
  return {};
}

}  // namespace

// The threads and the two queues. wake_fd is written and read under the lock, so that it is
// readable exactly while something is finished and not taken.
class ThreadEngine::Pool {
 public:
  Pool(uint32_t queue_depth, model::FdGuard wake) : wake_(std::move(wake)) {
    queued_.resize(queue_depth);
    finished_.reserve(queue_depth);
  }
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  Result<void> start(uint32_t threads);
  void push(std::span<const Task> tasks);
  size_t take(std::span<IoOp*> done);
  int wake_fd() const { return wake_.get(); }

 private:
  std::chrono::milliseconds step();
  void finish(IoOp* op);
  bool next_task(Task* task);

  const model::FdGuard wake_;
  std::mutex mutex_;          // over all that follows up to signal_, and writing finished_count_
  std::vector<Task> queued_;  // a ring of queue_depth: nothing more is ever in flight
  uint64_t queued_head_ = 0;
  uint64_t queued_tail_ = 0;
  std::vector<IoOp*> finished_;
  // finished_.size(), for the core to look at without the lock. Acquire on its side is not needed:
  // when it is not zero, the core takes the lock.
  std::atomic<size_t> finished_count_{0};
  model::WakeSignal signal_;  // queued_ has something; all threads sleep on it
  std::vector<std::unique_ptr<HelperThread>> threads_;
};

// Abandons what no thread has begun; each thread finishes what it is at.
ThreadEngine::Pool::~Pool() {
  {
    std::lock_guard lock(mutex_);
    queued_head_ = queued_tail_;
  }
  threads_.clear();
}

Result<void> ThreadEngine::Pool::start(uint32_t threads) {
  for (uint32_t i = 0; i < threads; ++i) {
    auto thread = std::make_unique<HelperThread>(&signal_);
    QUIRE_TRY(thread->start({.name = "quire-io"}, [this](const auto&) { return step(); }));
    threads_.push_back(std::move(thread));
  }
  return {};
}

void ThreadEngine::Pool::push(std::span<const Task> tasks) {
  {
    std::lock_guard lock(mutex_);
    for (const Task& task : tasks) queued_[queued_tail_++ % queued_.size()] = task;
    QUIRE_CHECK(queued_tail_ - queued_head_ <= queued_.size());
  }
  if (tasks.size() == 1) {
    signal_.wake();
  } else {
    signal_.wake_all();
  }
}

size_t ThreadEngine::Pool::take(std::span<IoOp*> done) {
  if (done.empty() || finished_count_.load(std::memory_order_relaxed) == 0) return 0;
  std::lock_guard lock(mutex_);
  const size_t count = std::min(done.size(), finished_.size());
  std::copy_n(finished_.begin(), count, done.begin());
  finished_.erase(finished_.begin(), finished_.begin() + static_cast<ptrdiff_t>(count));
  finished_count_.store(finished_.size(), std::memory_order_relaxed);
  eventfd_t ignored = 0;
  if (finished_.empty()) QUIRE_CHECK(::eventfd_read(wake_.get(), &ignored) == 0);
  return count;
}

bool ThreadEngine::Pool::next_task(Task* task) {
  std::lock_guard lock(mutex_);
  if (queued_head_ == queued_tail_) return false;
  *task = queued_[queued_head_++ % queued_.size()];
  return true;
}

void ThreadEngine::Pool::finish(IoOp* op) {
  std::lock_guard lock(mutex_);
  finished_.push_back(op);
  finished_count_.store(finished_.size(), std::memory_order_relaxed);
  if (finished_.size() == 1) QUIRE_CHECK(::eventfd_write(wake_.get(), 1) == 0);
}

std::chrono::milliseconds ThreadEngine::Pool::step() {
  Task task;
  if (!next_task(&task)) return HelperThread::kUntilWoken;
  run_op(*task.op, task.fd);
  finish(task.op);
  return HelperThread::kAtOnce;
}

Result<std::unique_ptr<IoEngine>> ThreadEngine::create(const ThreadOptions& options) {
  QUIRE_TRY(check_options(options));
  model::FdGuard wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return model::errno_error("eventfd");
  auto pool = std::make_unique<Pool>(options.queue_depth, std::move(wake));
  QUIRE_TRY(pool->start(options.threads));
  return std::unique_ptr<IoEngine>(new ThreadEngine(options, std::move(pool)));
}

ThreadEngine::ThreadEngine(const ThreadOptions& options, std::unique_ptr<Pool> pool)
    : options_(options), files_(options.max_files, -1), pool_(std::move(pool)) {
  pending_.reserve(options.queue_depth);
}

ThreadEngine::~ThreadEngine() = default;

Result<FileIndex> ThreadEngine::add_file(int fd) {
  if (::fcntl(fd, F_GETFD) < 0) return model::errno_error("add a file");
  const auto place = std::find(files_.begin(), files_.end(), -1);
  if (place == files_.end()) {
    return make_error(Errc::kBusy, "no place for a file: raise max_files");
  }
  *place = fd;
  return FileIndex{static_cast<uint32_t>(place - files_.begin())};
}

void ThreadEngine::remove_file(FileIndex file) {
  QUIRE_CHECK(file.value < files_.size());
  files_[file.value] = -1;
}

Result<void> ThreadEngine::add_buffer(std::span<std::byte> memory) {
  if (memory.empty()) return make_error(Errc::kInvalidArgument, "a buffer of no bytes");
  return {};
}

bool ThreadEngine::submit(IoOp* op) {
  const bool moves_bytes = op->kind == IoKind::kRead || op->kind == IoKind::kWrite;
  QUIRE_CHECK(!moves_bytes || op->bytes <= kMaxIoBytes);
  if (in_flight_ == options_.queue_depth) return false;
  op->error = 0;
  op->transferred = 0;
  // An unknown file is -1 to the kernel, which answers EBADF as for any other.
  const bool known = op->file.value < files_.size();
  pending_.push_back(Task{op, known ? files_[op->file.value] : -1});
  ++in_flight_;
  return true;
}

void ThreadEngine::flush() {
  if (pending_.empty()) return;
  pool_->push(pending_);
  pending_.clear();
}

size_t ThreadEngine::poll(std::span<IoOp*> done) {
  const size_t count = pool_->take(done);
  in_flight_ -= count;
  return count;
}

int ThreadEngine::wake_fd() const { return pool_->wake_fd(); }

}  // namespace quire::tiering
