#include "cache/ghosts/ceiling.h"

#include <algorithm>

namespace quire::cache {

namespace {

constexpr int64_t kHourUs = 3'600'000'000;
constexpr uint64_t kDayHours = 24;

}  // namespace

uint64_t Ceiling::add(std::span<const uint64_t> keys, int64_t now_us, uint64_t found_blocks) {
  const uint64_t stamp = (static_cast<uint64_t>(now_us / kHourUs) + 1) & kStampMask;
  uint64_t fresh = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (!is_sampled(keys[i])) continue;
    const bool is_first = note(keys[i], stamp);
    if (is_first && i >= found_blocks) fresh += uint64_t{1} << halvings_;
    if (used_ > kFull) make_room(stamp);
  }
  return fresh;
}

bool Ceiling::note(uint64_t key, uint64_t stamp) {
  const uint64_t kept = key << kStampBits;
  for (size_t at = home(kept);; at = (at + 1) & (kSlots - 1)) {
    uint64_t& slot = slots_[at];
    if (slot == 0) {
      slot = kept | stamp;
      ++used_;
      return true;
    }
    if ((slot & ~kStampMask) == kept) {
      slot = kept | stamp;
      return false;
    }
  }
}

// What stands behind a free slot and would not be found across it moves up.
void Ceiling::erase(size_t at) {
  size_t gap = at;
  for (size_t next = (gap + 1) & (kSlots - 1); slots_[next] != 0;
       next = (next + 1) & (kSlots - 1)) {
    const size_t from_home = (next - home(slots_[next])) & (kSlots - 1);
    const size_t from_gap = (next - gap) & (kSlots - 1);
    if (from_home < from_gap) continue;
    slots_[gap] = slots_[next];
    gap = next;
  }
  slots_[gap] = 0;
  --used_;
}

template <typename Keep>
void Ceiling::sweep(Keep&& keep) {
  for (size_t at = 0; at < kSlots;) {
    if (slots_[at] == 0 || keep(slots_[at])) {
      ++at;
    } else {
      erase(at);  // another one may stand here now
    }
  }
}

void Ceiling::make_room(uint64_t stamp) {
  sweep([&](uint64_t slot) { return ((stamp - slot) & kStampMask) <= kDayHours; });
  while (used_ > kFull / 2) {
    ++halvings_;
    sweep([&](uint64_t slot) { return slot >> (64 - halvings_) == 0; });
  }
}

}  // namespace quire::cache
