#include "server/runtime/ghost_feed.h"

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <type_traits>
#include <utility>

namespace quire::server {

using model::Result;
using model::TierId;

namespace {

// Looked at so often; the queue holds what comes meanwhile.
constexpr std::chrono::milliseconds kSleep{50};
constexpr int64_t kPublishUs = 1'000'000;
constexpr int64_t kApplyNs = 1'000'000'000;

// Words of a record before its keys: kind and number of keys, time, prompt and block tokens, block
// bytes, blocks found in RAM and in all.
constexpr uint32_t kHeadWords = 5;
constexpr uint64_t kPromptRecord = 1;
constexpr uint64_t kCommitRecord = 2;
constexpr uint64_t kCheckpointsRecord = 3;  // of a prompt; in front of its keys the facts as words
constexpr uint64_t kWrittenRecord = 4;      // bytes of a checkpoint in the place of a key

using FactWords = std::array<uint64_t, sizeof(cache::CheckpointFacts) / sizeof(uint64_t)>;
static_assert(sizeof(FactWords) == sizeof(cache::CheckpointFacts));
static_assert(std::is_trivially_copyable_v<cache::CheckpointFacts>);

uint64_t pair(uint64_t high, uint64_t low) { return high << 32 | low; }
uint32_t high_of(uint64_t word) { return static_cast<uint32_t>(word >> 32); }
uint32_t low_of(uint64_t word) { return static_cast<uint32_t>(word); }

}  // namespace

Result<std::unique_ptr<GhostFeed>> GhostFeed::create(const GhostFeedOptions& options,
                                                     bool with_thread) {
  std::unique_ptr<GhostFeed> feed(new GhostFeed(options.clock));
  const uint64_t tiers = options.ssd_bytes > 0 ? 2 : 1;
  for (uint64_t i = 0; i < tiers; ++i) {
    const uint64_t capacity = options.ram_bytes + (i == 0 ? 0 : options.ssd_bytes);
    feed->places_.emplace_back().ghosts = QUIRE_TRY(cache::Ghosts::create(
        {.memory_bytes = options.memory_bytes / tiers, .capacity_bytes = capacity}));
  }
  feed->reports_.resize(tiers);
  feed->waiting_.reserve(kMaxWaiting);
  feed->record_.reserve(kHeadWords + kMostKeys);
  if (!with_thread) return feed;
  // Gives way to copies and commits: what ghosts say is wanted within seconds.
  QUIRE_TRY(feed->helper_.start({.name = "quire-ghosts", .niceness = 10},
                                [raw = feed.get()](const std::stop_token&) {
                                  return raw->run_once() ? model::HelperThread::kAtOnce : kSleep;
                                }));
  return feed;
}

void GhostFeed::matched(const GhostMatch& match, int64_t now_ns) {
  if (waiting_.size() == kMaxWaiting) {
    ++dropped_;
    return;
  }
  waiting_.push_back({match, now_ns / 1000});
}

void GhostFeed::forget(const void* owner) {
  std::erase_if(waiting_, [&](const Waiting& one) { return one.match.owner == owner; });
}

// All of a record or nothing: the helper waits for the end of what was begun.
bool GhostFeed::push(std::initializer_list<uint64_t> head, uint32_t keys) {
  if (kQueueWords - queue_.size() < head.size() + keys) {
    ++dropped_;
    return false;
  }
  for (const uint64_t word : head) queue_.push(word);
  return true;
}

void GhostFeed::wrote(const cache::GhostCommit& commit) {
  push({pair(kCommitRecord, 2), static_cast<uint64_t>(commit.time_us), pair(0, commit.shape.tokens),
        commit.shape.bytes, 0, commit.parent_key, commit.key},
       0);
}

void GhostFeed::wrote_checkpoint(uint64_t bytes, int64_t now_ns) {
  if (!push({pair(kWrittenRecord, 1), static_cast<uint64_t>(now_ns / 1000), 0, 0, 0}, 1)) return;
  queue_.push(bytes);
}

// All units' keys: a checkpoint may lie at any of them.
void GhostFeed::tell_checkpoints(const Waiting& one) {
  const GhostMatch& match = one.match;
  if (match.checkpoints.unit_tokens == 0) return;
  const auto facts = std::bit_cast<FactWords>(match.checkpoints);
  const uint32_t units = std::min(match.chain.count(), kMostUnits);
  const auto words = static_cast<uint32_t>(facts.size()) + units;
  const bool has_room =
      push({pair(kCheckpointsRecord, words), static_cast<uint64_t>(one.time_us),
            pair(match.prompt_tokens, match.shape.tokens), 0, pair(0, match.all_blocks)},
           words);
  if (!has_room) return;
  for (const uint64_t word : facts) queue_.push(word);
  for (uint32_t unit = 1; unit <= units; ++unit) queue_.push(match.chain.after(unit).word(1));
}

bool GhostFeed::step() {
  if (waiting_.empty()) return false;
  const Waiting one = waiting_.front();
  waiting_.erase(waiting_.begin());
  tell_checkpoints(one);
  const GhostMatch& match = one.match;
  const uint32_t blocks = std::min(match.chain.count() / match.units_per_block, kMostKeys);
  const bool has_room =
      push({pair(kPromptRecord, blocks), static_cast<uint64_t>(one.time_us),
            pair(match.prompt_tokens, match.shape.tokens), match.shape.bytes,
            pair(std::min(match.ram_blocks, blocks), std::min(match.all_blocks, blocks))},
           blocks);
  if (!has_room) return true;
  // What its client wrote there since misleads ghosts only.
  for (uint32_t block = 1; block <= blocks; ++block) {
    queue_.push(match.chain.after(block * match.units_per_block).word(1));
  }
  return true;
}

// False: not all of a record is there yet.
bool GhostFeed::take_record() {
  uint64_t word = 0;
  while (record_.size() < kHeadWords || record_.size() < kHeadWords + low_of(record_[0])) {
    if (!queue_.pop(&word)) return false;
    record_.push_back(word);
  }
  return true;
}

void GhostFeed::serve_prompt() {
  const std::span<const uint64_t> keys = std::span<const uint64_t>(record_).subspan(kHeadWords);
  cache::GhostPrompt prompt{
      .time_us = time_us_,
      .keys = keys,
      .shape = {.tokens = low_of(record_[2]), .bytes = static_cast<uint32_t>(record_[3])},
      .prompt_tokens = high_of(record_[2])};
  // Of a longer prompt only its beginning was told, and only that counts.
  const uint64_t told = (keys.size() + 1) * prompt.shape.tokens;
  prompt.prompt_tokens = static_cast<uint32_t>(std::min<uint64_t>(prompt.prompt_tokens, told));
  const auto least = static_cast<uint32_t>(keys.size() * prompt.shape.tokens);
  prompt.prompt_tokens = std::max(prompt.prompt_tokens, least);
  for (size_t i = 0; i < places_.size(); ++i) {
    prompt.found_blocks = i == 0 ? high_of(record_[4]) : low_of(record_[4]);
    prompt.known_blocks = low_of(record_[4]);
    places_[i].ghosts->matched(prompt);
  }
}

void GhostFeed::serve_commit() {
  const cache::GhostCommit commit{
      .time_us = time_us_,
      .parent_key = record_[kHeadWords],
      .key = record_[kHeadWords + 1],
      .shape = {.tokens = low_of(record_[2]), .bytes = static_cast<uint32_t>(record_[3])}};
  for (Place& place : places_) place.ghosts->committed(commit);
}

void GhostFeed::serve_checkpoints() {
  const std::span<const uint64_t> words = std::span<const uint64_t>(record_).subspan(kHeadWords);
  FactWords facts;
  std::copy_n(words.begin(), facts.size(), facts.begin());
  cache::CheckpointPrompt prompt{.time_us = time_us_,
                                 .keys = words.subspan(facts.size()),
                                 .block_tokens = low_of(record_[2]),
                                 .prompt_tokens = high_of(record_[2]),
                                 .span_tokens = 0,
                                 .facts = std::bit_cast<cache::CheckpointFacts>(facts)};
  // Of a longer prompt only its beginning was told, and only that counts.
  const uint64_t told = (prompt.keys.size() + 1) * prompt.facts.unit_tokens;
  prompt.prompt_tokens = static_cast<uint32_t>(std::min<uint64_t>(prompt.prompt_tokens, told));
  const uint64_t hashed = prompt.keys.size() * prompt.facts.unit_tokens;
  const uint64_t blocks = std::min<uint64_t>(low_of(record_[4]), hashed / prompt.block_tokens);
  prompt.span_tokens = static_cast<uint32_t>(blocks * prompt.block_tokens);
  checkpoints_.matched(prompt);
}

void GhostFeed::serve_record() {
  switch (high_of(record_[0])) {
    case kPromptRecord:
      return serve_prompt();
    case kCommitRecord:
      return serve_commit();
    case kCheckpointsRecord:
      return serve_checkpoints();
    case kWrittenRecord:
      return checkpoints_.wrote(record_[kHeadWords], time_us_);
  }
}

// Commits are told at once, prompts a turn later: time does not go back for that.
void GhostFeed::advance_time() {
  const int64_t before = time_us_;
  time_us_ = std::max(time_us_, static_cast<int64_t>(record_[1]));
  if (before == 0) return;
  for (Place& place : places_) place.ghosts->pace(time_us_ - before);
}

bool GhostFeed::run_once() {
  const bool had_record = take_record();
  if (had_record) {
    advance_time();
    serve_record();
    record_.clear();
  }
  if (time_us_ == 0) return had_record;
  const int64_t now_us = std::max(time_us_, clock_->now_ns() / 1000);
  if (now_us - published_us_ >= kPublishUs || published_us_ == 0) publish(now_us);
  return had_record;
}

void GhostFeed::publish(int64_t now_us) {
  published_us_ = now_us;
  std::vector<GhostReport> reports(places_.size());
  for (size_t i = 0; i < places_.size(); ++i) {
    const cache::Ghosts& ghosts = *places_[i].ghosts;
    for (size_t w = 0; w < kGhostWindows.size(); ++w) {
      reports[i].windows[w] = {.totals = ghosts.totals(kGhostWindows[w], now_us),
                               .rows = ghosts.rows(kGhostWindows[w], now_us)};
    }
    reports[i].near_rate = ghosts.near_rate();
    reports[i].far_rate = ghosts.far_rate();
    reports[i].held_bytes = ghosts.held_bytes();
    reports[i].best = places_[i].choice.choose(ghosts, now_us);
  }
  CheckpointReport checkpoints;
  for (size_t w = 0; w < kGhostWindows.size(); ++w) {
    const cache::CheckpointWindows& windows = checkpoints_.windows();
    checkpoints.windows[w] = {.totals = windows.totals(kGhostWindows[w], now_us),
                              .covered_us = windows.covered_us(kGhostWindows[w], now_us)};
  }
  const std::lock_guard lock(reports_mutex_);
  reports_.swap(reports);
  checkpoint_report_ = checkpoints;
}

CheckpointReport GhostFeed::checkpoint_report() const {
  const std::lock_guard lock(reports_mutex_);
  return checkpoint_report_;
}

GhostReport GhostFeed::report(TierId tier) const {
  const std::lock_guard lock(reports_mutex_);
  return model::index_of(tier) < reports_.size() ? reports_[model::index_of(tier)] : GhostReport{};
}

void GhostFeed::apply(cache::ScopeRules& rules, int64_t now_ns) {
  if (now_ns - applied_ns_ < kApplyNs) return;
  applied_ns_ = now_ns;
  for (const TierId tier : {TierId::kRam, TierId::kSsd}) {
    if (!rules.is_auto(tier)) continue;
    std::string_view best;
    {
      const std::lock_guard lock(reports_mutex_);
      if (model::index_of(tier) < reports_.size()) best = reports_[model::index_of(tier)].best;
    }
    // Busy with the last switch: it is asked for again.
    if (!best.empty()) (void)rules.follow(tier, best).ok();
  }
}

}  // namespace quire::server
