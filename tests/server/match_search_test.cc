// A match that asks a tier what it holds of the prompt: who waits for it, how long, and what comes
// of a death or of a tier that does not answer.
#include "server/rings/match_search.h"

#include <gtest/gtest.h>

#include "tests/server/dispatcher_rig.h"

namespace quire::server::match_search_test {
namespace {

using model::Errc;
using model::Verb;
using tests::code_of;

constexpr uint32_t kSpans = 3;
constexpr uint32_t kBlockTokens = 4;
constexpr uint32_t kBudgetMs = 20;

class MatchSearchTest : public testing::Test {
 protected:
  explicit MatchSearchTest(const SearchOptions& search = {.budget_ms = kBudgetMs,
                                                          .min_tokens = 2 * kBlockTokens})
      : rig_(RigCluster{.tier = {}, .search = search}) {
    // Another host's work: written to the cluster, and not known here any more.
    Session& writes = rig_.open();
    RigClient& writer = rig_.attach(writes, 1);
    for (uint32_t span = 1; span <= kSpans; ++span) rig_.write(writer, span);
    rig_.end(writer);
    while (rig_.cluster().object_count() < kSpans) rig_.turn();
    rig_.turns();
    rig_.cache().close_session(writes.cached);
    writes.cached.root = {};
    rig_.meddle().evict();
    while (rig_.meddle().forget_from_cluster()) {
    }
    QUIRE_CHECK(rig_.inspect().objects().empty());
  }
  void match(RigClient& client, uint32_t units = kSpans, uint32_t have_tokens = 0) {
    model::Submission submission{};
    submission.args.match.unit_count = units;
    submission.args.match.prompt_tokens = units * kBlockTokens + 1;
    submission.args.match.have_tokens = have_tokens;
    client.submit(Verb::kMatch, submission);
  }
  static uint32_t on_cluster(const model::Completion& done) {
    return done.result.match.tokens[model::TierId::kCluster];
  }
  uint64_t questions() { return rig_.cluster().questions(); }
  const tiering::SearchCounters& counters() { return rig_.tiers().searches().counters(); }
  void advance_ms(int64_t ms) { rig_.clock().advance(std::chrono::milliseconds(ms)); }

