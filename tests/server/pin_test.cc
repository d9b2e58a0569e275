// Pins in a daemon whose RAM is smaller than what is written to it.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "tests/support/manual_clock.h"
#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::pin_test {
namespace {

using model::Errc;
using model::FillKind;

constexpr uint64_t kPage = 1 << 20;
constexpr uint32_t kBlock = 4;   // tokens
constexpr uint32_t kBlocks = 8;  // of each context, so that eight contexts fill the RAM
constexpr uint64_t kContextBytes = kBlocks * kPage;

model::Layout layout() {
  model::Layout layout = small_append_layout();
  layout.name = "pin";
  layout.groups[0].page_bytes = kPage;
  layout.groups[0].layers = {{.layer = 0, .offset = 0, .bytes = kPage}};
  return layout;
}

class Pins : public testing::Test {
 protected:
  std::unique_ptr<client::Session> open(uint64_t context, const std::string& space) {
    auto options = session_options(layout(), space);
    options.staging_bytes = 2 * kPage;
    auto session = open_session(*client_, options);
    QUIRE_CHECK(session->append_tokens(context_tokens(kBlock * kBlocks + 1, context)).ok());
    return session;
  }
  void write(uint64_t context, const std::string& space) {
    const auto session = open(context, space);
    for (uint32_t block = 1; block <= kBlocks; ++block) {
      const auto written = commit_object(*session, FillKind::kSpan, block * kBlock);
      ASSERT_TRUE(written.ok()) << space << ": " << written.error().text;
    }
  }
  // More than the RAM holds.
  void flood(uint64_t first) {
    for (uint64_t context = first; context < first + 9; ++context) write(context, "flood");
  }
  uint32_t tokens_of(uint64_t context, const std::string& space) {
    const auto session = open(context, space);
    const auto match = session->match(kBlock * kBlocks + 1);
    EXPECT_TRUE(match.ok()) << match.error().text;
    EXPECT_TRUE(match->exact_tokens == 0 || check_hit(*session, *match) > 0) << "a wrong byte";
    return match->exact_tokens;
  }
  client::ScopeOptions scope() const {
    return {.domain = "uid:" + std::to_string(::geteuid()), .tenant = {}};
  }
  client::PinOptions pin(const std::string& space, uint64_t bytes) const {
    return {.scope = scope(), .namespace_name = space, .budget_bytes = bytes};
  }
  std::string shown() { return client_->pin_json().value(); }
  static bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }

  ManualClock clock_;
  TestDaemon daemon_{small_options(), {.clock = &clock_}};
  std::unique_ptr<client::Client> client_ = daemon_.connect();
};

// Of a namespace that is not there yet. The figures are those of the answer.
TEST_F(Pins, PinnedNamespaceSurvivesAFloodUntilItsTimeIsOver) {
  auto timed = pin("kept", 3 * kContextBytes);
  timed.for_seconds = 60;
  const auto set = client_->set_pin(timed);
  ASSERT_TRUE(set.ok()) << set.error().text;
  EXPECT_TRUE(has(*set,
                  "\"namespace\":\"kept\",\"held_bytes\":0,\"budget_bytes\":25165824,"
                  "\"left_seconds\":60"))
      << *set;
  write(1, "kept");
  write(2, "kept");
  flood(100);
  EXPECT_TRUE(has(shown(), "\"held_bytes\":16777216,")) << shown();
  EXPECT_EQ(tokens_of(1, "kept"), kBlocks * kBlock);
  EXPECT_EQ(tokens_of(2, "kept"), kBlocks * kBlock);
  clock_.advance(std::chrono::seconds(61));
  ASSERT_TRUE(daemon_.eventually([](server::Daemon& d) { return !d.cache().pins().any_live(); }));
  EXPECT_TRUE(has(shown(), "\"pins\":[]")) << shown();
  flood(200);
  EXPECT_EQ(tokens_of(1, "kept"), 0u);
}

TEST_F(Pins, WithoutOneTheFloodTakesIt) {
  write(1, "kept");
  flood(100);
  EXPECT_EQ(tokens_of(1, "kept"), 0u);
}

TEST_F(Pins, UnpinnedItGoes) {
  write(1, "kept");
  ASSERT_TRUE(client_->set_pin(pin("kept", kContextBytes)).ok());
  flood(100);
  EXPECT_EQ(tokens_of(1, "kept"), kBlocks * kBlock) << "what was there is pinned, too";
  ASSERT_TRUE(client_->clear_pin(scope(), "kept").ok());
  flood(200);
  EXPECT_EQ(tokens_of(1, "kept"), 0u);
}

// The whole RAM is one pinned namespace's, up to the bound, and who else comes is served.
TEST_F(Pins, NobodyIsRefusedForWhatIsPinned) {
  ASSERT_TRUE(client_->set_pin(pin("kept", 4 * kContextBytes)).ok());
  for (uint64_t context = 0; context < 8; ++context) write(context, "kept");
  ASSERT_TRUE(client_->set_pin(pin("flood", kContextBytes)).code() == Errc::kResourceExhausted);
  flood(100);
  EXPECT_EQ(tokens_of(108, "flood"), kBlocks * kBlock);
}

TEST_F(Pins, WhatMakesNoSenseIsRefused) {
  EXPECT_EQ(client_->set_pin({.scope = {}, .namespace_name = "m", .budget_bytes = 1}).code(),
            Errc::kInvalidArgument)
      << "whose?";
  EXPECT_EQ(client_->set_pin(pin("m", 0)).code(), Errc::kInvalidArgument);
  EXPECT_EQ(client_->set_pin(pin("a\nb", 1)).code(), Errc::kInvalidArgument);
  const auto large = client_->set_pin(pin("m", 5 * kContextBytes));
  EXPECT_EQ(large.code(), Errc::kResourceExhausted);
  EXPECT_TRUE(has(large.error().text, "33554432")) << large.error().text;
  EXPECT_EQ(client_->clear_pin(scope(), "m").code(), Errc::kNotFound);
  EXPECT_TRUE(has(shown(), "\"pins\":[]")) << shown();
}

TEST_F(Pins, RestartKnowsThemAndTheirTime) {
  const std::string path = testing::TempDir() + "quire-pin-state-" + std::to_string(::getpid());
  daemon_.options().state_file = path;
  daemon_.restart();
  client_ = daemon_.connect();
  auto timed = pin("timed", kPage);
  timed.for_seconds = 7200;
  timed.scope.tenant = "t";
  ASSERT_TRUE(client_->set_pin(timed).ok());
  ASSERT_TRUE(client_->set_pin(pin("ever", kPage)).ok());
  ASSERT_TRUE(client_->set_policy(model::TierId::kRam, "arc", {}).ok()) << "it writes all of them";
  daemon_.restart();
  client_ = daemon_.connect();
  const std::string text = shown();
  EXPECT_TRUE(has(text,
                  "\"tenant\":\"t\",\"namespace\":\"timed\",\"held_bytes\":0,"
                  "\"budget_bytes\":1048576,\"left_seconds\":7"))
      << text;
  EXPECT_TRUE(has(text, "\"namespace\":\"ever\",\"held_bytes\":0,\"budget_bytes\":1048576}"))
      << text;
  ASSERT_TRUE(client_->clear_pins().ok());
  daemon_.restart();
  client_ = daemon_.connect();
  EXPECT_TRUE(has(shown(), "\"pins\":[]")) << shown();
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace quire::tests::pin_test
