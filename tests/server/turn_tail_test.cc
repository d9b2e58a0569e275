// Which checkpoints a conversation keeps from turn to turn: its last turn end, and one before the
// tail of its prompt, which templates rewrite.
#include <gtest/gtest.h>

#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::turn_tail_test {

using client::Session;
using model::CheckpointReason;
using model::FillKind;

namespace {

constexpr uint32_t kTail = 16;  // four units, two blocks

class TurnTail : public testing::Test {
 protected:
  TurnTail() : options_(session_options(small_hybrid_layout())) {
    options_.conversation = 7;
    options_.tail_tokens = kTail;
  }

  // The conversation's text; `tokens_` is what the next turn sends.
  void grow(uint32_t count) {
    for (const uint32_t end = tokens() + count; tokens() < end;) text_.push_back(++next_token_);
  }
  // Everything from `from` on becomes another text of the same length.
  void rewrite(uint32_t from) {
    for (uint32_t i = from; i < tokens(); ++i) text_[i] = ++next_token_;
  }
  uint32_t tokens() const { return static_cast<uint32_t>(text_.size()); }

  std::unique_ptr<Session> open() {
    auto session = open_session(*client_, options_);
    QUIRE_CHECK(session->append_tokens(text_).ok());
    return session;
  }

  // As an engine does: resume, then commit what is wanted. Where it resumed.
  uint32_t take_turn(Session& session) {
    const auto match = session.match(tokens());
    QUIRE_CHECK(match.ok());
    const auto wanted =
        session.wanted_checkpoints(match->exact_tokens, tokens(), match->branch_tokens);
    for (uint32_t end = match->span_tokens + 8; end <= tokens(); end += 8) {
      QUIRE_CHECK(commit_object(session, FillKind::kSpan, end).ok());
    }
    for (const auto& one : wanted) {
      QUIRE_CHECK(commit_object(session, FillKind::kCheckpoint, one.tokens, 0, one.reason).ok());
    }
    if (match->lease != 0) QUIRE_CHECK(session.release(match->lease).ok());
    return match->exact_tokens;
  }
  uint32_t take_turn() { return take_turn(*open()); }

  uint64_t checkpoints() { return daemon_.counters().checkpoints; }

  TestDaemon daemon_;
  std::unique_ptr<client::Client> client_ = daemon_.connect();
  client::SessionOptions options_;
  std::vector<uint32_t> text_;
  uint32_t next_token_ = 0;
};

}  // namespace

TEST_F(TurnTail, APromptWhoseTailWasRewrittenResumesBeforeIt) {
  grow(81);
  EXPECT_EQ(take_turn(), 0u);
  rewrite(70);
  grow(40);
  EXPECT_EQ(take_turn(), 64u);
}

TEST_F(TurnTail, AnExtendedPromptResumesAtItsPredecessorsEnd) {
  grow(81);
  take_turn();
  grow(40);
  EXPECT_EQ(take_turn(), 80u);
}

TEST_F(TurnTail, TheTurnEndThatATurnResumedFromServesTheNextAsTheOneBeforeItsTail) {
  grow(81);
  take_turn();
  grow(40);
  ASSERT_EQ(take_turn(), 80u);  // its own end lies at 120
  rewrite(106);
  grow(40);
  EXPECT_EQ(take_turn(), 80u);
}

TEST_F(TurnTail, AConversationKeepsTwoHoweverManyTurnsItHas) {
  grow(81);
  for (int turn = 0; turn < 8; ++turn) {
    take_turn();
    EXPECT_EQ(checkpoints(), 2u) << "turn " << turn;
    grow(24);
  }
}

TEST_F(TurnTail, ShortTurnsKeepOneThatLiesBeforeTheTail) {
  grow(81);
  take_turn();
  for (int turn = 0; turn < 4; ++turn) {
    grow(kTail + 4);  // each resumes inside the tail of the one behind it
    take_turn();
  }
  const uint32_t end = tokens();
  rewrite(end - kTail + 1);
  grow(40);
  EXPECT_GE(take_turn(), end - kTail - 2 * (kTail + 4));
  EXPECT_GT(checkpoints(), 0u);
}

// The answer's end replaces the prompt's: the next prompt contains the answer, or leaves before it.
TEST_F(TurnTail, TheEndOfTheAnswerReplacesThatOfThePromptOnly) {
  grow(81);
  const uint32_t prompt = tokens();
  const auto session = open();
  take_turn(*session);
  grow(60);
  ASSERT_TRUE(session->append_tokens(std::span(text_).subspan(prompt)).ok());
  for (uint32_t end = 88; end <= 136; end += 8) {
    ASSERT_TRUE(commit_object(*session, FillKind::kSpan, end).ok());
  }
  ASSERT_TRUE(commit_object(*session, FillKind::kCheckpoint, 140).ok());
  EXPECT_EQ(checkpoints(), 2u);
  const std::vector<uint32_t> whole = text_;
  rewrite(70);
  EXPECT_EQ(open()->match(tokens())->exact_tokens, 64u);
  text_ = whole;
  grow(20);
  EXPECT_EQ(open()->match(tokens())->exact_tokens, 140u);
}

TEST_F(TurnTail, WithoutATailAConversationKeepsItsLastTurnEndAlone) {
  options_.tail_tokens = 0;
  grow(81);
  take_turn();
  EXPECT_EQ(checkpoints(), 1u);
  grow(4);
  EXPECT_EQ(take_turn(), 80u);
  EXPECT_EQ(checkpoints(), 1u);
  EXPECT_EQ(open()->match(tokens())->exact_tokens, 84u) << "every turn end is wanted";
  rewrite(70);
  EXPECT_EQ(take_turn(), 0u);
}

// Blocks of 8 and units of 4: the least distance that is learnt is 64.
TEST_F(TurnTail, ADistanceIsLearntFromHowFarPromptsAreLeftAndToldToSessions) {
  options_.tail_tokens = model::kLearntTail;
  options_.max_tokens = 1 << 15;
  grow(6001);
  EXPECT_EQ(open()->tail_tokens(), model::kTailTokens) << "nothing is known yet";
  take_turn();
  for (int turn = 0; turn < 100; ++turn) {
    rewrite(tokens() - 40);
    grow(200);
    take_turn();
  }
  const auto session = open();
  EXPECT_EQ(session->tail_tokens(), 64u);
  const auto wanted = session->wanted_checkpoints(0, tokens(), 0);
  ASSERT_EQ(wanted.size(), 2u);
  EXPECT_EQ(wanted[0].tokens, (tokens() - 64) / 4 * 4) << "that is where it is asked for";
}

TEST_F(TurnTail, ADistanceThatTheEngineGivesIsNotLearnt) {
  options_.max_tokens = 1 << 15;
  grow(6001);
  take_turn();
  for (int turn = 0; turn < 100; ++turn) {
    rewrite(tokens() - 40);
    grow(200);
    take_turn();
  }
  EXPECT_EQ(open()->tail_tokens(), kTail);
}

TEST_F(TurnTail, BranchesAndOtherConversationsCheckpointsAreNotThinned) {
  grow(81);
  take_turn();
  options_.conversation = 8;
  grow(40);
  EXPECT_EQ(take_turn(), 80u) << "a stranger's turn end: a branch point from now on";
  options_.conversation = 7;
  grow(40);
  take_turn();
  const std::vector<uint32_t> whole = text_;
  text_.resize(81);
  EXPECT_EQ(open()->match(81)->exact_tokens, 80u);
  text_ = whole;
}

}  // namespace quire::tests::turn_tail_test
