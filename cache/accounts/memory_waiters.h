// Who waits for RAM (DESIGN section 12.4): a queue a domain, first come first served, so that a
// domain waits only for itself. What is freed wakes the head of the domain's queue; nobody asks
// again otherwise, and a domain in which nobody waits costs nothing.
//
// The head keeps the slots that it got so far; those behind it hold none, so two can never hold
// half of each other's memory. Who allocates past the queue (a load, which cannot give back what it
// has) and finds nothing may take what the head holds: take_back().
//
// A waiter is a number below the bound, of the caller's choosing; it waits once at most.
// Threads: core only. No allocation per waiter. Events and slot sets outlive their stay here.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "allocator/flat_array.h"
#include "allocator/memory_events.h"
#include "cache/accounts/slot_set.h"
#include "model/ids.h"
#include "model/result.h"

namespace quire::cache {

using WaiterId = uint32_t;

class MemoryWaiters {
 public:
  static model::Result<MemoryWaiters> create(allocator::MemoryEvents* events, uint32_t max_waiters);

  // Behind those of its domain. `slots`: what it has so far; empty unless it is the head.
  void add(model::DomainId domain, WaiterId waiter, SlotSet* slots);
  // Whatever became of it. The one behind a head is woken.
  void remove(WaiterId waiter);
  bool waits(WaiterId waiter) const { return links_[waiter].domain != 0; }
  bool is_waiting(model::DomainId domain) const {
    return domain.value < queues_.size() && queues_[domain.value].first != 0;
  }
  // Precondition: is_waiting().
  WaiterId head(model::DomainId domain) const { return queues_[domain.value].first - 1; }
  bool any() const { return count_ > 0; }
  uint32_t count() const { return count_; }

  // The head of a domain for which something happened since it was told last; nullopt: none.
  std::optional<WaiterId> next_woken();
  // The domain's head goes on in the next turn, whatever happens.
  void wake(model::DomainId domain) { events_->raise(domain); }
  // What the head of the domain holds goes back to the pool; false: it holds nothing.
  bool take_back(model::DomainId domain);
  void check_invariants() const;

 private:
  struct Link {
    SlotSet* slots;
    uint32_t previous;  // waiter + 1
    uint32_t next;      // waiter + 1
    uint32_t domain;    // + 1; 0: it does not wait
  };
  struct Queue {
    uint32_t first = 0;  // waiter + 1
    uint32_t last = 0;
  };

  allocator::MemoryEvents* events_ = nullptr;
  allocator::FlatArray<Link> links_;  // by waiter
  std::vector<Queue> queues_;         // by domain
  uint32_t count_ = 0;
};

}  // namespace quire::cache
