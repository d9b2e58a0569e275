// `verify` reads what it says it checks: every page in RAM.
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "server/core.h"
#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::memory_verify_test {

using client::Session;
using model::FillKind;
using model::VerifyScope;

namespace {

constexpr uint32_t kTokens = 81;  // ten spans, a checkpoint

class MemoryVerify : public testing::Test {
 protected:
  std::unique_ptr<Session> open(uint64_t context) {
    auto session = open_session(*client_, session_options(small_hybrid_layout()));
    QUIRE_CHECK(session->append_tokens(context_tokens(kTokens, context)).ok());
    return session;
  }
  uint32_t exact(uint64_t context) { return open(context)->match(kTokens)->exact_tokens; }

  // Flips a bit of the first page of the span that ends there.
  void damage(const Session& session, uint32_t end_tokens) {
    const model::Hash256 key = session.chain()[end_tokens / session.layout().unit_tokens - 1];
    daemon_.on_core([&](server::Daemon& daemon) {
      const auto node = inspect(daemon).find(model::FillKind::kSpan, key);
      ASSERT_TRUE(node.has_value());
      meddle(daemon).corrupt(*node, 77);
    });
  }

  boost::json::object ask(VerifyScope scope) {
    const auto text = client_->verify_json(scope);
    EXPECT_TRUE(text.ok());
    return boost::json::parse(*text).as_object();
  }
  // A whole pass; what the daemon says then.
  boost::json::object verify() {
    const auto passes = ask(VerifyScope::kMemoryStatus).at("passes");
    ask(VerifyScope::kMemory);
    EXPECT_TRUE(daemon_.eventually([&](server::Daemon& d) {
      return boost::json::value(d.core().dispatcher().memory_check().status().passes) != passes;
    }));
    return ask(VerifyScope::kMemoryStatus);
  }

  TestDaemon daemon_;
  std::unique_ptr<client::Client> client_ = daemon_.connect();
};

}  // namespace

TEST_F(MemoryVerify, ReadsEveryPageAndFindsNothingWrong) {
  ASSERT_TRUE(commit_context(*open(1), kTokens).ok());
  const boost::json::object result = verify();
  EXPECT_FALSE(result.at("running").as_bool());
  EXPECT_EQ(result.at("objects").to_number<uint64_t>(), 11u);
  // Ten spans of 10,002 bytes, 5,000 of window and 1,234 of state, as slots hold them.
  EXPECT_GE(result.at("bytes").to_number<uint64_t>(), 10u * 10'002 + 6'234);
  EXPECT_EQ(result.at("bad").to_number<uint64_t>(), 0u);
  EXPECT_EQ(exact(1), 80u);
  daemon_.on_core([](server::Daemon& daemon) { daemon.cache().check_invariants(); });
}

TEST_F(MemoryVerify, AByteThatChangedInRamIsFoundAndIsAMissFromThenOn) {
  const auto writer = open(1);
  ASSERT_TRUE(commit_context(*writer, kTokens).ok());
  ASSERT_TRUE(commit_context(*open(2), kTokens).ok());
  damage(*writer, 48);
  ASSERT_EQ(open(1)->match(kTokens)->span_tokens, 80u) << "nobody has looked";

  EXPECT_EQ(verify().at("bad").to_number<uint64_t>(), 1u);
  const auto match = open(1)->match(kTokens);
  EXPECT_EQ(match->span_tokens, 40u) << "what stands before the bad span";
  EXPECT_EQ(exact(2), 80u);
  daemon_.on_core([](server::Daemon& daemon) {
    EXPECT_EQ(inspect(daemon).counters().quarantined, 6u) << "five spans, one checkpoint";
    daemon.cache().check_invariants();
  });
  const auto status = boost::json::parse(*client_->status_json());
  EXPECT_EQ(status.at("requests").at("checksum_failures").to_number<uint64_t>(), 1u);

  // Committed again, it is whole, and a second pass counts nothing anew.
  const auto again = open(1);
  ASSERT_TRUE(again->match(kTokens).ok());
  for (uint32_t end = 48; end <= 80; end += 8) {
    ASSERT_TRUE(commit_object(*again, FillKind::kSpan, end).ok());
  }
  ASSERT_TRUE(commit_object(*again, FillKind::kCheckpoint, 80).ok());
  EXPECT_EQ(verify().at("bad").to_number<uint64_t>(), 1u);
  EXPECT_EQ(exact(1), 80u);
}

TEST_F(MemoryVerify, WhatIsLeasedMeanwhileStaysUntilItIsReleased) {
  const auto session = open(1);
  ASSERT_TRUE(commit_context(*session, kTokens).ok());
  const auto match = session->match(kTokens);
  ASSERT_TRUE(match.ok());
  damage(*session, 80);
  verify();
  EXPECT_EQ(exact(1), 0u);
  EXPECT_TRUE(session->release(match->lease).ok());
  daemon_.on_core([](server::Daemon& daemon) { daemon.cache().check_invariants(); });
}

TEST_F(MemoryVerify, APassThatIsAskedForTwiceIsOnePass) {
  ASSERT_TRUE(commit_context(*open(1), kTokens).ok());
  verify();
  const boost::json::object result = verify();
  EXPECT_EQ(result.at("passes").to_number<uint64_t>(), 2u);
  EXPECT_EQ(result.at("objects").to_number<uint64_t>(), 22u);
}

}  // namespace quire::tests::memory_verify_test
