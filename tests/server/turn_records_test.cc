// Turns of a real daemon and the real client: when they begin and end, whose tokens they count, and
// that each is counted once. TurnTest has the arithmetic.
#include <gtest/gtest.h>

#include <chrono>

#include "tests/support/manual_clock.h"
#include "tests/support/patience.h"
#include "tests/support/recording_sink.h"
#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::turn_records_test {

using client::Session;
using model::Errc;
using model::FillKind;
using model::ResumedHow;
using model::TierId;

namespace {

constexpr uint32_t kTokens = 40;  // five blocks of 8; last resume point of 41 tokens is 40

// A daemon whose turns are recorded, with one context committed.
class TurnRecords : public testing::Test {
 protected:
  TurnRecords() {
    const auto writer = open(1);
    QUIRE_CHECK(commit_context(*writer, kTokens + 1).ok());
  }
  std::unique_ptr<Session> open(uint64_t context) {
    auto session = open_session(*client_, session_options(layout_));
    QUIRE_CHECK(session->append_tokens(context_tokens(kTokens + 8, context)).ok());
    return session;
  }
  std::unique_ptr<Session> join(const Session& first) {
    auto session = client_->join_session(first.token(), session_options(layout_));
    QUIRE_CHECK(session.ok());
    QUIRE_CHECK((*session)->append_tokens(context_tokens(kTokens + 8, 1)).ok());
    return std::move(session).value();
  }
  // Every record since the context was committed, once there are `count`.
  std::vector<KeptTurn> records(size_t count) {
    std::vector<KeptTurn> kept;
    EXPECT_TRUE(daemon_.eventually([&](server::Daemon&) {
      kept = sink_.turns;
      return kept.size() >= count + 1;
    }));
    EXPECT_EQ(kept.size(), count + 1);
    if (!kept.empty()) kept.erase(kept.begin());
    for (const KeptTurn& one : kept) {
      EXPECT_EQ(one.record.hit_tokens + one.record.replayed_tokens + one.record.missed_tokens,
                one.record.prompt_tokens);
    }
    return kept;
  }
  static uint64_t match(Session& session, uint64_t request_id, uint32_t prompt = kTokens + 1) {
    const auto found = session.match(prompt, 0, {}, request_id);
    QUIRE_CHECK(found.ok());
    return found->lease;
  }

  model::Layout layout_ = small_hybrid_layout();
  RecordingSink sink_;
  TestDaemon daemon_{small_options(), {.turn_sink = &sink_}};
  std::unique_ptr<client::Client> client_ = daemon_.connect();
};

}  // namespace

