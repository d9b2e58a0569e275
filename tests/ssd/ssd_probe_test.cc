// The probe by itself, over a device that fails where the test says.
#include "tiering/ssd/ssd_probe.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <memory>

#include "model/clock.h"
#include "tests/ssd/directory_rig.h"
#include "tests/ssd/scratch_directory.h"
#include "tests/support/faulty_engine.h"
#include "tests/support/io_rig.h"
#include "tests/support/observed_engine.h"
#include "tiering/io/thread_engine.h"

namespace quire::tiering::ssd_probe_test {
namespace {

using tests::Fault;
using tests::FaultAction;
using tests::FaultyEngine;
using tests::KindMask;

constexpr uint64_t kRoomBytes = 1 << 20;

class SsdProbeTest : public testing::Test {
 protected:
  SsdProbeTest() {
    tests::make_at(directory_ / "ssd");
    opened_ = tests::open_at(directory_ / "ssd").value();
    probe_ = SsdProbe::create(opened_.get(), &io_, &engine_).value();
  }

  // One round to its end, as the tier's steps drive it.
  void run() {
    probe_->start(kRoomBytes);
    EXPECT_TRUE(probe_->running());
    while (true) {
      io_.hand_over();
      io_.flush();
      ASSERT_TRUE(tests::wait_readable(engine_.wake_fd()));
      io_.poll();
      if (probe_->step()) break;
      ASSERT_TRUE(probe_->running());
    }
    EXPECT_FALSE(probe_->running());
    EXPECT_FALSE(probe_->step()) << "it ends once";
  }

  tests::ScratchDirectory directory_;
  std::unique_ptr<SsdDirectory> opened_;
  int fd_ = -1;  // of the probe's file
  FaultyEngine engine_{std::make_unique<tests::ObservedEngine>(
      ThreadEngine::create({.threads = 1, .queue_depth = 4}).value(),
      tests::ObservedEngine::Observer{.on_file = [this](int fd, FileIndex) { fd_ = fd; }})};
  const model::SystemClock clock_{};
  IoPort io_{&engine_, &clock_};
  std::unique_ptr<SsdProbe> probe_;
};

TEST_F(SsdProbeTest, DeviceThatWorksReadsAndWrites) {
  for (uint64_t round = 1; round <= 3; ++round) {
    run();
    EXPECT_TRUE(probe_->read_worked());
    EXPECT_TRUE(probe_->write_worked());
    for (const IoKind kind : {IoKind::kAllocate, IoKind::kWrite, IoKind::kSync, IoKind::kRead}) {
      EXPECT_EQ(engine_.count(kind), round) << "each once a round";
    }
  }
}

// After a write that fails the reading itself is judged, and nothing that would come between.
TEST_F(SsdProbeTest, Law09_WhatFailsOnTheWayIsAFailedWrite) {
  for (const KindMask kinds : {tests::kAllocates, tests::kWrites, tests::kSyncs}) {
    engine_.clear_faults();
    engine_.add_fault({.kinds = kinds, .error = EIO});
    run();
    EXPECT_FALSE(probe_->write_worked()) << kinds;
    EXPECT_TRUE(probe_->read_worked()) << kinds;
    run();
    EXPECT_TRUE(probe_->read_worked() && probe_->write_worked()) << "it failed once";
  }
  EXPECT_EQ(engine_.count(IoKind::kWrite), 5u) << "none without its room";
  EXPECT_EQ(engine_.count(IoKind::kSync), 4u) << "none after a write that failed";
}

TEST_F(SsdProbeTest, Law09_ReadThatFailsIsBoth) {
  engine_.add_fault({.kinds = tests::kReads, .error = EIO});
  run();
  EXPECT_FALSE(probe_->read_worked());
  EXPECT_FALSE(probe_->write_worked());
}

TEST_F(SsdProbeTest, BlockThatReadsOtherThanWrittenWasNotWritten) {
  engine_.add_fault({.kinds = tests::kReads, .action = FaultAction::kFlipBit, .amount = 3});
  run();
  EXPECT_TRUE(probe_->read_worked());
  EXPECT_FALSE(probe_->write_worked());
}

TEST_F(SsdProbeTest, ItsRoomIsTakenAndGoesBackBeforeItEnds) {
  uint64_t bytes_at_write = 0;
  uint64_t bytes_at_read = 0;
  engine_.set_hook([&](const IoOp& op, uint64_t) {
    struct stat file {};
    ASSERT_EQ(::fstat(fd_, &file), 0);
    if (op.kind == IoKind::kWrite) bytes_at_write = static_cast<uint64_t>(file.st_size);
    if (op.kind == IoKind::kRead) bytes_at_read = static_cast<uint64_t>(file.st_size);
  });
  for (int round = 0; round < 2; ++round) {
    run();
    EXPECT_EQ(bytes_at_write, kRoomBytes);
    EXPECT_EQ(bytes_at_read, kSsdBlockBytes);
  }
}

}  // namespace
}  // namespace quire::tiering::ssd_probe_test
