#include "model/checkpoint_policy.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace quire::model {

namespace {

constexpr std::array<std::string_view, 5> kWords{"none", "branch", "turn_ends", "every", "all"};
constexpr std::string_view kEveryPrefix = "every:";
constexpr uint32_t kWordShift = 28;
static_assert(kMaxEveryTokens == (1u << kWordShift) - 1);

Error no_such_word(std::string_view text) {
  return make_error(Errc::kInvalidArgument,
                    "no such checkpoint policy: \"" + std::string(text.substr(0, kMaxNameBytes)) +
                        "\"; there are: none, branch, turn_ends, every:N (tokens, 1 to " +
                        std::to_string(kMaxEveryTokens) + "), all");
}

Result<CheckpointPolicy> parse_every(std::string_view text) {
  const std::string_view number = text.substr(kEveryPrefix.size());
  CheckpointPolicy policy{.word = CheckpointWord::kEvery};
  const char* end = number.data() + number.size();
  const auto parsed = std::from_chars(number.data(), end, policy.every_tokens);
  const bool whole = parsed.ec == std::errc{} && parsed.ptr == end;
  if (!whole || policy.every_tokens == 0 || policy.every_tokens > kMaxEveryTokens) {
    return no_such_word(text);
  }
  return policy;
}

// Distances of interval checkpoints, each once: the policy's, and those that groups declare.
std::vector<uint32_t> interval_steps(const Layout& layout, const CheckpointPolicy& policy) {
  std::vector<uint32_t> steps;
  if (policy.word < CheckpointWord::kTurnEnds) return steps;
  if (const uint32_t step = interval_tokens(layout, policy); step > 0) steps.push_back(step);
  for (const Group& group : layout.groups) {
    if (group.kind == GroupKind::kAppend) continue;
    if (group.checkpoints == CheckpointRule::kAll) steps.push_back(layout.unit_tokens);
    if (group.checkpoints == CheckpointRule::kEvery) steps.push_back(group.checkpoint_every_tokens);
  }
  std::sort(steps.begin(), steps.end());
  steps.erase(std::unique(steps.begin(), steps.end()), steps.end());
  return steps;
}

// What lies before a tail ranks lowest: a position that is wanted for another reason too is kept by
// that one's rule.
int rank(CheckpointReason reason) {
  return reason == CheckpointReason::kBeforeTail ? -1 : static_cast<int>(reason);
}

// Ascending, one a position: the highest rank wins.
void keep_highest_reasons(std::vector<WantedCheckpoint>& wanted) {
  // The highest rank first of each position: unique() keeps the first.
  std::sort(wanted.begin(), wanted.end(), [](const WantedCheckpoint& a, const WantedCheckpoint& b) {
    return a.tokens != b.tokens ? a.tokens < b.tokens : rank(a.reason) > rank(b.reason);
  });
  const auto same_position = [](const WantedCheckpoint& a, const WantedCheckpoint& b) {
    return a.tokens == b.tokens;
  };
  wanted.erase(std::unique(wanted.begin(), wanted.end(), same_position), wanted.end());
}

void add(const ComputedRange& range, WantedCheckpoint one, std::vector<WantedCheckpoint>& wanted) {
  if (one.tokens > range.from_tokens && one.tokens <= range.end_tokens) wanted.push_back(one);
}

void add_turn_ends(const Layout& layout, const ComputedRange& range,
                   std::vector<WantedCheckpoint>& wanted) {
  const uint32_t turn_end = last_resume_point(layout, range.end_tokens);
  const bool cold = range.from_tokens == 0;
  if (cold || turn_end >= uint64_t{range.from_tokens} + range.tail_tokens) {
    add(range, {turn_end, CheckpointReason::kTurnEnd}, wanted);
  }
  if (range.tail_tokens == 0) return;
  const uint32_t before_tail = tail_point(layout, range.end_tokens, range.tail_tokens);
  if (cold || before_tail > uint64_t{range.from_tokens} + kTailReachTokens) {
    add(range, {before_tail, CheckpointReason::kBeforeTail}, wanted);
  }
}

}  // namespace

