#include "cache/eviction/watch_list.h"

#include <algorithm>
#include <bit>

namespace quire::cache {

namespace {

constexpr uint64_t kShortestWatchUs = 30ull * 60 * 1'000'000;
constexpr uint64_t kLongestWatchUs = 120ull * 60 * 1'000'000;
constexpr uint8_t kMostSample = 12;
constexpr uint64_t kHeldPerWatched = 8;
constexpr uint32_t kFewest = 1 << 7;

}  // namespace

uint32_t WatchList::mix(uint32_t print) { return (print ^ print >> 16) * 0x9e3779b1u; }

void WatchList::resize(uint32_t size) {
  std::vector<Watched> old(size);
  old.swap(ring_);
  index_.assign(size_t{size} * 2, 0);
  const uint32_t begin = next_;
  next_ = 0;
  for (size_t i = 0; i < old.size(); ++i) {  // the oldest first
    const Watched& one = old[(begin + i) % old.size()];
    if (one.taken) continue;
    ring_[next_] = one;
    index_[mix(one.print) & (index_.size() - 1)] = ++next_;
  }
  if (next_ == size) next_ = 0;
}

void WatchList::set_held(uint64_t entries, double share) {
  const auto of_tier = static_cast<uint64_t>(static_cast<double>(entries) / share);
  const auto watched = std::clamp<uint64_t>(of_tier / kHeldPerWatched, kLeast, kMost);
  const auto wanted =
      std::max(kFewest, static_cast<uint32_t>(static_cast<double>(watched) * share));
  if (ring_.size() < wanted) resize(std::bit_ceil(wanted));
}

void WatchList::forget(const Watched& one, uint64_t now, float weight) {
  const uint64_t watched = now - std::min(now, one.last_use);
  profile_->end(one.of_class, watched, weight * static_cast<float>(1u << one.sample));
  adapt(watched);
}

// Once a round of the ring at most: what it holds is of the old sample until then.
void WatchList::adapt(uint64_t watched_us) {
  if (++since_adapted_ < ring_.size()) return;
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
  if (ring_.empty()) resize(kLeast);
  Watched& place = ring_[next_];
  if (!place.taken) forget(place, now, weight);
  place = one;
  place.sample = sample_;
  place.taken = false;
  // An older one with this place in the index can no longer be found: it counts as not used
  // again.
  index_[mixed & (index_.size() - 1)] = next_ + 1;
  next_ = (next_ + 1) % static_cast<uint32_t>(ring_.size());
}

std::optional<WatchList::Watched> WatchList::take(uint32_t print, uint64_t now, float weight) {
  if (index_.empty()) return std::nullopt;
  const uint32_t place = index_[mix(print) & (index_.size() - 1)];
  if (place == 0) return std::nullopt;
  Watched& one = ring_[place - 1];
  if (one.taken || one.print != print) return std::nullopt;
  one.taken = true;
  profile_->hit(one.of_class, now - std::min(now, one.last_use),
                weight * static_cast<float>(1u << one.sample));
  return one;
}

}  // namespace quire::cache
