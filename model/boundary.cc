#include "model/boundary.h"

#include <algorithm>

namespace quire::model {

namespace {

uint32_t floor_to(uint32_t tokens, uint32_t step) { return tokens / step * step; }

// Distances at which groups want interval checkpoints, each once.
std::vector<uint32_t> interval_steps(const Layout& layout) {
  std::vector<uint32_t> steps;
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

}  // namespace

uint32_t unit_floor(const Layout& layout, uint32_t tokens) {
  return floor_to(tokens, layout.unit_tokens);
}

uint32_t block_floor(const Layout& layout, uint32_t tokens) {
  return floor_to(tokens, layout.block_tokens);
}

uint32_t last_resume_point(const Layout& layout, uint32_t prompt_tokens) {
  // A token at least is left: what an engine computes it for is the next token's distribution.
  if (prompt_tokens == 0) return 0;
  return needs_checkpoint(layout) ? unit_floor(layout, prompt_tokens - 1)
                                  : block_floor(layout, prompt_tokens - 1);
}

uint32_t block_floor_units(uint32_t units, uint32_t units_per_block) {
  return floor_to(units, units_per_block);
}

bool is_object_end(FillKind kind, uint32_t end_units, uint32_t units_per_block) {
  if (end_units == 0) return false;
  return kind == FillKind::kCheckpoint || end_units % units_per_block == 0;
}

uint32_t parent_units(FillKind kind, uint32_t end_units, uint32_t units_per_block) {
  return kind == FillKind::kSpan ? end_units - units_per_block
                                 : block_floor_units(end_units, units_per_block);
}

bool has_tail(const Layout& layout, uint32_t tokens) { return tokens % layout.block_tokens != 0; }

uint32_t tail_point(const Layout& layout, uint32_t prompt_tokens, uint32_t tail_tokens) {
  return prompt_tokens > tail_tokens ? unit_floor(layout, prompt_tokens - tail_tokens) : 0;
}

uint32_t tail_units(uint32_t end_units, uint32_t unit_tokens, uint32_t tail_tokens) {
  // The turn end is the unit floor of P - 1, so P ends with the next unit at the latest.
  const uint64_t longest = (uint64_t{end_units} + 1) * unit_tokens;
  return longest > tail_tokens ? static_cast<uint32_t>((longest - tail_tokens) / unit_tokens) : 0;
}

std::vector<WantedCheckpoint> wanted_checkpoints(const Layout& layout, uint32_t from_tokens,
                                                 uint32_t end_tokens, uint32_t branch_tokens,
                                                 uint32_t tail_tokens) {
  std::vector<WantedCheckpoint> wanted;
  if (!needs_checkpoint(layout)) return wanted;
  const auto add = [&](uint32_t tokens, CheckpointReason reason) {
    if (tokens > from_tokens && tokens <= end_tokens) wanted.push_back({tokens, reason});
  };
  // Every rule but kNone wants turn ends; where all boundaries are wanted the interval outranks it.
  const uint32_t turn_end = last_resume_point(layout, end_tokens);
  const bool cold = from_tokens == 0;
  if (cold || turn_end >= uint64_t{from_tokens} + tail_tokens) {
    add(turn_end, CheckpointReason::kTurnEnd);
  }
  const uint32_t before_tail = tail_tokens > 0 ? tail_point(layout, end_tokens, tail_tokens) : 0;
  if (cold || before_tail > uint64_t{from_tokens} + kTailReachTokens) {
    add(before_tail, CheckpointReason::kBeforeTail);
  }
  add(unit_floor(layout, branch_tokens), CheckpointReason::kBranch);
  for (const uint32_t step : interval_steps(layout)) {
    // 64-bit: the position after the last may lie above 2^32.
    for (uint64_t h = uint64_t{from_tokens} / step * step + step; h <= end_tokens; h += step) {
      wanted.push_back({static_cast<uint32_t>(h), CheckpointReason::kInterval});
    }
  }
  keep_highest_reasons(wanted);
  return wanted;
}

}  // namespace quire::model
