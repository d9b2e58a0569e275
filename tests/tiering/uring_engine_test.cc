// What is io_uring's own: being refused, limits, restrictions, completions of nobody.
#include "tiering/io/uring_engine.h"

#include <gtest/gtest.h>
#include <liburing.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include "model/fd_guard.h"
#include "tests/support/io_rig.h"
#include "tiering/io/thread_engine.h"
#include "tiering/io/uring_setup.h"

namespace quire::tiering::uring_engine_test {
namespace {

using model::Errc;
using model::FdGuard;
using tests::kBlockBytes;
using tests::PageMemory;
using tests::run;
using tests::scratch_file;

constexpr int kNoFilters = 77;  // a child could not install one

std::unique_ptr<IoEngine> make(uint32_t queue_depth) {
  auto made = UringEngine::create({.queue_depth = queue_depth, .max_files = 4, .max_buffers = 8});
  return made.ok() ? std::move(made).value() : nullptr;
}

class UringEngineTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto made = UringEngine::create({});
    if (made.code() == Errc::kUnavailable) GTEST_SKIP() << made.error().text;
    ASSERT_TRUE(made.ok()) << made.error().text;
  }
};

IoOp block_op(IoKind kind, FileIndex file, PageMemory& memory) {
  return {.kind = kind, .file = file, .data = memory.data(), .bytes = kBlockBytes};
}

// Writes and reads one block.
bool works(IoEngine& engine, int fd) {
  PageMemory memory(kBlockBytes);
  const FileIndex file = engine.add_file(fd).value();
  const std::vector<std::byte> content = tests::random_bytes(kBlockBytes, 9);
  std::copy(content.begin(), content.end(), memory.data());
  if (run(engine, block_op(IoKind::kWrite, file, memory)).error != 0) return false;
  std::fill_n(memory.data(), kBlockBytes, std::byte{0});
  if (run(engine, block_op(IoKind::kRead, file, memory)).error != 0) return false;
  return std::equal(content.begin(), content.end(), memory.data());
}

TEST(UringEngine, OptionsOutOfRangeAreRefusedByName) {
  for (const uint32_t depth : {0u, 3u, 8192u}) {
    EXPECT_EQ(UringEngine::create({.queue_depth = depth}).code(), Errc::kInvalidArgument);
    EXPECT_EQ(ThreadEngine::create({.queue_depth = depth}).code(), Errc::kInvalidArgument);
  }
  EXPECT_EQ(UringEngine::create({.max_files = 0}).code(), Errc::kInvalidArgument);
  EXPECT_EQ(UringEngine::create({.max_buffers = 16385}).code(), Errc::kInvalidArgument);
  EXPECT_EQ(ThreadEngine::create({.threads = 0}).code(), Errc::kInvalidArgument);
  EXPECT_EQ(ThreadEngine::create({.max_files = 0}).code(), Errc::kInvalidArgument);
}

// Runs in a child where the system call is refused: io_uring says so, threads work.
int expect_refused(long number, int error) {
  const FdGuard file = scratch_file(0);
  if (!tests::refuse_syscall(number, error)) return kNoFilters;
  const auto refused = UringEngine::create({});
  if (refused.code() != Errc::kUnavailable) return 1;
  for (const char* word : {"kernel.io_uring_disabled", "seccomp", "thread engine"}) {
    if (refused.error().text.find(word) == std::string::npos) return 2;
  }
  const auto threads = ThreadEngine::create({});
  if (!threads.ok()) return 3;
  return works(**threads, file.get()) ? 0 : 4;
}

TEST(UringEngine, WhereItIsRefusedItSaysSoAndThreadsWork) {
  for (const int error : {EPERM, ENOSYS, EACCES}) {
    const int status =
        tests::run_in_child([error] { return expect_refused(SYS_io_uring_setup, error); });
    if (status == kNoFilters) GTEST_SKIP() << "no seccomp filters here";
    EXPECT_EQ(status, 0) << error;
  }
}

TEST_F(UringEngineTest, FilterThatRefusesOnlyItsUseIsNoticedAtCreation) {
  for (const long number : {SYS_io_uring_enter, SYS_io_uring_register}) {
    const int status = tests::run_in_child([number] { return expect_refused(number, EPERM); });
    if (status == kNoFilters) GTEST_SKIP() << "no seccomp filters here";
    EXPECT_EQ(status, 0) << number;
  }
}

