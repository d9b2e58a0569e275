#include "cache/ghosts/ghost_group.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "model/check.h"

namespace quire::cache {

using model::Errc;
using model::Result;

namespace {

// Of a stretch in a ghost: entry and hold, and its part of heaps and of what a policy learns.
constexpr uint64_t kGhostBytesPerStretch = 16 + 8;
// Of a ghost, what is not by stretch: histories, profiles, windows.
constexpr uint64_t kFixedBytesPerGhost = 96 << 10;
constexpr uint32_t kLeastStretches = 1 << 8;
constexpr uint32_t kMostStretches = 1 << 22;
// A sixteenth is left for what comes until the sample has halved.
constexpr uint32_t kFullParts = 16;
constexpr uint32_t kForgottenAtOnce = 128;

// What is new of a prompt is cut behind two blocks, and behind six more: the first ones behind what
// was there come back more often than those far behind it, and policies learn that.
uint32_t cut_at(uint32_t from_new) {
  return from_new < 2 ? 2 : from_new < 8 ? 6 : Stretch::kMostBlocks;
}

}  // namespace

GhostGroup::GhostGroup(const GroupOptions& options, UseClock* clock, uint32_t ghost_count,
                       uint32_t max_stretches)
    : options_(options),
      clock_(clock),
      rule_(options.halvings),
      stretches_(max_stretches),
      windows_(ghost_count),
      room_rate_(rule_.rate()),
      hits_(ghost_count) {}

Result<std::unique_ptr<GhostGroup>> GhostGroup::create(const GroupOptions& options,
                                                       UseClock* clock) {
  const uint64_t count = all_policies().size() * options.size_percents.size();
  const uint64_t fixed = count * kFixedBytesPerGhost;
  const uint64_t each = sizeof(Stretch) + count * kGhostBytesPerStretch;
  const uint64_t left = options.memory_bytes - std::min(options.memory_bytes, fixed);
  if (left / each < kLeastStretches) {
    return model::make_error(Errc::kInvalidArgument, "too little memory for ghosts");
  }
  const auto max_stretches = static_cast<uint32_t>(std::min<uint64_t>(left / each, kMostStretches));
  std::unique_ptr<GhostGroup> made(
      new GhostGroup(options, clock, static_cast<uint32_t>(count), max_stretches));
  for (const NamedPolicy& policy : all_policies()) {
    for (const int size : options.size_percents) {
      const GhostOptions one{.policy = &policy,
                             .capacity_bytes = made->capacity_of(size),
                             .asks_admission = options.asks_admission};
      made->ghosts_.push_back(QUIRE_TRY(Ghost::create(one, &made->stretches_, clock)));
      made->sizes_.push_back(size);
    }
  }
  return made;
}

uint64_t GhostGroup::capacity_of(int size_percent) const {
  return options_.capacity_bytes * static_cast<uint64_t>(100 + size_percent) / 100;
}

void GhostGroup::set_capacity(uint64_t bytes) {
  if (bytes == options_.capacity_bytes) return;
  options_.capacity_bytes = bytes;
  for (size_t i = 0; i < ghosts_.size(); ++i) ghosts_[i]->set_capacity(capacity_of(sizes_[i]));
}

void GhostGroup::matched(const GhostPrompt& prompt, const PromptHits& hits, const Anchor* anchor) {
  windows_.add(hits);
  step_forgetting();
  if (anchor == nullptr) return;
  const bool sampled = rule_.is_sampled(anchor->hash);
  note_traffic(prompt, sampled);
  if (!sampled) return;
  serve(prompt, *anchor);
  windows_.add_sampled(hits, SampleRule::part_of(anchor->hash), hits_);
}

// The sample's share of what was missed over the last four fillings of the tier; in the beginning,
// and for one of them, the share that it should have.
void GhostGroup::note_traffic(const GhostPrompt& prompt, bool sampled) {
  const double nominal = rule_.rate();
  if (nominal == 1) return;
  const auto missed_blocks =
      static_cast<double>(prompt.keys.size()) - static_cast<double>(prompt.found_blocks);
  const double missed = missed_blocks * prompt.shape.bytes;
  const double filling = static_cast<double>(options_.capacity_bytes) + 1;
  const double kept = std::exp(-missed / (4 * filling));
  all_missed_ = all_missed_ * kept + missed;
  sampled_missed_ = sampled_missed_ * kept + (sampled ? missed : 0);
  if (forgetting_ > 0) return;
  const double share = (sampled_missed_ + nominal * filling) / (all_missed_ + filling);
  room_rate_ = std::clamp(share, nominal / 4, std::min(1.0, nominal * 4));
}

void GhostGroup::serve(const GhostPrompt& prompt, const Anchor& anchor) {
  keys_.clear();
  for (const uint64_t key : prompt.keys) keys_.push_back(static_cast<uint32_t>(key));
  find_path(prompt, anchor);
  const GhostVisit visit = visit_of();
  for (size_t i = 0; i < ghosts_.size(); ++i) {
    hits_[i] = ghosts_[i]->visit(visit) * prompt.shape.tokens;
  }
  visits_ += ghosts_.size();
  stretches_.collect();
  if (stretches_.used_count() > stretches_.max_count() / kFullParts * (kFullParts - 1)) halve(1);
}

// One time for all of a path: which of its stretches goes first the tree says.
GhostVisit GhostGroup::visit_of() {
  const uint64_t used_time = clock_->next_use();
  return {
      .path = path_, .used_time = used_time, .new_time = clock_->next_use(), .rate = room_rate_};
}

void GhostGroup::find_path(const GhostPrompt& prompt, const Anchor& anchor) {
  path_.clear();
  uint32_t at = 0;
  EntryId parent;
  bool whole = true;
  while (at < keys_.size() && whole) {
    const auto child = stretches_.find_child(parent, keys_[at]);
    if (!child) break;
    const Stretch& stretch = stretches_.at(*child);
    const auto most = std::min<size_t>(stretch.blocks, keys_.size() - at);
    uint32_t same = 1;
    while (same < most && stretch.keys[same] == keys_[at + same]) ++same;
    at += same;
    whole = same == stretch.blocks;
    if (whole) {
      path_.push_back(*child);
      parent = *child;
    } else {
      // The path leaves it, or ends in it: paths are made of whole stretches.
      split(*child, same);
    }
  }
  if (at < prompt.known_blocks) add_new(prompt, anchor, at);
  share_path(anchor.blocks_above);
}

void GhostGroup::split(EntryId id, uint32_t at) {
  const auto head = stretches_.split(id, at);
  if (!head) return;  // the table is full, and about to lose a half
  for (const auto& ghost : ghosts_) ghost->was_split(id, *head);
  path_.push_back(*head);
}

void GhostGroup::add_new(const GhostPrompt& prompt, const Anchor& anchor, uint32_t begin) {
  const auto end = std::min(prompt.known_blocks, static_cast<uint32_t>(keys_.size()));
  for (uint32_t at = begin; at < end;) {
    // Nothing hangs below a stretch that could not be split.
    const bool follows = path_.empty() ? at == 0 : stretches_.at(path_.back()).end_block == at;
    if (!follows) return;
    const uint32_t count = std::min(cut_at(at - begin), end - at);
    const auto added = stretches_.add({.parent = path_.empty() ? EntryId{} : path_.back(),
                                       .keys = std::span<const uint32_t>(keys_).subspan(at, count),
                                       .shape = prompt.shape,
                                       .anchor = anchor.hash});
    if (!added) return;
    path_.push_back(*added);
    at += count;
  }
}

void GhostGroup::share_path(uint32_t blocks_above) {
  for (const EntryId id : path_) {
    if (stretches_.at(id).end_block > blocks_above) return;
    if (stretches_.at(id).shared) continue;
    stretches_.set_shared(id);
    for (const auto& ghost : ghosts_) ghost->became_shared(id);
  }
}

void GhostGroup::committed(const GhostCommit& commit) {
  std::optional<EntryId> parent;
  if (commit.parent_key != 0) {
    parent = stretches_.find_end(static_cast<uint32_t>(commit.parent_key));
    if (!parent) return;  // of no conversation that is sampled
  }
  const auto key = static_cast<uint32_t>(commit.key);
  if (stretches_.find_child(parent.value_or(EntryId{}), key)) return;
  const bool begins = !parent || stretches_.at(*parent).shared;
  const uint32_t anchor =
      begins ? AnchorFinder::hash_of(commit.key) : stretches_.at(*parent).anchor;
  if (begins && !rule_.is_sampled(anchor)) return;
  if (!begins && stretches_.at(*parent).children == 0 &&
      stretches_.at(*parent).blocks < Stretch::kMostBlocks) {
    grow(*parent, key);
  } else {
    add_below(parent, commit, anchor);
  }
  stretches_.collect();
}

void GhostGroup::grow(EntryId id, uint32_t key) {
  stretches_.grow(id, key);
  const GhostVisit visit = visit_of();
  for (const auto& ghost : ghosts_) ghost->grew(id, visit);
}

void GhostGroup::add_below(std::optional<EntryId> parent, const GhostCommit& commit,
                           uint32_t anchor) {
  const auto key = static_cast<uint32_t>(commit.key);
  const auto added = stretches_.add({.parent = parent.value_or(EntryId{}),
                                     .keys = std::span<const uint32_t>(&key, 1),
                                     .shape = commit.shape,
                                     .anchor = anchor});
  if (!added) return halve(1);
  path_.clear();
  if (parent) path_.push_back(*parent);
  path_.push_back(*added);
  GhostVisit visit = visit_of();
  visit.is_commit = true;
  for (const auto& ghost : ghosts_) ghost->visit(visit);
  visits_ += ghosts_.size();
}

uint64_t GhostGroup::calls() const {
  // Looking at a path costs about as much as a call.
  uint64_t calls = visits_;
  for (const auto& ghost : ghosts_) calls += ghost->calls();
  return calls;
}

// In the mean over up to sixteen periods: what a few prompts of one period cost says little.
void GhostGroup::pace(int64_t elapsed_us) {
  if (options_.calls_per_second == 0) return;
  elapsed_us_ += elapsed_us;
  unlooked_us_ += elapsed_us;
  if (unlooked_us_ < options_.period_us) return;
  unlooked_us_ = 0;
  const uint64_t work = calls() - work_before_;
  const uint64_t allowed =
      options_.calls_per_second * static_cast<uint64_t>(elapsed_us_) / 1'000'000;
  const uint64_t bound = elapsed_us_ < 4 * options_.period_us ? 4 * allowed : allowed;
  if (work > bound && forgetting_ == 0) {
    uint32_t times = 1;
    while (work >> times > allowed) ++times;
    halve(times);
  } else if (elapsed_us_ < 16 * options_.period_us) {
    return;
  }
  work_before_ = calls();
  elapsed_us_ = 0;
}

// Not while the last time is not through: ghosts hold conversations that are out already.
void GhostGroup::halve(uint32_t times) {
  if (forgetting_ > 0) return;
  for (uint32_t i = 0; i < times; ++i) {
    if (!rule_.halve()) return;
  }
  forgetting_ = stretches_.end_of_ids();
  // The share is counted anew, of the new sample.
  all_missed_ = sampled_missed_ = 0;
}

bool GhostGroup::is_out(EntryId id) const {
  const Stretch& stretch = stretches_.at(id);
  return stretch.blocks > 0 && stretch.children == 0 && !stretch.shared &&
         !rule_.is_sampled(stretch.anchor);
}

// Upward from each end, since a parent is there for its children.
void GhostGroup::forget(EntryId id) {
  while (id.valid() && is_out(id)) {
    const EntryId parent = stretches_.at(id).parent;
    for (const auto& ghost : ghosts_) ghost->forget(id);
    stretches_.collect();
    id = parent;
  }
}

void GhostGroup::step_forgetting() {
  if (forgetting_ == 0) return;
  const uint64_t before = calls();
  for (uint32_t i = 0; i < kForgottenAtOnce && forgetting_ > 0; ++i) forget(EntryId{--forgetting_});
  // Else a smaller sample would begin with more work than the larger one had.
  work_before_ += calls() - before;
  if (forgetting_ == 0) room_rate_ = rule_.rate();
}

void GhostGroup::add_rows(HitWindow window, int64_t now_us, std::vector<GhostRow>& rows) const {
  for (uint32_t i = 0; i < ghosts_.size(); ++i) {
    const GhostOptions& options = ghosts_[i]->options();
    rows.push_back({.policy = options.policy->name,
                    .size_percent = sizes_[i],
                    .capacity_bytes = options.capacity_bytes,
                    .hits = windows_.estimate(window, i, now_us)});
  }
}

uint64_t GhostGroup::held_bytes() const {
  uint64_t bytes = stretches_.held_bytes() + windows_.held_bytes() +
                   keys_.capacity() * sizeof(uint32_t) + path_.capacity() * sizeof(EntryId);
  for (const auto& ghost : ghosts_) bytes += ghost->held_bytes();
  return bytes;
}

void GhostGroup::check_invariants() const {
  stretches_.check_invariants();
  for (const auto& ghost : ghosts_) ghost->check_invariants();
  for (uint32_t i = 0; i < stretches_.end_of_ids(); ++i) {
    uint32_t holders = 0;
    for (const auto& ghost : ghosts_) holders += ghost->held_blocks(EntryId{i}) > 0 ? 1 : 0;
    QUIRE_CHECK(stretches_.at(EntryId{i}).blocks == 0 ||
                stretches_.at(EntryId{i}).holders == holders);
  }
}

}  // namespace quire::cache