  DispatcherRig rig_;
  Session& session_ = rig_.open();
  RigClient& client_ = rig_.attach(session_, 1);
};

TEST_F(MatchSearchTest, IsAnsweredWithWhatWasFound) {
  match(client_);
  const model::Completion done = rig_.answer(client_);
  EXPECT_EQ(code_of(done), Errc::kOk);
  EXPECT_EQ(done.result.match.exact_tokens, kSpans * kBlockTokens);
  EXPECT_EQ(on_cluster(done), kSpans * kBlockTokens);
  EXPECT_NE(done.result.match.lease, 0u);
  EXPECT_EQ(questions(), 1u);
  EXPECT_EQ(rig_.dispatcher().searching_matches(), 0u);
  match(client_);
  EXPECT_EQ(on_cluster(rig_.answer(client_)), kSpans * kBlockTokens);
  EXPECT_EQ(questions(), 1u) << "all of it is known now";
}

TEST_F(MatchSearchTest, WhatIsLoadedIsCountedForTheCluster) {
  match(client_);
  model::Submission load{};
  load.args.load.lease = rig_.answer(client_).result.match.lease;
  load.args.load.descriptor_capacity = kSpans;
  client_.submit(Verb::kLoad, load);
  EXPECT_EQ(rig_.answer(client_).result.load.descriptor_count, kSpans);
  rig_.end(client_);
  rig_.dispatcher().end_session(session_);
  EXPECT_EQ(rig_.dispatcher().turn_totals().delivered_cluster_tokens, kSpans * kBlockTokens);
  EXPECT_EQ(rig_.dispatcher().turn_totals().delivered_ram_tokens, 0u);
}

TEST_F(MatchSearchTest, WaitsNoLongerThanItsBudget) {
  rig_.cluster().hold(true);
  match(client_);
  rig_.turns();
  EXPECT_TRUE(client_.completed().empty());
  EXPECT_EQ(rig_.dispatcher().searching_matches(), 1u);
  EXPECT_EQ(rig_.dispatcher().next_deadline_ns(),
            rig_.clock().now_ns() + kBudgetMs * model::kNsPerMs);
  advance_ms(kBudgetMs - 1);
  rig_.turns();
  EXPECT_TRUE(client_.completed().empty());
  advance_ms(1);
  const model::Completion done = rig_.answer(client_);
  EXPECT_EQ(code_of(done), Errc::kOk);
  EXPECT_EQ(done.result.match.exact_tokens, 0u);
  EXPECT_EQ(counters().late, 1u);
  // What comes later is known to the next one.
  rig_.cluster().hold(false);
  rig_.turns();
  match(client_);
  EXPECT_EQ(on_cluster(rig_.answer(client_)), kSpans * kBlockTokens);
  EXPECT_EQ(questions(), 1u);
}

// A request's own deadline, where it is earlier.
TEST_F(MatchSearchTest, Law15_WaitsNoLongerThanItsDeadline) {
  rig_.cluster().hold(true);
  model::Submission submission{};
  submission.deadline_ms = 5;
  submission.args.match.unit_count = kSpans;
  submission.args.match.prompt_tokens = kSpans * kBlockTokens + 1;
  client_.submit(Verb::kMatch, submission);
  rig_.turns();
  advance_ms(5);
  EXPECT_EQ(code_of(rig_.answer(client_)), Errc::kOk);
}

TEST_F(MatchSearchTest, MatchesAreAnsweredInOrderAndOtherVerbsPass) {
  rig_.cluster().hold(true);
  match(client_);
  match(client_);
  const uint64_t noop = client_.submit(Verb::kNoop);
  rig_.turns();
  const auto passed = client_.completed();
  ASSERT_EQ(passed.size(), 1u);
  EXPECT_EQ(passed[0].user_data, noop);
  rig_.cluster().hold(false);
  rig_.turns();
  const auto done = client_.completed();
  ASSERT_EQ(done.size(), 2u);
  EXPECT_EQ(done[0].user_data + 1, done[1].user_data);
  EXPECT_EQ(on_cluster(done[1]), kSpans * kBlockTokens);
  EXPECT_EQ(questions(), 1u);
}

TEST_F(MatchSearchTest, OneBehindAnotherAsksInItsTurn) {
  rig_.cluster().hold(true);
  match(client_);
  match(client_, kSpans + 4);
  rig_.turns();
  EXPECT_EQ(questions(), 1u);
  rig_.cluster().hold(false);
  rig_.turns();
  EXPECT_EQ(client_.completed().size(), 2u);
  EXPECT_EQ(questions(), 2u) << "for what is unknown behind the first one's";
}

// One that is behind it is given up as little: it would have been answered at once.
TEST_F(MatchSearchTest, TheDeadlineOfOneBehindEndsTheSearchesInFront) {
  rig_.cluster().hold(true);
  match(client_);
  match(client_, kSpans + 2);
  model::Submission hurried{};
  hurried.deadline_ms = 5;
  hurried.args.match.unit_count = kSpans + 4;
  hurried.args.match.prompt_tokens = (kSpans + 4) * kBlockTokens + 1;
  client_.submit(Verb::kMatch, hurried);
  rig_.turns();
  EXPECT_TRUE(client_.completed().empty());
  advance_ms(5);
  rig_.turns();
  const auto done = client_.completed();
  ASSERT_EQ(done.size(), 3u);
  for (const model::Completion& one : done) EXPECT_EQ(code_of(one), Errc::kOk);
  EXPECT_EQ(questions(), 1u);
}

TEST_F(MatchSearchTest, LittleThatIsUnknownIsNotAskedFor) {
  match(client_, 1);
  EXPECT_EQ(rig_.answer(client_).result.match.exact_tokens, 0u);
  match(client_, kSpans, 2 * kBlockTokens);
  EXPECT_EQ(rig_.answer(client_).result.match.exact_tokens, 0u) << "the engine holds the rest";
  EXPECT_EQ(questions(), 0u);
}

TEST_F(MatchSearchTest, TwoSessionsShareAQuestion) {
  Session& other = rig_.open();
  RigClient& second = rig_.attach(other, 1);
  match(client_);
  match(second);
  EXPECT_EQ(on_cluster(rig_.answer(client_)), kSpans * kBlockTokens);
  rig_.turns();
  const auto done = second.completed();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(on_cluster(done[0]), kSpans * kBlockTokens);
  EXPECT_EQ(questions(), 1u);
}

TEST_F(MatchSearchTest, Law05_DeathOfWhoAskedLeavesNothing) {
  rig_.cluster().hold(true);
  match(client_);
  match(client_);
  rig_.turns();
  rig_.end(client_);
  EXPECT_EQ(rig_.dispatcher().searching_matches(), 0u);
  EXPECT_EQ(rig_.dispatcher().next_deadline_ns(), kNoDeadline);
  rig_.cluster().hold(false);
  rig_.turns();
  EXPECT_EQ(rig_.tiers().searches().under_way(), 0u);
  EXPECT_EQ(rig_.inspect().pin_count(), 0u);
}

TEST_F(MatchSearchTest, Law09_WithTheTierOffNobodyWaits) {
  rig_.cluster().set_mode(tiering::TierMode::kOff);
  rig_.turns();
  match(client_);
  EXPECT_EQ(rig_.answer(client_).result.match.exact_tokens, 0u);
  EXPECT_EQ(questions(), 0u);
}

TEST_F(MatchSearchTest, AnAreaThatIsTooSmallIsRefusedAsEver) {
  match(client_, RigClient::kShape.max_units + 1);
  EXPECT_EQ(code_of(rig_.answer(client_)), Errc::kInvalidArgument);
}

class NoBudget : public MatchSearchTest {
 protected:
  NoBudget() : MatchSearchTest({.budget_ms = 0}) {}
};

TEST_F(NoBudget, NeverAsks) {
  match(client_);
  EXPECT_EQ(rig_.answer(client_).result.match.exact_tokens, 0u);
  EXPECT_EQ(questions(), 0u);
}

}  // namespace
}  // namespace quire::server::match_search_test