// Submits four, of which none can go on, and expects each back once with the error.
int expect_operations_fail() {
  const FdGuard file = scratch_file(kBlockBytes);
  const std::unique_ptr<IoEngine> engine = make(4);
  const FileIndex index = engine->add_file(file.get()).value();
  PageMemory memory(kBlockBytes);
  if (!tests::refuse_syscall(SYS_io_uring_enter, EPERM)) return kNoFilters;
  std::array<IoOp, 4> ops;
  for (int round = 0; round < 3; ++round) {
    for (IoOp& op : ops) {
      op = block_op(IoKind::kRead, index, memory);
      if (!engine->submit(&op)) return 1;
    }
    engine->flush();
    std::array<IoOp*, 3> done{};
    if (engine->poll(done) != 3 || engine->poll(done) != 1) return 2;
    for (const IoOp& op : ops) {
      if (op.error != EPERM) return 3;
    }
    if (engine->in_flight() != 0) return 4;
  }
  return 0;
}

TEST_F(UringEngineTest, WhenTheKernelTakesNoMoreOperationsFail) {
  const int status = tests::run_in_child(expect_operations_fail);
  if (status == kNoFilters) GTEST_SKIP() << "no seccomp filters here";
  EXPECT_EQ(status, 0);
}

TEST_F(UringEngineTest, PollOfNothingMakesNoSystemCall) {
  const int status = tests::run_in_child([] {
    const FdGuard file = scratch_file(0);
    const std::unique_ptr<IoEngine> engine = make(4);
    if (!works(*engine, file.get())) return 1;
    if (!tests::forbid_syscall(SYS_io_uring_enter)) return kNoFilters;
    std::array<IoOp*, 4> done{};
    for (int i = 0; i < 1000; ++i) engine->flush();
    for (int i = 0; i < 1000; ++i) {
      if (engine->poll(done) != 0) return 2;
    }
    return 0;
  });
  if (status == kNoFilters) GTEST_SKIP() << "no seccomp filters here";
  EXPECT_EQ(status, 0);
}

// For a child: an ordinary user who may lock 64 KiB.
bool become_modest() {
  constexpr rlimit kLimit = {64 << 10, 64 << 10};
  constexpr uid_t kNobody = 65534;
  return ::setrlimit(RLIMIT_MEMLOCK, &kLimit) == 0 && (::getuid() != 0 || ::setuid(kNobody) == 0);
}

int expect_works_unregistered() {
  const FdGuard file = scratch_file(0);
  if (!become_modest()) return 1;
  const auto engine = UringEngine::create({.queue_depth = 8});
  if (!engine.ok()) return 3;
  PageMemory memory(4 << 20);
  tests::fill_random(memory.span(), 4);
  const auto added = (*engine)->add_buffer(memory.span());
  if (added.code() != Errc::kResourceExhausted) return 4;
  if (added.error().text.find("RLIMIT_MEMLOCK") == std::string::npos) return 5;
  if ((*engine)->registered_bytes() != 0) return 6;
  const FileIndex index = (*engine)->add_file(file.get()).value();
  IoOp op = {.kind = IoKind::kWrite, .file = index, .data = memory.data(), .bytes = 4 << 20};
  if (run(**engine, op).error != 0) return 7;
  PageMemory seen(4 << 20);
  op.kind = IoKind::kRead;
  op.data = seen.data();
  if (run(**engine, op).error != 0) return 8;
  return std::ranges::equal(memory.span(), seen.span()) ? 0 : 9;
}

TEST_F(UringEngineTest, WithoutLockedMemoryItWorksUnregistered) {
  EXPECT_EQ(tests::run_in_child(expect_works_unregistered), 0);
}

TEST_F(UringEngineTest, RemovedBufferIsNoLongerLocked) {
  EXPECT_EQ(tests::run_in_child([] {
              if (!become_modest()) return 1;
              const std::unique_ptr<IoEngine> engine = make(4);
              PageMemory first(12 * kBlockBytes);
              PageMemory second(12 * kBlockBytes);
              if (!engine->add_buffer(first.span()).ok()) return 2;
              if (engine->add_buffer(second.span()).ok()) return 3;
              engine->remove_buffer(first.data());
              return engine->add_buffer(second.span()).ok() ? 0 : 4;
            }),
            0);
}

TEST_F(UringEngineTest, BuffersPastTheTableWorkUnregistered) {
  const FdGuard file = scratch_file(0);
  const std::unique_ptr<IoEngine> engine = make(4);  // eight places
  std::vector<std::unique_ptr<PageMemory>> memories;
  for (int i = 0; i < 9; ++i) {
    memories.push_back(std::make_unique<PageMemory>(kBlockBytes));
    EXPECT_EQ(engine->add_buffer(memories.back()->span()).ok(), i < 8);
  }
  EXPECT_EQ(engine->registered_bytes(), 8 * kBlockBytes);
  const FileIndex index = engine->add_file(file.get()).value();
  EXPECT_EQ(run(*engine, block_op(IoKind::kWrite, index, *memories.back())).error, 0);
}

