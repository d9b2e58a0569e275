#include "tiering/transfer/transfer_table.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "tiering/io/thread_engine.h"

namespace quire::tiering::transfer_table_test {
namespace {

class TransferTableTest : public testing::Test {
 protected:
  std::unique_ptr<IoEngine> engine_ =
      ThreadEngine::create({.queue_depth = 8, .max_files = 1}).value();
  std::unique_ptr<TransferTable> table_ = TransferTable::create(engine_.get()).value();
};

TEST_F(TransferTableTest, AClassThatIsUsedUpLeavesTheOthersTheirs) {
  std::set<Transfer*> taken;
  while (Transfer* next = table_->take(TransferKind::kDemote, TransferClass::kDemote)) {
    EXPECT_TRUE(taken.insert(next).second);
  }
  EXPECT_EQ(taken.size(), kRecords[static_cast<size_t>(TransferClass::kDemote)]);
  Transfer* load = table_->take(TransferKind::kPromote, TransferClass::kInteractive);
  ASSERT_NE(load, nullptr);
  table_->check_invariants();
  for (Transfer* transfer : taken) table_->give_back(*transfer);
  table_->give_back(*load);
  EXPECT_EQ(table_->in_use_count(), 0u);
  table_->check_invariants();
}

TEST_F(TransferTableTest, ARecordIsAsNewForItsNextTaker) {
  Transfer& used = *table_->take(TransferKind::kPromote, TransferClass::kScrub);
  used.object_count = used.handled = 3;
  used.layer_major = used.hung_reported = true;
  used.pages.resize(5);
  used.ops.resize(5);
  used.next_op = 5;
  used.stored_bytes = used.stored_slot_bytes = 4096;
  used.run.keys.resize(2);
  table_->give_back(used);
  Transfer* again = table_->take(TransferKind::kScrub, TransferClass::kScrub);
  ASSERT_EQ(again, &used);
  EXPECT_EQ(again->kind, TransferKind::kScrub);
  EXPECT_EQ(again->object_count + again->handled + again->next_op, 0u);
  EXPECT_FALSE(again->layer_major || again->hung_reported);
  EXPECT_TRUE(again->pages.empty() && again->ops.empty() && again->run.keys.empty());
  EXPECT_EQ(again->stored_bytes + again->stored_slot_bytes, 0u);
  table_->give_back(*again);
}

// The device writes headers straight into them.
TEST_F(TransferTableTest, RecordsHaveHeadersOfTheirOwn) {
  std::set<const ExtentHeader*> headers;
  for (const Transfer& transfer : table_->all()) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(transfer.headers) % kSsdBlockBytes, 0u);
    EXPECT_EQ(&(*table_)[transfer.index], &transfer);
    headers.insert(transfer.headers);
  }
  EXPECT_EQ(headers.size(), kMaxTransfers);
  EXPECT_GE(*headers.rbegin() - *headers.begin(), (kMaxTransfers - 1) * kMaxRunObjects);
}

TEST_F(TransferTableTest, WhatTheDeviceStillHasIsNotGivenBack) {
  Transfer& transfer = *table_->take(TransferKind::kPromote, TransferClass::kBatch);
  transfer.ops_in_flight = 1;
  EXPECT_DEATH(table_->give_back(transfer), "ops_in_flight");
  transfer.ops_in_flight = 0;
  table_->give_back(transfer);
}

}  // namespace
}  // namespace quire::tiering::transfer_table_test
