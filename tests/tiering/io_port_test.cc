#include "tiering/io/io_port.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <deque>
#include <memory>
#include <vector>

#include "tests/support/faulty_engine.h"
#include "tests/support/io_rig.h"
#include "tests/support/manual_clock.h"
#include "tiering/io/thread_engine.h"

namespace quire::tiering::io_port_test {
namespace {

using namespace std::chrono_literals;
using tests::Fault;
using tests::FaultAction;
using tests::FaultyEngine;
using tests::kBlockBytes;

constexpr uint64_t kDepth = 4;
constexpr int64_t kHangNs = 1'000'000'000;

// A port to a device of four places, whose operations come back when the test says so.
class IoPortTest : public testing::Test {
 protected:
  void SetUp() override { file_index_ = engine_.add_file(file_.get()).value(); }

  IoOp* op(IoKind kind, IoClient& client, uint64_t tag) {
    ops_.push_back({.kind = kind,
                    .file = file_index_,
                    .data = memory_.data(),
                    .bytes = kind == IoKind::kRead ? kBlockBytes : 0,
                    .tag = tag,
                    .client = &client});
    return &ops_.back();
  }
  void submit_reads(IoClient& client, uint64_t first_tag, uint64_t count) {
    for (uint64_t i = 0; i < count; ++i) {
      ASSERT_TRUE(port_.submit(op(IoKind::kRead, client, first_tag + i)));
    }
  }
  static std::vector<uint64_t> take(IoClient& client) {
    std::vector<uint64_t> tags;
    for (const IoOp* done : client.take()) tags.push_back(done->tag);
    return tags;
  }
  // Until `count` came back, to whomever.
  void poll_until(uint64_t count) {
    const size_t left = engine_.in_flight() - count;
    port_.flush();
    while (engine_.in_flight() > left) {
      ASSERT_TRUE(tests::wait_readable(engine_.wake_fd()));
      port_.poll();
    }
  }

  model::FdGuard file_ = tests::scratch_file(kBlockBytes);
  tests::PageMemory memory_{kBlockBytes};
  std::deque<IoOp> ops_;  // outlive the engine
  IoClient one_;
  IoClient other_;
  FaultyEngine engine_{ThreadEngine::create({.threads = 1, .queue_depth = kDepth}).value()};
  tests::ManualClock clock_;
  IoPort port_{&engine_, &clock_};
  FileIndex file_index_;
};

TEST_F(IoPortTest, EachClientTakesItsOwnOnce) {
  submit_reads(one_, 1, 2);
  submit_reads(other_, 7, 1);
  port_.submit_first(op(IoKind::kSync, other_, 8));
  port_.hand_over();
  poll_until(4);
  EXPECT_EQ(take(one_), (std::vector<uint64_t>{1, 2}));
  EXPECT_EQ(take(other_), (std::vector<uint64_t>{7, 8}));
  EXPECT_TRUE(take(one_).empty());
  EXPECT_TRUE(take(other_).empty());
  EXPECT_FALSE(port_.poll()) << "nothing is left";
}

TEST_F(IoPortTest, WhatFinishedWaitsForItsClient) {
  submit_reads(one_, 1, 1);
  poll_until(1);
  submit_reads(one_, 2, 1);
  poll_until(1);
  EXPECT_EQ(take(one_), (std::vector<uint64_t>{1, 2})) << "in the order in which it came back";
}

TEST_F(IoPortTest, ErrorsComeBackToo) {
  engine_.add_fault({.kinds = tests::kSyncs, .error = EDQUOT});
  port_.submit_first(op(IoKind::kSync, one_, 3));
  port_.hand_over();
  poll_until(1);
  const auto done = one_.take();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(done[0]->error, EDQUOT);
}

TEST_F(IoPortTest, Law10_FullEngineRefusesAndTakesNothing) {
  engine_.hold_all(true);
  submit_reads(one_, 1, kDepth);
  EXPECT_FALSE(port_.submit(op(IoKind::kRead, other_, 9)));
  engine_.hold_all(false);
  engine_.release_held();
  poll_until(kDepth);
  EXPECT_EQ(take(one_).size(), kDepth);
  EXPECT_TRUE(take(other_).empty());
}

// A stream of transfers that takes every place as it becomes free holds up no sync.
TEST_F(IoPortTest, FirstWaitsForAPlaceAndGoesBeforeTheRest) {
  engine_.hold_all(true);
  submit_reads(one_, 1, kDepth);
  for (const uint64_t tag : {21, 22}) port_.submit_first(op(IoKind::kSync, other_, tag));
  port_.hand_over();
  port_.flush();
  EXPECT_EQ(engine_.count(IoKind::kSync), 0u) << "there is no place";
  for (const uint64_t synced : {1, 2}) {
    while (engine_.held_count() == 0) port_.poll();
    engine_.release_oldest();
    port_.poll();
    port_.hand_over();
    EXPECT_FALSE(port_.submit(op(IoKind::kRead, one_, 90))) << "the place is the sync's";
    port_.flush();
    EXPECT_EQ(engine_.count(IoKind::kSync), synced);
  }
  engine_.hold_all(false);
  engine_.release_held();
  poll_until(engine_.in_flight());
  EXPECT_EQ(take(other_), (std::vector<uint64_t>{21, 22}));
}

TEST_F(IoPortTest, HungIsToldOnceOfWhatWentFirst) {
  engine_.add_fault({.action = FaultAction::kDelay, .from_then_on = true});
  port_.submit_first(op(IoKind::kSync, one_, 1));
  EXPECT_FALSE(port_.next_hung(clock_.now_ns() + 2 * kHangNs, kHangNs)) << "it waits for a place";
  port_.hand_over();
  port_.flush();
  clock_.advance(400ms);
  port_.submit_first(op(IoKind::kAllocate, other_, 2));
  port_.hand_over();
  submit_reads(one_, 3, 1);
  port_.flush();
  clock_.advance(600ms);
  EXPECT_EQ(port_.next_hung(clock_.now_ns(), kHangNs), 1'000'000'000);
  EXPECT_FALSE(port_.next_hung(clock_.now_ns(), kHangNs)) << "told, and the other is younger";
  clock_.advance(500ms);
  EXPECT_EQ(port_.next_hung(clock_.now_ns(), kHangNs), 1'100'000'000);
  engine_.release_held();
  poll_until(3);
  clock_.advance(10s);
  EXPECT_FALSE(port_.next_hung(clock_.now_ns(), kHangNs)) << "all are back, the read was never one";
}

}  // namespace
}  // namespace quire::tiering::io_port_test
