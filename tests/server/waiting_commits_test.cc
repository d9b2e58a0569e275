// Commits whose parent span is still being written: what they hold, how long, and what a client can
// do to others with them (laws 5, 6 and 10).
#include <gtest/gtest.h>

#include "server/core.h"
#include "tests/support/patience.h"
#include "tests/support/raw_writer.h"
#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::waiting_commits_test {

using model::Errc;
using model::FillKind;

namespace {

constexpr uint32_t kUnits = 1024;
constexpr RawShape kLongShape{.ring_entries = kUnits, .max_units = kUnits};

}  // namespace

TEST(WaitingCommits, ParentIsFoundByItsPositionToo) {
  TestDaemon daemon;
  {
    RawClient client(daemon.socket_path());
    RawWriter writer(client, small_append_layout(), kLongShape, 1);
    ASSERT_NE(writer.granted(1), 0u);
    ASSERT_NE(writer.granted(2), 0u);
    // The span that ends at 4 names as the one before it what is being written at 2.
    writer.session().set_hash(3, numbered_hash(uint64_t{1} << 32 | 2));
    EXPECT_EQ(code_of(writer.begin(4)), Errc::kNoParent);
  }
  EXPECT_TRUE(daemon.is_quiet());
}

// The third fill has the key of the first, which is aborted: by keys alone the second and the third
// would wait for each other.
TEST(WaitingCommits, Law05_FillsThatWouldWaitInACircleEnd) {
  TestDaemon daemon;
  {
    RawClient client(daemon.socket_path());
    RawWriter writer(client, small_append_layout(), kLongShape, 1);
    const uint64_t first = writer.granted(1);
    const uint64_t second = writer.granted(2);
    writer.session().set_hash(3, numbered_hash(uint64_t{1} << 32 | 1));
    const uint64_t third = writer.granted(3);
    ASSERT_EQ(writer.abort(first), Errc::kOk);
    writer.submit_commit(second);
    writer.submit_commit(third);
    EXPECT_EQ(code_of(writer.session().wait_completion()), Errc::kNoParent);
    EXPECT_NE(code_of(writer.session().wait_completion()), Errc::kOk);
  }
  EXPECT_TRUE(daemon.is_quiet());
}

// As above, and the client is gone before anything completes.
TEST(WaitingCommits, Law05_DeathFreesWhatWaits) {
  TestDaemon daemon;
  {
    RawClient client(daemon.socket_path());
    RawWriter writer(client, small_append_layout(), kLongShape, 1);
    ASSERT_NE(writer.commit_all_but_the_first(200), 0u);
  }
  EXPECT_TRUE(daemon.is_quiet());
  daemon.on_core([](server::Daemon& d) { EXPECT_EQ(inspect(d).usage().slots, 0u); });
}

TEST(WaitingCommits, Law10_TheyHoldNoCopyJob) {
  TestDaemon daemon;
  RawClient raw(daemon.socket_path());
  std::vector<RawWriter> waiting;
  for (uint64_t context = 1; context * (kUnits - 1) < server::kMaxCopyJobs + kUnits; ++context) {
    waiting.emplace_back(raw, small_append_layout(), kLongShape, context);
    ASSERT_NE(waiting.back().commit_all_but_the_first(kUnits), 0u);
  }
  ASSERT_TRUE(daemon.eventually([&](server::Daemon& d) {
    return d.core().dispatcher().copied_bytes() >= waiting.size() * (kUnits - 1) * 4096;
  })) << "every commit was copied";
  const auto client = daemon.connect("neighbour");
  const auto session = open_session(*client, session_options(small_append_layout()));
  ASSERT_TRUE(session->append_tokens(context_tokens(40, 1)).ok());
  EXPECT_TRUE(commit_context(*session, 40).ok());
  EXPECT_EQ(session->progress().committed_tokens, 40u);
}