// A ring of the test's own under the engine's rules, with a file in place 0.
class RestrictedRing {
 public:
  explicit RestrictedRing(int fd) {
    EXPECT_EQ(io_uring_queue_init(4, &ring_, IORING_SETUP_R_DISABLED), 0);
    EXPECT_EQ(io_uring_register_files(&ring_, &fd, 1), 0);
    EXPECT_TRUE(restrict_and_enable(ring_.ring_fd).ok());
  }
  RestrictedRing(const RestrictedRing&) = delete;
  RestrictedRing& operator=(const RestrictedRing&) = delete;
  ~RestrictedRing() { io_uring_queue_exit(&ring_); }

  io_uring_sqe* entry() { return io_uring_get_sqe(&ring_); }
  int fd() const { return ring_.ring_fd; }
  int result() {
    EXPECT_EQ(io_uring_submit_and_wait(&ring_, 1), 1);
    io_uring_cqe* completion = nullptr;
    EXPECT_EQ(io_uring_wait_cqe(&ring_, &completion), 0);
    const int result = completion->res;
    io_uring_cqe_seen(&ring_, completion);
    return result;
  }

 private:
  io_uring ring_ = {};
};

TEST_F(UringEngineTest, RestrictedRingDoesNothingElse) {
  const FdGuard file = scratch_file(kBlockBytes);
  PageMemory memory(kBlockBytes);
  RestrictedRing ring(file.get());
  // On a registered file each, so that it is the operation that is refused and not the flag.
  const std::array<void (*)(io_uring_sqe*), 5> refused = {
      [](io_uring_sqe* entry) { io_uring_prep_openat(entry, 0, "/etc/passwd", O_RDONLY, 0); },
      [](io_uring_sqe* entry) { io_uring_prep_socket(entry, AF_UNIX, SOCK_STREAM, 0, 0); },
      [](io_uring_sqe* entry) { io_uring_prep_poll_add(entry, 0, POLLIN); },
      [](io_uring_sqe* entry) { io_uring_prep_readv(entry, 0, nullptr, 0, 0); },
      [](io_uring_sqe* entry) { io_uring_prep_nop(entry); }};
  for (const auto& prepare : refused) {
    io_uring_sqe* entry = ring.entry();
    prepare(entry);
    entry->flags = IOSQE_FIXED_FILE;
    EXPECT_EQ(ring.result(), -EACCES);
  }
  io_uring_prep_read(ring.entry(), file.get(), memory.data(), kBlockBytes, 0);
  EXPECT_EQ(ring.result(), -EACCES) << "a descriptor that is not registered";
  io_uring_sqe* linked = ring.entry();
  io_uring_prep_read(linked, 0, memory.data(), kBlockBytes, 0);
  linked->flags = IOSQE_FIXED_FILE | IOSQE_IO_LINK;
  EXPECT_EQ(ring.result(), -EACCES);
  io_uring_sqe* allowed = ring.entry();
  io_uring_prep_read(allowed, 0, memory.data(), kBlockBytes, 0);
  allowed->flags = IOSQE_FIXED_FILE;
  EXPECT_EQ(ring.result(), static_cast<int>(kBlockBytes));
}

TEST_F(UringEngineTest, EnginesRingIsRestrictedForEver) {
  const std::unique_ptr<IoEngine> engine = make(4);
  const auto ring = static_cast<unsigned>(engine->wake_fd());
  int fd = 0;
  EXPECT_EQ(io_uring_register(ring, IORING_REGISTER_EVENTFD, &fd, 1), -EACCES);
  EXPECT_EQ(io_uring_register(ring, IORING_UNREGISTER_FILES, nullptr, 0), -EACCES);
  EXPECT_FALSE(restrict_and_enable(engine->wake_fd()).ok());
}

// A second view of the engine's ring, to write completions into it that the kernel never posted.
class Intruder {
 public:
  Intruder(int ring_fd, uint32_t queue_depth) {
    // The kernel lays out all rings of one size alike.
    io_uring_params params = {};
    const FdGuard twin(io_uring_setup(queue_depth, &params));
    EXPECT_TRUE(twin.valid());
    EXPECT_EQ(io_uring_queue_mmap(::dup(ring_fd), &params, &ring_), 0);
  }
  Intruder(const Intruder&) = delete;
  Intruder& operator=(const Intruder&) = delete;
  ~Intruder() { io_uring_queue_exit(&ring_); }

  void post(uint64_t id, int result) {
    const unsigned tail = *ring_.cq.ktail;
    io_uring_cqe& completion = ring_.cq.cqes[tail & (ring_.cq.ring_entries - 1)];
    completion.user_data = id;
    completion.res = result;
    completion.flags = 0;
    io_uring_smp_store_release(ring_.cq.ktail, tail + 1);
  }
  uint64_t queued_id(unsigned index) const { return ring_.sq.sqes[index].user_data; }
  unsigned flushed_count() const { return *ring_.sq.ktail; }

