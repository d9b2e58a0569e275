// What a request is reported to have used, in the shapes that customers of model providers know.
//
//   hit + missed = prompt: tokens computed again to resume (replayed) count among those missed, as
//   they do on a bill
//
// Figures are the daemon's own, those of the turn's receipt so far (Session::resumed), so what a
// customer is told and what the ledger says cannot differ. Threads: any; no state.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "model/ring_frames.h"

namespace quire::client {

enum class UsageShape : uint8_t {
  kDeepSeek = 0,   // prompt_cache_hit_tokens, prompt_cache_miss_tokens
  kOpenAi = 1,     // chat completions: prompt_tokens_details.cached_tokens
  kResponses = 2,  // OpenAI's Responses: input_tokens_details.cached_tokens
  kAnthropic = 3,  // cache_read_input_tokens, cache_creation_input_tokens
};

struct UsageOptions {
  // Class that written content is kept by, as SessionOptions::retention: "5m" and "1h" are told
  // apart in Anthropic's shape.
  std::string_view retention;
  // 0: what is written is not told. Where writing costs nothing it is not in the object either.
  bool tell_written = true;
};

// One JSON object. Fields: api-docs.deepseek.com (chat completion), platform.openai.com (chat,
// responses), docs.anthropic.com (messages), as of November 2026.
std::string usage_json(const model::TurnTokens& turn, UsageShape shape,
                       const UsageOptions& options = {});

}  // namespace quire::client
