#include "tiering/transfer/transfer_queues.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace quire::tiering::transfer_queues_test {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr QueueLimits kLimits{
    .max_bytes = 32 * kMiB, .demote_bytes = 12 * kMiB, .batch_bytes = 2 * kMiB};
constexpr auto kInteractive = TransferClass::kInteractive;
constexpr auto kDemote = TransferClass::kDemote;
constexpr auto kBatch = TransferClass::kBatch;

// A transfer of one operation.
Transfer& make(std::vector<std::unique_ptr<Transfer>>& owner, TransferClass one, uint64_t bytes) {
  Transfer& transfer = *owner.emplace_back(std::make_unique<Transfer>());
  transfer.priority = one;
  transfer.ops.push_back({.io = {.bytes = bytes}});
  transfer.stored_bytes = bytes;
  return transfer;
}

class TransferQueuesTest : public testing::Test {
 protected:
  void push(TransferClass one, uint64_t bytes) { queues_.push(make(owner_, one, bytes)); }
  // Issues one MiB after the other as long as it may; returns how many.
  uint64_t fill(TransferClass one) {
    uint64_t count = 0;
    for (; queues_.may_issue(one, kMiB); ++count) queues_.issued(one, kMiB);
    queues_.check_invariants();
    return count;
  }

  std::vector<std::unique_ptr<Transfer>> owner_;
  TransferQueues queues_{kLimits};
};

TEST_F(TransferQueuesTest, ClassesKeepTheirOrder) {
  EXPECT_EQ(queues_.front(kBatch), nullptr);
  push(kBatch, kMiB);
  push(kBatch, 2 * kMiB);
  EXPECT_EQ(queues_.front(kBatch), owner_[0].get());
  EXPECT_EQ(queues_.front(kInteractive), nullptr);
  queues_.pop(kBatch);
  EXPECT_EQ(queues_.front(kBatch), owner_[1].get());
  EXPECT_EQ(queues_.queued_bytes_of(kBatch), 3 * kMiB) << "until they finished";
}

TEST_F(TransferQueuesTest, ATransferOfNoOperationsIsInNoQueue) {
  Transfer nothing;
  queues_.push(nothing);
  EXPECT_EQ(queues_.front(nothing.priority), nullptr);
  EXPECT_EQ(queues_.queued_bytes(), 0u);
}

TEST_F(TransferQueuesTest, BatchLoadsKeepTheirBytes) {
  push(kBatch, 100 * kMiB);
  EXPECT_EQ(fill(kBatch), 2u);
  queues_.finished(kBatch, kMiB);
  EXPECT_EQ(fill(kBatch), 1u);
}

TEST_F(TransferQueuesTest, DemotionGivesHalfWhileALoadWaits) {
  push(kDemote, 100 * kMiB);
  EXPECT_EQ(fill(kDemote), 12u);
  for (int i = 0; i < 12; ++i) queues_.finished(kDemote, kMiB);
  push(kInteractive, kMiB);
  EXPECT_EQ(fill(kDemote), 6u);
}

TEST_F(TransferQueuesTest, LoadsLeaveTheOthersAQuarter) {
  push(kInteractive, 100 * kMiB);
  EXPECT_EQ(fill(kInteractive), 32u) << "all, where nobody else waits";
  for (int i = 0; i < 32; ++i) queues_.finished(kInteractive, kMiB);
  push(kDemote, 100 * kMiB);
  push(kBatch, 100 * kMiB);
  EXPECT_EQ(fill(kInteractive), 24u);
  EXPECT_EQ(fill(kDemote), 6u);
  EXPECT_EQ(fill(kBatch), 2u);
}

TEST_F(TransferQueuesTest, AClassWithNothingThereMayAlwaysHaveOne) {
  push(kDemote, 100 * kMiB);
  push(kBatch, 100 * kMiB);
  fill(kDemote);
  EXPECT_TRUE(queues_.may_issue(kBatch, 3 * kMiB)) << "larger than its bytes";
  queues_.issued(kBatch, 3 * kMiB);
  EXPECT_FALSE(queues_.may_issue(kBatch, 4096));
}

TEST_F(TransferQueuesTest, WhatIsLargerThanTheDeviceGoesAlone) {
  push(kInteractive, 100 * kMiB);
  EXPECT_TRUE(queues_.may_issue(kInteractive, 100 * kMiB));
  queues_.issued(kInteractive, 100 * kMiB);
  EXPECT_FALSE(queues_.may_issue(kDemote, 4096));
  queues_.finished(kInteractive, 100 * kMiB);
  EXPECT_EQ(queues_.queued_bytes(), 0u);
  EXPECT_EQ(queues_.bytes_in_flight(), 0u);
}

}  // namespace
}  // namespace quire::tiering::transfer_queues_test