TEST_F(TurnRecords, WhatIsWrittenBeforeAMatchIsOfTurnZero) {
  ASSERT_TRUE(daemon_.eventually([&](server::Daemon&) { return sink_.turns.size() == 1; }));
  const server::TurnRecord& record = sink_.turns[0].record;
  EXPECT_EQ(record.turn, 0u);
  EXPECT_EQ(record.prompt_tokens, 0u);
  EXPECT_EQ(record.written[0].objects, 5u);
  EXPECT_EQ(record.written[0].tokens, 40u);
  EXPECT_EQ(record.written[0].bytes, 5u * 10'002);
  EXPECT_EQ(record.written[1].objects, 1u);
  EXPECT_EQ(record.written[1].bytes, 5'000u + 1'234);
  EXPECT_EQ(sink_.turns[0].tenant, "tenant");
  EXPECT_EQ(sink_.turns[0].namespace_name, "model");
}

TEST_F(TurnRecords, ATurnEndsWithTheNextMatchAndWithTheSession) {
  const auto session = open(1);
  const uint64_t first = match(*session, 11);
  ASSERT_TRUE(session->load(first).ok());
  ASSERT_TRUE(session->resumed({.how = ResumedHow::kExact, .resumed_tokens = kTokens}).ok());
  match(*session, 12);
  const auto one = records(1);
  EXPECT_EQ(one[0].record.request_id, 11u);
  EXPECT_EQ(one[0].record.turn, 1u);
  EXPECT_EQ(one[0].record.hit_tokens, kTokens);
  EXPECT_EQ(one[0].record.missed_tokens, 1u);
  EXPECT_EQ(one[0].record.delivered[TierId::kRam], kTokens);
  ASSERT_TRUE(session->close().ok());
  const auto two = records(2);
  EXPECT_EQ(two[1].record.request_id, 12u);
  EXPECT_EQ(two[1].record.announced_tokens, kTokens);
  EXPECT_EQ(two[1].record.hit_tokens, 0u) << "announced, never loaded";
  EXPECT_GE(two[1].record.closed_ns, two[1].record.opened_ns);
}

TEST_F(TurnRecords, RanksShareATurnAndTheirTokensAreCountedOnce) {
  const auto rank0 = open(1);
  const auto rank1 = join(*rank0);
  for (const uint64_t request : {21u, 22u}) {
    for (Session* rank : {rank0.get(), rank1.get()}) {
      const uint64_t lease = match(*rank, request);
      ASSERT_TRUE(rank->load(lease).ok());
      ASSERT_TRUE(rank->release(lease).ok());
    }
    ASSERT_TRUE(rank1
                    ->resumed({.how = ResumedHow::kExact,
                               .resumed_tokens = kTokens,
                               .output_tokens = 9,
                               .request_id = request})
                    .ok());
  }
  ASSERT_TRUE(rank0->close().ok());
  ASSERT_TRUE(rank1->close().ok());
  for (const KeptTurn& turn : records(2)) {
    EXPECT_EQ(turn.record.delivered[TierId::kRam], kTokens);
    EXPECT_EQ(turn.record.hit_tokens, kTokens);
    EXPECT_EQ(turn.record.output_tokens, 9u);
  }
}

TEST_F(TurnRecords, RanksWithoutIdsAreToldApartByWhoMatched) {
  const auto rank0 = open(1);
  const auto rank1 = join(*rank0);
  match(*rank0, 0);
  match(*rank1, 0);  // the same request
  match(*rank1, 0);  // the next one
  match(*rank0, 0);  // belongs to it
  ASSERT_TRUE(rank0->close().ok());
  ASSERT_TRUE(rank1->close().ok());
  const auto turns = records(2);
  EXPECT_EQ(turns[0].record.turn, 1u);
  EXPECT_EQ(turns[1].record.turn, 2u);
}

TEST_F(TurnRecords, AWordForATurnThatIsOverIsNotFound) {
  const auto session = open(1);
  EXPECT_EQ(session->resumed({.how = ResumedHow::kNothing}).code(), Errc::kNotFound);
  match(*session, 31);
  match(*session, 32);
  EXPECT_EQ(session->resumed({.how = ResumedHow::kNothing, .request_id = 31}).code(),
            Errc::kNotFound);
  EXPECT_TRUE(session->resumed({.how = ResumedHow::kNothing, .request_id = 32}).ok());
  EXPECT_EQ(session->resumed({.how = ResumedHow::kExact, .resumed_tokens = 48}).code(),
            Errc::kInvalidArgument)
      << "beyond the hit";
}

// A lease of an earlier turn: its record is written, so nothing is added to any.
TEST_F(TurnRecords, WhatIsDeliveredAfterItsTurnIsInNoRecord) {
  const auto session = open(1);
  const uint64_t old = match(*session, 41);
  match(*session, 42);
  ASSERT_TRUE(session->load(old).ok());
  ASSERT_TRUE(session->close().ok());
  for (const KeptTurn& turn : records(2)) EXPECT_EQ(turn.record.delivered[TierId::kRam], 0u);
  daemon_.on_core([](server::Daemon&) {});
}

TEST_F(TurnRecords, AClientThatDiesLeavesItsRecord) {
  {
    const auto other = daemon_.connect("victim");
    const auto session = open_session(*other, session_options(layout_));
    ASSERT_TRUE(session->append_tokens(context_tokens(kTokens + 1, 1)).ok());
    ASSERT_TRUE(session->load(match(*session, 51)).ok());
    const auto fill = session->begin_fill(FillKind::kCheckpoint, 4);
    ASSERT_TRUE(fill.ok());
  }
  const auto turns = records(1);
  EXPECT_EQ(turns[0].record.request_id, 51u);
  EXPECT_EQ(turns[0].record.hit_tokens, kTokens) << "delivered and unsaid";
  EXPECT_EQ(turns[0].record.how, ResumedHow::kUnsaid);
  EXPECT_EQ(turns[0].record.written[1].objects, 0u) << "an open fill was never written";
}

TEST_F(TurnRecords, StatusHasTheirSums) {
  const auto session = open(1);
  ASSERT_TRUE(session->load(match(*session, 61)).ok());
  ASSERT_TRUE(session->close().ok());
  records(1);
  const std::string status = client_->status_json().value();
  EXPECT_NE(status.find(R"("turns":{"ended":1,"prompt_tokens":41,"hit_tokens":40)"),
            std::string::npos)
      << status;
}

namespace {

// Has no room for open turns.
class FullSink final : public server::TurnSink {
 public:
  void on_turn(const server::TurnRecord&) override {}
  bool on_open_turn(const server::TurnRecord&) override {
    ++refused;
    return false;
  }
  int refused = 0;
};

}  // namespace

// The core sleeps until the time that it was told: one that is over keeps it awake.
TEST(TurnsThatWait, ASinkThatIsFullIsAskedAgainAtItsTimeAndNotAtEachTurn) {
  ManualClock clock;
  FullSink sink;
  TestDaemon daemon(small_options(), {.clock = &clock, .turn_sink = &sink});
  const auto client = daemon.connect();
  const auto session = open_session(*client, session_options(small_hybrid_layout()));
  ASSERT_TRUE(session->append_tokens(context_tokens(kTokens + 8, 1)).ok());
  ASSERT_TRUE(session->match(kTokens + 1).ok());
  // Whatever the core has to do at one instant it has done by then.
  const auto settled = [&] {
    int refused = 0;
    for (int turn = 0; turn < 50; ++turn) {
      daemon.on_core([&](server::Daemon&) { refused = sink.refused; });
    }
    return refused;
  };
  for (int time = 0; time < 3; ++time) {
    const int before = settled();
    clock.advance(std::chrono::seconds(1));
    ASSERT_TRUE(daemon.eventually([&](server::Daemon&) { return sink.refused > before; }));
    EXPECT_EQ(settled(), before + 1);
  }
}

}  // namespace quire::tests::turn_records_test
