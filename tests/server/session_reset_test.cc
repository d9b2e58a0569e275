// A session that goes on with another prompt: what it finds, what its receipts say, and when it may
// not.
#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "tests/support/recording_sink.h"
#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::session_reset_test {
namespace {

using client::Session;
using model::Errc;
using model::FillKind;
using model::ResumedHow;

constexpr uint32_t kTokens = 41;  // units of 4, blocks of 8

class SessionReset : public testing::Test {
 protected:
  std::unique_ptr<Session> open(uint64_t context, uint64_t conversation = 0) {
    auto options = session_options(small_hybrid_layout());
    options.conversation = conversation;
    options.tail_tokens = 0;
    auto session = open_session(*client_, options);
    QUIRE_CHECK(session->append_tokens(context_tokens(kTokens, context)).ok());
    return session;
  }
  static void append(Session& session, uint64_t context, uint32_t tokens = kTokens) {
    QUIRE_CHECK(session.append_tokens(context_tokens(tokens, context)).ok());
  }
  std::vector<server::TurnRecord> records(size_t count) {
    std::vector<server::TurnRecord> found;
    EXPECT_TRUE(daemon_.eventually([&](server::Daemon&) {
      found.clear();
      for (const KeptTurn& one : sink_.turns) found.push_back(one.record);
      return found.size() >= count;
    }));
    EXPECT_EQ(found.size(), count);
    return found;
  }

