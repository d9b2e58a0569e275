// What holds for every engine: io_uring, threads, and each behind a FaultyEngine without faults.
#include "tiering/io/io_engine.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <filesystem>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "model/fd_guard.h"
#include "tests/support/faulty_engine.h"
#include "tests/support/io_rig.h"
#include "tiering/io/thread_engine.h"
#include "tiering/io/uring_engine.h"

namespace quire::tiering::io_engine_test {
namespace {

using model::Errc;
using model::FdGuard;
using tests::fill_random;
using tests::kBlockBytes;
using tests::PageMemory;
using tests::run;
using tests::scratch_file;

struct EngineKind {
  const char* name;
  bool uring;
  bool wrapped;
};

class IoEngineTest : public testing::TestWithParam<EngineKind> {
 protected:
  static constexpr uint32_t kDepth = 32;
  static constexpr uint32_t kMaxFiles = 3;

  void SetUp() override {
    auto made =
        GetParam().uring
            ? UringEngine::create({.queue_depth = kDepth, .max_files = kMaxFiles, .max_buffers = 8})
            : ThreadEngine::create({.threads = 3, .queue_depth = kDepth, .max_files = kMaxFiles});
    if (made.code() == Errc::kUnavailable) GTEST_SKIP() << made.error().text;
    ASSERT_TRUE(made.ok()) << made.error().text;
    engine_ = std::move(made).value();
    if (GetParam().wrapped) {
      engine_ = std::make_unique<tests::FaultyEngine>(std::move(engine_));
    }
  }

  void TearDown() override {
    if (engine_ != nullptr) {
      EXPECT_EQ(engine_->stale_completions(), 0u);
    }
  }

  FileIndex add(const FdGuard& file) { return engine_->add_file(file.get()).value(); }
  // Writes and reads `bytes` at `data` of the file and compares through the system's own pread.
  void expect_round_trip(FileIndex file, int fd, std::byte* data, uint64_t bytes);

