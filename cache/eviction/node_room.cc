#include "cache/eviction/node_room.h"

namespace quire::cache {

bool NodeRoom::forget_one() {
  // Without such nodes no policy is asked.
  if (store_->presence().count_fastest(Presence::kHintTier) == 0) return false;
  if (!evictor_->evict_copy(Presence::kHintTier, {})) return false;
  ++forgotten_;
  return true;
}

bool NodeRoom::step(uint32_t most) {
  for (; store_->tree().free_count() < spare_; --most) {
    if (most == 0) return true;
    if (!forget_one()) return false;
  }
  return false;
}

bool NodeRoom::make_one() { return store_->tree().free_count() > spare_ / 2 || forget_one(); }

}  // namespace quire::cache
