// Who waits for RAM (DESIGN section 12.4): a queue a tenant, first come first served, so that a
// tenant waits only for itself. What is freed wakes the heads of the domain's queues, one after the
// other; nobody asks again otherwise, and a domain in which nobody waits costs nothing.
//
//   domain: tenant that tries --> tenant --> tenant ...   each with a queue of its waiters
//
// The head of the tenant that tries keeps the slots that it got so far; all others hold none, so
// two can never hold half of each other's memory. A head that cannot go on now passes on: what it
// holds goes back, and the next tenant tries. Who allocates past the queues (a load, which cannot
// give back what it has) and finds nothing may take what is held: take_back().
//
// A waiter is a number below the bound, of the caller's choosing; it waits once at most.
// Threads: core only. No allocation per waiter. Events and slot sets outlive their stay here.
#pragma once

#include <cstdint>
#include <deque>
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

  // Behind those of its tenant. `slots`: what it has so far goes back unless it tries first.
  void add(model::DomainId domain, model::TenantId tenant, WaiterId waiter, SlotSet* slots);
  // Whatever became of it. The one behind a head is woken.
  void remove(WaiterId waiter);
  bool waits(WaiterId waiter) const { return links_[waiter].tenant != 0; }
  bool is_waiting(model::TenantId tenant) const {
    return tenant.value < queues_.size() && queues_[tenant.value].first != 0;
  }
  bool any() const { return count_ > 0; }
  uint32_t count() const { return count_; }

  // The head of a queue for which something happened since it was told last; nullopt: none.
  std::optional<WaiterId> next_woken();
  // It was told and cannot go on: another tenant's head tries, if there is one.
  void pass_on(WaiterId waiter);
  // Those who wait in the domain try in the next turn, whatever happens.
  void wake(model::DomainId domain) { events_->raise(domain); }
  // What the domain's waiters hold goes back to the pool; false: they hold nothing.
  bool take_back(model::DomainId domain);
  void check_invariants() const;

 private:
  struct Link {
    SlotSet* slots;
    uint32_t previous;  // waiter + 1
    uint32_t next;      // waiter + 1
    uint32_t tenant;    // + 1; 0: it does not wait
  };
  struct Queue {
    uint32_t first = 0;  // waiter + 1
    uint32_t last = 0;
    model::DomainId domain;
  };
  struct Ring {
    std::deque<model::TenantId> tenants;  // with waiters; the first one tries
    uint32_t untold = 0;                  // of these, since the last event
  };

  WaiterId head(model::TenantId tenant) const { return queues_[tenant.value].first - 1; }
  bool tries(const Queue& queue, WaiterId waiter) const;

  allocator::MemoryEvents* events_ = nullptr;
  allocator::FlatArray<Link> links_;  // by waiter
  std::vector<Queue> queues_;         // by tenant
  std::vector<Ring> rings_;           // by domain
  model::DomainId telling_;           // whose heads are told one after the other
  uint32_t count_ = 0;
};

}  // namespace quire::cache
