// Checkpoints at positions that nobody asked for: an engine whose states exist at the ends of its
// chunks offers each, and the daemon takes those that are far enough apart.
#include <gtest/gtest.h>

#include <vector>

#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::checkpoint_offers_test {
namespace {

using client::Session;
using model::CheckpointReason;
using model::FillKind;

constexpr uint32_t kTokens = 401;  // units of 4, blocks of 8

class CheckpointOffersTest : public testing::Test {
 protected:
  CheckpointOffersTest() : options_(session_options(small_hybrid_layout())) {}

  std::unique_ptr<Session> open() {
    auto session = open_session(*client_, options_);
    QUIRE_CHECK(session->append_tokens(context_tokens(kTokens, 1)).ok());
    return session;
  }
  void write_spans(Session& session) {
    for (uint32_t end = 8; end <= kTokens; end += 8) {
      QUIRE_CHECK(commit_object(session, FillKind::kSpan, end).ok());
    }
  }
  // True when it was taken; then it is written.
  static bool offer(Session& session, uint32_t tokens) {
    const client::FillOptions options{.reason = CheckpointReason::kOffered};
    const auto fill = session.begin_fill(FillKind::kCheckpoint, tokens, options);
    QUIRE_CHECK(fill.ok());
    EXPECT_TRUE(fill->duplicate || !fill->unwanted) << "who only looks at duplicate writes nothing";
    if (fill->unwanted) return false;
    QUIRE_CHECK(!fill->duplicate && session.commit(*fill).ok());
    return true;
  }
  static std::vector<uint32_t> taken_of(Session& session, const std::vector<uint32_t>& offered) {
    std::vector<uint32_t> taken;
    for (const uint32_t tokens : offered) {
      if (offer(session, tokens)) taken.push_back(tokens);
    }
    return taken;
  }
  void set(std::string_view word) {
    std::string text = client_->set_checkpoints(word, {}).value();
    while (text.find("\"switching\":true") != std::string::npos)
      text = client_->policy_json().value();
  }
  uint64_t unwanted() {
    uint64_t count = 0;
    daemon_.on_core(
        [&](server::Daemon& daemon) { count = daemon.cache().writer().counters().unwanted; });
    return count;
  }

  TestDaemon daemon_;
  std::unique_ptr<client::Client> client_ = daemon_.connect();
  client::SessionOptions options_;
};

TEST_F(CheckpointOffersTest, AreTakenSoFarApartAsTheSessionSays) {
  options_.offer_tokens = 64;
  const auto session = open();
  write_spans(*session);
  EXPECT_EQ(session->offer_tokens(), 64u);
  EXPECT_EQ(taken_of(*session, {20, 52, 80, 84, 144, 148, 212}),
            (std::vector<uint32_t>{20, 84, 148, 212}));
  EXPECT_EQ(unwanted(), 3u);
}

TEST_F(CheckpointOffersTest, WhatIsThereAlreadyCountsWhoeverWroteIt) {
  const auto writer = open();
  write_spans(*writer);
  ASSERT_TRUE(commit_object(*writer, FillKind::kCheckpoint, 100).ok());
  options_.offer_tokens = 64;
  EXPECT_EQ(taken_of(*open(), {60}), (std::vector<uint32_t>{60})) << "what lies behind is no help";
  EXPECT_EQ(taken_of(*open(), {104, 160, 164}), (std::vector<uint32_t>{164}));
}

TEST_F(CheckpointOffersTest, OnesThatAreBeingWrittenCount) {
  options_.offer_tokens = 64;
  const auto session = open();
  write_spans(*session);
  const client::FillOptions options{.reason = CheckpointReason::kOffered};
  const auto open_fill = session->begin_fill(FillKind::kCheckpoint, 100, options).value();
  ASSERT_FALSE(open_fill.unwanted);
  EXPECT_FALSE(offer(*session, 120));
  ASSERT_TRUE(session->commit(open_fill).ok());
}

TEST_F(CheckpointOffersTest, ThePolicyNamesTheDistanceAndChangesItWhileASessionRuns) {
  const auto session = open();
  write_spans(*session);
  EXPECT_FALSE(offer(*session, 40)) << "turn ends alone are asked for";
  set("every:64");
  EXPECT_EQ(session->offer_tokens(), 64u);
  EXPECT_EQ(taken_of(*session, {40, 100, 104}), (std::vector<uint32_t>{40, 104}));
  set("all");
  EXPECT_TRUE(offer(*session, 108));
  set("none");
  EXPECT_EQ(session->offer_tokens(), 0u);
  EXPECT_FALSE(offer(*session, 400));
}

// As what every:N asks for: a newer turn end would make it written for nothing.
TEST_F(CheckpointOffersTest, NewerTurnEndsDoNotSupersedeThem) {
  options_.offer_tokens = 64;
  options_.conversation = 7;
  const auto session = open();
  write_spans(*session);
  ASSERT_TRUE(offer(*session, 100));
  ASSERT_TRUE(commit_object(*session, FillKind::kCheckpoint, 396).ok());
  ASSERT_TRUE(commit_object(*session, FillKind::kCheckpoint, 400).ok());
  EXPECT_EQ(open()->match(120)->exact_tokens, 100u);
}

TEST_F(CheckpointOffersTest, OtherReasonsAreNotAskedHowFarTheyLie) {
  options_.offer_tokens = 64;
  const auto session = open();
  write_spans(*session);
  ASSERT_TRUE(offer(*session, 100));
  const auto turn_end = commit_object(*session, FillKind::kCheckpoint, 104).value();
  EXPECT_EQ(turn_end.duplicate, 0u);
}

}  // namespace
}  // namespace quire::tests::checkpoint_offers_test
