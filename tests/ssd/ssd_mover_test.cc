// The mover and the committer over a device that misbehaves: order and bounds of operations, and
// what becomes of those that fail. No daemon; every operation is seen.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/ssd/ssd_unit_rig.h"
#include "tests/support/io_rig.h"

namespace quire::tests::ssd_mover_test {

namespace {

using model::Errc;
using model::LoadClass;
using model::NodeId;
using tiering::IoKind;
using tiering::TierMode;

constexpr uint64_t kBatchBytes = 2 << 20;  // MoverOptions::batch_bytes

// Operations that reached the device, in order.
class OpLog {
 public:
  explicit OpLog(SsdUnitRig& rig) : rig_(rig) {
    rig.device().set_hook([this](const tiering::IoOp& op, uint64_t) { ops_.push_back(op); });
  }
  OpLog(const OpLog&) = delete;
  OpLog& operator=(const OpLog&) = delete;
  ~OpLog() {
    rig_.device().set_hook([](const tiering::IoOp&, uint64_t) {});
  }

  uint64_t bytes_of(IoKind kind) const {
    uint64_t bytes = 0;
    for (const tiering::IoOp& op : ops_) bytes += op.kind == kind ? op.bytes : 0;
    return bytes;
  }
  size_t count_of(IoKind kind) const {
    return static_cast<size_t>(
        std::count_if(ops_.begin(), ops_.end(), [&](const auto& op) { return op.kind == kind; }));
  }
  // Position of the first of this kind; the count of all where there is none.
  size_t first_of(IoKind kind) const {
    const auto at =
        std::find_if(ops_.begin(), ops_.end(), [&](const auto& op) { return op.kind == kind; });
    return static_cast<size_t>(at - ops_.begin());
  }
  const std::vector<tiering::IoOp>& ops() const { return ops_; }

