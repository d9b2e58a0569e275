// What the words of a match's answer promise: how far the hashes reach, and what limited the hit.
#include <gtest/gtest.h>

#include <algorithm>

#include "model/chain_hash.h"
#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::match_limit_test {

using client::Session;
using model::Errc;
using model::FillKind;
using model::MatchLimit;

namespace {

// One daemon, and sessions over the same tokens: units of 4, blocks of 8.
class MatchLimitTest : public testing::Test {
 protected:
  std::unique_ptr<Session> open(const model::Layout& layout, uint32_t tokens) {
    auto session = open_session(*client_, session_options(layout));
    QUIRE_CHECK(session->append_tokens(context_tokens(tokens, 1)).ok());
    return session;
  }
  static MatchLimit limit(const model::MatchResult& match) {
    return static_cast<MatchLimit>(match.limit);
  }

  TestDaemon daemon_;
  std::unique_ptr<client::Client> client_ = daemon_.connect();
};

// An engine's own hashes: one a unit, as its block manager has them.
std::vector<model::Hash256> unit_hashes(size_t count) {
  std::vector<model::Hash256> hashes(count);
  for (size_t i = 0; i < count; ++i) hashes[i].bytes[0] = static_cast<uint8_t>(i + 1);
  return hashes;
}

}  // namespace

TEST_F(MatchLimitTest, HashesReachToTheEndOfAPromptThatLeavesAPartialUnit) {
  for (const model::Layout& layout : {small_append_layout(), small_hybrid_layout()}) {
    const auto session = open_session(*client_, session_options(layout));
    ASSERT_TRUE(session->append_unit_hashes(unit_hashes(10)).ok());  // 40 tokens
    ASSERT_TRUE(commit_context(*session, 41).ok());
    for (const uint32_t prompt : {41u, 43u}) {
      const auto match = session->match(prompt);
      ASSERT_TRUE(match.ok()) << prompt << ": " << match.error().text;
      EXPECT_EQ(match->exact_tokens, 40u) << prompt;
      EXPECT_EQ(limit(*match), MatchLimit::kEndOfPrompt);
    }
    EXPECT_LT(session->match(40)->exact_tokens, 40u) << "one token is always left to compute";
  }
}

TEST_F(MatchLimitTest, APromptWithAWholeUnitThatHasNoHashIsRefused) {
  const auto session = open_session(*client_, session_options(small_append_layout()));
  ASSERT_TRUE(session->append_unit_hashes(unit_hashes(10)).ok());
  const auto match = session->match(44);
  EXPECT_EQ(match.code(), Errc::kInvalidArgument);
  EXPECT_NE(match.error().text.find("append"), std::string::npos) << match.error().text;
}

// The next turn of a conversation: the checkpoint lies at the old prompt's end, in the block behind
// the last span, and nothing is present beyond it.
TEST_F(MatchLimitTest, ALongerPromptIsLimitedByItsSpansNotByCheckpoints) {
  const auto layout = small_hybrid_layout();
  ASSERT_TRUE(commit_context(*open(layout, 45), 45).ok());  // spans to 40, checkpoint at 44
  const auto match = open(layout, 90)->match(90);
  ASSERT_TRUE(match.ok());
  EXPECT_EQ(match->exact_tokens, 44u);
  EXPECT_EQ(match->span_tokens, 40u);
  EXPECT_EQ(limit(*match), MatchLimit::kNoSpan);
  EXPECT_EQ(match->limit_tokens, 40u);
}

// Every span of the prompt is there and the hit ends with the last: a checkpoint could only have
// added the partial block.
TEST_F(MatchLimitTest, AllBlocksOfAPromptAreItsEnd) {
  const auto layout = small_hybrid_layout();
  ASSERT_TRUE(commit_context(*open(layout, 41), 41).ok());
  const auto match = open(layout, 47)->match(47);
  ASSERT_TRUE(match.ok());
  EXPECT_EQ(match->exact_tokens, 40u);
  EXPECT_EQ(limit(*match), MatchLimit::kEndOfPrompt);
  EXPECT_EQ(match->limit_tokens, 40u);
}

TEST_F(MatchLimitTest, AMissingCheckpointNamesHowManyTokensItCost) {
  const auto layout = small_hybrid_layout();
  const auto writer = open(layout, 81);
  ASSERT_TRUE(commit_object(*writer, FillKind::kSpan, 8).ok());
  ASSERT_TRUE(commit_object(*writer, FillKind::kCheckpoint, 8).ok());
  for (uint32_t end = 16; end <= 80; end += 8) {
    ASSERT_TRUE(commit_object(*writer, FillKind::kSpan, end).ok());
  }
  const auto match = open(layout, 60)->match(60);
  ASSERT_TRUE(match.ok());
  EXPECT_EQ(match->exact_tokens, 8u);
  EXPECT_EQ(limit(*match), MatchLimit::kNoCheckpoint);
  EXPECT_EQ(match->limit_tokens - match->exact_tokens, 48u) << "spans allow 56";
  EXPECT_LE(match->limit_tokens, match->span_tokens);
  daemon_.on_core([](server::Daemon& daemon) {
    const cache::ReaderCounters& counters = daemon.cache().reader().counters();
    EXPECT_EQ(counters.no_checkpoint_matches, 1u);
    EXPECT_EQ(counters.no_checkpoint_tokens, 48u);
  });
}

// Two prompts share 40 tokens. The first ends four tokens later, inside the block in which the
// second goes on otherwise: a third one like it would resume where both part.
TEST_F(MatchLimitTest, ABranchIsAskedForWhereAnEarlierSessionEndedInThatBlock) {
  const auto layout = small_hybrid_layout();
  std::vector<uint32_t> text = context_tokens(45, 1);
  ASSERT_TRUE(commit_context(*open(layout, 45), 45).ok());  // spans to 40, checkpoint at 44
  std::fill(text.begin() + 40, text.end(), 77u);
  text.resize(90, 77);
  const auto second = open_session(*client_, session_options(layout));
  ASSERT_TRUE(second->append_tokens(text).ok());
  const auto match = second->match(90);
  ASSERT_TRUE(match.ok());
  EXPECT_EQ(match->span_tokens, 40u);
  EXPECT_LT(match->exact_tokens, 40u);
  EXPECT_EQ(match->branch_tokens, 40u);
  EXPECT_EQ(match->diverged, 0u);
}

// Its own last prompt, of which it rewrites the end: nobody else will part there.
TEST_F(MatchLimitTest, AConversationThatRewritesItsOwnTailMakesNoBranch) {
  const auto layout = small_hybrid_layout();
  client::SessionOptions options = session_options(layout);
  options.conversation = 7;
  std::vector<uint32_t> text = context_tokens(45, 1);
  const auto first = open_session(*client_, options);
  ASSERT_TRUE(first->append_tokens(text).ok());
  ASSERT_TRUE(commit_context(*first, 45).ok());
  std::fill(text.begin() + 40, text.end(), 77u);
  text.resize(90, 77);
  const auto second = open_session(*client_, options);
  ASSERT_TRUE(second->append_tokens(text).ok());
  EXPECT_EQ(second->match(90)->branch_tokens, 0u);
}

}  // namespace quire::tests::match_limit_test
