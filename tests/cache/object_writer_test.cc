// Fills that wait for each other, without a daemon around them.
#include "cache/fill/object_writer.h"

#include <gtest/gtest.h>

#include "tests/cache/store_rig.h"

namespace quire::cache::object_writer_test {
namespace {

constexpr uint32_t kSpans = 900;  // of two units, one page each
constexpr HolderTag kHolder = 1;

class ObjectWriterTest : public testing::Test {
 protected:
  ObjectWriterTest() {
    for (uint64_t u = 1; u <= 2 * kSpans; ++u) hashes_.push_back(StoreRig::key(u));
  }
  ObjectWriter& writer() { return rig_.cache().writer(); }
  model::FillId begin(uint32_t span) {
    model::BeginFillArgs args{};
    args.end_units = 2 * span;
    const ChainView chain(hashes_.data(), static_cast<uint32_t>(hashes_.size()));
    auto begun = writer().begin(rig_.session(), kHolder, chain, args);
    while (begun.ok() && begun->kind == BeginOutcome::Kind::kPending) {
      begun = writer().go_on(begun->fill);  // the pool's first segment is being made
    }
    QUIRE_CHECK(begun.ok() && begun->kind == BeginOutcome::Kind::kGranted);
    return begun->fill;
  }
  Linked commit(model::FillId fill) {
    std::array<PageCopy, kMaxPagesPerObject> copies;
    model::CommitArgs args{};
    args.fill = fill.value;
    QUIRE_CHECK(writer().take(rig_.session(), kHolder, args, 4096, copies).ok());
    const uint8_t page = copies[0].page_index;
    const uint32_t checksum = 0;
    return writer().copied(fill, std::span(&page, 1), std::span(&checksum, 1));
  }
  // Begins every span and commits all but the first, the deepest first.
  model::FillId commit_all_but_the_first() {
    std::vector<model::FillId> fills;
    for (uint32_t span = 1; span <= kSpans; ++span) fills.push_back(begin(span));
    for (uint32_t span = kSpans; span > 1; --span) {
      EXPECT_EQ(commit(fills[span - 1]).outcome, FillOutcome::kWaiting);
    }
    return fills[0];
  }
  // Calls of settle_waiting until nothing is left; `linked_` has what they ended.
  uint32_t settle(uint32_t budget) {
    uint32_t calls = 0;
    for (; writer().has_settling(); ++calls) {
      const size_t before = linked_.size();
      EXPECT_LE(writer().settle_waiting(budget, linked_), budget);
      EXPECT_LE(linked_.size() - before, budget);
    }
    return calls;
  }

