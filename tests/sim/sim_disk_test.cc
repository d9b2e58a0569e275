#include "tests/sim/sim_disk.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <chrono>

#include "tests/ssd/scratch_directory.h"
#include "tests/support/io_rig.h"
#include "tests/support/manual_clock.h"

namespace quire::tests::sim_disk_test {
namespace {

using tiering::FileIndex;
using tiering::IoKind;
using tiering::IoOp;

constexpr uint64_t kBlocks = 4;
constexpr uint64_t kBytes = kBlocks * kBlockBytes;

class SimDiskTest : public testing::Test {
 protected:
  SimDiskTest() : file_(*disk_.add_file(fd_.get())) {}

  // One operation to its end.
  IoOp run(IoKind kind, std::byte* data, uint64_t offset = 0, uint64_t bytes = kBytes) {
    IoOp op{.kind = kind, .file = file_, .offset = offset, .data = data, .bytes = bytes};
    EXPECT_TRUE(disk_.submit(&op));
    disk_.flush();
    std::array<IoOp*, 1> done{};
    for (int i = 0; i < 1000 && disk_.poll(done) == 0; ++i) {
      clock_.advance(std::chrono::milliseconds(10));
    }
    EXPECT_EQ(done[0], &op);
    return op;
  }
  // How many blocks hold this byte.
  uint64_t blocks_of(std::byte value) {
    PageMemory memory(kBytes);
    EXPECT_EQ(run(IoKind::kRead, memory.data()).error, 0);
    uint64_t count = 0;
    for (uint64_t b = 0; b < kBlocks; ++b) count += memory.block(b)[17] == value ? 1 : 0;
    return count;
  }
  IoOp write(std::byte value, uint64_t blocks = kBlocks) {
    PageMemory memory(kBytes);
    std::fill(memory.data(), memory.data() + kBytes, value);
    return run(IoKind::kWrite, memory.data(), 0, blocks * kBlockBytes);
  }

