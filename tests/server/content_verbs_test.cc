// What operators do to the content of a daemon at once, by name.
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "tests/support/raw_client.h"
#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::content_verbs_test {
namespace {

using model::Errc;
using model::EvictAction;

constexpr uint32_t kTokens = 64;  // sixteen spans

class ContentVerbsTest : public testing::Test {
 protected:
  std::unique_ptr<client::Session> write(uint64_t context, const std::string& name) {
    auto session = open_session(*client_, session_options(small_append_layout(), name));
    QUIRE_CHECK(session->append_tokens(context_tokens(kTokens, context)).ok());
    QUIRE_CHECK(commit_context(*session, kTokens).ok());
    return session;
  }
  // The answer when it is done.
  std::string evict(EvictAction action, const client::EvictOptions& options) {
    auto text = client_->evict_json(action, options);
    while (text.ok() && has(*text, "\"running\":true")) {
      text = client_->evict_json(EvictAction::kShow);
    }
    return text.ok() ? *text : text.error().text;
  }
  static bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }

  TestDaemon daemon_;
  std::unique_ptr<client::Client> client_ = daemon_.connect();
};

TEST_F(ContentVerbsTest, EvictTellsFirstAndThenTakesOneNamespaceAlone) {
  write(1, "old");
  write(2, "new");
  ASSERT_TRUE(daemon_.is_quiet());
  const client::EvictOptions old{.namespace_name = "old"};
  const std::string planned = evict(EvictAction::kPlan, old);
  EXPECT_TRUE(has(planned, "\"dry_run\":true")) << planned;
  EXPECT_TRUE(has(planned, "\"namespace\":\"old\"")) << planned;
  EXPECT_TRUE(has(planned, "\"objects\":16,")) << planned;
  EXPECT_TRUE(has(planned, "\"lost_objects\":16,")) << planned;
  EXPECT_EQ(daemon_.counters().spans, 32u) << "nothing went";
  const std::string gone = evict(EvictAction::kGo, old);
  EXPECT_TRUE(has(gone, "\"dry_run\":false")) << gone;
  EXPECT_TRUE(has(gone, "\"objects\":16,")) << gone;
  EXPECT_EQ(daemon_.counters().spans, 16u);
  const auto session = open_session(*client_, session_options(small_append_layout(), "new"));
  ASSERT_TRUE(session->append_tokens(context_tokens(kTokens, 2)).ok());
  const auto match = session->match(kTokens);
  ASSERT_TRUE(match.ok());
  EXPECT_GT(check_hit(*session, *match), 0) << "the other one is a hit as before";
}

TEST_F(ContentVerbsTest, WhatASessionHoldsStaysAndIsCounted) {
  const auto session = write(1, "held");
  const auto match = session->match(kTokens);
  ASSERT_TRUE(match.ok());
  const std::string gone = evict(EvictAction::kGo, {});
  EXPECT_TRUE(has(gone, "\"objects\":0,")) << gone;
  EXPECT_TRUE(has(gone, "\"needed_objects\":15")) << gone;
  EXPECT_GT(check_hit(*session, *match), 0) << "law 3";
}

TEST_F(ContentVerbsTest, EvictRefusesWhatMakesNoSense) {
  const auto code = [&](const client::EvictOptions& options) {
    return client_->evict_json(EvictAction::kPlan, options).code();
  };
  EXPECT_EQ(code({.tier = model::TierId::kSsd}), Errc::kInvalidArgument) << "there is none";
  EXPECT_EQ(code({.scope = {.domain = "uid:4242", .tenant = {}}}), Errc::kNotFound);
  EXPECT_EQ(code({.scope = {.domain = "", .tenant = "t"}}), Errc::kInvalidArgument) << "whose?";
  EXPECT_EQ(code({.namespace_name = "a\nb"}), Errc::kInvalidArgument) << "it would be in the log";
  EXPECT_EQ(client_->evict_json(static_cast<EvictAction>(9)).code(), Errc::kInvalidArgument);
}

}  // namespace
}  // namespace quire::tests::content_verbs_test
