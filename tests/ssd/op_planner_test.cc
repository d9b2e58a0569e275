#include "tiering/transfer/op_planner.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/ssd/scratch_directory.h"
#include "tests/support/io_rig.h"
#include "tiering/io/thread_engine.h"

namespace quire::tests::op_planner_test {

namespace {

using tiering::IoKind;
using tiering::IoOp;
using tiering::ObjectState;
using tiering::Transfer;

constexpr uint64_t kRegionBytes = 1 << 20;
constexpr uint64_t kPageBytes = 16 << 10;
constexpr uint64_t kObjectBytes = 2 * kPageBytes;
constexpr uint32_t kObjects = 4;

// A transfer of objects of two pages, which start with layers 0 and 1.
class OpPlannerTest : public testing::Test {
 protected:
  OpPlannerTest() {
    QUIRE_CHECK(space_.add_region(kObjectBytes));
    transfer_.first = space_.take(kObjectBytes, kObjects)->first;
    QUIRE_CHECK(files_.open(transfer_.first.region(), true).ok());
    transfer_.index = 7;
    transfer_.headers = reinterpret_cast<tiering::ExtentHeader*>(headers_.data());
    for (uint32_t i = 0; i < kObjects; ++i) add_object(i * 2);
  }
  // Its pages lie in these places of the memory, adjacent.
  void add_object(uint64_t place) {
    transfer_.objects[transfer_.object_count++] = {
        .first_page = static_cast<uint32_t>(transfer_.pages.size()), .page_count = 2};
    for (uint32_t p = 0; p < 2; ++p) {
      transfer_.pages.push_back({.data = pages_.data() + (place + p) * kPageBytes,
                                 .bytes = kPageBytes,
                                 .slot_offset = p * kPageBytes,
                                 .first_layer = p,
                                 .group = static_cast<uint8_t>(p)});
    }
  }
  std::vector<IoOp> plan(uint64_t merge_bytes = 1 << 20) {
    tiering::OpPlanner(&files_, merge_bytes).plan(transfer_, &client_);
    std::vector<IoOp> ops;
    for (const tiering::TransferOp& op : transfer_.ops) ops.push_back(op.io);
    return ops;
  }
  uint64_t slot_offset(uint32_t object) const {
    return space_.data_offset({transfer_.first.value + object});
  }