Result<CheckpointPolicy> parse_checkpoint_policy(std::string_view text) {
  if (text.starts_with(kEveryPrefix)) return parse_every(text);
  const auto known = std::find(kWords.begin(), kWords.end(), text);
  const auto word = static_cast<CheckpointWord>(known - kWords.begin());
  // A bare "every" says nothing of how often.
  if (known == kWords.end() || word == CheckpointWord::kEvery) return no_such_word(text);
  return CheckpointPolicy{.word = word};
}

std::string checkpoint_policy_text(const CheckpointPolicy& policy) {
  std::string text(kWords[static_cast<size_t>(policy.word)]);
  if (policy.word == CheckpointWord::kEvery) text += ":" + std::to_string(policy.every_tokens);
  return text;
}

uint32_t to_shared_word(const CheckpointPolicy& policy) {
  return (static_cast<uint32_t>(policy.word) + 1) << kWordShift | policy.every_tokens;
}

CheckpointPolicy from_shared_word(uint32_t word) {
  const uint32_t place = word >> kWordShift;
  if (place == 0 || place > kWords.size()) return {};
  const CheckpointPolicy policy{.word = static_cast<CheckpointWord>(place - 1),
                                .every_tokens = word & kMaxEveryTokens};
  const bool has_number = policy.every_tokens > 0;
  return has_number == (policy.word == CheckpointWord::kEvery) ? policy : CheckpointPolicy{};
}

uint32_t interval_tokens(const Layout& layout, const CheckpointPolicy& policy) {
  if (!needs_checkpoint(layout) || policy.word < CheckpointWord::kEvery) return 0;
  if (policy.word == CheckpointWord::kAll) return layout.unit_tokens;
  return unit_floor(layout, policy.every_tokens + layout.unit_tokens - 1);
}

uint32_t offer_tokens(const Layout& layout, const CheckpointPolicy& policy,
                      uint32_t session_tokens) {
  if (!needs_checkpoint(layout) || policy.word < CheckpointWord::kTurnEnds) return 0;
  const uint32_t own =
      unit_floor(layout, std::min(session_tokens, kMaxEveryTokens) + layout.unit_tokens - 1);
  const std::vector<uint32_t> steps = interval_steps(layout, policy);
  if (steps.empty()) return own;
  return own == 0 ? steps.front() : std::min(own, steps.front());
}

uint32_t last_interval(const Layout& layout, uint32_t tokens, const CheckpointPolicy& policy) {
  if (!needs_checkpoint(layout)) return 0;
  uint32_t last = 0;
  for (const uint32_t step : interval_steps(layout, policy)) {
    last = std::max(last, tokens - tokens % step);
  }
  return last;
}

std::vector<WantedCheckpoint> wanted_checkpoints(const Layout& layout, const ComputedRange& range,
                                                 const CheckpointPolicy& policy) {
  std::vector<WantedCheckpoint> wanted;
  if (!needs_checkpoint(layout) || policy.word == CheckpointWord::kNone) return wanted;
  add(range, {unit_floor(layout, range.branch_tokens), CheckpointReason::kBranch}, wanted);
  if (policy.word >= CheckpointWord::kTurnEnds) add_turn_ends(layout, range, wanted);
  for (const uint32_t step : interval_steps(layout, policy)) {
    // 64-bit: the position after the last may lie above 2^32.
    for (uint64_t h = (uint64_t{range.from_tokens} / step + 1) * step; h <= range.end_tokens;
         h += step) {
      wanted.push_back({static_cast<uint32_t>(h), CheckpointReason::kInterval});
    }
  }
  keep_highest_reasons(wanted);
  return wanted;
}

}  // namespace quire::model
