#include "cache/ghosts/ghosts.h"

#include <optional>

namespace quire::cache {

using model::Result;

namespace {

// Work is counted in calls of policies, so that a sample does not hang on the machine's speed: one
// takes about 100 ns, with what a ghost does around it and with what the caches miss. Two percent
// of a core in all.
constexpr uint64_t kCallsPerSecond = 200'000;
constexpr uint64_t kNearParts = 3;        // of four, of the work
constexpr uint64_t kNearMemoryParts = 3;  // of eight

}  // namespace

Result<std::unique_ptr<Ghosts>> Ghosts::create(const GhostsOptions& options) {
  std::unique_ptr<Ghosts> made(new Ghosts());
  GroupOptions group{.memory_bytes = options.memory_bytes / 8 * kNearMemoryParts,
                     .capacity_bytes = options.capacity_bytes,
                     .size_percents = {0},
                     .calls_per_second = options.paced ? kCallsPerSecond / 4 * kNearParts : 0,
                     .period_us = options.pace_period_us,
                     .halvings = options.halvings,
                     .asks_admission = options.asks_admission};
  made->near_ = QUIRE_TRY(GhostGroup::create(group, &made->clock_));
  group.memory_bytes = options.memory_bytes / 8 * (8 - kNearMemoryParts);
  group.size_percents = {-50, 50, 100, 200, 400};
  group.calls_per_second = options.paced ? kCallsPerSecond / 4 * (4 - kNearParts) : 0;
  made->far_ = QUIRE_TRY(GhostGroup::create(group, &made->clock_));
  return made;
}

void Ghosts::matched(const GhostPrompt& prompt) {
  clock_.advance_to(prompt.time_us);
  const uint64_t block_tokens = prompt.shape.tokens;
  const uint64_t fresh =
      ceiling_.add(prompt.keys, prompt.time_us, prompt.found_blocks) * block_tokens;
  const PromptHits hits{.time_us = prompt.time_us,
                        .prompt = prompt.prompt_tokens,
                        .hit = prompt.found_blocks * block_tokens,
                        // What fills no block is never found.
                        .fresh = fresh + prompt.prompt_tokens - prompt.keys.size() * block_tokens};
  std::optional<Anchor> anchor;
  if (!prompt.keys.empty()) anchor = anchors_.find(prompt.keys);
  near_->matched(prompt, hits, anchor ? &*anchor : nullptr);
  far_->matched(prompt, hits, anchor ? &*anchor : nullptr);
}

void Ghosts::committed(const GhostCommit& commit) {
  clock_.advance_to(commit.time_us);
  near_->committed(commit);
  far_->committed(commit);
}

void Ghosts::pace(int64_t elapsed_us) {
  near_->pace(elapsed_us);
  far_->pace(elapsed_us);
}

void Ghosts::set_capacity(uint64_t bytes) {
  near_->set_capacity(bytes);
  far_->set_capacity(bytes);
}

std::vector<GhostRow> Ghosts::near_rows(HitWindow window, int64_t now_us) const {
  std::vector<GhostRow> rows;
  near_->add_rows(window, now_us, rows);
  return rows;
}

std::vector<GhostRow> Ghosts::rows(HitWindow window, int64_t now_us) const {
  std::vector<GhostRow> rows = near_rows(window, now_us);
  far_->add_rows(window, now_us, rows);
  return rows;
}

uint64_t Ghosts::held_bytes() const {
  return sizeof(*this) + anchors_.held_bytes() + ceiling_.held_bytes() + near_->held_bytes() +
         far_->held_bytes();
}

void Ghosts::check_invariants() const {
  near_->check_invariants();
  far_->check_invariants();
}

}  // namespace quire::cache