TEST(WaitingCommits, Law10_DeadlineEndsTheCommitAndItsFill) {
  TestDaemon daemon;
  RawClient client(daemon.socket_path());
  RawWriter writer(client, small_append_layout(), kLongShape, 1);
  const uint64_t parent = writer.granted(1);
  writer.submit_commit(writer.granted(2), 20);
  EXPECT_EQ(code_of(writer.session().wait_completion()), Errc::kDeadlineExceeded);
  daemon.on_core([](server::Daemon& d) {
    EXPECT_EQ(d.cache().fill_count(), 1u);
    EXPECT_EQ(inspect(d).usage().slots, 1u);
  });
  // The position may be filled anew, and its parent is as it was.
  const uint64_t again = writer.granted(2);
  writer.submit_commit(parent);
  EXPECT_EQ(code_of(writer.session().wait_completion()), Errc::kOk);
  writer.submit_commit(again);
  EXPECT_EQ(code_of(writer.session().wait_completion()), Errc::kOk);
}

TEST(WaitingCommits, WorstOrderBecomesVisibleWhole) {
  TestDaemon daemon;
  RawClient client(daemon.socket_path());
  RawWriter writer(client, small_append_layout(), kLongShape, 1);
  const uint64_t first = writer.commit_all_but_the_first(kUnits);
  writer.submit_commit(first);
  for (uint32_t i = 0; i < kUnits; ++i) {
    const model::Completion completion = writer.session().wait_completion();
    ASSERT_EQ(code_of(completion), Errc::kOk) << i;
    ASSERT_EQ(completion.result.commit.visible, 1) << i;
  }
  daemon.on_core([](server::Daemon& d) {
    EXPECT_EQ(d.cache().fill_count(), 0u);
    EXPECT_EQ(inspect(d).counters().spans, kUnits);
  });
}

// Ranks that hold the same bytes all want to write them.
TEST(WaitingCommits, ObjectThatAnotherRankWritesIsBusy) {
  TestDaemon daemon;
  const auto client = daemon.connect();
  const auto options = session_options(small_hybrid_layout());
  const auto rank0 = open_session(*client, options);
  auto joined = client->join_session(rank0->token(), options);
  ASSERT_TRUE(joined.ok());
  client::Session& rank1 = **joined;
  for (client::Session* rank : {rank0.get(), &rank1}) {
    ASSERT_TRUE(rank->append_tokens(context_tokens(40, 1)).ok());
  }
  const auto fill = rank0->begin_fill(FillKind::kSpan, 8);
  ASSERT_TRUE(fill.ok());
  EXPECT_EQ(rank1.begin_fill(FillKind::kSpan, 8).code(), Errc::kBusy);
  ASSERT_TRUE(rank0->abort(*fill).ok());
  const auto committed = commit_object(rank1, FillKind::kSpan, 8);
  ASSERT_TRUE(committed.ok());
  EXPECT_EQ(committed->visible, 1);
  const auto late = rank0->begin_fill(FillKind::kSpan, 8);
  ASSERT_TRUE(late.ok());
  EXPECT_TRUE(late->duplicate);
}

