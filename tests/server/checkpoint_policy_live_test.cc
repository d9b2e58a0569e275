// Which checkpoints a daemon asks its sessions for, and how an operator's change reaches those that
// run.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::checkpoint_policy_live_test {
namespace {

using client::ScopeOptions;
using client::Session;
using model::CheckpointReason;
using model::Errc;
using model::FillKind;
using Positions = std::vector<uint32_t>;

constexpr uint32_t kPrompt = 3000;  // tokens; the layout's unit is 4

Positions asked_at(const Session& session, uint32_t from = 0, uint32_t end = kPrompt) {
  Positions positions;
  for (const auto& one : session.wanted_checkpoints(from, end, 0)) positions.push_back(one.tokens);
  return positions;
}

std::string own_domain() { return "uid:" + std::to_string(::geteuid()); }

class CheckpointPolicyLive : public testing::Test {
 protected:
  std::unique_ptr<Session> open(const std::string& tenant = "tenant") {
    return open_session(*client_, session_options(small_hybrid_layout(), "model", tenant));
  }
  // Sessions know it when the verb says so, at the latest.
  void set(std::string_view word, const ScopeOptions& scope = {}) {
    std::string text = client_->set_checkpoints(word, scope).value();
    while (text.find("\"switching\":true") != std::string::npos)
      text = client_->policy_json().value();
  }