 private:
  SsdUnitRig& rig_;
  std::vector<tiering::IoOp> ops_;
};

void start_load(SsdUnitRig& rig, uint64_t tag, const std::vector<NodeId>& nodes,
                LoadClass load_class = LoadClass::kInteractive) {
  QUIRE_CHECK(
      rig.loads()
          .start({.tag = tag, .load_class = load_class, .deadline_ns = INT64_MAX, .nodes = nodes})
          .ok());
}

// Nothing more goes to the device.
void run_dry(SsdUnitRig& rig) {
  for (int i = 0; i < 300; ++i) rig.step();
}

TEST(SsdMover, ABatchLoadLeavesTheDeviceToInteractiveOnes) {
  SsdUnitRig rig;
  const std::vector<NodeId> batch = rig.add_below(12, 1);
  const std::vector<NodeId> interactive = rig.add_below(2, 100);
  rig.device().hold_all(true);
  const OpLog log(rig);
  start_load(rig, 1, batch, LoadClass::kBatch);
  run_dry(rig);
  const uint64_t held_back = log.bytes_of(IoKind::kRead);
  EXPECT_GT(held_back, 0u);
  EXPECT_LE(held_back, kBatchBytes);
  start_load(rig, 2, interactive);
  run_dry(rig);
  EXPECT_GE(log.bytes_of(IoKind::kRead), held_back + 2 * SsdUnitRig::kPageBytes)
      << "all of it, behind no batch";
  rig.device().hold_all(false);
  rig.device().release_held();
  EXPECT_EQ(rig.end_of(2), Errc::kOk);
  EXPECT_EQ(rig.end_of(1), Errc::kOk);
  for (const NodeId node : batch) EXPECT_TRUE(rig.is_right(node));
  EXPECT_TRUE(rig.is_clean());
}

TEST(SsdMover, HeadersAreReadInOnePieceAndFirst) {
  SsdUnitRig rig;
  const std::vector<NodeId> chain = rig.add_below(3, 1);
  const OpLog log(rig);
  start_load(rig, 1, chain);
  EXPECT_EQ(rig.end_of(1), Errc::kOk);
  ASSERT_FALSE(log.ops().empty());
  EXPECT_EQ(log.ops().front().bytes, 3 * kBlockBytes) << "adjacent on the device and in memory";
  EXPECT_EQ(log.bytes_of(IoKind::kRead), 3 * (kBlockBytes + SsdUnitRig::kPageBytes));
}

TEST(SsdMover, AReadThatFailsCostsItsObjectsAlone) {
  for (const FaultAction action : {FaultAction::kFail, FaultAction::kShorten}) {
    SsdUnitRig rig;
    const std::vector<NodeId> good = rig.add_below(3, 1);
    const std::vector<NodeId> bad = rig.add_below(3, 100);
    rig.device().add_fault({.kinds = kReads, .action = action, .amount = kBlockBytes});
    start_load(rig, 1, bad);
    EXPECT_EQ(rig.end_of(1), Errc::kIoError);
    start_load(rig, 2, good);
    EXPECT_EQ(rig.end_of(2), Errc::kOk);
    for (const NodeId node : good) EXPECT_TRUE(rig.is_right(node));
    EXPECT_GT(rig.load_counters().read_failures, 0u);
    EXPECT_EQ(rig.tier().mode(), TierMode::kOk) << "one failure is not the device's end";
    EXPECT_TRUE(rig.is_clean());
  }
}

TEST(SsdMover, AFlippedBitIsNeverServed) {
  SsdUnitRig rig;
  const std::vector<NodeId> chain = rig.add_below(3, 1);
  // The second operation reads pages; the first the headers.
  for (const uint64_t nth : {0, 1}) {
    rig.device().clear_faults();
    rig.device().add_fault(
        {.kinds = kReads, .nth = nth, .action = FaultAction::kFlipBit, .amount = 4096});
    const std::vector<NodeId> more = rig.add_below(3, 100 + 100 * nth);
    start_load(rig, nth, more);
    EXPECT_EQ(rig.end_of(nth), Errc::kCorrupt) << nth;
    EXPECT_TRUE(rig.is_clean());
  }
  EXPECT_EQ(rig.load_counters().corrupt, 2u);
}

TEST(SsdCommitter, DataIsSyncedOnceAndBeforeItIsNamed) {
  SsdUnitRig rig;
  const OpLog log(rig);
  const std::vector<NodeId> chain = rig.add_chain(9, 1);
  ASSERT_TRUE(rig.settle());
  EXPECT_EQ(rig.tier().status().committer.durable_objects, chain.size());
  EXPECT_EQ(log.count_of(IoKind::kSync), rig.tier().status().committer.syncs);
  EXPECT_LE(log.count_of(IoKind::kSync), 3u) << "writes share a flush of the device";
  EXPECT_LT(log.first_of(IoKind::kWrite), log.first_of(IoKind::kSync));
}

// Law 8: nothing counts before its sync came back.
TEST(SsdCommitter, WhatIsNotSyncedHasNoCopy) {
  SsdUnitRig rig;
  rig.device().add_fault({.kinds = kSyncs, .action = FaultAction::kDelay, .from_then_on = true});
  rig.add_chain(3, 1);
  ASSERT_TRUE(rig.until([&] { return rig.device().held_count() > 0; }));
  run_dry(rig);
  EXPECT_EQ(rig.inspect().counters().ssd_spans, 0u);
  EXPECT_EQ(rig.inspect().moving_count(), 3u);
  rig.device().clear_faults();
  rig.device().release_held();
  EXPECT_TRUE(rig.settle());
}

// The kernel may have dropped the pages: the file is sealed, and what went there is written anew.
TEST(SsdCommitter, AFailedSyncIsNotTriedAgainOnItsFile) {
  SsdUnitRig rig;
  rig.device().add_fault({.kinds = kSyncs});
  const std::vector<NodeId> chain = rig.add_chain(3, 1);
  ASSERT_TRUE(rig.until([&] { return rig.tier().mode() == TierMode::kReadOnly; }));
  EXPECT_EQ(rig.inspect().counters().ssd_spans, 0u);
  EXPECT_EQ(rig.demotion().counters().failed, chain.size());
  EXPECT_EQ(rig.tier().status().sealed_files, 1u);
  EXPECT_FALSE(rig.tier().state().whole);
  EXPECT_NE(rig.tier().state().reason, "");
  // By itself, once a probe finds that the device works.
  ASSERT_TRUE(rig.until([&] { return rig.tier().mode() == TierMode::kOk; }));
  ASSERT_TRUE(rig.settle());
  rig.meddle().evict();
  start_load(rig, 1, chain);
  EXPECT_EQ(rig.end_of(1), Errc::kOk);
  EXPECT_TRUE(rig.is_clean());
}

TEST(SsdCommitter, AFailedWriteIsWrittenAgainWhenTheDeviceWorks) {
  SsdUnitRig rig;
  rig.device().add_fault({.kinds = kWrites, .nth = 1});
  const std::vector<NodeId> chain = rig.add_chain(6, 1);
  ASSERT_TRUE(rig.until([&] { return rig.demotion().counters().failed > 0; }));
  EXPECT_EQ(rig.tier().mode(), TierMode::kReadOnly);
  ASSERT_TRUE(rig.settle());
  EXPECT_EQ(rig.tier().mode(), TierMode::kOk);
  rig.tier().check_invariants();
  EXPECT_EQ(rig.tier().status().space.used_slots, chain.size()) << "none is leaked";
}

// A slot serves again when its record is durably gone, not before.
TEST(SsdCommitter, AGivenUpSlotIsFreedByItsErasure) {
  SsdUnitRig rig;
  const std::vector<NodeId> chain = rig.add_below(3, 1);
  ASSERT_TRUE(rig.meddle().drop(chain.back()));
  rig.step();
  EXPECT_EQ(rig.tier().status().space.freeing_slots, 1u);
  EXPECT_EQ(rig.tier().status().committer.erased_objects, 0u);
  EXPECT_FALSE(rig.set().idle());
  ASSERT_TRUE(rig.until([&] { return rig.set().idle(); }));
  EXPECT_EQ(rig.tier().status().space.freeing_slots, 0u);
  EXPECT_EQ(rig.tier().status().committer.erased_objects, 1u);
}

}  // namespace

}  // namespace quire::tests::ssd_mover_test
