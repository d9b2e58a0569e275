// Requests that wait, without a daemon around them: who is woken by what, what waiting costs, in
// which order answers come, and what a death or a deadline leaves.
#include <gtest/gtest.h>

#include "tests/server/dispatcher_rig.h"

namespace quire::server::dispatcher_waiting_test {
namespace {

using model::Errc;
using model::Verb;
using tests::code_of;

constexpr uint32_t kOthersSpans = kRigPages - 1;

// RAM is full: a chain that nobody writes any more is held by a reader's lease, and the writer's
// first span, its tip, is to get its copy on a lower tier soon. So the writer's second one waits.
class DispatcherWaiting : public testing::Test {
 protected:
  DispatcherWaiting() {
    {
      Session& old = rig_.open();
      RigClient& author = rig_.attach(old, 1);
      for (uint32_t span = 1; span <= kOthersSpans; ++span) rig_.write(author, span);
      rig_.end(author);
      rig_.cache().close_session(old.cached);
      old.cached.root = {};
    }
    rig_.meddle().promise_copies(true);
    lease_ = rig_.hold(reader_, kOthersSpans);
    rig_.write(writer_, 1);
  }
  void release() {
    model::Submission submission{};
    submission.args.release.lease = lease_;
    reader_.submit(Verb::kRelease, submission);
  }
  uint64_t steps() { return rig_.inspect().steps(); }
  model::NodeId tip() {
    return *rig_.inspect().find(model::FillKind::kSpan,
                                tests::numbered_hash(uint64_t{2} << 32 | 1));
  }

