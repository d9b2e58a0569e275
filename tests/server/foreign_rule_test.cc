// A writer that cuts a context by another rule than its reader: what one of them wrote the other
// may never find, byte for byte right as it is. The answer's limit says so on the first request,
// and names the position where the two disagree.
#include <gtest/gtest.h>

#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::foreign_rule_test {

using client::Session;
using model::Errc;
using model::FillKind;
using model::MatchLimit;

namespace {

// Units of 4, blocks of 8. The reader follows model/boundary.
class ForeignRule : public testing::Test {
 protected:
  std::unique_ptr<Session> open(uint32_t tokens, const std::string& namespace_name = "model") {
    auto session = open_session(*client_, session_options(small_hybrid_layout(), namespace_name));
    QUIRE_CHECK(session->append_tokens(context_tokens(tokens, 1)).ok());
    return session;
  }
  static void write_spans(Session& session, uint32_t end_tokens) {
    for (uint32_t end = 8; end <= end_tokens; end += 8) {
      QUIRE_CHECK(commit_object(session, FillKind::kSpan, end).ok());
    }
  }
  model::MatchResult read(uint32_t tokens) {
    const auto match = open(tokens)->match(tokens);
    QUIRE_CHECK(match.ok());
    return *match;
  }
  static void expect(const model::MatchResult& match, uint32_t exact, MatchLimit limit,
                     uint32_t at) {
    EXPECT_EQ(match.exact_tokens, exact);
    EXPECT_EQ(static_cast<MatchLimit>(match.limit), limit);
    EXPECT_EQ(match.limit_tokens, at);
  }

  TestDaemon daemon_;
  std::unique_ptr<client::Client> client_ = daemon_.connect();
};

}  // namespace

// "The state after the whole prompt": one token must be left to compute, so nobody resumes there.
TEST_F(ForeignRule, ACheckpointBehindTheLastTokenIsNamedAsMissingBeforeIt) {
  const auto writer = open(80);
  write_spans(*writer, 80);
  ASSERT_TRUE(commit_object(*writer, FillKind::kCheckpoint, 80).ok());
  expect(read(80), 0, MatchLimit::kNoCheckpoint, 76);
  expect(read(81), 80, MatchLimit::kEndOfPrompt, 80);
}

// "A checkpoint per so many tokens", as engines with large aligned states do.
TEST_F(ForeignRule, CheckpointsAtIntervalsOfTheWritersCostWhatLiesBehindTheLast) {
  const auto writer = open(81);
  write_spans(*writer, 80);
  for (const uint32_t end : {32u, 64u}) {
    ASSERT_TRUE(
        commit_object(*writer, FillKind::kCheckpoint, end, 0, model::CheckpointReason::kInterval)
            .ok());
  }
  expect(read(81), 64, MatchLimit::kNoCheckpoint, 80);
  expect(read(66), 64, MatchLimit::kEndOfPrompt, 64);
}

// "Whole blocks only": a reader that may resume inside a block loses nothing that spans hold.
TEST_F(ForeignRule, CheckpointsAtBlockEndsReachAllThatSpansHold) {
  const auto writer = open(81);
  write_spans(*writer, 80);
  ASSERT_TRUE(commit_object(*writer, FillKind::kCheckpoint, 72).ok());
  expect(read(78), 72, MatchLimit::kEndOfPrompt, 72);
}

// Spans of every second block: nothing starts at the beginning, and the writer is told.
TEST_F(ForeignRule, AWriterThatLeavesBlocksOutIsRefused) {
  const auto writer = open(81);
  EXPECT_EQ(commit_object(*writer, FillKind::kSpan, 16).code(), Errc::kNoParent);
  EXPECT_EQ(commit_object(*writer, FillKind::kSpan, 12).code(), Errc::kInvalidArgument);
  expect(read(81), 0, MatchLimit::kNoSpan, 0);
}

// Own hashes on one side, token ids on the other: two names for every unit.
TEST_F(ForeignRule, HashesOfAnotherRuleFindNothingFromTheFirstSpanOn) {
  const auto writer = open_session(*client_, session_options(small_hybrid_layout()));
  std::vector<model::Hash256> hashes(20);
  for (size_t i = 0; i < hashes.size(); ++i) hashes[i].bytes[0] = static_cast<uint8_t>(i + 1);
  ASSERT_TRUE(writer->append_unit_hashes(hashes).ok());
  write_spans(*writer, 80);
  ASSERT_TRUE(commit_object(*writer, FillKind::kCheckpoint, 80).ok());
  const model::MatchResult match = read(81);
  expect(match, 0, MatchLimit::kNoSpan, 0);
  EXPECT_EQ(match.span_tokens, 0u);
}

// Hashes that agree up to where the engines differ, an image for example.
TEST_F(ForeignRule, HashesThatDifferFromAUnitOnNameTheBlockBeforeIt) {
  const auto writer = open_session(*client_, session_options(small_hybrid_layout()));
  ASSERT_TRUE(writer->append_tokens(context_tokens(42, 1)).ok());
  const std::vector<model::Hash256> image(10);
  ASSERT_TRUE(writer->append_unit_hashes(image).ok());
  write_spans(*writer, 80);
  for (const uint32_t end : {40u, 80u}) {
    ASSERT_TRUE(
        commit_object(*writer, FillKind::kCheckpoint, end, 0, model::CheckpointReason::kInterval)
            .ok());
  }
  expect(read(81), 40, MatchLimit::kNoSpan, 40);
}

TEST_F(ForeignRule, AnotherNamespaceFindsNothing) {
  const auto writer = open(81, "model-v2");
  ASSERT_TRUE(commit_context(*writer, 81).ok());
  expect(read(81), 0, MatchLimit::kNoSpan, 0);
}

}  // namespace quire::tests::foreign_rule_test