  std::unique_ptr<IoEngine> engine_;
};

IoOp read_op(FileIndex file, uint64_t offset, std::byte* data, uint64_t bytes) {
  return {.kind = IoKind::kRead, .file = file, .offset = offset, .data = data, .bytes = bytes};
}

IoOp write_op(FileIndex file, uint64_t offset, std::byte* data, uint64_t bytes) {
  return {.kind = IoKind::kWrite, .file = file, .offset = offset, .data = data, .bytes = bytes};
}

void expect_whole(const IoOp& op) {
  EXPECT_EQ(op.error, 0);
  EXPECT_EQ(op.transferred, op.bytes);
}

void IoEngineTest::expect_round_trip(FileIndex file, int fd, std::byte* data, uint64_t bytes) {
  static uint64_t seed = 0;
  const std::vector<std::byte> written = tests::random_bytes(bytes, ++seed);
  std::copy(written.begin(), written.end(), data);
  expect_whole(run(*engine_, write_op(file, kBlockBytes, data, bytes)));
  PageMemory seen(bytes);
  ASSERT_EQ(::pread(fd, seen.data(), bytes, kBlockBytes), static_cast<ssize_t>(bytes));
  EXPECT_TRUE(std::equal(written.begin(), written.end(), seen.data()));
  std::fill_n(data, bytes, std::byte{0});
  expect_whole(run(*engine_, read_op(file, kBlockBytes, data, bytes)));
  EXPECT_TRUE(std::equal(written.begin(), written.end(), data));
}

TEST_P(IoEngineTest, RoundTripThroughMemoryItNeverSawBefore) {
  const FdGuard file = scratch_file(0);
  const FileIndex index = add(file);
  PageMemory memory(1 << 20);
  EXPECT_EQ(engine_->registered_bytes(), 0u);
  expect_round_trip(index, file.get(), memory.data(), 1 << 20);
}

TEST_P(IoEngineTest, RoundTripThroughRegisteredMemory) {
  const FdGuard file = scratch_file(0);
  const FileIndex index = add(file);
  PageMemory memory(1 << 20);
  ASSERT_TRUE(engine_->add_buffer(memory.span()).ok());
  EXPECT_EQ(engine_->registered_bytes(), GetParam().uring ? 1u << 20 : 0u);
  expect_round_trip(index, file.get(), memory.data(), 1 << 20);
  expect_round_trip(index, file.get(), memory.block(3), 5 * kBlockBytes);
}

TEST_P(IoEngineTest, MemoryPartlyRegisteredWorks) {
  const FdGuard file = scratch_file(0);
  const FileIndex index = add(file);
  PageMemory memory(16 * kBlockBytes);
  ASSERT_TRUE(engine_->add_buffer(memory.span().subspan(4 * kBlockBytes, 4 * kBlockBytes)).ok());
  ASSERT_TRUE(engine_->add_buffer(memory.span().subspan(8 * kBlockBytes, 4 * kBlockBytes)).ok());
  for (uint64_t first = 0; first < 12; ++first) {
    expect_round_trip(index, file.get(), memory.block(first), 4 * kBlockBytes);
  }
}

TEST_P(IoEngineTest, BuffersComeAndGo) {
  const FdGuard file = scratch_file(0);
  const FileIndex index = add(file);
  PageMemory first(64 * kBlockBytes);
  PageMemory second(32 * kBlockBytes);
  for (int round = 0; round < 20; ++round) {  // more than there are places
    ASSERT_TRUE(engine_->add_buffer(second.span()).ok());
    ASSERT_TRUE(engine_->add_buffer(first.span()).ok());
    expect_round_trip(index, file.get(), first.block(60), 4 * kBlockBytes);
    engine_->remove_buffer(first.data());
    engine_->remove_buffer(first.data());  // unknown by now
    expect_round_trip(index, file.get(), first.block(60), 4 * kBlockBytes);
    expect_round_trip(index, file.get(), second.block(1), 4 * kBlockBytes);
    engine_->remove_buffer(second.data());
    EXPECT_EQ(engine_->registered_bytes(), 0u);
  }
}

TEST_P(IoEngineTest, BufferRemovedUnderAnOperation) {
  const FdGuard file = scratch_file(0);
  const FileIndex index = add(file);
  for (uint64_t round = 0; round < 20; ++round) {
    PageMemory memory(64 * kBlockBytes);
    fill_random(memory.span(), round);
    ASSERT_TRUE(engine_->add_buffer(memory.span()).ok());
    IoOp op = write_op(index, 0, memory.data(), memory.span().size());
    ASSERT_TRUE(engine_->submit(&op));
    engine_->flush();
    engine_->remove_buffer(memory.data());
    ASSERT_EQ(tests::finish(*engine_, 1).front(), &op);
    expect_whole(op);
    PageMemory seen(op.bytes);
    ASSERT_EQ(::pread(file.get(), seen.data(), op.bytes, 0), static_cast<ssize_t>(op.bytes));
    EXPECT_TRUE(std::ranges::equal(memory.span(), seen.span()));
  }
}

// One piece of 64 MiB seen 17 times in a row: 1 GiB and 64 MiB of addresses.
TEST_P(IoEngineTest, BufferOfMoreThanTheKernelTakesAtOnce) {
  constexpr uint64_t kPiece = 64ull << 20;
  constexpr uint64_t kGiB = 1ull << 30;
  const FdGuard memfd(::memfd_create("alias", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(memfd.get(), kPiece), 0);
  void* place = ::mmap(nullptr, kGiB + kPiece, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(place, MAP_FAILED);
  std::byte* memory = static_cast<std::byte*>(place);
  for (uint64_t offset = 0; offset <= kGiB; offset += kPiece) {
    ASSERT_NE(::mmap(memory + offset, kPiece, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                     memfd.get(), 0),
              MAP_FAILED);
  }
  PageMemory others(15 * kBlockBytes);  // take seven places of eight: the second piece has none
  for (uint64_t block = 0; block < 14; block += 2) {
    ASSERT_TRUE(engine_->add_buffer({others.block(block), kBlockBytes}).ok());
  }
  const uint64_t before = engine_->registered_bytes();
  EXPECT_EQ(engine_->add_buffer({memory, kGiB + kPiece}).ok(), !GetParam().uring);
  EXPECT_EQ(engine_->registered_bytes(), before) << "all of it or nothing";
  for (uint64_t block = 0; block < 14; block += 2) engine_->remove_buffer(others.block(block));

  const auto added = engine_->add_buffer({memory, kGiB + kPiece});
  if (added.code() == Errc::kResourceExhausted) {
    EXPECT_EQ(engine_->registered_bytes(), 0u) << "all of it or nothing";
  } else {
    ASSERT_TRUE(added.ok()) << added.error().text;
    EXPECT_EQ(engine_->registered_bytes(), GetParam().uring ? kGiB + kPiece : 0u);
  }
  const FdGuard file = scratch_file(0);
  const FileIndex index = add(file);
  for (const uint64_t at : {uint64_t{0}, kGiB - 8 * kBlockBytes, kGiB - 4 * kBlockBytes, kGiB}) {
    expect_round_trip(index, file.get(), memory + at, 8 * kBlockBytes);
  }
  engine_->remove_buffer(memory);
  EXPECT_EQ(engine_->registered_bytes(), 0u);
  ::munmap(place, kGiB + kPiece);
}

TEST_P(IoEngineTest, MemoryThatIsNotThereIsNotRegistered) {
  void* place = ::mmap(nullptr, kBlockBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(place, MAP_FAILED);
  EXPECT_EQ(engine_->add_buffer({}).code(), Errc::kInvalidArgument);
  if (GetParam().uring) {
    EXPECT_EQ(engine_->add_buffer({static_cast<std::byte*>(place), kBlockBytes}).code(),
              Errc::kIoError);
  }
  EXPECT_EQ(engine_->registered_bytes(), 0u);
  const FdGuard file = scratch_file(kBlockBytes);
  const IoOp op =
      run(*engine_, write_op(add(file), 0, static_cast<std::byte*>(place), kBlockBytes));
  EXPECT_EQ(op.error, EFAULT);
  ::munmap(place, kBlockBytes);
}

// Random runs of blocks, read and written, never two at once over the same block, in whatever
// order they end; a map of blocks is the oracle.
class Traffic {
 public:
  static constexpr uint64_t kBlocks = 512;
  static constexpr uint64_t kMaxRun = 12;

  Traffic(IoEngine& engine, FileIndex file, uint64_t seed)
      : engine_(engine), file_(file), random_(seed), memory_(kPlaces * kMaxRun * kBlockBytes) {
    for (uint64_t place = 0; place < kPlaces; ++place) free_.insert(place);
    // One place in eight is registered memory.
    for (uint64_t place = 0; place < kPlaces; place += 8) {
      EXPECT_TRUE(engine_.add_buffer(memory_of(place)).ok());
    }
  }
  Traffic(const Traffic&) = delete;
  Traffic& operator=(const Traffic&) = delete;
  ~Traffic() {
    for (uint64_t place = 0; place < kPlaces; place += 8) {
      engine_.remove_buffer(memory_of(place).data());
    }
  }

  void run(int operations) {
    for (int started = 0; started < operations;) {
      if (free_.empty() || random_() % 4 == 0) {
        engine_.flush();
        if (engine_.in_flight() > 0) take(tests::wait_done(engine_));
      } else if (start()) {
        ++started;
      }
    }
    while (engine_.in_flight() > 0) take(tests::finish(engine_, 1));
  }

 private:
  static constexpr uint64_t kPlaces = 32;
  struct Flight {
    IoOp op;
    uint64_t first = 0;
    std::vector<std::byte> expected;
  };

  std::span<std::byte> memory_of(uint64_t place) {
    return memory_.span().subspan(place * kMaxRun * kBlockBytes, kMaxRun * kBlockBytes);
  }
  std::span<std::byte> content_of(uint64_t first, uint64_t bytes) {
    return std::span(content_).subspan(first * kBlockBytes, bytes);
  }

  bool start() {
    const uint64_t count = 1 + random_() % kMaxRun;
    const uint64_t first = random_() % (kBlocks - count);
    for (uint64_t block = first; block < first + count; ++block) {
      if (busy_[block]) return false;
    }
    std::fill_n(busy_.begin() + static_cast<ptrdiff_t>(first), count, true);
    const uint64_t place = *free_.begin();
    free_.erase(free_.begin());
    Flight& flight = flights_[place];
    flight = {write_op(file_, first * kBlockBytes, memory_of(place).data(), count * kBlockBytes),
              first,
              {}};
    flight.op.tag = place;
    fill_random(memory_of(place), random_());
    const std::span<std::byte> content = content_of(first, flight.op.bytes);
    if (random_() % 2 == 0) {
      flight.op.kind = IoKind::kRead;
    } else {
      std::copy_n(flight.op.data, flight.op.bytes, content.begin());
    }
    flight.expected.assign(content.begin(), content.end());
    EXPECT_TRUE(engine_.submit(&flight.op));
    return true;
  }

  void take(const std::vector<IoOp*>& done) {
    for (const IoOp* op : done) {
      Flight& flight = flights_[op->tag];
      ASSERT_EQ(op, &flight.op);
      ASSERT_TRUE(free_.insert(op->tag).second) << "returned twice";
      expect_whole(*op);
      EXPECT_TRUE(std::equal(flight.expected.begin(), flight.expected.end(), op->data));
      std::fill_n(busy_.begin() + static_cast<ptrdiff_t>(flight.first), op->bytes / kBlockBytes,
                  false);
    }
  }

  IoEngine& engine_;
  FileIndex file_;
  std::mt19937_64 random_;
  PageMemory memory_;
  std::array<Flight, kPlaces> flights_;
  std::set<uint64_t> free_;
  std::array<bool, kBlocks> busy_{};
  std::vector<std::byte> content_ = std::vector<std::byte>(kBlocks * kBlockBytes);
};

TEST_P(IoEngineTest, ManyAtOnceAgreeWithAModel) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    const FdGuard file = scratch_file(Traffic::kBlocks * kBlockBytes);
    const FileIndex index = add(file);
    std::make_unique<Traffic>(*engine_, index, seed)->run(400);
    EXPECT_EQ(engine_->in_flight(), 0u);
    engine_->remove_file(index);
  }
}

TEST_P(IoEngineTest, Law10_FullDepthRefusesAndTakesNothing) {
  const FdGuard file = scratch_file(kBlockBytes);
  const FileIndex index = add(file);
  PageMemory memory((kDepth + 1) * kBlockBytes);
  std::deque<IoOp> ops;
  for (uint64_t i = 0; i <= kDepth; ++i) {
    ops.push_back(read_op(index, 0, memory.block(i), kBlockBytes));
  }
  EXPECT_EQ(engine_->queue_depth(), kDepth);
  for (uint64_t i = 0; i < kDepth; ++i) ASSERT_TRUE(engine_->submit(&ops[i]));
  EXPECT_FALSE(engine_->submit(&ops.back()));
  engine_->flush();
  EXPECT_FALSE(engine_->submit(&ops.back())) << "what was not polled keeps its place";
  EXPECT_EQ(engine_->in_flight(), kDepth);

  ASSERT_TRUE(tests::wait_readable(engine_->wake_fd()));
  std::array<IoOp*, 1> one{};
  ASSERT_EQ(engine_->poll(one), 1u);
  EXPECT_EQ(engine_->in_flight(), kDepth - 1);
  EXPECT_TRUE(engine_->submit(&ops.back()));
  const std::vector<IoOp*> rest = tests::finish(*engine_, kDepth);
  std::set<IoOp*> all(rest.begin(), rest.end());
  all.insert(one[0]);
  EXPECT_EQ(all.size(), kDepth + 1);
  for (const IoOp& op : ops) expect_whole(op);
}

TEST_P(IoEngineTest, NothingGoesBeforeFlushAndNothingComesOfNothing) {
  const FdGuard file = scratch_file(kBlockBytes);
  PageMemory memory(kBlockBytes);
  IoOp op = read_op(add(file), 0, memory.data(), kBlockBytes);
  std::array<IoOp*, 4> done{};
  engine_->flush();
  EXPECT_EQ(engine_->poll(done), 0u);
  ASSERT_TRUE(engine_->submit(&op));
  EXPECT_EQ(engine_->poll(done), 0u);
  EXPECT_FALSE(tests::is_readable_now(engine_->wake_fd()));
  EXPECT_EQ(tests::finish(*engine_, 1).front(), &op);
}

TEST_P(IoEngineTest, WakeDescriptorIsReadableWhileThereIsSomething) {
  const FdGuard file = scratch_file(kBlockBytes);
  const FileIndex index = add(file);
  PageMemory memory(2 * kBlockBytes);
  IoOp first = read_op(index, 0, memory.block(0), kBlockBytes);
  IoOp second = read_op(index, 0, memory.block(1), kBlockBytes);
  std::array<IoOp*, 1> one{};
  for (int round = 0; round < 50; ++round) {
    ASSERT_FALSE(tests::is_readable_now(engine_->wake_fd()));
    ASSERT_TRUE(engine_->submit(&first));
    ASSERT_TRUE(engine_->submit(&second));
    engine_->flush();
    ASSERT_TRUE(tests::wait_readable(engine_->wake_fd()));
    ASSERT_EQ(engine_->poll(one), 1u);
    ASSERT_TRUE(tests::wait_readable(engine_->wake_fd())) << "one is left";
    ASSERT_EQ(engine_->poll(one), 1u);
  }
  EXPECT_FALSE(tests::is_readable_now(engine_->wake_fd()));
}

TEST_P(IoEngineTest, ReadPastTheEndIsShort) {
  const FdGuard file = scratch_file(3 * kBlockBytes + 100);
  const FileIndex index = add(file);
  PageMemory memory(8 * kBlockBytes);
  const IoOp across = run(*engine_, read_op(index, kBlockBytes, memory.data(), 8 * kBlockBytes));
  EXPECT_EQ(across.error, ENODATA);
  EXPECT_EQ(across.transferred, 2 * kBlockBytes + 100);
  const IoOp beyond = run(*engine_, read_op(index, 4 * kBlockBytes, memory.data(), kBlockBytes));
  EXPECT_EQ(beyond.error, ENODATA);
  EXPECT_EQ(beyond.transferred, 0u);
}

TEST_P(IoEngineTest, UnalignedDirectTransferIsTheSystemsError) {
  const FdGuard file = scratch_file(4 * kBlockBytes);
  PageMemory memory(4 * kBlockBytes);
  ASSERT_GT(::pwrite(file.get(), memory.data(), 4 * kBlockBytes, 0), 0);  // a hole takes anything
  if (::pread(file.get(), memory.data(), kBlockBytes, 7) >= 0) {
    GTEST_SKIP() << "this file system takes unaligned O_DIRECT";
  }
  const FileIndex index = add(file);
  EXPECT_EQ(run(*engine_, read_op(index, 7, memory.data(), kBlockBytes)).error, EINVAL);
  EXPECT_EQ(run(*engine_, write_op(index, 0, memory.data() + 3, kBlockBytes)).error, EINVAL);
}

TEST_P(IoEngineTest, OffsetNoFileHasIsAnError) {
  const FdGuard file = scratch_file(4 * kBlockBytes);
  const FileIndex index = add(file);
  PageMemory memory(kBlockBytes);
  for (const uint64_t offset : {UINT64_MAX, uint64_t{1} << 63}) {
    EXPECT_EQ(run(*engine_, read_op(index, offset, memory.data(), kBlockBytes)).error, EINVAL);
  }
}

TEST_P(IoEngineTest, FileThatIsNotThereIsEbadf) {
  const FdGuard file = scratch_file(kBlockBytes);
  PageMemory memory(kBlockBytes);
  const FileIndex index = add(file);
  expect_whole(run(*engine_, read_op(index, 0, memory.data(), kBlockBytes)));
  engine_->remove_file(index);
  for (const FileIndex unknown : {index, FileIndex{}, FileIndex{kMaxFiles}}) {
    EXPECT_EQ(run(*engine_, read_op(unknown, 0, memory.data(), kBlockBytes)).error, EBADF);
  }
}

TEST_P(IoEngineTest, WriteToAFileOpenForReadingIsEbadf) {
  const FdGuard zero(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  PageMemory memory(kBlockBytes);
  EXPECT_EQ(run(*engine_, write_op(add(zero), 0, memory.data(), kBlockBytes)).error, EBADF);
}

TEST_P(IoEngineTest, FilesAreBoundedAndTheirPlacesReused) {
  const FdGuard file = scratch_file(kBlockBytes);
  EXPECT_EQ(engine_->add_file(-1).code(), Errc::kIoError);
  std::set<FileIndex> indexes;
  for (uint32_t i = 0; i < kMaxFiles; ++i) indexes.insert(add(file));
  EXPECT_EQ(indexes.size(), kMaxFiles);
  EXPECT_EQ(engine_->add_file(file.get()).code(), Errc::kBusy);
  engine_->remove_file(*indexes.begin());
  PageMemory memory(kBlockBytes);
  expect_whole(run(*engine_, read_op(add(file), 0, memory.data(), kBlockBytes)));
}

TEST_P(IoEngineTest, AllocateGrowsTheFileAndReservesBlocks) {
  const FdGuard file = scratch_file(0);
  const FileIndex index = add(file);
  IoOp grow = {.kind = IoKind::kAllocate, .file = index, .offset = 4 << 20, .bytes = 8 << 20};
  const IoOp done = run(*engine_, grow);
  if (done.error == EOPNOTSUPP) GTEST_SKIP() << "this file system has no fallocate";
  EXPECT_EQ(done.error, 0);
  struct stat status = {};
  ASSERT_EQ(::fstat(file.get(), &status), 0);
  EXPECT_EQ(status.st_size, 12 << 20);
  EXPECT_GE(status.st_blocks * 512, 8 << 20);
}

TEST_P(IoEngineTest, SyncSucceedsOrSaysWhyNot) {
  const FdGuard file = scratch_file(0);
  PageMemory memory(kBlockBytes);
  const FileIndex index = add(file);
  expect_whole(run(*engine_, write_op(index, 0, memory.data(), kBlockBytes)));
  EXPECT_EQ(run(*engine_, {.kind = IoKind::kSync, .file = index}).error, 0);
  const FdGuard full(::open("/dev/full", O_RDWR | O_CLOEXEC));
  EXPECT_EQ(run(*engine_, {.kind = IoKind::kSync, .file = add(full)}).error, EINVAL);
}

TEST_P(IoEngineTest, Law09_NoSpaceIsAnErrorOfTheWrite) {
  const FdGuard full(::open("/dev/full", O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(full.valid());
  PageMemory memory(kBlockBytes);
  const IoOp op = run(*engine_, write_op(add(full), 0, memory.data(), kBlockBytes));
  EXPECT_EQ(op.error, ENOSPC);
  EXPECT_EQ(op.transferred, 0u);
}

// A file on a file system of 1 MiB that is gone with its last descriptor; none without the right.
FdGuard file_on_tiny_disk() {
  std::string place = (std::filesystem::temp_directory_path() / "quire-tiny-XXXXXX").string();
  if (::mkdtemp(place.data()) == nullptr) return {};
  FdGuard file;
  if (::mount("tmpfs", place.c_str(), "tmpfs", 0, "size=1m") == 0) {
    file = FdGuard(::open((place + "/file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    ::umount2(place.c_str(), MNT_DETACH);
  }
  ::rmdir(place.c_str());
  return file;
}

TEST_P(IoEngineTest, Law09_FullDiskIsAnErrorOfAllocateAndWrite) {
  const FdGuard file = file_on_tiny_disk();
  if (!file.valid()) GTEST_SKIP() << "mounting a small tmpfs needs CAP_SYS_ADMIN";
  const FileIndex index = add(file);
  PageMemory memory(2 << 20);
  EXPECT_EQ(run(*engine_, {.kind = IoKind::kAllocate, .file = index, .bytes = 2 << 20}).error,
            ENOSPC);
  const IoOp written = run(*engine_, write_op(index, 0, memory.data(), 2 << 20));
  EXPECT_TRUE(written.error == ENOSPC || written.error == ENODATA) << written.error;
  EXPECT_LT(written.transferred, 2u << 20);
  EXPECT_EQ(run(*engine_, write_op(index, 1 << 20, memory.data(), kBlockBytes)).error, ENOSPC);
}

TEST_P(IoEngineTest, EndsWithOperationsInFlight) {
  const FdGuard file = scratch_file(1 << 20);
  const FileIndex index = add(file);
  PageMemory memory(kDepth * kBlockBytes);
  std::deque<IoOp> ops;
  for (uint64_t i = 0; i < kDepth; ++i) {
    ops.push_back(read_op(index, 0, memory.block(i), kBlockBytes));
    ASSERT_TRUE(engine_->submit(&ops.back()));
    if (i == kDepth / 2) engine_->flush();  // some are with the kernel, some are not
  }
  engine_.reset();
}

INSTANTIATE_TEST_SUITE_P(All, IoEngineTest,
                         testing::Values(EngineKind{"Uring", true, false},
                                         EngineKind{"Threads", false, false},
                                         EngineKind{"WrappedUring", true, true},
                                         EngineKind{"WrappedThreads", false, true}),
                         [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace quire::tiering::io_engine_test