  TestDaemon daemon_;
  std::unique_ptr<client::Client> client_ = daemon_.connect();
};

TEST_F(CheckpointPolicyLive, SwitchChangesWhatARunningSessionIsAskedFor) {
  const auto session = open();
  EXPECT_EQ(asked_at(*session), (Positions{2744, 2996})) << "the default: turn ends";
  set("every:1022");  // to whole units: 1024
  EXPECT_EQ(asked_at(*session), (Positions{1024, 2048, 2744, 2996}));
  EXPECT_EQ(asked_at(*session, 1500), (Positions{2048, 2996})) << "the rest of a turn";
  set("none");
  EXPECT_EQ(asked_at(*session), Positions{});
  set("all");
  EXPECT_EQ(asked_at(*session).size(), kPrompt / 4);
  set("branch");
  EXPECT_EQ(asked_at(*session), Positions{});
  EXPECT_EQ(session->wanted_checkpoints(0, kPrompt, 800).size(), 1u);
  set("turn_ends");
  EXPECT_EQ(asked_at(*session), (Positions{2744, 2996}));
}

TEST_F(CheckpointPolicyLive, SessionOpenedAfterwardsIsAskedLikewise) {
  set("every:1024");
  EXPECT_EQ(asked_at(*open()), (Positions{1024, 2048, 2744, 2996}));
  const auto other = daemon_.connect();
  const auto first = open();
  const auto joined = other->join_session(first->token(), session_options(small_hybrid_layout()));
  ASSERT_TRUE(joined.ok()) << joined.error().text;
  EXPECT_EQ(asked_at(**joined).size(), 4u);
  set("none");
  EXPECT_TRUE(asked_at(**joined).empty()) << "every process of the session";
}

TEST_F(CheckpointPolicyLive, NarrowestRuleCountsAndAWiderOneReplacesIt) {
  const auto acme = open("acme");
  const auto other = open("other");
  set("none", {.domain = own_domain(), .tenant = {}});
  set("every:1024", {.domain = own_domain(), .tenant = "acme"});
  EXPECT_EQ(asked_at(*acme).size(), 4u);
  EXPECT_TRUE(asked_at(*other).empty());
  const std::string shown = client_->policy_json().value();
  EXPECT_NE(shown.find(R"("tenant":"acme","policy":"every:1024")"), std::string::npos) << shown;
  EXPECT_NE(shown.find(R"("domain":"*","tenant":"*","policy":"turn_ends")"), std::string::npos);
  set("turn_ends");
  EXPECT_EQ(asked_at(*acme).size(), 2u);
  EXPECT_EQ(asked_at(*other).size(), 2u);
}

// More than one step of the teller, and all of them know in the end.
TEST_F(CheckpointPolicyLive, ManySessionsAreToldInSteps) {
  std::vector<std::unique_ptr<Session>> sessions;
  auto options = session_options(small_hybrid_layout());
  options.max_tokens = kPrompt;
  options.staging_bytes = 64 << 10;
  for (int i = 0; i < 150; ++i) sessions.push_back(open_session(*client_, options));
  set("none");
  for (const auto& session : sessions) EXPECT_TRUE(asked_at(*session).empty());
}

TEST_F(CheckpointPolicyLive, WhatMakesNoSenseIsRefusedByName) {
  const auto refused = [&](std::string_view word, const ScopeOptions& scope) {
    const auto set = client_->set_checkpoints(word, scope);
    EXPECT_FALSE(set.ok()) << word;
    return set.error();
  };
  EXPECT_NE(refused("some", {}).text.find("none, branch, turn_ends, every:N"), std::string::npos);
  EXPECT_EQ(refused("every:0", {}).code, Errc::kInvalidArgument);
  EXPECT_EQ(refused("none", {.domain = "uid:77", .tenant = {}}).code, Errc::kNotFound);
  EXPECT_EQ(refused("none", {.domain = "", .tenant = "acme"}).code, Errc::kInvalidArgument);
  EXPECT_EQ(asked_at(*open()).size(), 2u) << "nothing changed";
}

TEST(CheckpointPolicyKept, ChangeSurvivesARestartAndGoesBeforeTheFlag) {
  auto options = small_options();
  options.checkpoints = "none";
  options.state_file = testing::TempDir() + "quire-checkpoints-" + std::to_string(::getpid());
  TestDaemon daemon(options);
  auto client = daemon.connect();
  const auto asked = [&] {
    return asked_at(*open_session(*client, session_options(small_hybrid_layout()))).size();
  };
  EXPECT_EQ(asked(), 0u) << "as the flag says";
  std::string text =
      client->set_checkpoints("every:1024", {.domain = own_domain(), .tenant = "tenant"}).value();
  while (text.find("\"saving\":true") != std::string::npos) text = client->policy_json().value();
  client.reset();
  daemon.restart();
  client = daemon.connect();
  EXPECT_EQ(asked(), 4u);
  std::filesystem::remove(options.state_file);
}

// What is written because of a distance stays beside newer turn ends.
TEST_F(CheckpointPolicyLive, PeriodicCheckpointsAreNotSuperseded) {
  auto options = session_options(small_hybrid_layout());
  options.conversation = 7;
  options.tail_tokens = 16;
  const auto text = context_tokens(400, 1);
  const auto take_turn = [&](uint32_t tokens) {
    const auto session = open_session(*client_, options);
    ASSERT_TRUE(session->append_tokens(std::span(text).first(tokens)).ok());
    const auto match = session->match(tokens).value();
    for (uint32_t end = match.span_tokens + 8; end <= tokens; end += 8) {
      ASSERT_TRUE(commit_object(*session, FillKind::kSpan, end).ok());
    }
    for (const auto& one : session->wanted_checkpoints(match.exact_tokens, tokens, 0)) {
      ASSERT_TRUE(commit_object(*session, FillKind::kCheckpoint, one.tokens, 0, one.reason).ok());
    }
    if (match.lease != 0) QUIRE_CHECK(session->release(match.lease).ok());
  };
  take_turn(65);  // turn ends: 48 and 64
  set("every:64");
  for (const uint32_t tokens : {165u, 265u, 365u}) take_turn(tokens);
  const auto session = open_session(*client_, options);
  ASSERT_TRUE(session->append_tokens(text).ok());
  for (const uint32_t position : {64u, 128u, 192u, 256u, 320u}) {
    const auto match = session->match(position + 1);
    ASSERT_TRUE(match.ok());
    EXPECT_EQ(match->exact_tokens, position) << "64 was written as a turn end before the switch";
    ASSERT_TRUE(session->release(match->lease).ok());
  }
}

}  // namespace
}  // namespace quire::tests::checkpoint_policy_live_test
