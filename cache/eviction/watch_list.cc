#include "cache/eviction/watch_list.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace quire::cache {

namespace {

constexpr uint64_t kShortestWatchUs = 30ull * 60 * 1'000'000;
constexpr uint64_t kLongestWatchUs = 120ull * 60 * 1'000'000;
constexpr uint8_t kMostSample = 12;
constexpr uint64_t kHeldPerWatched = 8;
constexpr uint32_t kFewest = 1 << 7;

}  // namespace

uint32_t WatchList::mix(uint32_t print) { return (print ^ print >> 16) * 0x9e3779b1u; }

model::Result<WatchList> WatchList::create() {
  constexpr auto kSmall = allocator::ReservedMemory::Pages::kSmall;
  auto ring = QUIRE_TRY(allocator::FlatArray<Watched>::reserve(kMost, kSmall));
  auto index = QUIRE_TRY(allocator::FlatArray<uint32_t>::reserve(kMost * size_t{2}, kSmall));
  return WatchList(std::move(ring), std::move(index));
}

// What comes next goes behind what is there, which keeps its order but for one round.
void WatchList::grow(uint32_t size) {
  next_ = size_;
  size_ = size;
}

void WatchList::set_held(uint64_t entries, double share) {
  const auto of_tier = static_cast<uint64_t>(static_cast<double>(entries) / share);
  const auto watched = std::clamp<uint64_t>(of_tier / kHeldPerWatched, kLeast, kMost);
  const auto wanted =
      std::max(kFewest, static_cast<uint32_t>(static_cast<double>(watched) * share));
  if (size_ < wanted) grow(std::bit_ceil(wanted));
}

void WatchList::forget(const Watched& one, uint64_t now, float weight) {
  const uint64_t watched = now - std::min(now, one.last_use);
  profile_->end(one.of_class, watched, weight * static_cast<float>(1u << one.sample));
  adapt(watched);
}

// Once a round of the ring at most: what it holds is of the old sample until then.
void WatchList::adapt(uint64_t watched_us) {
  if (++since_adapted_ < size_) return;
  if (watched_us < kShortestWatchUs && sample_ < kMostSample) {
    ++sample_;
    since_adapted_ = 0;
  } else if (watched_us > kLongestWatchUs && sample_ > 0) {
    --sample_;
    since_adapted_ = 0;
  }
}

void WatchList::add(const Watched& one, uint64_t now, float weight) {
  const uint32_t mixed = mix(one.print);
  if ((mixed >> 16 & ((1u << sample_) - 1)) != 0) return;
  if (size_ == 0) grow(kLeast);
  Watched& place = ring_[next_];
  if (place.watched) forget(place, now, weight);
  place = one;
  place.sample = sample_;
  place.watched = true;
  // An older one with this place in the index can no longer be found: it counts as not used
  // again.
  index_[mixed & (2 * size_ - 1)] = next_ + 1;
  if (++next_ == size_) next_ = 0;
}

WatchList::Watched* WatchList::find(uint32_t print, uint32_t places) {
  const uint32_t place = index_[mix(print) & (places - 1)];
  if (place == 0) return nullptr;
  Watched& one = ring_[place - 1];
  return one.watched && one.print == print ? &one : nullptr;
}

std::optional<WatchList::Watched> WatchList::take(uint32_t print, uint64_t now, float weight) {
  if (size_ == 0) return std::nullopt;
  Watched* found = find(print, 2 * size_);
  if (found == nullptr) found = find(print, size_);
  if (found == nullptr) return std::nullopt;
  Watched& one = *found;
  one.watched = false;
  profile_->hit(one.of_class, now - std::min(now, one.last_use),
                weight * static_cast<float>(1u << one.sample));
  return one;
}

}  // namespace quire::cache