 private:
  io_uring ring_ = {};
};

TEST_F(UringEngineTest, CompletionOfNobodyIsCountedAndDropped) {
  const FdGuard file = scratch_file(kBlockBytes);
  const std::unique_ptr<IoEngine> engine = make(4);
  PageMemory memory(kBlockBytes);
  IoOp op = block_op(IoKind::kRead, engine->add_file(file.get()).value(), memory);
  ASSERT_TRUE(engine->submit(&op));
  Intruder intruder(engine->wake_fd(), 4);
  const uint64_t id = intruder.queued_id(0);
  intruder.post(id + (1ull << 32), kBlockBytes);  // the same place, a later operation
  intruder.post(id + 1, kBlockBytes);
  intruder.post(0, kBlockBytes);
  std::array<IoOp*, 4> done{};
  EXPECT_EQ(engine->poll(done), 0u);
  EXPECT_EQ(engine->stale_completions(), 3u);
  EXPECT_EQ(engine->in_flight(), 1u);
  intruder.post(id, kBlockBytes / 2);
  intruder.post(id, kBlockBytes);  // twice
  EXPECT_EQ(engine->poll(done), 1u);
  EXPECT_EQ(done[0], &op);
  EXPECT_EQ(op.error, ENODATA);
  EXPECT_EQ(op.transferred, kBlockBytes / 2);
  EXPECT_EQ(engine->stale_completions(), 4u);
}

// The kernel takes no entries (for now), so that the test alone completes what is in the queue.
int expect_tried_again() {
  const FdGuard file = scratch_file(kBlockBytes);
  const std::unique_ptr<IoEngine> engine = make(32);
  PageMemory memory(kBlockBytes);
  IoOp op = block_op(IoKind::kRead, engine->add_file(file.get()).value(), memory);
  Intruder intruder(engine->wake_fd(), 32);
  if (!tests::refuse_syscall(SYS_io_uring_enter, EAGAIN)) return kNoFilters;
  if (!engine->submit(&op)) return 1;
  engine->flush();
  std::array<IoOp*, 4> done{};
  uint64_t id = intruder.queued_id(0);
  for (unsigned attempt = 1; attempt <= FlightTable::kMaxRetries; ++attempt) {
    intruder.post(id, attempt % 2 == 0 ? -EAGAIN : -EINTR);
    if (engine->poll(done) != 0) return 2;
    const uint64_t next = intruder.queued_id(attempt);
    if (next == id || next == 0) return 3;
    if (intruder.flushed_count() != attempt + 1) return 6;
    id = next;
  }
  intruder.post(id, -EAGAIN);
  if (engine->poll(done) != 1 || op.error != EAGAIN) return 4;
  return engine->stale_completions() == 0 ? 0 : 5;
}

TEST_F(UringEngineTest, PassingErrorIsTriedAgainInsideButNotForEver) {
  const int status = tests::run_in_child(expect_tried_again);
  if (status == kNoFilters) GTEST_SKIP() << "no seccomp filters here";
  EXPECT_EQ(status, 0);
}

// A filter holds for its thread: the kernel takes nothing from this one, then all from the other.
int expect_queued_goes_later() {
  const FdGuard file = scratch_file(kBlockBytes);
  const std::unique_ptr<IoEngine> engine = make(4);
  PageMemory memory(kBlockBytes);
  IoOp op = block_op(IoKind::kRead, engine->add_file(file.get()).value(), memory);
  std::binary_semaphore refused(0);
  std::vector<IoOp*> finished;
  std::thread other([&] {
    refused.acquire();
    std::array<IoOp*, 1> done{};
    while (engine->poll(done) == 0) std::this_thread::yield();  // without another flush()
    finished.push_back(done[0]);
  });
  const bool filtered = tests::refuse_syscall(SYS_io_uring_enter, EAGAIN);
  bool kept = engine->submit(&op);
  engine->flush();
  std::array<IoOp*, 4> done{};
  if (filtered) kept = kept && engine->poll(done) == 0 && engine->in_flight() == 1;
  refused.release();
  other.join();
  if (!filtered) return kNoFilters;
  return kept && finished.size() == 1 && op.error == 0 ? 0 : 1;
}

TEST_F(UringEngineTest, WhatTheKernelHasNoMemoryForGoesLater) {
  const int status = tests::run_in_child(expect_queued_goes_later);
  if (status == kNoFilters) GTEST_SKIP() << "no seccomp filters here";
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace quire::tiering::uring_engine_test