  StoreRig rig_;
  std::vector<model::Hash256> hashes_;
  std::vector<Linked> linked_;
};

TEST_F(ObjectWriterTest, WorstOrderIsLinkedInBoundedStepsAndLinearTime) {
  const model::FillId first = commit_all_but_the_first();
  EXPECT_EQ(commit(first).outcome, FillOutcome::kVisible);
  EXPECT_EQ(settle(10), (kSpans - 1 + 9) / 10);
  EXPECT_EQ(linked_.size(), kSpans - 1);
  for (const Linked& linked : linked_) EXPECT_EQ(linked.outcome, FillOutcome::kVisible);
  EXPECT_EQ(rig_.inspect().counters().spans, kSpans);
  EXPECT_EQ(rig_.cache().fill_count(), 0u);
  rig_.cache().check_invariants();
}

TEST_F(ObjectWriterTest, AbortDropsWhatWaitsInBoundedSteps) {
  const model::FillId first = commit_all_but_the_first();
  ASSERT_TRUE(writer().abort(rig_.session(), first).ok());
  settle(10);
  EXPECT_EQ(linked_.size(), kSpans - 1);
  for (const Linked& linked : linked_) EXPECT_EQ(linked.outcome, FillOutcome::kNoParent);
  EXPECT_EQ(rig_.cache().fill_count(), 0u);
  EXPECT_EQ(rig_.slot_count(), 0u);
}

TEST_F(ObjectWriterTest, Law05_DeathFreesWhatWaitsInBoundedSteps) {
  commit_all_but_the_first();
  uint32_t cursor = 0;
  bool ended = false;
  for (uint32_t calls = 0; !ended; ++calls) {
    ASSERT_LE(calls, kSpans / 10);
    const uint64_t before = rig_.inspect().steps();
    uint32_t budget = 10;
    ended = writer().end_holder(rig_.session(), kHolder, true, cursor, budget, linked_);
    EXPECT_LE(rig_.inspect().steps() - before, 20u);
  }
  settle(10);
  EXPECT_EQ(linked_.size(), kSpans - 1) << "everybody who waited is known";
  EXPECT_EQ(rig_.cache().fill_count(), 0u);
  EXPECT_EQ(rig_.slot_count(), 0u);
  rig_.cache().check_invariants();
}

// What waits for an aborted fill waits for the one that takes its place, when there is one by then.
TEST_F(ObjectWriterTest, FillBegunAnewServesThoseThatWaited) {
  const model::FillId first = begin(1);
  const model::FillId second = begin(2);
  EXPECT_EQ(commit(second).outcome, FillOutcome::kWaiting);
  ASSERT_TRUE(writer().abort(rig_.session(), first).ok());
  const model::FillId again = begin(1);
  settle(10);
  EXPECT_TRUE(linked_.empty());
  EXPECT_EQ(commit(again).outcome, FillOutcome::kVisible);
  settle(10);
  ASSERT_EQ(linked_.size(), 1u);
  EXPECT_EQ(linked_[0].outcome, FillOutcome::kVisible);
}

// Who ended while its bytes were copied may have written others there meanwhile.
TEST_F(ObjectWriterTest, Law05_WhatIsCopiedForAHolderThatEndedVanishes) {
  const model::FillId fill = begin(1);
  std::array<PageCopy, kMaxPagesPerObject> copies;
  model::CommitArgs args{};
  args.fill = fill.value;
  ASSERT_TRUE(writer().take(rig_.session(), kHolder, args, 4096, copies).ok());
  EXPECT_EQ(writer().copied_in_vain(fill).outcome, FillOutcome::kAborted);
  EXPECT_EQ(rig_.cache().fill_count(), 0u);
  EXPECT_EQ(rig_.slot_count(), 0u);
  EXPECT_EQ(commit(begin(1)).outcome, FillOutcome::kVisible);
}

TEST_F(ObjectWriterTest, WaitEndsAtItsDeadlineWithoutItsParent) {
  const model::FillId first = begin(1);
  const model::FillId second = begin(2);
  EXPECT_EQ(commit(second).outcome, FillOutcome::kWaiting);
  EXPECT_EQ(writer().end_waiting(second).outcome, FillOutcome::kWaiting);
  EXPECT_EQ(rig_.cache().fill_count(), 1u);
  EXPECT_EQ(rig_.inspect().counters().spans, 0u);
  EXPECT_EQ(commit(first).outcome, FillOutcome::kVisible);
  EXPECT_FALSE(writer().has_settling());
}

// Its own session's fill of the parent is open still, and another session committed it.
TEST_F(ObjectWriterTest, WaitThatEndsWithAParentOfAnotherSessionLinksTheObject) {
  const model::FillId first = begin(1);
  const model::FillId second = begin(2);
  EXPECT_EQ(commit(second).outcome, FillOutcome::kWaiting);
  rig_.add_span(rig_.root().node, 2);  // the key after two units, as in the chain
  EXPECT_EQ(writer().end_waiting(second).outcome, FillOutcome::kVisible);
  EXPECT_EQ(rig_.inspect().counters().spans, 2u);
  EXPECT_EQ(commit(first).outcome, FillOutcome::kDuplicate);
  EXPECT_FALSE(writer().has_settling());
  EXPECT_EQ(rig_.cache().fill_count(), 0u);
  rig_.cache().check_invariants();
}

// A full pool, and sessions whose tips are to get copies on a lower tier soon: what they begin
// waits. A checkpoint in the middle of the first block has two pages: a tail page and a state.
class WaitingForMemory : public testing::Test {
 protected:
  static constexpr uint32_t kSecondHolder = 2;
  WaitingForMemory() {
    for (uint64_t u = 1; u <= 64; ++u) hashes_.push_back(StoreRig::key(1000 + u));
    QUIRE_CHECK(rig_.cache().open_session(rig_.root().key, 2, other_).ok());
    rig_.session().tip = Pin(&rig_.store(), rig_.add_span(rig_.root().node, 1), PinKind::kPresence);
    other_.tip = Pin(&rig_.store(), rig_.session().tip.node(), PinKind::kPresence);
    rig_.meddle().promise_copies(true);
    for (auto slots = take(); !slots.empty(); slots = take()) taken_.push_back(slots[0]);
  }
  ~WaitingForMemory() override {
    for (const model::SlotId slot : taken_) rig_.store().pool().free(slot);
    rig_.cache().check_invariants();
    rig_.cache().close_session(other_);
  }
  std::vector<model::SlotId> take() { return rig_.slots(model::FillKind::kSpan, 2); }
  void free_one() {
    rig_.store().pool().free(taken_.back());
    taken_.pop_back();
  }
  ObjectWriter& writer() { return rig_.cache().writer(); }
  // A checkpoint after one unit; of one session there is one.
  BeginOutcome begin(CacheSession& session, uint64_t groups = 0, HolderTag holder = kHolder) {
    model::BeginFillArgs args{};
    args.end_units = 1;
    args.kind = static_cast<uint8_t>(model::FillKind::kCheckpoint);
    args.groups = groups;
    const ChainView chain(hashes_.data(), static_cast<uint32_t>(hashes_.size()));
    return writer().begin(session, holder, chain, args).value();
  }
  BeginOutcome go_on(model::FillId fill) { return writer().go_on(fill).value(); }
  // Slots in use that are neither the test's nor the tip's.
  uint64_t held() { return rig_.slot_count() - taken_.size() - 1; }

