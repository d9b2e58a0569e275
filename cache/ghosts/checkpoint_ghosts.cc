#include "cache/ghosts/checkpoint_ghosts.h"

#include <algorithm>

namespace quire::cache {

using model::CheckpointPolicy;
using model::CheckpointReason;
using model::CheckpointWord;
using model::WantedCheckpoint;

namespace {

constexpr uint8_t kAllPolicies = (1u << kAdvisedPolicies) - 1;
constexpr uint8_t bit(size_t policy) { return static_cast<uint8_t>(1u << policy); }

// Of the whole unit that ends there.
uint64_t key_at(const CheckpointPrompt& prompt, uint32_t tokens) {
  return prompt.keys[tokens / prompt.facts.unit_tokens - 1];
}

uint32_t hashed_tokens(const CheckpointPrompt& prompt) {
  return static_cast<uint32_t>(prompt.keys.size()) * prompt.facts.unit_tokens;
}

}  // namespace

const std::array<CheckpointPolicy, kAdvisedPolicies>& CheckpointGhosts::policies() {
  static constexpr std::array<CheckpointPolicy, kAdvisedPolicies> kPolicies{
      CheckpointPolicy{CheckpointWord::kNone},
      CheckpointPolicy{CheckpointWord::kBranch},
      CheckpointPolicy{CheckpointWord::kTurnEnds},
      CheckpointPolicy{CheckpointWord::kEvery, 16384},
      CheckpointPolicy{CheckpointWord::kEvery, 4096},
      CheckpointPolicy{CheckpointWord::kEvery, 1024},
      CheckpointPolicy{CheckpointWord::kAll}};
  return kPolicies;
}

// Positions follow from the widths and the layout's own intervals; pages play no part.
CheckpointGhosts::CheckpointGhosts() {
  layout_.groups.resize(2);
  layout_.groups[1].kind = model::GroupKind::kState;
}

void CheckpointGhosts::take_layout(const CheckpointPrompt& prompt) {
  layout_.unit_tokens = prompt.facts.unit_tokens;
  layout_.block_tokens = prompt.block_tokens;
  model::Group& state = layout_.groups[1];
  state.checkpoints =
      prompt.facts.own_step > 0 ? model::CheckpointRule::kEvery : model::CheckpointRule::kTurnEnds;
  state.checkpoint_every_tokens = prompt.facts.own_step;
}

CheckpointGhosts::Exact CheckpointGhosts::resume_points(const CheckpointPrompt& prompt) {
  const uint32_t unit = prompt.facts.unit_tokens;
  const uint32_t last =
      std::min(model::last_resume_point(layout_, prompt.prompt_tokens), hashed_tokens(prompt));
  const uint32_t whole = std::min(last, prompt.span_tokens);
  Exact exact{};
  for (size_t i = 0; i < exact.size(); ++i) {
    exact[i] = model::last_interval(layout_, whole, policies()[i]);
  }
  met_.clear();
  uint8_t open = kAllPolicies & ~bit(0);  // those of which nothing deeper was met
  // A checkpoint may cut the block behind the spans. `last` and that block's end are whole units.
  for (uint32_t h = std::min(last, prompt.span_tokens + prompt.block_tokens - unit); h >= unit;
       h -= unit) {
    CheckpointPlaces::Place* const place = places_.find(key_at(prompt, h));
    if (place == nullptr) continue;
    met_.push_back({.tokens = h, .place = place});
    const uint8_t deepest = place->under & open;
    open &= static_cast<uint8_t>(~deepest);
    for (size_t i = 1; i < exact.size(); ++i) {
      // An interval behind it serves instead, and is nobody's.
      if ((deepest & bit(i)) == 0 || exact[i] >= h) continue;
      exact[i] = h;
      // As PrefixReader does: where a stranger resumes is a branch point from now on.
      if (place->owner != prompt.facts.owner) place->kept |= bit(i);
    }
  }
  return exact;
}

// False: it is there already.
bool CheckpointGhosts::add(const CheckpointPrompt& prompt, size_t policy,
                           const WantedCheckpoint& one) {
  const bool periodic = one.reason == CheckpointReason::kInterval;
  if (periodic && one.tokens <= prompt.span_tokens) return false;
  // Those before the last block's begin are known by the spans that will be there.
  if (periodic && one.tokens <= model::block_floor(layout_, prompt.prompt_tokens)) return true;
  CheckpointPlaces::Place& place = places_.at(key_at(prompt, one.tokens));
  if ((place.under & bit(policy)) != 0) return false;
  if (place.under == 0) place.owner = prompt.facts.owner;
  place.under |= bit(policy);
  if (periodic || one.reason == CheckpointReason::kBranch) place.kept |= bit(policy);
  return true;
}

uint64_t CheckpointGhosts::write(const CheckpointPrompt& prompt, size_t policy, uint32_t exact,
                                 uint8_t& ended) {
  const uint32_t last = model::last_resume_point(layout_, prompt.prompt_tokens);
  const bool leaves = prompt.facts.diverged != 0 && prompt.span_tokens > exact;
  const model::ComputedRange range{
      .from_tokens = exact,
      .end_tokens = prompt.prompt_tokens,
      .branch_tokens = leaves && prompt.span_tokens <= last ? prompt.span_tokens : 0,
      .tail_tokens = prompt.facts.tail_tokens};
  uint64_t bytes = 0;
  for (const WantedCheckpoint& one :
       model::wanted_checkpoints(layout_, range, policies()[policy])) {
    if (one.tokens > hashed_tokens(prompt) || !add(prompt, policy, one)) continue;
    bytes += model::has_tail(layout_, one.tokens) ? prompt.facts.tail_bytes : prompt.facts.bytes;
    if (one.reason == CheckpointReason::kTurnEnd) ended |= bit(policy);
  }
  return bytes;
}

// Where prompts part, whoever wrote a checkpoint does not own it alone. Everything parts at the
// root.
bool CheckpointGhosts::is_protected(const CheckpointPrompt& prompt, uint32_t tokens) {
  const uint32_t parent = model::block_floor(layout_, tokens);
  if (parent == 0) return true;
  const CheckpointPlaces::Place* const place = places_.find(key_at(prompt, parent));
  return place != nullptr && place->is_branch;
}

// What was written before the tail just now stands beside the turn end, before older ones.
void CheckpointGhosts::meet_before_tail(const CheckpointPrompt& prompt) {
  const uint32_t point = model::tail_point(layout_, prompt.prompt_tokens, prompt.facts.tail_tokens);
  if (point == 0 || point > hashed_tokens(prompt)) return;
  CheckpointPlaces::Place* const place = places_.find(key_at(prompt, point));
  if (place == nullptr) return;
  const auto next =
      std::find_if(met_.begin(), met_.end(), [&](const Met& one) { return one.tokens <= point; });
  if (next != met_.end() && next->tokens == point) return;
  met_.insert(next, {.tokens = point, .place = place});
}

void CheckpointGhosts::supersede(const CheckpointPrompt& prompt, uint8_t ended,
                                 const Exact& exact) {
  const uint32_t unit = prompt.facts.unit_tokens;
  const uint32_t turn_end = model::last_resume_point(layout_, prompt.prompt_tokens);
  const uint32_t before_tail =
      model::tail_units(turn_end / unit, unit, prompt.facts.tail_tokens) * unit;
  uint8_t beside = 0;  // policies of which the one that stays beside it was met
  for (const auto& [h, place] : met_) {
    // Its room may be another's by now.
    if (h >= turn_end || place->key != key_at(prompt, h)) continue;
    if (place->owner != prompt.facts.owner) continue;
    uint8_t goes = place->under & ended & static_cast<uint8_t>(~place->kept);
    // Without a tail only the one that the turn resumed from is known to be the last turn's.
    for (size_t i = 1; prompt.facts.tail_tokens == 0 && i < exact.size(); ++i) {
      if (exact[i] != h) goes &= static_cast<uint8_t>(~bit(i));
    }
    if (goes == 0 || is_protected(prompt, h)) continue;
    if (prompt.facts.tail_tokens > 0 && h <= before_tail) {
      const uint8_t stays = goes & static_cast<uint8_t>(~beside);
      beside |= stays;
      goes &= static_cast<uint8_t>(~stays);
    }
    place->under &= static_cast<uint8_t>(~goes);
  }
}

void CheckpointGhosts::matched(const CheckpointPrompt& prompt) {
  take_layout(prompt);
  CheckpointTotals told{.prompts = 1,
                        .prompt_tokens = prompt.prompt_tokens,
                        .exact_tokens = prompt.facts.exact_tokens};
  const Exact exact = resume_points(prompt);
  uint8_t ended = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    told.rows[i] = {.exact_tokens = exact[i], .written_bytes = write(prompt, i, exact[i], ended)};
  }
  // Before anything goes: that prompts part here protects what lies behind.
  if (prompt.facts.diverged != 0 && prompt.span_tokens > 0) {
    places_.at(key_at(prompt, prompt.span_tokens)).is_branch = true;
  }
  if (ended == 0) return windows_.add(told, prompt.time_us);
  meet_before_tail(prompt);
  supersede(prompt, ended, exact);
  windows_.add(told, prompt.time_us);
}

void CheckpointGhosts::wrote(uint64_t bytes, int64_t time_us) {
  windows_.add({.written_bytes = bytes}, time_us);
}

}  // namespace quire::cache