  SimRandom random_{7};
  ManualClock clock_;
  ScratchDirectory directory_{memory_directory()};
  model::FdGuard fd_{::open((directory_ / "data").c_str(), O_RDWR | O_CREAT, 0600)};
  SimDisk disk_{&random_, &clock_, {}};
  FileIndex file_;
};

TEST_F(SimDiskTest, GivesBackWhatWasWritten) {
  EXPECT_EQ(run(IoKind::kAllocate, nullptr, 0, 2 * kBytes).error, 0);
  EXPECT_EQ(write(std::byte{5}).transferred, kBytes);
  EXPECT_EQ(blocks_of(std::byte{5}), kBlocks);
  struct stat status {};
  ASSERT_EQ(::fstat(fd_.get(), &status), 0);
  EXPECT_EQ(status.st_size, static_cast<off_t>(2 * kBytes));
}

TEST_F(SimDiskTest, NothingIsDoneBeforeItsTime) {
  PageMemory memory(kBytes);
  IoOp op{.kind = IoKind::kSync, .file = file_};
  ASSERT_TRUE(disk_.submit(&op));
  std::array<IoOp*, 1> done{};
  clock_.advance(std::chrono::seconds(9));
  EXPECT_EQ(disk_.poll(done), 0u) << "it was not flushed";
  disk_.flush();
  EXPECT_EQ(disk_.in_flight(), 1u);
  clock_.advance(std::chrono::seconds(9));
  EXPECT_EQ(disk_.poll(done), 1u);
  EXPECT_EQ(disk_.in_flight(), 0u);
}

TEST_F(SimDiskTest, Law10_FullQueueRefuses) {
  std::vector<IoOp> ops(disk_.queue_depth(), IoOp{.kind = IoKind::kSync, .file = file_});
  for (IoOp& op : ops) EXPECT_TRUE(disk_.submit(&op));
  IoOp more{.kind = IoKind::kSync, .file = file_};
  EXPECT_FALSE(disk_.submit(&more));
}

TEST_F(SimDiskTest, ACrashLosesOnlyWhatNoSyncCovered) {
  write(std::byte{1});
  EXPECT_EQ(run(IoKind::kSync, nullptr).error, 0);
  bool lost = false;
  bool kept = false;
  for (int i = 0; i < 20; ++i) {
    write(std::byte{2});
    disk_.crash();
    const uint64_t left = blocks_of(std::byte{2});
    EXPECT_EQ(blocks_of(std::byte{1}), kBlocks - left);
    lost = lost || left < kBlocks;
    kept = kept || left > 0;
    write(std::byte{1});
    run(IoKind::kSync, nullptr);
  }
  EXPECT_TRUE(lost);
  EXPECT_TRUE(kept);
  disk_.crash();
  EXPECT_EQ(blocks_of(std::byte{1}), kBlocks);
}

TEST_F(SimDiskTest, ASyncCoversNothingThatWasToldAfterIt) {
  bool lost = false;
  for (int i = 0; i < 20 && !lost; ++i) {
    write(std::byte{1});
    run(IoKind::kSync, nullptr);
    IoOp sync{.kind = IoKind::kSync, .file = file_};
    ASSERT_TRUE(disk_.submit(&sync));
    disk_.flush();
    PageMemory memory(kBytes);
    std::fill(memory.data(), memory.data() + kBytes, std::byte{2});
    IoOp op{.kind = IoKind::kWrite, .file = file_, .data = memory.data(), .bytes = kBytes};
    ASSERT_TRUE(disk_.submit(&op));
    disk_.flush();
    clock_.advance(std::chrono::seconds(1));
    std::array<IoOp*, 2> done{};
    ASSERT_EQ(disk_.poll(done), 2u);
    disk_.crash();
    lost = blocks_of(std::byte{2}) < kBlocks;
  }
  EXPECT_TRUE(lost);
}

TEST_F(SimDiskTest, MisbehavesAsItIsTold) {
  write(std::byte{1});
  disk_.set_faults({.fail = 1});
  EXPECT_EQ(write(std::byte{2}).error, EIO);
  disk_.set_faults({.shorten = 1});
  EXPECT_EQ(write(std::byte{1}).error, ENODATA);
  disk_.set_faults({.fail_sync = 1});
  EXPECT_EQ(run(IoKind::kSync, nullptr).error, EIO);
  disk_.set_faults({.full = 1});
  EXPECT_EQ(run(IoKind::kAllocate, nullptr).error, ENOSPC);
  disk_.set_faults({});
  EXPECT_EQ(blocks_of(std::byte{1}), kBlocks);
  EXPECT_EQ(disk_.damage_count(), 0u);
  EXPECT_EQ(disk_.fault_count(), 4u);
}

TEST_F(SimDiskTest, DamageIsOneBitThatNobodyIsToldOf) {
  const auto ones = [&] {
    PageMemory memory(kBytes);
    EXPECT_EQ(run(IoKind::kRead, memory.data()).error, 0);
    uint32_t count = 0;
    for (const std::byte byte : memory.span()) count += std::popcount(static_cast<uint8_t>(byte));
    return count;
  };
  write(std::byte{0});
  disk_.set_faults({.flip = 1});
  EXPECT_EQ(ones(), 1u);
  disk_.set_faults({.rot = 1});
  EXPECT_EQ(write(std::byte{0}).error, 0);
  disk_.set_faults({});
  EXPECT_EQ(ones(), 1u);
  EXPECT_EQ(ones(), 1u) << "and it stays";
}

TEST_F(SimDiskTest, KnowsAFileAgain) {
  write(std::byte{1});
  disk_.remove_file(file_);
  const model::FdGuard again(::open((directory_ / "data").c_str(), O_RDWR));
  file_ = *disk_.add_file(again.get());
  bool lost = false;
  for (int i = 0; i < 20 && !lost; ++i) {
    write(std::byte{1});
    disk_.crash();  // what the first descriptor wrote was never synced either
    lost = blocks_of(std::byte{1}) < kBlocks;
  }
  EXPECT_TRUE(lost);
}

}  // namespace
}  // namespace quire::tests::sim_disk_test
