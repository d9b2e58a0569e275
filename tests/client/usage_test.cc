// Usage objects as customers read them, from the figures of one turn.
#include "client/usage.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "client/quire_c.h"

namespace quire::client::usage_test {

using model::TurnTokens;

namespace {

// 1,000 of 1,500 were hit; of the other 500 the cache kept 384.
constexpr TurnTokens kTurn{
    .prompt = 1500, .hit = 1000, .replayed = 128, .missed = 372, .output = 70, .written = 384};

}  // namespace

TEST(Usage, DeepSeek) {
  EXPECT_EQ(usage_json(kTurn, UsageShape::kDeepSeek),
            R"({"prompt_tokens":1500,"completion_tokens":70,"total_tokens":1570,)"
            R"("prompt_tokens_details":{"cached_tokens":1000},)"
            R"("prompt_cache_hit_tokens":1000,"prompt_cache_miss_tokens":500})");
}

TEST(Usage, OpenAi) {
  EXPECT_EQ(usage_json(kTurn, UsageShape::kOpenAi),
            R"({"prompt_tokens":1500,)"
            R"("prompt_tokens_details":{"cached_tokens":1000,"cache_write_tokens":384},)"
            R"("completion_tokens":70,"total_tokens":1570})");
  EXPECT_EQ(usage_json(kTurn, UsageShape::kResponses, {.tell_written = false}),
            R"({"input_tokens":1500,"input_tokens_details":{"cached_tokens":1000},)"
            R"("output_tokens":70,"total_tokens":1570})");
}

TEST(Usage, AnthropicCountsEachTokenOfThePromptOnce) {
  EXPECT_EQ(usage_json(kTurn, UsageShape::kAnthropic, {.retention = "5m"}),
            R"({"input_tokens":116,"cache_creation_input_tokens":384,)"
            R"("cache_read_input_tokens":1000,"cache_creation":)"
            R"({"ephemeral_5m_input_tokens":384,"ephemeral_1h_input_tokens":0},)"
            R"("output_tokens":70})");
  EXPECT_NE(usage_json(kTurn, UsageShape::kAnthropic, {.retention = "1h"})
                .find(R"("ephemeral_1h_input_tokens":384)"),
            std::string::npos);
}

// An answer's own blocks are written, too, and are no input.
TEST(Usage, WhatIsWrittenOfAnAnswerIsNoInput) {
  TurnTokens turn = kTurn;
  turn.written = 900;
  const std::string json = usage_json(turn, UsageShape::kAnthropic);
  EXPECT_NE(json.find(R"("input_tokens":0,"cache_creation_input_tokens":500,)"), std::string::npos);
}

TEST(Usage, TheCTwinSaysTheSame) {
  const quire_turn_usage usage{.size = sizeof(quire_turn_usage),
                               .prompt_tokens = kTurn.prompt,
                               .hit_tokens = kTurn.hit,
                               .replayed_tokens = kTurn.replayed,
                               .missed_tokens = kTurn.missed,
                               .output_tokens = kTurn.output,
                               .written_tokens = kTurn.written};
  std::array<char, 512> text{};
  size_t length = 0;
  ASSERT_EQ(
      quire_usage_json(&usage, QUIRE_USAGE_ANTHROPIC, "1h", text.data(), text.size(), &length),
      QUIRE_OK);
  EXPECT_EQ(std::string(text.data()),
            usage_json(kTurn, UsageShape::kAnthropic, {.retention = "1h"}));
  EXPECT_EQ(length, std::strlen(text.data()));
}

TEST(Usage, TheCTwinRefusesWhatCannotBeAndSaysWhatItNeeds) {
  quire_turn_usage usage{.size = sizeof(quire_turn_usage), .prompt_tokens = 5, .hit_tokens = 6};
  std::array<char, 8> text{};
  size_t length = 0;
  const auto call = [&](uint32_t shape) {
    return quire_usage_json(&usage, shape, nullptr, text.data(), text.size(), &length);
  };
  EXPECT_EQ(call(QUIRE_USAGE_OPENAI), QUIRE_INVALID_ARGUMENT);
  usage.hit_tokens = 4;
  EXPECT_EQ(call(4), QUIRE_INVALID_ARGUMENT);
  EXPECT_EQ(call(QUIRE_USAGE_OPENAI), QUIRE_RESOURCE_EXHAUSTED);
  EXPECT_GT(length, text.size());
  usage.size = 0;
  EXPECT_EQ(call(QUIRE_USAGE_OPENAI), QUIRE_INVALID_ARGUMENT);
  EXPECT_EQ(quire_usage_json(nullptr, 0, nullptr, nullptr, 0, nullptr), QUIRE_INVALID_ARGUMENT);
}

}  // namespace quire::client::usage_test