  DispatcherRig rig_;
  Session& read_session_ = rig_.open();
  Session& write_session_ = rig_.open();
  RigClient& reader_ = rig_.attach(read_session_, 1);
  RigClient& writer_ = rig_.attach(write_session_, 2);
  uint64_t lease_ = 0;
};

TEST_F(DispatcherWaiting, ReleaseFreesWhatABeginFillWaitsFor) {
  writer_.begin(2);
  rig_.turns();
  EXPECT_TRUE(writer_.completed().empty());
  EXPECT_EQ(rig_.dispatcher().waiting_for_memory(), 1u);
  release();
  const model::Completion begun = rig_.answer(writer_);
  EXPECT_EQ(code_of(begun), Errc::kOk);
  EXPECT_NE(begun.result.begin_fill.fill, 0u);
  EXPECT_EQ(rig_.dispatcher().waiting_for_memory(), 0u);
}

// Also from its own ring, where the release stands behind it.
TEST_F(DispatcherWaiting, WhatWaitsIsNotInFrontOfTheReleaseThatWakesIt) {
  writer_.claim_context(1);
  const uint64_t own_lease = rig_.hold(writer_, kOthersSpans);
  writer_.claim_context(2);
  release();
  rig_.turns();
  const uint64_t begun = writer_.begin(2);
  rig_.turns();
  ASSERT_TRUE(writer_.completed().empty()) << "its own lease holds all there is";
  model::Submission submission{};
  submission.args.release.lease = own_lease;
  const uint64_t released = writer_.submit(Verb::kRelease, submission);
  rig_.turns();
  const auto done = writer_.completed();
  ASSERT_EQ(done.size(), 2u);
  EXPECT_EQ(done[0].user_data, released);
  EXPECT_EQ(done[1].user_data, begun);
  EXPECT_EQ(code_of(done[1]), Errc::kOk);
}

TEST_F(DispatcherWaiting, CostsNothingWhileNothingHappens) {
  writer_.begin(2);
  rig_.turns();
  ASSERT_EQ(rig_.dispatcher().waiting_for_memory(), 1u);
  const uint64_t before = steps();
  for (int turn = 0; turn < 100; ++turn) EXPECT_FALSE(rig_.turn()) << turn;
  EXPECT_EQ(steps(), before);
  EXPECT_EQ(writer_.attachment().pending.ready_verbs, 0u) << "its ring may sleep";
}

// A context larger than RAM: the path leaves from its end on, once that has its copy.
TEST_F(DispatcherWaiting, TipsCopyBelowWakesTheNextSpan) {
  writer_.begin(2);
  rig_.turns();
  ASSERT_TRUE(writer_.completed().empty());
  rig_.meddle().put_on_ssd(tip(), 0);
  EXPECT_EQ(code_of(rig_.answer(writer_)), Errc::kOk);
  EXPECT_FALSE(rig_.inspect().in_ram(tip()));
}

TEST_F(DispatcherWaiting, TierThatWritesNoMoreEndsTheWaitForACopy) {
  writer_.begin(2);
  rig_.turns();
  rig_.meddle().promise_copies(false);
  EXPECT_EQ(code_of(rig_.answer(writer_)), Errc::kResourceExhausted);
  EXPECT_EQ(rig_.cache().fill_count(), 0u);
}

TEST_F(DispatcherWaiting, AnswersOfOneVerbComeInOrder) {
  const uint64_t waits = writer_.begin(2);
  const uint64_t duplicate = writer_.begin(1);  // could be answered at once
  const uint64_t other = writer_.submit(Verb::kNoop);
  rig_.turns();
  auto done = writer_.completed();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(done[0].user_data, other);
  release();
  rig_.turns();
  done = writer_.completed();
  ASSERT_EQ(done.size(), 2u);
  EXPECT_EQ(done[0].user_data, waits);
  EXPECT_EQ(done[1].user_data, duplicate);
  EXPECT_EQ(done[1].result.begin_fill.duplicate, 1);
}

TEST_F(DispatcherWaiting, DeadlineEndsTheFillAndWhoIsBehindHasItsTurn) {
  const uint64_t first = writer_.begin(2, 20);
  const uint64_t second = writer_.begin(2, 500);
  rig_.turns();
  EXPECT_EQ(rig_.dispatcher().next_deadline_ns(), rig_.clock().now_ns() + 20'000'000);
  rig_.clock().advance(std::chrono::milliseconds(20));
  rig_.turns();
  const auto done = writer_.completed();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(done[0].user_data, first);
  EXPECT_EQ(code_of(done[0]), Errc::kDeadlineExceeded);
  EXPECT_EQ(rig_.dispatcher().waiting_for_memory(), 1u) << "the second one begins a fill anew";
  release();
  EXPECT_EQ(rig_.answer(writer_).user_data, second);
}

// A client that names the largest number there is waits ten minutes, as whoever names those.
TEST_F(DispatcherWaiting, NoRequestHasALongerDeadlineThanTheLongest) {
  const uint64_t begun = writer_.begin(2, UINT32_MAX);
  rig_.turns();
  EXPECT_EQ(rig_.dispatcher().next_deadline_ns(), rig_.clock().now_ns() + 600'000'000'000);
  rig_.clock().advance(std::chrono::milliseconds(600'000));
  const model::Completion done = rig_.answer(writer_);
  EXPECT_EQ(done.user_data, begun);
  EXPECT_EQ(code_of(done), Errc::kDeadlineExceeded);
}

TEST_F(DispatcherWaiting, Law05_DeathEndsTheFillAndTheNextInLineIsServed) {
  writer_.begin(2);
  rig_.turns();
  Session& late = rig_.open();
  RigClient& other = rig_.attach(late, 3);
  other.begin(1);
  rig_.turns();
  EXPECT_EQ(rig_.cache().reserving_count(), 2u) << "it stands behind, whatever it could have";
  rig_.end(writer_);
  EXPECT_EQ(rig_.cache().reserving_count(), 1u);
  release();
  EXPECT_EQ(code_of(rig_.answer(other)), Errc::kOk);
  EXPECT_EQ(rig_.cache().fill_count(), 1u);
}

// Ranks of one session that write one object wait for one fill.
TEST_F(DispatcherWaiting, RankThatDiesLeavesItsFillToTheOther) {
  RigClient& rank = rig_.attach(write_session_, 2);
  writer_.begin(2);
  rig_.turns();
  rank.begin(2);
  rig_.turns();
  EXPECT_EQ(code_of(rank.completed().at(0)), Errc::kBusy) << "the same group";
  rig_.end(writer_);
  rank.begin(2);
  rig_.turns();
  EXPECT_EQ(rig_.cache().reserving_count(), 1u);
  release();
  EXPECT_EQ(code_of(rig_.answer(rank)), Errc::kOk);
}

// What was begun may be elsewhere by the time that memory comes.
TEST_F(DispatcherWaiting, ObjectThatAnotherSessionBroughtMeanwhileIsADuplicate) {
  const uint64_t begun = writer_.begin(2);
  rig_.turns();
  tests::ObjectMaker maker(rig_.cache());
  model::NodeId made;
  rig_.end(reader_);  // its lease held what can go now
  std::vector<model::SlotId> slots;
  ASSERT_EQ(maker.make({.root = write_session_.cached.root,
                        .parent = tip(),
                        .hash = tests::numbered_hash(uint64_t{2} << 32 | 2),
                        .units = 2},
                       made, slots),
            tests::Room::kHave);
  const model::Completion done = rig_.answer(writer_);
  EXPECT_EQ(done.user_data, begun);
  EXPECT_EQ(done.result.begin_fill.duplicate, 1);
  EXPECT_EQ(rig_.cache().fill_count(), 0u);
}

// Its own session's fill of the parent is open still when the deadline comes.
TEST_F(DispatcherWaiting, CommitWhoseParentAnotherSessionBroughtIsGoodAtItsDeadline) {
  DispatcherRig rig;
  Session& session = rig.open();
  RigClient& waits = rig.attach(session, 7);
  RigClient& brings = rig.attach(rig.open(), 7);
  waits.begin(1);
  ASSERT_NE(rig.answer(waits).result.begin_fill.fill, 0u);
  waits.begin(2);
  const uint64_t child = rig.answer(waits).result.begin_fill.fill;
  waits.commit(child);
  rig.turns();
  while (rig.dispatcher().waiting_commits() == 0) rig.turns();
  rig.write(brings, 1);
  EXPECT_TRUE(waits.completed().empty());
  rig.clock().advance(std::chrono::milliseconds(1000));
  const model::Completion done = rig.answer(waits);
  EXPECT_EQ(code_of(done), Errc::kOk);
  EXPECT_EQ(done.result.commit.visible, 1);
  EXPECT_EQ(rig.dispatcher().counters().deadline_exceeded, 0u);
  rig.end(waits);
  rig.end(brings);
}

// Its staging area is its process's, which may write there for another session at once.
TEST(DispatcherCopies, Law05_WhatIsUnderWayWhenASessionEndsBecomesOfNothing) {
  DispatcherRig rig;
  RigClient& client = rig.attach(rig.open(), 5);
  client.begin(1);
  client.commit(rig.answer(client).result.begin_fill.fill);
  uint32_t steps = 1024;
  rig.dispatcher().serve(client.attachment(), steps);
  ASSERT_EQ(client.attachment().copies_in_flight, 1u);
  client.attachment().active_list = nullptr;
  rig.dispatcher().end(client.attachment());
  rig.dispatcher().finish_copies();
  EXPECT_FALSE(rig.inspect()
                   .find(model::FillKind::kSpan, tests::numbered_hash(uint64_t{5} << 32 | 1))
                   .has_value());
  uint32_t budget = 64;
  EXPECT_TRUE(rig.dispatcher().step_end(client.attachment(), budget));
  EXPECT_EQ(rig.cache().fill_count(), 0u);
  EXPECT_EQ(rig.slots(), 0u);
}

}  // namespace
}  // namespace quire::server::dispatcher_waiting_test
