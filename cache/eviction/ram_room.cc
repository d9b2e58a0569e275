#include "cache/eviction/ram_room.h"

#include <algorithm>

namespace quire::cache {

using allocator::Pool;
using model::DomainId;
using model::SlotId;
using model::TenantId;
using model::TierId;

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

Room RamRoom::allocate(const SlotRequest& request, SlotId& slot) {
  const Room room = reserve(request, slot);
  if (room != Room::kNone || !waiters_->take_back(tenants_->domain_of(request.tenant))) return room;
  return reserve(request, slot);
}

// Nothing was found to go. What moves between owners is found in a later turn.
Room RamRoom::none_now() const {
  return evictor_->may_find_more(TierId::kRam) ? Room::kPending : Room::kNone;
}

// kHave: below its burst with this slot.
Room RamRoom::stay_below_burst(const SlotRequest& request, uint32_t& evicted) {
  const Owner owner = quotas_->owner_of(TierId::kRam, request.tenant);
  while (quotas_->exceeds(TierId::kRam, owner, store_->pool().page_bytes(request.size_class))) {
    if (evicted == kMaxEvictionsPerAllocation) return Room::kPending;
    if (!evictor_->evict_own(TierId::kRam, request.tenant)) return none_now();
    ++evicted;
  }
  return Room::kHave;
}

RamRoom::Promises RamRoom::with(const SlotRequest& request, DomainId domain) const {
  const uint64_t promised = reservations_->unspent_bytes(domain) - request.reservation.unspent();
  if (promised == 0) return Promises::kKept;
  const Pool& pool = store_->pool();
  const allocator::DomainUsage usage = pool.usage(domain);
  const AccountTable& accounts = store_->presence().accounts();
  const uint64_t used = accounts.of(domain, TierId::kRam).used_bytes;
  const uint64_t needed = promised + pool.page_bytes(request.size_class);
  const uint64_t free = usage.segment_bytes - usage.slot_bytes;
  if (free + used - std::min(used, accounts.path_bytes(domain)) >= needed) return Promises::kKept;
  // Paths overlap, so more may go than that says; no more than all there is.
  return free + used >= needed ? Promises::kLater : Promises::kBroken;
}

Room RamRoom::reserve(const SlotRequest& request, SlotId& slot) {
  const DomainId domain = tenants_->domain_of(request.tenant);
  uint32_t evicted = 0;
  if (const Room room = stay_below_burst(request, evicted); room != Room::kHave) return room;
  for (;; ++evicted) {
    const Promises promises = with(request, domain);
    const auto found = promises == Promises::kKept
                           ? store_->pool().allocate(request.size_class, request.after)
                           : std::nullopt;
    if (found) {
      slot = *found;
      return Room::kHave;
    }
    const Pool::Growth growth = grow(domain);
    if (growth == Pool::Growth::kGrew) continue;
    if (growth == Pool::Growth::kPending || evicted == kMaxEvictionsPerAllocation) {
      return Room::kPending;
    }
    // What clients hold would not come free by evicting the rest for nothing.
    const bool may_evict = promises != Promises::kBroken;
    if (may_evict && evictor_->evict_from_ram(request.tenant)) continue;
    // What is pinned goes after what others have to give, but waits for no stranger's client.
    const bool asked = taker_.ask(domain);
    if (asked && taker_.is_coming(domain)) return Room::kPending;
    if (may_evict && evictor_->evict_pinned(request.tenant)) continue;
    return asked ? Room::kPending : none_now();
  }
}

// As a rule what the domain holds is enough. Only else are the shares of all domains added up.
bool RamRoom::can_reach(TenantId tenant, uint64_t bytes) const {
  const Owner owner = quotas_->owner_of(TierId::kRam, tenant);
  const uint64_t own = store_->pool().usage(tenants_->domain_of(tenant)).segment_bytes;
  const uint64_t kept = quotas_->kept_from(TierId::kRam, owner);
  if (bytes + kept <= own && bytes <= quotas_->of(TierId::kRam, owner).burst_bytes) return true;
  return bytes <= reach_bytes(tenant);
}

uint64_t RamRoom::reach_bytes(TenantId tenant) const {
  const Owner owner = quotas_->owner_of(TierId::kRam, tenant);
  const uint64_t of_domain = taker_.reach_bytes(tenants_->domain_of(tenant));
  const uint64_t kept = quotas_->kept_from(TierId::kRam, owner);
  return std::min(of_domain - std::min(of_domain, kept),
                  quotas_->of(TierId::kRam, owner).burst_bytes);
}

}  // namespace quire::cache
