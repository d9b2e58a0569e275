#include "client/usage.h"

#include <algorithm>
#include <initializer_list>
#include <utility>

namespace quire::client {

namespace {

// Names are ours and numbers need no escapes, so an object is put together by hand: the library
// that engines link has no JSON.
class Object {
 public:
  Object& add(std::string_view key, uint64_t value) { return add_text(key, std::to_string(value)); }
  Object& add(std::string_view key, const Object& object) { return add_text(key, object.text()); }
  std::string text() const { return "{" + fields_ + "}"; }

 private:
  Object& add_text(std::string_view key, const std::string& value) {
    if (!fields_.empty()) fields_ += ",";
    fields_ += "\"" + std::string(key) + "\":" + value;
    return *this;
  }

  std::string fields_;
};

Object deepseek(const model::TurnTokens& turn) {
  return Object()
      .add("prompt_tokens", turn.prompt)
      .add("completion_tokens", turn.output)
      .add("total_tokens", uint64_t{turn.prompt} + turn.output)
      .add("prompt_tokens_details", Object().add("cached_tokens", turn.hit))
      .add("prompt_cache_hit_tokens", turn.hit)
      .add("prompt_cache_miss_tokens", turn.prompt - turn.hit);
}

// What was written of the prompt: an answer's own spans are no input.
uint32_t written_input(const model::TurnTokens& turn) {
  return std::min(turn.written, turn.prompt - turn.hit);
}

Object openai(const model::TurnTokens& turn, const UsageOptions& options, bool responses) {
  Object details;
  details.add("cached_tokens", turn.hit);
  if (options.tell_written) details.add("cache_write_tokens", written_input(turn));
  return Object()
      .add(responses ? "input_tokens" : "prompt_tokens", turn.prompt)
      .add(responses ? "input_tokens_details" : "prompt_tokens_details", details)
      .add(responses ? "output_tokens" : "completion_tokens", turn.output)
      .add("total_tokens", uint64_t{turn.prompt} + turn.output);
}

Object anthropic(const model::TurnTokens& turn, const UsageOptions& options) {
  const uint32_t written = options.tell_written ? written_input(turn) : 0;
  const bool an_hour = options.retention == "1h";
  return Object()
      .add("input_tokens", turn.prompt - turn.hit - written)
      .add("cache_creation_input_tokens", written)
      .add("cache_read_input_tokens", turn.hit)
      .add("cache_creation", Object()
                                 .add("ephemeral_5m_input_tokens", an_hour ? 0 : written)
                                 .add("ephemeral_1h_input_tokens", an_hour ? written : 0))
      .add("output_tokens", turn.output);
}

}  // namespace

std::string usage_json(const model::TurnTokens& turn, UsageShape shape,
                       const UsageOptions& options) {
  switch (shape) {
    case UsageShape::kDeepSeek:
      return deepseek(turn).text();
    case UsageShape::kOpenAi:
      return openai(turn, options, false).text();
    case UsageShape::kResponses:
      return openai(turn, options, true).text();
    case UsageShape::kAnthropic:
      return anthropic(turn, options).text();
  }
  return "{}";
}

}  // namespace quire::client