  RecordingSink sink_;
  TestDaemon daemon_{small_options(), {.turn_sink = &sink_}};
  std::unique_ptr<client::Client> client_ = daemon_.connect();
};

TEST_F(SessionReset, TheNextPromptIsStoredAndFoundAsInASessionOfItsOwn) {
  const auto session = open(1);
  ASSERT_TRUE(commit_context(*session, kTokens).ok());
  ASSERT_TRUE(session->reset().ok());
  EXPECT_EQ(session->token_count(), 0u);
  append(*session, 2);
  EXPECT_EQ(session->match(kTokens)->span_tokens, 0u) << "of another prompt nothing is here";
  ASSERT_TRUE(commit_context(*session, kTokens).ok());
  for (const uint64_t context : {1u, 2u}) {
    const auto reader = open(context);
    const auto match = reader->match(kTokens).value();
    EXPECT_EQ(match.exact_tokens, 40u) << context;
    EXPECT_GT(check_hit(*reader, match), 0) << context;
  }
}

TEST_F(SessionReset, AShorterPromptThatSharesTheBeginningIsFound) {
  const auto session = open(1);
  ASSERT_TRUE(commit_context(*session, kTokens).ok());
  ASSERT_TRUE(session->reset().ok());
  append(*session, 1, 26);
  EXPECT_EQ(session->match(26)->span_tokens, 24u);
}

TEST_F(SessionReset, TheOldTurnsReceiptIsWrittenAndTheNextOneIsTheNewPrompts) {
  const auto session = open(1, 7);
  ASSERT_TRUE(session->match(kTokens, 0, {}, 11).ok());
  ASSERT_TRUE(session->resumed({.how = ResumedHow::kNothing, .output_tokens = 5}).ok());
  ASSERT_TRUE(session->reset(8).ok());
  const auto old = records(1);
  EXPECT_EQ(old[0].turn, 1u);
  EXPECT_EQ(old[0].request_id, 11u);
  EXPECT_EQ(old[0].prompt_tokens, kTokens);
  EXPECT_EQ(old[0].output_tokens, 5u);
  EXPECT_EQ(old[0].conversation, 7u);
  EXPECT_EQ(old[0].end, model::ReceiptEnd::kNextTurn);
  EXPECT_EQ(session->resumed({.how = ResumedHow::kNothing, .request_id = 11}).code(),
            Errc::kNotFound)
      << "that turn is over";
  EXPECT_EQ(session->resumed({.how = ResumedHow::kNothing}).code(), Errc::kNotFound);
  append(*session, 2);
  ASSERT_TRUE(session->match(kTokens).ok());
  ASSERT_TRUE(session->close().ok());
  const auto both = records(2);
  EXPECT_EQ(both[1].turn, 2u);
  EXPECT_EQ(both[1].request_id, 0u);
  EXPECT_EQ(both[1].conversation, 8u);
}

TEST_F(SessionReset, WhatIsWrittenBeforeTheNextMatchIsCountedOnce) {
  const auto session = open(1);
  ASSERT_TRUE(session->match(kTokens).ok());
  ASSERT_TRUE(commit_object(*session, FillKind::kSpan, 8).ok());
  ASSERT_TRUE(session->reset().ok());
  append(*session, 2);
  ASSERT_TRUE(commit_object(*session, FillKind::kSpan, 8).ok());
  ASSERT_TRUE(session->match(kTokens).ok());
  ASSERT_TRUE(session->close().ok());
  uint64_t spans = 0;
  uint64_t prompt_tokens = 0;
  uint32_t last_turn = 0;
  for (const server::TurnRecord& record : records(3)) {
    EXPECT_GT(record.turn, last_turn) << "a number stands in one record";
    last_turn = record.turn;
    spans += record.written[0].objects;
    prompt_tokens += record.prompt_tokens;
  }
  EXPECT_EQ(spans, 2u);
  EXPECT_EQ(prompt_tokens, 2u * kTokens);
}

TEST_F(SessionReset, ResetsWithoutAnythingBetweenThemWriteNoReceipts) {
  const auto session = open(1);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(session->reset().ok());
  append(*session, 2);
  ASSERT_TRUE(session->match(kTokens).ok());
  ASSERT_TRUE(session->close().ok());
  EXPECT_EQ(records(1)[0].prompt_tokens, kTokens);
}

TEST_F(SessionReset, ThePromptsOfOneSessionAreConversationsOfTheirOwn) {
  const auto session = open(1);
  ASSERT_TRUE(commit_context(*session, kTokens).ok());
  ASSERT_TRUE(session->reset().ok());
  append(*session, 1, kTokens);
  ASSERT_TRUE(session->append_tokens(context_tokens(8, 3)).ok());
  const auto match = session->match(kTokens + 8);
  ASSERT_TRUE(match.ok());
  ASSERT_TRUE(session->release(match->lease).ok());
  ASSERT_TRUE(commit_object(*session, FillKind::kSpan, 48).ok());
  ASSERT_TRUE(commit_object(*session, FillKind::kCheckpoint, 48).ok());
  EXPECT_EQ(open(1)->match(kTokens)->exact_tokens, 40u) << "the first one's end stays";
}

TEST_F(SessionReset, TurnsOfANamedConversationSupersedeEachOther) {
  const auto session = open(1, 7);
  ASSERT_TRUE(commit_context(*session, kTokens).ok());
  ASSERT_TRUE(session->reset(7).ok());
  append(*session, 1, kTokens);
  ASSERT_TRUE(session->append_tokens(context_tokens(8, 3)).ok());
  const auto match = session->match(kTokens + 8);
  ASSERT_TRUE(match.ok());
  ASSERT_TRUE(session->release(match->lease).ok());
  ASSERT_TRUE(commit_object(*session, FillKind::kSpan, 48).ok());
  ASSERT_TRUE(commit_object(*session, FillKind::kCheckpoint, 48).ok());
  EXPECT_LT(open(1)->match(kTokens)->exact_tokens, 40u);
}

TEST_F(SessionReset, ProgressBeginsAnew) {
  const auto session = open(1);
  ASSERT_TRUE(commit_context(*session, kTokens).ok());
  ASSERT_EQ(session->progress().committed_tokens, 40u);
  ASSERT_TRUE(session->reset().ok());
  EXPECT_EQ(session->progress().committed_tokens, 0u);
  EXPECT_EQ(session->progress().checkpoint_tokens, 0u);
  EXPECT_EQ(session->layer_ready_tokens(0), 0u);
  append(*session, 2);
  ASSERT_TRUE(commit_object(*session, FillKind::kSpan, 8).ok());
  EXPECT_EQ(session->progress().committed_tokens, 8u);
  EXPECT_EQ(session->layer_ready_tokens(0), 8u);
}

TEST_F(SessionReset, WhatIsHeldOfTheOldPromptKeepsItAndSaysWhat) {
  const auto session = open(1);
  ASSERT_TRUE(commit_context(*session, kTokens).ok());
  const auto match = session->match(kTokens).value();
  const auto with_lease = session->reset();
  EXPECT_EQ(with_lease.code(), Errc::kBusy);
  EXPECT_NE(with_lease.error().text.find("release"), std::string::npos) << with_lease.error().text;
  ASSERT_TRUE(session->release(match.lease).ok());
  ASSERT_TRUE(session->append_tokens(context_tokens(8, 3)).ok());
  const auto fill = session->begin_fill(FillKind::kSpan, 48).value();
  EXPECT_EQ(session->reset().code(), Errc::kBusy);
  ASSERT_TRUE(session->abort(fill).ok());
  ASSERT_TRUE(session->submit_noop().ok());
  const auto in_flight = session->reset();
  EXPECT_EQ(in_flight.code(), Errc::kBusy);
  EXPECT_NE(in_flight.error().text.find("poll"), std::string::npos) << in_flight.error().text;
  EXPECT_EQ(session->token_count(), kTokens + 8) << "nothing has changed";
  std::array<model::Completion, 1> done;
  ASSERT_TRUE(session->wait(5000).ok());
  ASSERT_EQ(session->poll_completions(done).value(), 1u);
  EXPECT_TRUE(session->reset().ok());
}

TEST_F(SessionReset, AnotherProcessInTheSessionKeepsIt) {
  const auto session = open(1);
  auto other = client_->join_session(session->token(), session_options(small_hybrid_layout()));
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(session->reset().code(), Errc::kBusy);
  EXPECT_EQ((*other)->reset().code(), Errc::kBusy);
  ASSERT_TRUE((*other)->close().ok());
  // What it held goes in steps.
  model::Result<void> done = session->reset();
  for (int i = 0; i < 10'000 && done.code() == Errc::kBusy; ++i) done = session->reset();
  EXPECT_TRUE(done.ok());
}

TEST_F(SessionReset, AClosedSessionIsNoSession) {
  const auto session = open(1);
  ASSERT_TRUE(session->close().ok());
  EXPECT_EQ(session->reset().code(), Errc::kClosed);
}

// Submitted and not answered yet: what it will count is not known.
TEST_F(SessionReset, NothingGoesOutBeforeItIsAnswered) {
  const auto session = open(1);
  ASSERT_TRUE(session->submit_reset(0).ok());
  const auto sent = session->submit_noop();
  EXPECT_TRUE(sent.ok() || sent.code() == Errc::kBusy);
  std::array<model::Completion, 2> done;
  ASSERT_TRUE(session->wait(5000).ok());
  ASSERT_GE(session->poll_completions(done).value(), 1u);
  EXPECT_EQ(session->token_count(), 0u);
  append(*session, 2);
  EXPECT_TRUE(session->match(kTokens).ok());
}

}  // namespace
}  // namespace quire::tests::session_reset_test
