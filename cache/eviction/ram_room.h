// Where memory for a page comes from: a free slot, a segment of the budget, what the domain itself
// can do without, its share of what others hold. In this order, and nobody else is made to wait.
//
// What sessions reserved and have not spent is nobody else's: a request that is not under that
// reservation gets a slot only if afterwards what is free and what eviction can make free of the
// domain is still as much as is promised. So cached content counts as room, and a reservation costs
// nothing until it is used. What can be evicted is a lower bound (PathHold); where that says too
// little, content goes until so much is really free.
// Threads: core only.
#pragma once

#include <cstdint>

#include "allocator/pool.h"
#include "cache/accounts/memory_waiters.h"
#include "cache/accounts/quota_table.h"
#include "cache/accounts/reservations.h"
#include "cache/eviction/evictor.h"
#include "cache/eviction/segment_taker.h"
#include "cache/objects/object_store.h"
#include "model/ids.h"

namespace quire::cache {

// kPending: memory is on its way (a segment is being made, or taken from another domain), more has
// to be evicted than one call may, or what may go is moving from one owner to another.
enum class Room : uint8_t { kHave, kPending, kNone };

// What a slot is for.
struct SlotRequest {
  allocator::ClassId size_class;
  model::TenantId tenant;      // whose it will be
  model::SlotId after;         // the slot lies behind this one where that is free
  ReservationRef reservation;  // that it is under
};

class RamRoom {
 public:
  struct Parts {
    ObjectStore* store = nullptr;
    Evictor* evictor = nullptr;
    QuotaTable* quotas = nullptr;
    MemoryWaiters* waiters = nullptr;
    const TenantTable* tenants = nullptr;
    const Reservations* reservations = nullptr;
  };
  explicit RamRoom(const Parts& parts)
      : store_(parts.store),
        evictor_(parts.evictor),
        quotas_(parts.quotas),
        waiters_(parts.waiters),
        tenants_(parts.tenants),
        reservations_(parts.reservations),
        taker_(parts.store, parts.quotas) {}

  // For the head of those who wait. Who is at its burst makes room by its own alone.
  Room reserve(const SlotRequest& request, model::SlotId& slot);
  // The same for who does not stand in the queue: where nothing is left, what its head holds so far
  // is used, so that neither waits for the other's half.
  Room allocate(const SlotRequest& request, model::SlotId& slot);
  // Whether a tenant can ever hold so much at a time.
  bool can_reach(model::TenantId tenant, uint64_t bytes) const;
  // The most that it can come to hold.
  uint64_t reach_bytes(model::TenantId tenant) const;
  SegmentTaker& taker() { return taker_; }

 private:
  allocator::Pool::Growth grow(model::DomainId domain);
  Room none_now() const;
  Room stay_below_burst(const SlotRequest& request, uint32_t& evicted);
  // With this slot, what others reserved can still be had. kLater: more has to be evicted first.
  enum class Promises : uint8_t { kKept, kLater, kBroken };
  Promises with(const SlotRequest& request, model::DomainId domain) const;

  ObjectStore* store_;
  Evictor* evictor_;
  QuotaTable* quotas_;
  MemoryWaiters* waiters_;
  const TenantTable* tenants_;
  const Reservations* reservations_;
  SegmentTaker taker_;
};

}  // namespace quire::cache