  ScratchDirectory scratch_{memory_directory()};
  std::unique_ptr<tiering::IoEngine> engine_ =
      tiering::ThreadEngine::create({.queue_depth = 8, .max_files = 8}).value();
  std::unique_ptr<tiering::SsdDirectory> directory_ =
      tiering::SsdDirectory::open(
          {.path = scratch_ / "ssd", .region_bytes = kRegionBytes, .regions_per_file = 8})
          .value();
  tiering::SsdSpace space_{kRegionBytes, 32};
  tiering::SsdFiles files_{directory_.get(), &space_, engine_.get()};
  PageMemory headers_{kObjects * kBlockBytes};
  PageMemory pages_{64 * kPageBytes};
  tiering::IoClient client_;
  Transfer transfer_;
};

TEST_F(OpPlannerTest, WhatIsAdjacentIsOneOperationOfHeadersAndOneOfPages) {
  transfer_.kind = tiering::TransferKind::kPromote;
  const std::vector<IoOp> ops = plan();
  ASSERT_EQ(ops.size(), 2u);
  EXPECT_EQ(ops[0].bytes, kObjects * kBlockBytes);
  EXPECT_EQ(ops[0].data, headers_.data());
  EXPECT_EQ(ops[1].bytes, kObjects * kObjectBytes);
  EXPECT_EQ(ops[1].offset, slot_offset(0));
  EXPECT_EQ(transfer_.stored_bytes, kObjects * (kBlockBytes + kObjectBytes));
  for (uint32_t i = 0; i < kObjects; ++i) EXPECT_EQ(transfer_.objects[i].ops_left, 2u);
  for (size_t i = 0; i < ops.size(); ++i) {
    EXPECT_EQ(ops[i].kind, IoKind::kRead);
    EXPECT_EQ(ops[i].tag, uint64_t{7} << 32 | i);
    EXPECT_EQ(ops[i].client, &client_);
  }
}

TEST_F(OpPlannerTest, MergingKeepsItsBound) {
  const std::vector<IoOp> ops = plan(kObjectBytes);
  ASSERT_EQ(ops.size(), 1 + kObjects);
  for (uint32_t i = 0; i < kObjects; ++i) EXPECT_EQ(ops[1 + i].bytes, kObjectBytes);
}

TEST_F(OpPlannerTest, MemoryThatIsNotAdjacentIsNotMerged) {
  transfer_.pages[3].data = pages_.data() + 40 * kPageBytes;
  const std::vector<IoOp> ops = plan();
  ASSERT_EQ(ops.size(), 4u);
  EXPECT_EQ(ops[1].bytes, 3 * kPageBytes);
  EXPECT_EQ(ops[2].bytes, kPageBytes);
  EXPECT_EQ(transfer_.objects[1].ops_left, 3u) << "its header, and one for each page";
}

TEST_F(OpPlannerTest, LowerLayersOfAllObjectsComeFirst) {
  transfer_.kind = tiering::TransferKind::kPromote;
  transfer_.layer_major = true;
  const std::vector<IoOp> ops = plan();
  ASSERT_EQ(ops.size(), 1 + 2 * kObjects);
  for (uint32_t i = 0; i < kObjects; ++i) {
    EXPECT_EQ(ops[1 + i].offset, slot_offset(i));
    EXPECT_EQ(ops[1 + kObjects + i].offset, slot_offset(i) + kPageBytes);
  }
}

TEST_F(OpPlannerTest, ObjectsThatAreSettledAreLeftOut) {
  transfer_.kind = tiering::TransferKind::kDemote;
  for (uint32_t i = 2; i < kObjects; ++i) transfer_.objects[i].state = ObjectState::kCorrupt;
  const std::vector<IoOp> ops = plan();
  ASSERT_EQ(ops.size(), 2u);
  EXPECT_EQ(ops[0].kind, IoKind::kWrite);
  EXPECT_EQ(transfer_.stored_bytes, 2 * (kBlockBytes + kObjectBytes));
  EXPECT_EQ(transfer_.objects[2].ops_left, 0u);
}

// Of encoded objects what is written ends where their stored form does; read is the whole slot.
TEST_F(OpPlannerTest, AnEncodedObjectIsWrittenAsFarAsItGoes) {
  transfer_.kind = tiering::TransferKind::kDemote;
  transfer_.stored_form = pages_.data();
  transfer_.stored_slot_bytes = kObjectBytes;
  for (uint32_t i = 0; i < kObjects; ++i) {
    transfer_.headers[i].page_count = 1;
    transfer_.headers[i].pages[0].stored_bytes = kPageBytes - 1;
  }
  const std::vector<IoOp> written = plan();
  ASSERT_EQ(written.size(), 1 + kObjects);
  EXPECT_EQ(written[1].bytes, kPageBytes);
  transfer_.kind = tiering::TransferKind::kPromote;
  transfer_.stored_bytes = 0;
  const std::vector<IoOp> read = plan();
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(read[1].bytes, kObjects * kObjectBytes);
}

// It lies from the first slot of its first region to the end of its last.
TEST_F(OpPlannerTest, AnObjectOfSeveralRegionsIsSeveralOperations) {
  const uint64_t large = 2 * kRegionBytes + kRegionBytes / 2;
  PageMemory memory(large);
  ASSERT_TRUE(space_.add_region(large));
  transfer_.first = space_.take(large, 1)->first;
  ASSERT_TRUE(files_.open(transfer_.first.region(), true).ok());
  transfer_.pages = {{.data = memory.data(), .bytes = large}};
  transfer_.object_count = 1;
  transfer_.objects[0] = {.page_count = 1};
  const std::vector<IoOp> ops = plan(0);
  ASSERT_EQ(ops.size(), 4u);
  EXPECT_EQ(ops[1].bytes, kRegionBytes - kBlockBytes);
  EXPECT_EQ(ops[2].bytes, kRegionBytes);
  EXPECT_EQ(ops[2].data, memory.data() + ops[1].bytes);
  EXPECT_EQ(transfer_.objects[0].ops_left, 4u);
}

}  // namespace

}  // namespace quire::tests::op_planner_test
