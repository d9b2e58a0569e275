// positions and locate through the rings: what they answer, and that they leave no trace.
#include <gtest/gtest.h>

#include "server/core.h"
#include "tests/support/raw_client.h"
#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::prefix_queries_test {

using client::Session;
using model::CheckpointReason;
using model::Errc;
using model::FillKind;
using model::ResumedHow;
using model::TierId;

namespace {

constexpr uint32_t kTokens = 48;

// Spans to 48 and checkpoints, kept ones, at 12, 16 and 44: units of 4, blocks of 8.
class PrefixQueries : public testing::Test {
 protected:
  explicit PrefixQueries(const model::Layout& layout = small_hybrid_layout()) : layout_(layout) {
    session_ = open_session(*client_, session_options(layout_));
    QUIRE_CHECK(session_->append_tokens(context_tokens(kTokens + 8, 1)).ok());
    for (uint32_t end = layout_.block_tokens; end <= kTokens; end += layout_.block_tokens) {
      QUIRE_CHECK(commit_object(*session_, FillKind::kSpan, end).ok());
    }
    for (const uint32_t end : {12u, 16u, 44u}) {
      if (!model::needs_checkpoint(layout_)) break;
      QUIRE_CHECK(
          commit_object(*session_, FillKind::kCheckpoint, end, 0, CheckpointReason::kInterval)
              .ok());
    }
  }
  std::vector<uint32_t> tokens_of(const client::Positions& found) {
    std::vector<uint32_t> tokens;
    for (const model::ResumePosition& one : found.positions) tokens.push_back(one.tokens);
    return tokens;
  }

  model::Layout layout_;
  TestDaemon daemon_;
  std::unique_ptr<client::Client> client_ = daemon_.connect();
  std::unique_ptr<Session> session_;
};

class AppendQueries : public PrefixQueries {
 protected:
  AppendQueries() : PrefixQueries(small_append_layout()) {}
};

model::Layout replayed_layout() {
  model::Layout layout = small_hybrid_layout();
  layout.groups[1].replay = {.tokens = 8, .exact = true};
  layout.groups[2].replay = {.tokens = 8, .exact = true};
  return layout;
}
class ReplayQueries : public PrefixQueries {
 protected:
  ReplayQueries() : PrefixQueries(replayed_layout()) {}
};

using Tokens = std::vector<uint32_t>;

}  // namespace

TEST_F(PrefixQueries, EveryCheckpointIsAPositionTheDeepestFirst) {
  const auto found = session_->positions(kTokens + 1);
  ASSERT_TRUE(found.ok()) << found.error().text;
  EXPECT_EQ(tokens_of(*found), (Tokens{44, 16, 12}));
  EXPECT_TRUE(found->complete);
  EXPECT_EQ(found->span_tokens, kTokens);
  EXPECT_EQ(found->exact_tokens, 44u);
  for (const model::ResumePosition& one : found->positions) {
    EXPECT_EQ(one.how, static_cast<uint8_t>(ResumedHow::kExact));
    EXPECT_EQ(one.tier_tokens[TierId::kRam], one.tokens);
    EXPECT_EQ(one.replay_tokens, 0u);
  }
}

TEST_F(PrefixQueries, OneTokenIsAlwaysLeftToCompute) {
  EXPECT_EQ(tokens_of(*session_->positions(44)), (Tokens{16, 12}));
  EXPECT_EQ(tokens_of(*session_->positions(16)), (Tokens{12}));
  EXPECT_EQ(tokens_of(*session_->positions(12)), Tokens{});
}

TEST_F(PrefixQueries, TheClientsBoundCutsTheShallowOnes) {
  const auto found = session_->positions(kTokens + 1, {.max_positions = 2});
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(tokens_of(*found), (Tokens{44, 16}));
  EXPECT_FALSE(found->complete);
  EXPECT_TRUE(session_->positions(kTokens + 1, {.max_positions = 3})->complete);
}

TEST_F(AppendQueries, EveryBlockEndIsAPosition) {
  EXPECT_EQ(tokens_of(*session_->positions(21)), (Tokens{20, 16, 12, 8, 4}));
  EXPECT_EQ(tokens_of(*session_->positions(20)), (Tokens{16, 12, 8, 4}));
}

TEST_F(ReplayQueries, TheSpansEndIsAPositionWithAReplay) {
  const auto found = session_->positions(kTokens + 2);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(tokens_of(*found), (Tokens{48, 44, 16, 12}));
  EXPECT_EQ(found->positions[0].how, static_cast<uint8_t>(ResumedHow::kSpan));
  EXPECT_EQ(found->positions[0].replay_tokens, 8u);
  EXPECT_EQ(found->positions[0].replay_exact, 1);
  const auto all = session_->positions(kTokens + 2, {.every_block = true});
  EXPECT_EQ(tokens_of(*all), (Tokens{48, 44, 40, 32, 24, 16, 12, 8}));
  EXPECT_EQ(all->positions[5].how, static_cast<uint8_t>(ResumedHow::kExact)) << "no replay at 16";
}

