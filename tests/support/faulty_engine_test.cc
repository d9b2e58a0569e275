#include "tests/support/faulty_engine.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <deque>
#include <memory>
#include <set>
#include <vector>

#include "tests/support/io_rig.h"
#include "tiering/io/thread_engine.h"

namespace quire::tests::faulty_engine_test {
namespace {

using model::FdGuard;
using tiering::FileIndex;
using tiering::IoKind;
using tiering::IoOp;

// Sixteen blocks of a file, of block i all bytes i + 1, behind a fake of one thread: the device's
// own order is that of flush().
class FaultyEngineTest : public testing::Test {
 protected:
  static constexpr uint64_t kBlocks = 16;

  void SetUp() override { start(1); }

  void start(uint64_t seed) {
    engine_ = std::make_unique<FaultyEngine>(
        tiering::ThreadEngine::create({.threads = 1, .queue_depth = 16}).value(), seed);
    file_ = scratch_file(0);
    for (uint64_t block = 0; block < kBlocks; ++block) {
      std::fill_n(memory_.data(), kBlockBytes, content(block));
      EXPECT_EQ(::pwrite(file_.get(), memory_.data(), kBlockBytes,
                         static_cast<off_t>(block * kBlockBytes)),
                static_cast<ssize_t>(kBlockBytes));
    }
    index_ = engine_->add_file(file_.get()).value();
    std::ranges::fill(memory_.span(), std::byte{0});
  }

  static std::byte content(uint64_t block) { return static_cast<std::byte>(block + 1); }
  // Of `count` blocks, at their own places in the memory.
  IoOp op(IoKind kind, uint64_t block, uint64_t count = 1) {
    return {.kind = kind,
            .file = index_,
            .offset = block * kBlockBytes,
            .data = memory_.block(block),
            .bytes = count * kBlockBytes,
            .tag = block};
  }
  IoOp run_op(IoKind kind, uint64_t block, uint64_t count = 1) {
    return run(*engine_, op(kind, block, count));
  }
  bool block_is(uint64_t block, std::byte value) const {
    return std::all_of(memory_.block(block), memory_.block(block + 1),
                       [value](std::byte byte) { return byte == value; });
  }
  std::byte byte_on_disk(uint64_t block) const {
    PageMemory seen(kBlockBytes);
    EXPECT_EQ(
        ::pread(file_.get(), seen.data(), kBlockBytes, static_cast<off_t>(block * kBlockBytes)),
        static_cast<ssize_t>(kBlockBytes));
    return seen.data()[17];
  }
  // Reads of blocks 0.. that are with the device; every poll so far came back empty.
  void start_reads(uint64_t count) {
    reads_.clear();
    for (uint64_t i = 0; i < count; ++i) {
      reads_.push_back(op(IoKind::kRead, i));
      ASSERT_TRUE(engine_->submit(&reads_.back()));
    }
    engine_->flush();
  }
  std::vector<uint64_t> poll_tags() {
    std::array<IoOp*, kBlocks> done{};
    std::vector<uint64_t> tags;
    const size_t count = engine_->poll(done);
    for (size_t i = 0; i < count; ++i) tags.push_back(done[i]->tag);
    return tags;
  }
  void wait_held(size_t count) {
    while (engine_->held_count() < count) {
      EXPECT_TRUE(wait_readable(engine_->wake_fd()));
      EXPECT_TRUE(poll_tags().empty());
    }
  }