// Replicated groups: what another rank has written of an object is no more to be written, although
// the object waits for the groups of a third.
TEST(WaitingCommits, GroupThatAnotherRankWroteIsADuplicate) {
  TestDaemon daemon;
  const auto client = daemon.connect();
  const auto options = session_options(small_sharded_layout());
  const auto rank0 = open_session(*client, options);
  auto joined = client->join_session(rank0->token(), options);
  ASSERT_TRUE(joined.ok());
  client::Session& rank1 = **joined;
  for (client::Session* rank : {rank0.get(), &rank1}) {
    ASSERT_TRUE(rank->append_tokens(context_tokens(40, 1)).ok());
  }
  const uint64_t replicated = 0b000001;
  ASSERT_TRUE(commit_object(*rank0, FillKind::kSpan, 8, replicated).ok());
  const auto same = rank1.begin_fill(FillKind::kSpan, 8, {.groups = replicated});
  ASSERT_TRUE(same.ok()) << same.error().text;
  EXPECT_TRUE(same->duplicate);
  EXPECT_TRUE(same->incomplete);
  EXPECT_EQ(rank1.commit(*same)->visible, 0) << "the other group is missing";
  EXPECT_EQ(rank1.begin_fill(FillKind::kSpan, 8).code(), Errc::kBusy)
      << "with a group of its own it must say which";
  const auto rest = commit_object(rank1, FillKind::kSpan, 8, 0b001000);
  ASSERT_TRUE(rest.ok());
  EXPECT_EQ(rest->visible, 1);
  const auto late = rank0->begin_fill(FillKind::kSpan, 8, {.groups = replicated});
  ASSERT_TRUE(late.ok());
  EXPECT_TRUE(late->duplicate && !late->incomplete);
}

// A rank that had committed its part of an object ends; the one that is left writes all of it.
TEST(WaitingCommits, SurvivorTakesOverWhatADeadRankCommitted) {
  TestDaemon daemon;
  const auto client = daemon.connect();
  const auto options = session_options(small_sharded_layout());
  const auto rank0 = open_session(*client, options);
  ASSERT_TRUE(rank0->append_tokens(context_tokens(40, 1)).ok());
  {
    auto joined = client->join_session(rank0->token(), options);
    ASSERT_TRUE(joined.ok());
    ASSERT_TRUE((*joined)->append_tokens(context_tokens(40, 1)).ok());
    const auto half = commit_object(**joined, FillKind::kSpan, 8, 0b000111);
    ASSERT_TRUE(half.ok());
    EXPECT_EQ(half->visible, 0);
    EXPECT_EQ(rank0->begin_fill(FillKind::kSpan, 8).code(), Errc::kBusy);
  }
  ASSERT_TRUE(daemon.eventually(
      [](server::Daemon& d) { return d.core().registry().attachments().size() == 1; }));
  const auto whole = commit_object(*rank0, FillKind::kSpan, 8);
  ASSERT_TRUE(whole.ok());
  EXPECT_EQ(whole->visible, 1);
  const auto match = rank0->match(40);
  ASSERT_TRUE(match.ok());
  EXPECT_EQ(match->span_tokens, 8u);
}

// What a dead rank committed becomes visible, and its progress known, when its parent comes.
TEST(WaitingCommits, CommitOfADeadRankServesTheOthers) {
  TestDaemon daemon;
  const auto client = daemon.connect();
  const auto options = session_options(small_append_layout());
  const auto rank0 = open_session(*client, options);
  ASSERT_TRUE(rank0->append_tokens(context_tokens(8, 1)).ok());
  const auto parent = rank0->begin_fill(FillKind::kSpan, 4);
  ASSERT_TRUE(parent.ok());
  {
    auto joined = client->join_session(rank0->token(), options);
    ASSERT_TRUE(joined.ok());
    ASSERT_TRUE((*joined)->append_tokens(context_tokens(8, 1)).ok());
    const auto fill = (*joined)->begin_fill(FillKind::kSpan, 8);
    ASSERT_TRUE(fill.ok());
    ASSERT_TRUE((*joined)->submit_commit(*fill).ok());
    (*joined)->flush();
    ASSERT_TRUE(daemon.eventually(
        [](server::Daemon& d) { return d.core().dispatcher().waiting_commits() == 1; }));
  }
  ASSERT_TRUE(daemon.eventually(
      [](server::Daemon& d) { return d.core().registry().attachments().size() == 1; }));
  ASSERT_TRUE(rank0->commit(*parent).ok());
  EXPECT_TRUE(rank0->wait_for_tokens(8, kPatienceMs).ok());
  EXPECT_EQ(rank0->match(8)->span_tokens, 8u);
}

}  // namespace quire::tests::waiting_commits_test
