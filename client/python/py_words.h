// The words that stand for libquire's enumerations in Python.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "client/python/py_errors.h"

namespace quire::client {

using namespace std::string_view_literals;

// Words of the values first, first + 1, ...
template <size_t N>
struct WordList {
  std::string_view what;  // for the text of a failure
  uint32_t first = 0;
  std::array<std::string_view, N> words;

  // Raises InvalidArgumentError, which names the words there are.
  uint32_t value(std::string_view word) const {
    for (size_t i = 0; i < N; ++i) {
      if (words[i] == word) return first + static_cast<uint32_t>(i);
    }
    std::string text(what);
    text.append(" \"").append(word).append("\": there are");
    for (size_t i = 0; i < N; ++i) text.append(i == 0 ? " " : ", ").append(words[i]);
    raise_error(QUIRE_INVALID_ARGUMENT, text);
  }
  // "unknown" for what a newer daemon says.
  nb::str word(uint32_t value) const {
    const size_t index = value - first;
    const std::string_view text = index < N ? words[index] : "unknown"sv;
    return nb::str(text.data(), text.size());
  }
};

inline constexpr WordList<2> kFillKinds{"kind", 0, {"span"sv, "checkpoint"sv}};
inline constexpr WordList<3> kGroupKinds{"kind", 0, {"append"sv, "window"sv, "state"sv}};
inline constexpr WordList<4> kRules{"rule", 0, {"turn_ends"sv, "all"sv, "every"sv, "none"sv}};
inline constexpr WordList<5> kReasons{
    "reason", 0, {"turn_end"sv, "interval"sv, "branch"sv, "before_tail"sv, "offered"sv}};
inline constexpr WordList<6> kPolicies{
    "policy", 0, {"default"sv, "none"sv, "branch"sv, "turn_ends"sv, "every"sv, "all"sv}};
inline constexpr WordList<5> kLimits{
    "limit", 0, {"end_of_prompt"sv, "no_span"sv, "no_checkpoint"sv, "group"sv, "deadline"sv}};
inline constexpr WordList<4> kHows{"how", 1, {"exact"sv, "span"sv, "cut"sv, "nothing"sv}};
inline constexpr WordList<3> kAdvices{"advice", 0, {"prefetch"sv, "pause_until"sv, "done_with"sv}};
inline constexpr WordList<3> kRoles{"role", 0, {"both"sv, "prefill"sv, "decode"sv}};
inline constexpr WordList<4> kHandovers{
    "handover", 0, {"none"sv, "running"sv, "ended"sv, "abandoned"sv}};
inline constexpr WordList<1> kTails{"tail_tokens", 0, {"learnt"sv}};
inline constexpr WordList<2> kLoadClasses{"load_class", 0, {"interactive"sv, "batch"sv}};
inline constexpr WordList<4> kShapes{
    "shape", 0, {"deepseek"sv, "openai"sv, "responses"sv, "anthropic"sv}};

}  // namespace quire::client