  FdGuard file_;
  PageMemory memory_{kBlocks * kBlockBytes};
  std::deque<IoOp> reads_;
  std::unique_ptr<FaultyEngine> engine_;  // after what it works on
  FileIndex index_;
};

TEST_F(FaultyEngineTest, WithoutFaultsItIsTheEngineInside) {
  EXPECT_EQ(engine_->name(), "pread");
  EXPECT_EQ(engine_->queue_depth(), 16u);
  EXPECT_EQ(run_op(IoKind::kRead, 3).error, 0);
  EXPECT_TRUE(block_is(3, content(3)));
  EXPECT_EQ(engine_->faults_acted(), 0u);
}

TEST_F(FaultyEngineTest, CountsByKind) {
  run_op(IoKind::kRead, 0);
  run_op(IoKind::kWrite, 0);
  run_op(IoKind::kWrite, 1);
  run_op(IoKind::kSync, 0);
  engine_->add_fault({.kinds = kAllocates});
  run_op(IoKind::kAllocate, 0);
  EXPECT_EQ(engine_->count(IoKind::kRead), 1u);
  EXPECT_EQ(engine_->count(IoKind::kWrite), 2u);
  EXPECT_EQ(engine_->count(IoKind::kSync), 1u);
  EXPECT_EQ(engine_->count(IoKind::kAllocate), 1u);
  EXPECT_EQ(engine_->total_count(), 5u);
  EXPECT_EQ(engine_->faults_acted(), 1u);
}

TEST_F(FaultyEngineTest, FailsTheNthOfItsKindsOnce) {
  engine_->add_fault({.kinds = kReads, .nth = 1, .error = ETIMEDOUT});
  EXPECT_EQ(run_op(IoKind::kWrite, 9).error, 0);
  EXPECT_EQ(run_op(IoKind::kRead, 0).error, 0);
  EXPECT_EQ(run_op(IoKind::kSync, 0).error, 0);
  const IoOp failed = run_op(IoKind::kRead, 1);
  EXPECT_EQ(failed.error, ETIMEDOUT);
  EXPECT_EQ(failed.transferred, 0u);
  EXPECT_TRUE(block_is(1, kPoison));
  EXPECT_EQ(run_op(IoKind::kRead, 1).error, 0);
  EXPECT_TRUE(block_is(1, content(1)));
}

TEST_F(FaultyEngineTest, FailsFromThenOn) {
  engine_->add_fault({.kinds = kWrites | kSyncs, .nth = 2, .from_then_on = true, .error = EROFS});
  EXPECT_EQ(run_op(IoKind::kWrite, 0).error, 0);
  EXPECT_EQ(run_op(IoKind::kSync, 0).error, 0);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(run_op(IoKind::kSync, 0).error, EROFS);
    EXPECT_EQ(run_op(IoKind::kRead, 0).error, 0);
  }
  engine_->clear_faults();
  EXPECT_EQ(run_op(IoKind::kSync, 0).error, 0);
}

TEST_F(FaultyEngineTest, EarliestAddedFaultActsAndAllCount) {
  engine_->add_fault({.nth = 1, .error = EIO});
  engine_->add_fault({.nth = 1, .error = EPERM});
  engine_->add_fault({.nth = 2, .error = ENOSPC});
  EXPECT_EQ(run_op(IoKind::kRead, 0).error, 0);
  EXPECT_EQ(run_op(IoKind::kRead, 0).error, EIO);
  EXPECT_EQ(run_op(IoKind::kRead, 0).error, ENOSPC);
}

TEST_F(FaultyEngineTest, FailedWriteDoesNotReachTheDevice) {
  engine_->add_fault({.kinds = kWrites});
  EXPECT_EQ(run_op(IoKind::kWrite, 2).error, EIO);  // of zeroes
  EXPECT_EQ(byte_on_disk(2), content(2));
  EXPECT_TRUE(block_is(2, std::byte{0})) << "the memory of a write is left alone";
}

TEST_F(FaultyEngineTest, ReadThatFailsForRealIsPoisonedToo) {
  IoOp past_end = op(IoKind::kRead, kBlocks - 1);
  past_end.data = memory_.block(0);
  past_end.bytes = 3 * kBlockBytes;
  const IoOp done = run(*engine_, past_end);
  EXPECT_EQ(done.error, ENODATA);
  EXPECT_EQ(done.transferred, kBlockBytes);
  EXPECT_TRUE(block_is(0, content(kBlocks - 1)));
  EXPECT_TRUE(block_is(1, kPoison));
  EXPECT_TRUE(block_is(2, kPoison));
}

TEST_F(FaultyEngineTest, ShortReadFillsAPrefix) {
  engine_->add_fault({.action = FaultAction::kShorten, .amount = 2 * kBlockBytes});
  const IoOp done = run_op(IoKind::kRead, 4, 4);
  EXPECT_EQ(done.error, ENODATA);
  EXPECT_EQ(done.transferred, 2 * kBlockBytes);
  EXPECT_TRUE(block_is(5, content(5)));
  EXPECT_TRUE(block_is(6, kPoison));
  EXPECT_TRUE(block_is(7, kPoison));
  EXPECT_TRUE(block_is(8, std::byte{0})) << "not its memory";
}

TEST_F(FaultyEngineTest, ShortWriteIsReallyWrittenSoFar) {
  engine_->add_fault({.kinds = kWrites, .action = FaultAction::kShorten, .amount = kBlockBytes});
  std::ranges::fill(memory_.span(), std::byte{0xAB});
  const IoOp done = run_op(IoKind::kWrite, 4, 2);
  EXPECT_EQ(done.error, ENODATA);
  EXPECT_EQ(done.transferred, kBlockBytes);
  EXPECT_EQ(byte_on_disk(4), std::byte{0xAB});
  EXPECT_EQ(byte_on_disk(5), content(5));
}

TEST_F(FaultyEngineTest, ShortenedToNothing) {
  engine_->add_fault({.action = FaultAction::kShorten, .amount = 0});
  const IoOp done = run_op(IoKind::kRead, 4);
  EXPECT_EQ(done.error, ENODATA);
  EXPECT_EQ(done.transferred, 0u);
  EXPECT_TRUE(block_is(4, kPoison));
}

TEST_F(FaultyEngineTest, FlipsOneBitOfAReadThatSucceeded) {
  engine_->add_fault(
      {.kinds = kReads, .nth = 1, .action = FaultAction::kFlipBit, .amount = 8 * 100 + 1});
  EXPECT_EQ(run_op(IoKind::kRead, 0).error, 0);
  EXPECT_TRUE(block_is(0, content(0)));
  EXPECT_EQ(run_op(IoKind::kRead, 1).error, 0);
  EXPECT_EQ(memory_.block(1)[100], content(1) ^ std::byte{2});
  memory_.block(1)[100] ^= std::byte{2};
  EXPECT_TRUE(block_is(1, content(1))) << "the one bit only";
  EXPECT_EQ(byte_on_disk(1), content(1));
}

TEST_F(FaultyEngineTest, HookSeesEachOperationBeforeItGoesOn) {
  std::vector<uint64_t> seen;
  engine_->set_hook([&](const IoOp& hooked, uint64_t index) {
    EXPECT_EQ(index, seen.size());
    seen.push_back(hooked.tag);
    if (hooked.kind == IoKind::kWrite) hooked.data[17] = std::byte{0x77};
  });
  run_op(IoKind::kRead, 5);
  run_op(IoKind::kWrite, 6);
  EXPECT_EQ(seen, (std::vector<uint64_t>{5, 6}));
  EXPECT_EQ(byte_on_disk(6), std::byte{0x77});
}

TEST_F(FaultyEngineTest, HookMayKillTheProcessAtAStep) {
  engine_.reset();  // its thread does not come along into the child
  const int status = run_in_child([this] {
    start(1);
    std::ranges::fill(memory_.span(), std::byte{0xAB});
    engine_->set_hook([](const IoOp&, uint64_t index) {
      if (index == 2) ::raise(SIGKILL);
    });
    for (uint64_t block = 0; block < 3; ++block) run_op(IoKind::kWrite, block);
    return 0;
  });
  EXPECT_EQ(status, 128 + SIGKILL);
}

TEST_F(FaultyEngineTest, HeldCompletionsWaitToBeReleased) {
  engine_->hold_all(true);
  start_reads(4);
  wait_held(4);
  EXPECT_EQ(engine_->in_flight(), 4u);
  EXPECT_FALSE(is_readable_now(engine_->wake_fd()));
  engine_->release_held(1);
  EXPECT_TRUE(is_readable_now(engine_->wake_fd()));
  EXPECT_EQ(poll_tags().size(), 1u);
  engine_->release_held();
  EXPECT_EQ(poll_tags().size(), 3u);
  EXPECT_EQ(engine_->in_flight(), 0u);
  for (const IoOp& read : reads_) EXPECT_EQ(read.error, 0);
}

TEST_F(FaultyEngineTest, ReleaseOrderIsTheSeeds) {
  const auto order = [this](uint64_t seed) {
    start(seed);
    engine_->hold_all(true);
    start_reads(12);
    wait_held(12);
    engine_->release_held();
    return poll_tags();
  };
  std::set<std::vector<uint64_t>> orders;
  for (uint64_t seed = 0; seed < 8; ++seed) {
    const std::vector<uint64_t> tags = order(seed);
    EXPECT_EQ(tags, order(seed));
    EXPECT_EQ(std::set<uint64_t>(tags.begin(), tags.end()).size(), 12u);
    orders.insert(tags);
  }
  EXPECT_GT(orders.size(), 6u);
}

TEST_F(FaultyEngineTest, OneHeldOthersPass) {
  engine_->add_fault({.nth = 1, .action = FaultAction::kHold});
  start_reads(3);
  std::set<uint64_t> told;
  while (told.size() < 2) {
    ASSERT_TRUE(wait_readable(engine_->wake_fd()));
    for (const uint64_t tag : poll_tags()) told.insert(tag);
  }
  EXPECT_EQ(told, (std::set<uint64_t>{0, 2}));
  EXPECT_EQ(engine_->held_count(), 1u);
  EXPECT_TRUE(block_is(1, content(1))) << "done, but not told";
  engine_->release_held();
  EXPECT_EQ(poll_tags(), std::vector<uint64_t>{1});
}

TEST_F(FaultyEngineTest, DelayedTransferArrivesAfterItsRelease) {
  engine_->add_fault({.kinds = kReads, .action = FaultAction::kDelay});
  start_reads(1);
  EXPECT_EQ(run_op(IoKind::kSync, 0).error, 0) << "others overtake it";
  EXPECT_TRUE(block_is(0, std::byte{0}));
  EXPECT_EQ(engine_->held_count(), 1u);
  engine_->release_held();
  EXPECT_EQ(finish(*engine_, 1).front(), &reads_[0]);
  EXPECT_TRUE(block_is(0, content(0)));
}

TEST_F(FaultyEngineTest, HungOperationIsNeverToldAndKeepsItsPlace) {
  engine_->add_fault({.kinds = kReads, .nth = 1, .action = FaultAction::kHang});
  start_reads(16);
  EXPECT_EQ(finish(*engine_, 15).size(), 15u);
  engine_->release_held();
  EXPECT_TRUE(poll_tags().empty());
  EXPECT_EQ(engine_->in_flight(), 1u);
  EXPECT_TRUE(block_is(1, std::byte{0}));
  for (uint64_t i = 0; i < 15; ++i) {
    reads_[i == 1 ? 15 : i] = op(IoKind::kSync, 0);
    EXPECT_TRUE(engine_->submit(&reads_[i == 1 ? 15 : i]));
  }
  IoOp one_more = op(IoKind::kSync, 0);
  EXPECT_FALSE(engine_->submit(&one_more));
}

}  // namespace
}  // namespace quire::tests::faulty_engine_test