  StoreRig rig_{true};
  CacheSession other_;
  std::vector<model::Hash256> hashes_;
  std::vector<model::SlotId> taken_;
};

using Kind = BeginOutcome::Kind;

TEST_F(WaitingForMemory, HeadKeepsWhatItGotAndIsContinued) {
  const BeginOutcome first = begin(rig_.session());
  ASSERT_EQ(first.kind, Kind::kPending);
  EXPECT_EQ(writer().next_woken(), std::nullopt);
  free_one();
  ASSERT_EQ(writer().next_woken(), first.fill);
  EXPECT_EQ(go_on(first.fill).kind, Kind::kPending);
  EXPECT_EQ(held(), 1u) << "half of it is its own by now";
  EXPECT_EQ(writer().next_woken(), std::nullopt) << "what it takes itself is no event";
  free_one();
  ASSERT_EQ(writer().next_woken(), first.fill);
  EXPECT_EQ(go_on(first.fill).kind, Kind::kGranted);
  EXPECT_EQ(held(), 2u);
  EXPECT_EQ(rig_.cache().reserving_count(), 0u);
  ASSERT_TRUE(writer().abort(rig_.session(), first.fill).ok());
  EXPECT_EQ(held(), 0u);
}

TEST_F(WaitingForMemory, ThoseBehindTheHeadHoldNothing) {
  const BeginOutcome first = begin(rig_.session());
  free_one();
  const BeginOutcome second = begin(other_);
  ASSERT_EQ(second.kind, Kind::kPending) << "a slot is free, but it is the head's to take";
  EXPECT_EQ(held(), 0u);
  ASSERT_EQ(writer().next_woken(), first.fill);
  EXPECT_EQ(go_on(first.fill).kind, Kind::kPending);
  free_one();
  ASSERT_EQ(writer().next_woken(), first.fill);
  EXPECT_EQ(go_on(first.fill).kind, Kind::kGranted);
  ASSERT_EQ(writer().next_woken(), second.fill) << "its turn";
  EXPECT_EQ(go_on(second.fill).kind, Kind::kPending);
  ASSERT_TRUE(writer().abort(rig_.session(), first.fill).ok());
  ASSERT_EQ(writer().next_woken(), second.fill);
  EXPECT_EQ(go_on(second.fill).kind, Kind::kGranted);
  ASSERT_TRUE(writer().abort(other_, second.fill).ok());
}

TEST_F(WaitingForMemory, WhoLeavesGivesBackAndWakesTheNext) {
  const BeginOutcome first = begin(rig_.session());
  const BeginOutcome second = begin(other_);
  free_one();
  ASSERT_EQ(writer().next_woken(), first.fill);
  ASSERT_EQ(go_on(first.fill).kind, Kind::kPending);
  EXPECT_TRUE(writer().leave(first.fill, kHolder));
  EXPECT_EQ(held(), 0u);
  EXPECT_EQ(writer().next_woken(), second.fill);
  EXPECT_TRUE(writer().leave(second.fill, kHolder));
  EXPECT_EQ(rig_.cache().fill_count(), 0u);
}

// A load cannot give back what it has: it may use what the head holds, and neither waits for the
// other's half.
TEST_F(WaitingForMemory, WhoAllocatesPastTheQueueMayTakeWhatTheHeadHolds) {
  const BeginOutcome first = begin(rig_.session());
  free_one();
  ASSERT_EQ(writer().next_woken(), first.fill);
  ASSERT_EQ(go_on(first.fill).kind, Kind::kPending);
  ASSERT_EQ(held(), 1u);
  const auto loaded = take();
  ASSERT_EQ(loaded.size(), 1u);
  EXPECT_TRUE(take().empty());
  taken_.push_back(loaded[0]);
  EXPECT_EQ(held(), 0u);
  free_one();
  free_one();
  ASSERT_EQ(writer().next_woken(), first.fill);
  EXPECT_EQ(go_on(first.fill).kind, Kind::kGranted) << "it took nothing twice";
  EXPECT_EQ(held(), 2u);
  ASSERT_TRUE(writer().abort(rig_.session(), first.fill).ok());
}

TEST_F(WaitingForMemory, RanksOfOneObjectWaitForOneFill) {
  const BeginOutcome first = begin(rig_.session(), 0b01);
  const BeginOutcome second = begin(rig_.session(), 0b10, kSecondHolder);
  EXPECT_EQ(second.kind, Kind::kPending);
  EXPECT_EQ(second.fill, first.fill);
  EXPECT_FALSE(writer().leave(first.fill, kHolder)) << "the other one waits on";
  free_one();
  free_one();
  ASSERT_EQ(writer().next_woken(), first.fill);
  EXPECT_EQ(go_on(first.fill).kind, Kind::kGranted);
  ASSERT_TRUE(writer().abort(rig_.session(), first.fill).ok());
}

TEST_F(WaitingForMemory, Law05_DeathOfAHolderEndsWhatItWaitsFor) {
  const BeginOutcome first = begin(rig_.session(), 0b01);
  begin(rig_.session(), 0b10, kSecondHolder);
  std::vector<Linked> linked;
  uint32_t budget = 100;
  uint32_t cursor = 0;
  EXPECT_TRUE(writer().end_holder(rig_.session(), kHolder, false, cursor, budget, linked));
  EXPECT_EQ(rig_.cache().reserving_count(), 1u);
  cursor = 0;
  EXPECT_TRUE(writer().end_holder(rig_.session(), kSecondHolder, true, cursor, budget, linked));
  EXPECT_EQ(rig_.cache().fill_count(), 0u);
  EXPECT_TRUE(linked.empty());
  EXPECT_FALSE(first.fill == model::FillId{});
}

TEST_F(WaitingForMemory, NobodyComesIsAnAnswer) {
  const BeginOutcome first = begin(rig_.session());
  rig_.meddle().promise_copies(false);
  ASSERT_EQ(writer().next_woken(), first.fill);
  EXPECT_EQ(writer().go_on(first.fill).code(), model::Errc::kResourceExhausted);
  EXPECT_EQ(rig_.cache().fill_count(), 0u);
}

// What a fill keeps is charged to who pays, and is used by whose hits it will be once it is
// visible.
TEST_F(WaitingForMemory, ReservedBytesAreThePayersUntilTheObjectIsVisible) {
  rig_.cache().set_payer(rig_.session(), "payer");
  const model::TenantId payer = rig_.session().payer;
  const AccountTable& accounts = rig_.store().presence().accounts();
  const auto reserved = [&] { return accounts.of(payer, model::TierId::kRam).reserved_bytes; };
  const uint64_t used = accounts.of(rig_.root().tenant, model::TierId::kRam).used_bytes;
  ASSERT_NE(payer, rig_.root().tenant);
  const BeginOutcome first = begin(rig_.session());
  free_one();
  ASSERT_EQ(writer().next_woken(), first.fill);
  go_on(first.fill);
  EXPECT_EQ(reserved(), 4096u) << "also while it waits for the rest";
  free_one();
  ASSERT_EQ(writer().next_woken(), first.fill);
  ASSERT_EQ(go_on(first.fill).kind, Kind::kGranted);
  EXPECT_EQ(reserved(), 8192u);
  std::array<PageCopy, kMaxPagesPerObject> copies;
  model::CommitArgs args{};
  args.fill = first.fill.value;
  ASSERT_EQ(writer().take(rig_.session(), kHolder, args, 65536, copies).value(), 2u);
  const std::array<uint8_t, 2> pages{copies[0].page_index, copies[1].page_index};
  const std::array<uint32_t, 2> checksums{};
  EXPECT_EQ(writer().copied(first.fill, pages, checksums).outcome, FillOutcome::kVisible);
  EXPECT_EQ(reserved(), 0u);
  EXPECT_EQ(accounts.of(payer, model::TierId::kRam).used_bytes, 0u);
  EXPECT_EQ(accounts.of(rig_.root().tenant, model::TierId::kRam).used_bytes, used + 8192);
  ASSERT_TRUE(rig_.meddle().evict(1) == 1u) << "the new checkpoint";
}

// Sessions of one root that hold equal bytes.
class TwoSessionsTest : public ObjectWriterTest {
 protected:
  TwoSessionsTest() { QUIRE_CHECK(rig_.cache().open_session(rig_.root().key, 2, other_).ok()); }
  ~TwoSessionsTest() override { rig_.cache().close_session(other_); }
  model::Result<BeginOutcome> offer(CacheSession& session, bool unless_begun) {
    model::BeginFillArgs args{};
    args.end_units = 2;
    args.unless_begun = unless_begun ? 1 : 0;
    return writer().begin(session, kHolder, {hashes_.data(), 2}, args);
  }
  CacheSession other_;
};

TEST_F(TwoSessionsTest, WhoWouldRatherWaitIsToldThatAnotherSessionWrites) {
  const model::FillId first = begin(1);
  EXPECT_EQ(offer(other_, true).code(), model::Errc::kBusy);
  ASSERT_TRUE(writer().abort(rig_.session(), first).ok());
  const auto taken_over = offer(other_, true);
  ASSERT_TRUE(taken_over.ok());
  EXPECT_EQ(taken_over->kind, BeginOutcome::Kind::kGranted);
  ASSERT_TRUE(writer().abort(other_, taken_over->fill).ok());
}

TEST_F(TwoSessionsTest, OthersWriteTheirOwnAndTheSecondIsADuplicate) {
  const model::FillId first = begin(1);
  const auto second = offer(other_, false);
  ASSERT_TRUE(second.ok());
  ASSERT_EQ(second->kind, BeginOutcome::Kind::kGranted);
  EXPECT_EQ(commit(first).outcome, FillOutcome::kVisible);
  std::array<PageCopy, kMaxPagesPerObject> copies;
  model::CommitArgs args{};
  args.fill = second->fill.value;
  ASSERT_TRUE(writer().take(other_, kHolder, args, 4096, copies).ok());
  const uint8_t page = copies[0].page_index;
  const uint32_t checksum = 0;
  const auto done = writer().copied(second->fill, std::span(&page, 1), std::span(&checksum, 1));
  EXPECT_EQ(done.outcome, FillOutcome::kDuplicate);
  const auto late = offer(other_, true);
  ASSERT_TRUE(late.ok());
  EXPECT_EQ(late->kind, BeginOutcome::Kind::kDuplicate);
  rig_.cache().check_invariants();
}

TEST_F(TwoSessionsTest, ItsOwnFillIsNoForeignOne) {
  const model::FillId first = begin(1);
  const auto again = offer(rig_.session(), true);
  EXPECT_EQ(again.code(), model::Errc::kBusy) << "this process writes it already";
  ASSERT_TRUE(writer().abort(rig_.session(), first).ok());
  const auto mine = offer(rig_.session(), true);
  ASSERT_TRUE(mine.ok());
  ASSERT_TRUE(writer().abort(rig_.session(), mine->fill).ok());
}

// One of the fills of an object is known by it, so that many equal ones cost nothing more.
TEST(FillTable, OneFillOfAnObjectIsKnownByIt) {
  FillTable fills = FillTable::create(1).value();
  std::vector<CacheSession> sessions(3);
  for (uint32_t i = 0; i < sessions.size(); ++i) {
    sessions[i].root = model::RootId{i == 2 ? 8u : 7u};
    sessions[i].number = i + 1;
  }
  const FillPlace place{.key = StoreRig::key(1), .end_units = 2};
  const auto add = [&](CacheSession& session) {
    return fills.add(session, model::DomainId{0}, place).value();
  };
  const model::FillId first = add(sessions[0]);
  EXPECT_EQ(fills.find_foreign(sessions[0], place), nullptr) << "its own";
  EXPECT_EQ(fills.find_foreign(sessions[1], place), &fills.at(first));
  EXPECT_EQ(fills.find_foreign(sessions[2], place), nullptr) << "another root's";
  const model::FillId second = add(sessions[1]);
  fills.check_invariants();
  EXPECT_EQ(fills.find_foreign(sessions[0], place), nullptr) << "the first one is known";
  fills.end(fills.at(first));
  fills.remove(fills.at(first));
  EXPECT_EQ(fills.find_foreign(sessions[0], place), nullptr);
  fills.end(fills.at(second));
  fills.remove(fills.at(second));
  const model::FillId third = add(sessions[1]);
  EXPECT_EQ(fills.find_foreign(sessions[0], place), &fills.at(third));
  fills.end(fills.at(third));
  fills.remove(fills.at(third));
  fills.check_invariants();
}

// A domain that begins as many as it can leaves others their share.
TEST(FillTable, Law06_DomainGetsNoMoreThanItLeavesFree) {
  FillTable fills = FillTable::create(1).value();
  std::vector<CacheSession> sessions(32);
  uint32_t granted = 0;
  uint32_t next = 0;
  const auto begin = [&](uint16_t domain) {
    CacheSession& session = sessions[next / kMaxFillsPerSession];
    const FillPlace place{.key = StoreRig::key(next), .end_units = 1 + next};
    ++next;
    return fills.add(session, model::DomainId{domain}, place);
  };
  for (uint32_t i = 0; i < kMaxFills; ++i) granted += begin(0).ok() ? 1 : 0;
  EXPECT_EQ(granted, kMaxFills / 2);
  EXPECT_EQ(begin(0).code(), model::Errc::kBusy);
  for (uint32_t i = 0; i < kMaxFills / 4; ++i) ASSERT_TRUE(begin(1).ok()) << i;
  EXPECT_EQ(begin(1).code(), model::Errc::kBusy);
  EXPECT_TRUE(begin(2).ok());
}

}  // namespace
}  // namespace quire::cache::object_writer_test