TEST_F(PrefixQueries, NothingIsPinnedAnnouncedOrUsed) {
  uint64_t matches = 0;
  daemon_.on_core([&](server::Daemon& d) { matches = d.cache().reader().counters().matches; });
  ASSERT_TRUE(session_->positions(kTokens + 1).ok());
  ASSERT_TRUE(session_->locate(kTokens).ok());
  daemon_.on_core([&](server::Daemon& d) {
    EXPECT_EQ(d.cache().lease_count(), 0u);
    EXPECT_EQ(d.cache().reader().counters().matches, matches);
    EXPECT_EQ(d.core().registry().session_count(), 1u);
  });
  session_.reset();
  ASSERT_TRUE(daemon_.is_quiet());
  daemon_.on_core([&](server::Daemon& d) { tests::meddle(d).evict(); });
  daemon_.on_core([&](server::Daemon& d) {
    EXPECT_EQ(tests::inspect(d).counters().spans, 0u) << "nothing kept anything";
  });
}

TEST_F(PrefixQueries, LocateSaysHowMuchOfAChainIsHere) {
  const auto all = session_->locate(kTokens + 8);
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(all->span_tokens, kTokens);
  EXPECT_EQ(all->exact_tokens, 44u);
  EXPECT_EQ(all->tokens[TierId::kRam], kTokens);
  const auto part = session_->locate(16);
  EXPECT_EQ(part->span_tokens, 16u);
  EXPECT_EQ(part->exact_tokens, 16u) << "no token needs to be left";
  EXPECT_EQ(session_->locate(0)->span_tokens, 0u);
  const auto other = open_session(*client_, session_options(layout_));
  ASSERT_TRUE(other->append_tokens(context_tokens(kTokens, 2)).ok());
  EXPECT_EQ(other->locate(kTokens)->span_tokens, 0u);
}

TEST_F(PrefixQueries, Law10_BoundsAreRefusedOnBothSides) {
  EXPECT_EQ(session_->positions(0).code(), Errc::kInvalidArgument);
  EXPECT_EQ(session_->positions(kTokens, {.max_positions = 0}).code(), Errc::kInvalidArgument);
  EXPECT_EQ(session_->positions(kTokens, {.max_positions = model::kMaxPositions + 1}).code(),
            Errc::kInvalidArgument);
  EXPECT_EQ(session_->positions(10'000).code(), Errc::kInvalidArgument) << "no hashes";
  EXPECT_EQ(session_->locate(10'000).code(), Errc::kInvalidArgument);
  RawClient raw(daemon_.socket_path());
  RawSession rude = raw.open_session(layout_);
  const auto refused = [&](const model::PositionsArgs& args) {
    model::Submission submission{};
    submission.verb = static_cast<uint16_t>(model::Verb::kPositions);
    submission.args.positions = args;
    rude.submit(submission);
    return static_cast<Errc>(rude.wait_completion().code) == Errc::kInvalidArgument;
  };
  EXPECT_TRUE(refused({.unit_count = ~0u, .prompt_tokens = 9, .max_positions = 1}));
  EXPECT_TRUE(refused({.prompt_tokens = 9, .max_positions = 0}));
  EXPECT_TRUE(refused({.prompt_tokens = 9, .max_positions = model::kMaxPositions + 1}));
  EXPECT_TRUE(refused({.prompt_tokens = 9, .descriptor_index = ~0u, .max_positions = 1}));
  EXPECT_TRUE(refused({.prompt_tokens = 9, .descriptor_index = 1, .max_positions = ~0u}));
  EXPECT_TRUE(refused({.prompt_tokens = 0, .max_positions = 1}));
}

TEST_F(PrefixQueries, PositionsAreTakenOnceAndTheirRoomComesBack) {
  for (int i = 0; i < 40; ++i) {  // 4096 entries of room
    const auto request = session_->submit_positions(kTokens + 1);
    ASSERT_TRUE(request.ok()) << i << ": " << request.error().text;
    session_->flush();
    ASSERT_TRUE(session_->wait(30'000).ok());
    model::Completion completion;
    ASSERT_EQ(*session_->poll_completions({&completion, 1}), 1u);
    EXPECT_EQ(session_->take_positions(*request, completion)->positions.size(), 3u);
    EXPECT_EQ(session_->take_positions(*request, completion).code(), Errc::kNotFound);
  }
}

}  // namespace quire::tests::prefix_queries_test
