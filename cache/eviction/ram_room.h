// Where memory for a page comes from: a free slot, a segment of the budget, what the domain itself
// can do without, its share of what others hold. In this order, and nobody else is made to wait.
// Threads: core only.
#pragma once

#include <cstdint>

#include "allocator/pool.h"
#include "cache/accounts/memory_waiters.h"
#include "cache/eviction/evictor.h"
#include "cache/eviction/segment_taker.h"
#include "cache/objects/object_store.h"
#include "model/ids.h"

namespace quire::cache {

// kPending: memory is on its way (a segment is being made, or taken from another domain), or more
// has to be evicted than one call may.
enum class Room : uint8_t { kHave, kPending, kNone };

class RamRoom {
 public:
  RamRoom(ObjectStore* store, Evictor* evictor, MemoryWaiters* waiters)
      : store_(store), evictor_(evictor), waiters_(waiters), taker_(store) {}

  // A slot for a page, behind `after` where that is free. For the head of those who wait.
  Room reserve(allocator::ClassId size_class, model::DomainId domain, model::SlotId after,
               model::SlotId& slot);
  // The same for who does not stand in the queue: where nothing is left, what its head holds so far
  // is used, so that neither waits for the other's half.
  Room allocate(allocator::ClassId size_class, model::DomainId domain, model::SlotId after,
                model::SlotId& slot);
  SegmentTaker& taker() { return taker_; }

 private:
  allocator::Pool::Growth grow(model::DomainId domain);

  ObjectStore* store_;
  Evictor* evictor_;
  MemoryWaiters* waiters_;
  SegmentTaker taker_;
};

}  // namespace quire::cache
