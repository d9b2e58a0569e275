#include "cache/eviction/ghosts.h"

#include <algorithm>
#include <bit>

namespace quire::cache {

namespace {

constexpr uint64_t kShortestWatchUs = 30ull * 60 * 1'000'000;
constexpr uint64_t kLongestWatchUs = 120ull * 60 * 1'000'000;
constexpr uint8_t kMostSample = 12;
constexpr uint64_t kHeldPerGhost = 8;

}  // namespace

uint32_t Ghosts::mix(uint32_t print) { return (print ^ print >> 16) * 0x9e3779b1u; }

void Ghosts::resize(uint32_t size) {
  std::vector<Ghost> old(size);
  old.swap(ring_);
  index_.assign(size_t{size} * 2, 0);
  const uint32_t begin = next_;
  next_ = 0;
  for (size_t i = 0; i < old.size(); ++i) {  // the oldest first
    const Ghost& ghost = old[(begin + i) % old.size()];
    if (ghost.taken) continue;
    ring_[next_] = ghost;
    index_[mix(ghost.print) & (index_.size() - 1)] = ++next_;
  }
  if (next_ == size) next_ = 0;
}

void Ghosts::set_held(uint64_t entries) {
  const auto wanted =
      static_cast<uint32_t>(std::clamp<uint64_t>(entries / kHeldPerGhost, kLeast, kMost));
  if (ring_.size() < wanted) resize(std::bit_ceil(wanted));
}

void Ghosts::forget(const Ghost& ghost, uint64_t now) {
  const uint64_t watched = now - std::min(now, ghost.last_use);
  profile_->end(ghost.of_class, watched, static_cast<float>(1u << ghost.sample));
  adapt(watched);
}

// Once a round of the ring at most: what it holds is of the old sample until then.
void Ghosts::adapt(uint64_t watched_us) {
  if (++since_adapted_ < ring_.size()) return;
  if (watched_us < kShortestWatchUs && sample_ < kMostSample) {
    ++sample_;
    since_adapted_ = 0;
  } else if (watched_us > kLongestWatchUs && sample_ > 0) {
    --sample_;
    since_adapted_ = 0;
  }
}

void Ghosts::add(const Ghost& ghost, uint64_t now) {
  const uint32_t mixed = mix(ghost.print);
  if ((mixed >> 16 & ((1u << sample_) - 1)) != 0) return;
  if (ring_.empty()) resize(kLeast);
  Ghost& place = ring_[next_];
  if (!place.taken) forget(place, now);
  place = ghost;
  place.sample = sample_;
  place.taken = false;
  // An older ghost with this place in the index can no longer be found: it counts as not used
  // again.
  index_[mixed & (index_.size() - 1)] = next_ + 1;
  next_ = (next_ + 1) % static_cast<uint32_t>(ring_.size());
}

std::optional<Ghosts::Ghost> Ghosts::take(uint32_t print, uint64_t now) {
  if (index_.empty()) return std::nullopt;
  const uint32_t place = index_[mix(print) & (index_.size() - 1)];
  if (place == 0) return std::nullopt;
  Ghost& ghost = ring_[place - 1];
  if (ghost.taken || ghost.print != print) return std::nullopt;
  ghost.taken = true;
  profile_->hit(ghost.of_class, now - std::min(now, ghost.last_use),
                static_cast<float>(1u << ghost.sample));
  return ghost;
}

}  // namespace quire::cache
