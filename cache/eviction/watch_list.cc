#include "cache/eviction/watch_list.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace quire::cache {

namespace {

constexpr double kShortestWatch = 8;  // fillings of the tier
constexpr double kLongestWatch = 32;
constexpr double kAddsOfMean = 512;
constexpr uint32_t kCountedAtOnce = 4;  // that the hand passes for each that is added
constexpr uint8_t kThinned = 2;         // halvings from one part of the ring to the next
constexpr uint8_t kMostSample = 15;     // all in all
constexpr uint64_t kHeldPerWatched = 8;
constexpr uint32_t kFewest = 1 << 7;

bool is_sampled(uint32_t mixed, uint32_t sample) {
  return (mixed >> 16 & ((1u << sample) - 1)) == 0;
}

}  // namespace

uint32_t WatchList::mix(uint32_t print) { return (print ^ print >> 16) * 0x9e3779b1u; }

model::Result<WatchList> WatchList::create() {
  constexpr auto kSmall = allocator::ReservedMemory::Pages::kSmall;
  auto ring = QUIRE_TRY(allocator::FlatArray<Watched>::reserve(kMost, kSmall));
  auto index = QUIRE_TRY(allocator::FlatArray<uint32_t>::reserve(kMost * size_t{2}, kSmall));
  return WatchList(std::move(ring), std::move(index));
}

// Each part but the first takes the place of the one before it, with what that holds.
void WatchList::grow(uint32_t size) {
  for (; size_ != 0 && size_ < size; size_ *= 2) {
    for (uint32_t part = kParts; part-- > 1;) next_[part] = next_[part - 1];
    next_[0] = 0;
  }
  size_ = size;
}

void WatchList::set_held(uint64_t entries, double share) {
  held_ = entries;
  const auto of_tier = static_cast<uint64_t>(static_cast<double>(entries) / share);
  const auto watched = std::clamp<uint64_t>(of_tier / kHeldPerWatched, kLeast, kMost);
  const auto wanted =
      std::max(kFewest, static_cast<uint32_t>(static_cast<double>(watched) * share));
  if (size_ < wanted) grow(std::bit_ceil(wanted));
}

void WatchList::count(Watched& one, uint64_t now, float weight) {
  const uint32_t passed = AgeProfile::passed_bins(now - std::min(now, one.last_use));
  if (passed <= one.counted) return;
  profile_->watched(one.of_class, one.counted, passed,
                    weight * static_cast<float>(1u << one.sample));
  one.counted = static_cast<uint8_t>(passed);
}

void WatchList::move_hand(uint64_t now, float weight) {
  for (uint32_t i = 0; i < kCountedAtOnce; ++i) {
    if (Watched& one = ring_[hand_]; one.watched) count(one, now, weight);
    if (++hand_ == size_) hand_ = 0;
  }
}

// Once a round of the last part at most: what it holds is of the old sample until then.
void WatchList::adapt(uint64_t watched_us) {
  if (++since_adapted_ < part_size(kParts - 1)) return;
  auto watched = static_cast<double>(watched_us);
  if (watched > kLongestWatch * filling_us_ && sample_ > 0) {
    --sample_;
    since_adapted_ = 0;
  }
  constexpr uint8_t kMostAtFirst = kMostSample - kThinned * (kParts - 1);
  for (; watched < kShortestWatch * filling_us_ && sample_ < kMostAtFirst; watched *= 2) {
    ++sample_;
    since_adapted_ = 0;
  }
}

void WatchList::note_pace(uint64_t now) {
  const uint64_t since = now - std::min(now, added_at_us_);
  if (added_at_us_ != 0) {
    adds_ = std::min(adds_ + 1, kAddsOfMean);
    interval_us_ += (static_cast<double>(since) - interval_us_) / adds_;
  }
  added_at_us_ = now;
  filling_us_ = interval_us_ * static_cast<double>(held_);
}

void WatchList::add(const Watched& one, uint64_t now, float weight) {
  note_pace(now);
  if (size_ == 0) grow(kLeast);
  move_hand(now, weight);
  if (!is_sampled(mix(one.print), sample_)) return;
  Watched added = one;
  added.sample = sample_;
  added.counted = 0;
  added.watched = true;
  count(added, now, weight);
  put(added, now, weight);
}

// What makes way in one part goes on in the next, if it is of the smaller sample.
void WatchList::put(Watched one, uint64_t now, float weight) {
  for (uint32_t part = 0; part < kParts; ++part) {
    const uint32_t place = part_begin(part) + next_[part];
    if (++next_[part] == part_size(part)) next_[part] = 0;
    std::swap(ring_[place], one);
    const uint32_t mixed = mix(ring_[place].print);
    index_[find_slot(mixed, place)] = place + 1;
    if (!one.watched) return;
    count(one, now, weight);
    if (part + 1 == kParts) return adapt(now - std::min(now, one.last_use));
    one.sample += kThinned;
    if (!is_sampled(mix(one.print), one.sample)) return;
  }
}

// A slot that is free, or whose place in the ring is another's by now; else that of the one which
// was used first: it can no longer be found, and counts as not used again.
uint32_t WatchList::find_slot(uint32_t mixed, uint32_t place) const {
  const uint32_t begin = bucket(mixed, 2 * size_);
  uint32_t oldest = begin;
  uint64_t oldest_use = UINT64_MAX;
  for (uint32_t slot = begin; slot < begin + kBucket; ++slot) {
    const uint32_t held = index_[slot];
    if (held == 0 || held - 1 == place) return slot;
    const Watched& one = ring_[held - 1];
    if (!one.watched || bucket(mix(one.print), 2 * size_) != begin) return slot;
    if (one.last_use < oldest_use) {
      oldest_use = one.last_use;
      oldest = slot;
    }
  }
  return oldest;
}

WatchList::Watched* WatchList::find(uint32_t print, uint32_t places) {
  const uint32_t begin = bucket(mix(print), places);
  for (uint32_t slot = begin; slot < begin + kBucket; ++slot) {
    if (index_[slot] == 0) continue;
    Watched& one = ring_[index_[slot] - 1];
    if (one.watched && one.print == print) return &one;
  }
  return nullptr;
}

std::optional<WatchList::Watched> WatchList::take(uint32_t print, uint64_t now, float weight) {
  if (size_ == 0) return std::nullopt;
  Watched* found = find(print, 2 * size_);
  if (found == nullptr) found = find(print, size_);
  if (found == nullptr) return std::nullopt;
  Watched& one = *found;
  one.watched = false;
  const float stands_for = weight * static_cast<float>(1u << one.sample);
  profile_->together(now, stands_for);
  profile_->hit(one.of_class, now - std::min(now, one.last_use), stands_for, one.counted);
  return one;
}

}  // namespace quire::cache
