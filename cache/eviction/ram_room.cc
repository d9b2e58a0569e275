#include "cache/eviction/ram_room.h"

namespace quire::cache {

using allocator::Pool;
using model::DomainId;
using model::SlotId;

namespace {

// One call evicts at most this much, some 300 us; who needs more asks again next turn.
constexpr uint32_t kMaxEvictionsPerAllocation = 256;

}  // namespace

// What comes for another domain is not waited for.
Pool::Growth RamRoom::grow(DomainId domain) {
  Pool& pool = store_->pool();
  const uint64_t held = pool.usage(domain).segment_bytes;
  // Who was promised a segment gets it before anybody asks the supply for the next one.
  taker_.settle();
  if (pool.usage(domain).segment_bytes > held) return Pool::Growth::kGrew;
  if (taker_.is_spoken_for(domain)) return Pool::Growth::kExhausted;
  const Pool::Growth growth = pool.grow(domain);
  if (growth == Pool::Growth::kGrew) taker_.note_grown(domain);  // it came since settle() looked
  return growth;
}

Room RamRoom::allocate(allocator::ClassId size_class, DomainId domain, SlotId after, SlotId& slot) {
  const Room room = reserve(size_class, domain, after, slot);
  if (room != Room::kNone || !waiters_->take_back(domain)) return room;
  return reserve(size_class, domain, after, slot);
}

Room RamRoom::reserve(allocator::ClassId size_class, DomainId domain, SlotId after, SlotId& slot) {
  for (uint32_t evicted = 0;; ++evicted) {
    if (const auto found = store_->pool().allocate(size_class, after)) {
      slot = *found;
      return Room::kHave;
    }
    const Pool::Growth growth = grow(domain);
    if (growth == Pool::Growth::kGrew) continue;
    if (growth == Pool::Growth::kPending || evicted == kMaxEvictionsPerAllocation) {
      return Room::kPending;
    }
    if (!evictor_->evict_from_ram(domain)) {
      return taker_.ask(domain) ? Room::kPending : Room::kNone;
    }
  }
}

}  // namespace quire::cache
