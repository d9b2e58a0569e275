// The mover without a tier: what becomes of the objects of one transfer, and what the device is
// asked for.
#include <gtest/gtest.h>

#include <vector>

#include "tests/ssd/mover_rig.h"

namespace quire::tests::mover_unit_test {

namespace {

using model::NodeId;
using tiering::ObjectState;
using tiering::Transfer;
using tiering::TransferClass;
using tiering::TransferKind;

constexpr int64_t kSecondNs = 1'000'000'000;
// Each page is an operation of its own.
constexpr tiering::MoverOptions unmerged() {
  tiering::MoverOptions options;
  options.merge_bytes = 0;
  return options;
}

TEST(MoverUnit, WhatWasWrittenIsReadBack) {
  MoverRig rig;
  const std::vector<NodeId> chain = rig.add_chain(3, 1);
  rig.write(chain);
  EXPECT_EQ(rig.read(chain), States(3, ObjectState::kGood));
  for (const NodeId node : chain) EXPECT_TRUE(rig.is_right(node));
  EXPECT_TRUE(rig.mover().idle());
}

TEST(MoverUnit, WhatWasEncodedIsReadBack) {
  MoverRig rig;
  const std::vector<NodeId> chain = rig.add_chain(2, 1);
  // Random bytes do not get smaller: stored as they are, they need all of a slot of this size.
  rig.write(chain, MoverRig::kObjectBytes + 4096);
  EXPECT_GT(rig.forms().held_bytes(), 0u);
  EXPECT_EQ(rig.read(chain), States(2, ObjectState::kGood));
  for (const NodeId node : chain) EXPECT_TRUE(rig.is_right(node));
}

TEST(MoverUnit, WhatDoesNotFitItsSlotEncodedIsNotWritten) {
  MoverRig rig;
  const std::vector<NodeId> chain = rig.add_chain(2, 1);
  Transfer& transfer = rig.begin_write(chain, MoverRig::kObjectBytes / 2);
  rig.mover().start(transfer);
  EXPECT_EQ(rig.finish(transfer), States(2, ObjectState::kTooLarge));
  EXPECT_EQ(rig.device().count(tiering::IoKind::kWrite), 0u);
}

// Law 4, and prefixes: a child without its parent could not be found.
TEST(MoverUnit, NothingIsWrittenBehindAPageThatChangedInRam) {
  MoverRig rig;
  const std::vector<NodeId> chain = rig.add_chain(3, 1);
  rig.meddle().corrupt(chain[1], 100);
  Transfer& transfer = rig.begin_write(chain);
  rig.mover().start(transfer);
  EXPECT_EQ(rig.finish(transfer),
            (States{ObjectState::kGood, ObjectState::kCorrupt, ObjectState::kIoFailed}));
  EXPECT_EQ(rig.mover().counters().written_bytes, MoverRig::kObjectBytes + 4096)
      << "the first, and its header";
}

TEST(MoverUnit, AReadThatFailsCostsItsObjectAlone) {
  MoverRig rig(unmerged());
  const std::vector<NodeId> chain = rig.add_chain(3, 1);
  rig.write(chain);
  // Three headers, then the pages.
  rig.device().add_fault({.kinds = kReads, .nth = 4});
  EXPECT_EQ(rig.read(chain),
            (States{ObjectState::kGood, ObjectState::kIoFailed, ObjectState::kGood}));
  EXPECT_EQ(rig.health().counters().read_errors, 1u);
}

TEST(MoverUnit, AFlippedBitIsCorruptAndNoFailureOfTheDevice) {
  MoverRig rig(unmerged());
  const std::vector<NodeId> chain = rig.add_chain(3, 1);
  rig.write(chain);
  rig.device().add_fault({.kinds = kReads, .nth = 5, .action = FaultAction::kFlipBit, .amount = 9});
  EXPECT_EQ(rig.read(chain),
            (States{ObjectState::kGood, ObjectState::kGood, ObjectState::kCorrupt}));
  EXPECT_EQ(rig.health().counters().read_errors, 0u);
}

TEST(MoverUnit, AScrubReadsPastWhatIsInRam) {
  MoverRig rig;
  const std::vector<NodeId> chain = rig.add_chain(1, 1);
  rig.write(chain);
  Transfer* transfer = rig.mover().take(TransferKind::kScrub, TransferClass::kScrub);
  ASSERT_NE(transfer, nullptr);
  PageMemory scratch(MoverRig::kObjectBytes);
  transfer->first = {rig.inspect().ssd_copy(chain[0])->slot};
  add_scratch_object(*transfer, rig.cache(), chain[0], scratch.data());
  rig.mover().start(*transfer);
  EXPECT_EQ(rig.finish(*transfer), States{ObjectState::kGood});
  EXPECT_TRUE(check_page(scratch.span(), 1, 0));
  EXPECT_TRUE(rig.is_right(chain[0]));
}

TEST(MoverUnit, IssueHandsOutAFewOperationsAtATime) {
  MoverRig rig(unmerged());
  const std::vector<NodeId> chain = rig.add_chain(6, 1);
  rig.write(chain);
  Transfer& transfer = rig.begin_read(chain);
  rig.mover().start(transfer);
  const uint64_t before = rig.device().count(tiering::IoKind::kRead);
  EXPECT_TRUE(rig.mover().issue()) << "more could go";
  EXPECT_EQ(rig.device().count(tiering::IoKind::kRead) - before, 4u);
  EXPECT_EQ(rig.finish(transfer), States(6, ObjectState::kGood));
  EXPECT_FALSE(rig.mover().issue());
}

// A load interrupts a write of many operations, and not the other way round.
TEST(MoverUnit, AnInteractiveLoadGoesBeforeADemotionThatCameFirst) {
  MoverRig rig(unmerged());
  const std::vector<NodeId> chain = rig.add_chain(2, 1);
  rig.write(chain);
  const std::vector<NodeId> others = rig.add_chain(8, 100);
  Transfer& demotion = rig.begin_write(others);
  rig.mover().start(demotion);
  rig.mover().poll();  // its checks
  Transfer& load = rig.begin_read(chain);
  rig.mover().start(load);
  std::vector<tiering::IoKind> kinds;
  rig.device().set_hook([&](const tiering::IoOp& op, uint64_t) { kinds.push_back(op.kind); });
  rig.mover().issue();
  EXPECT_EQ(kinds, std::vector<tiering::IoKind>(4, tiering::IoKind::kRead));
  rig.device().set_hook([](const tiering::IoOp&, uint64_t) {});
  EXPECT_GT(rig.mover().queued_bytes_of(TransferClass::kDemote), 0u);
  // Both end, each for itself.
  while (load.handled + demotion.handled < 10) {
    for (const auto& one : rig.mover().settled()) ++one.transfer->handled;
    rig.mover().settled().clear();
    rig.turn();
  }
  rig.mover().give_back(&load);
  rig.mover().give_back(&demotion);
  EXPECT_EQ(rig.mover().queued_bytes_of(TransferClass::kDemote), 0u);
}

TEST(MoverUnit, AHangIsToldOnce) {
  MoverRig rig;
  const std::vector<NodeId> chain = rig.add_chain(2, 1);
  rig.write(chain);
  rig.device().hold_all(true);
  Transfer& transfer = rig.begin_read(chain);
  rig.mover().start(transfer);
  rig.turn();
  rig.mover().find_hangs(rig.clock.now_ns(), kSecondNs);
  EXPECT_EQ(rig.health().counters().hangs, 0u);
  rig.clock.advance(std::chrono::seconds(2));
  for (int i = 0; i < 3; ++i) rig.mover().find_hangs(rig.clock.now_ns(), kSecondNs);
  EXPECT_EQ(rig.health().counters().hangs, 1u);
  rig.device().hold_all(false);
  while (rig.device().held_count() < rig.device().in_flight()) rig.turn();
  rig.device().release_held();
  EXPECT_EQ(rig.finish(transfer), States(2, ObjectState::kGood));
}

TEST(MoverUnit, ADomainsObjectsAreUnderWayUntilTheirRecordGoesBack) {
  MoverRig rig;
  const std::vector<NodeId> chain = rig.add_chain(1, 1);
  EXPECT_FALSE(rig.mover().moves_for(model::DomainId{0}));
  Transfer& transfer = rig.begin_write(chain);
  EXPECT_TRUE(rig.mover().moves_for(model::DomainId{0}));
  EXPECT_FALSE(rig.mover().moves_for(model::DomainId{1}));
  rig.mover().start(transfer);
  rig.finish(transfer);
  EXPECT_FALSE(rig.mover().moves_for(model::DomainId{0}));
}

// --- ObjectChecker ---

// Law 1: whatever else stands where an object should be, whole by its own checksum, is not it.
TEST(ObjectChecker, EveryFieldOfAnIdentityCounts) {
  MoverRig rig;
  const std::vector<NodeId> chain = rig.add_chain(1, 1);
  rig.write(chain);
  const std::vector<std::function<void(tiering::ExtentHeader&)>> changes = {
      [](auto& header) { ++header.slot; },
      [](auto& header) { ++header.generation; },
      [](auto& header) { ++header.units; },
      [](auto& header) { ++header.kind; },
      [](auto& header) { ++header.page_count; },
      [](auto& header) { ++header.instance[3]; },
      [](auto& header) { ++header.root.bytes[0]; },
      [](auto& header) { ++header.key.bytes[31]; },
      [](auto& header) { ++header.layout_digest.bytes[7]; },
      [](auto& header) { header.more_count = 1; },
      [](auto& header) { ++header.pages[0].group; },
      [](auto& header) { header.pages[0].tail = 1; },
      [](auto& header) { ++header.pages[0].plain_crc32c; },
      [](auto& header) { header.slot_bytes = MoverRig::kObjectBytes; },
  };
  const tiering::ObjectChecker checker = rig.checker();
  for (size_t i = 0; i <= changes.size(); ++i) {
    Transfer& transfer = rig.begin_read(chain);
    rig.mover().start(transfer);
    ASSERT_EQ(rig.finish(transfer), States{ObjectState::kGood});
    // The record is free again, and as it was: what the device brought is judged once more.
    if (i < changes.size()) changes[i](transfer.headers[0]);
    seal(transfer.headers[0]);
    EXPECT_EQ(checker.judge_read(transfer, 0),
              i < changes.size() ? ObjectState::kCorrupt : ObjectState::kGood)
        << i;
  }
}

TEST(ObjectChecker, AHeaderOfAnotherObjectIsNotFollowedToEncodedPages) {
  MoverRig rig;
  const std::vector<NodeId> chain = rig.add_chain(1, 1);
  rig.write(chain, MoverRig::kObjectBytes + 4096);
  Transfer& transfer = rig.begin_read(chain);
  transfer.checks.resize(transfer.pages.size());
  transfer.headers[0] = tiering::ExtentHeader{};
  seal(transfer.headers[0]);
  EXPECT_FALSE(rig.checker().prepare(transfer, 0));
  rig.mover().give_back(&transfer);
  rig.read(chain);  // its page is right again
}

// --- StoredForms ---

TEST(StoredForms, ASlotOfAnotherSizeSaysThatItsObjectIsEncoded) {
  MoverRig rig;
  const std::vector<NodeId> plain = rig.add_chain(1, 1);
  const std::vector<NodeId> encoded = rig.add_chain(1, 100);
  rig.write(plain);
  rig.write(encoded, MoverRig::kObjectBytes + 4096);
  EXPECT_EQ(rig.forms().object_bytes(plain[0]), MoverRig::kObjectBytes);
  EXPECT_EQ(rig.forms().encoded_slot_bytes(plain[0]), 0u);
  EXPECT_EQ(rig.forms().encoded_slot_bytes(encoded[0]), MoverRig::kObjectBytes + 4096);
}

TEST(StoredForms, DemotionTakesHalfOfTheMemoryAtMost) {
  tiering::MoverOptions options;
  options.bounce_bytes = 1 << 20;
  MoverRig rig(options);
  const uint64_t slot = 64 << 10;
  EXPECT_EQ(rig.forms().max_encoded(TransferKind::kPromote, slot), 4u) << "of four at once";
  EXPECT_EQ(rig.forms().max_encoded(TransferKind::kDemote, slot), 2u);
  EXPECT_EQ(rig.forms().max_encoded(TransferKind::kDemote, 1 << 30), 1u) << "one always may";
  EXPECT_EQ(rig.forms().max_encoded(TransferKind::kPromote, 4096), tiering::kMaxRunObjects);
  std::vector<Transfer*> demotions;
  while (true) {
    Transfer* next = rig.mover().take(TransferKind::kDemote, TransferClass::kDemote);
    demotions.push_back(next);
    if (!rig.forms().set_encoded(*next, 2, slot)) break;
  }
  EXPECT_EQ(demotions.size(), 5u);
  Transfer* load = rig.mover().take(TransferKind::kPromote, TransferClass::kInteractive);
  EXPECT_TRUE(rig.forms().set_encoded(*load, 4, slot));
  rig.mover().give_back(load);
  // A record that goes back gives its memory to the next.
  rig.mover().give_back(demotions.front());
  EXPECT_TRUE(rig.forms().set_encoded(*demotions.back(), 2, slot));
  for (size_t i = 1; i < demotions.size(); ++i) rig.mover().give_back(demotions[i]);
}

}  // namespace

}  // namespace quire::tests::mover_unit_test
