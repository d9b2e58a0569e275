#include "cache/accounts/memory_waiters.h"

#include <algorithm>
#include <utility>

#include "model/check.h"

namespace quire::cache {

using model::DomainId;
using model::TenantId;

model::Result<MemoryWaiters> MemoryWaiters::create(allocator::MemoryEvents* events,
                                                   uint32_t max_waiters) {
  MemoryWaiters waiters;
  waiters.events_ = events;
  waiters.links_ = QUIRE_TRY(
      allocator::FlatArray<Link>::reserve(max_waiters, allocator::ReservedMemory::Pages::kSmall));
  return waiters;
}

// Only it may hold something.
bool MemoryWaiters::tries(const Queue& queue, WaiterId waiter) const {
  const TenantId first = rings_[queue.domain.value].tenants.front();
  return &queues_[first.value] == &queue && queue.first == waiter + 1;
}

void MemoryWaiters::add(DomainId domain, TenantId tenant, WaiterId waiter, SlotSet* slots) {
  QUIRE_CHECK(!waits(waiter));
  if (queues_.size() <= tenant.value) queues_.resize(tenant.value + size_t{1});
  if (rings_.size() <= domain.value) rings_.resize(domain.value + size_t{1});
  Queue& queue = queues_[tenant.value];
  Ring& ring = rings_[domain.value];
  queue.domain = domain;
  if (queue.first == 0) ring.tenants.push_back(tenant);
  links_[waiter] = {
      .slots = slots, .previous = queue.last, .next = 0, .tenant = tenant.value + uint32_t{1}};
  (queue.last == 0 ? queue.first : links_[queue.last - 1].next) = waiter + 1;
  queue.last = waiter + 1;
  ++count_;
  if (!tries(queue, waiter)) {
    slots->give_back();
  } else {
    // One watch a domain, from the first that waits to the last.
    events_->watch(domain);
  }
}

void MemoryWaiters::remove(WaiterId waiter) {
  QUIRE_CHECK(waits(waiter));
  Link& link = links_[waiter];
  const TenantId tenant{link.tenant - 1};
  Queue& queue = queues_[tenant.value];
  Ring& ring = rings_[queue.domain.value];
  const bool was_head = queue.first == waiter + 1;
  (link.previous == 0 ? queue.first : links_[link.previous - 1].next) = link.next;
  (link.next == 0 ? queue.last : links_[link.next - 1].previous) = link.previous;
  link = {};
  --count_;
  if (queue.first == 0) std::erase(ring.tenants, tenant);
  ring.untold = std::min(ring.untold, static_cast<uint32_t>(ring.tenants.size()));
  if (ring.tenants.empty()) {
    events_->unwatch(queue.domain);
  } else if (was_head) {
    wake(queue.domain);  // nothing else may happen: what the old head left over is free by now
  }
}

std::optional<WaiterId> MemoryWaiters::next_woken() {
  if (!telling_.valid() || rings_[telling_.value].untold == 0) {
    telling_ = events_->take();
    if (!telling_.valid()) return std::nullopt;
    // Who is watched has some.
    rings_[telling_.value].untold = static_cast<uint32_t>(rings_[telling_.value].tenants.size());
  }
  Ring& ring = rings_[telling_.value];
  --ring.untold;
  return head(ring.tenants.front());
}

void MemoryWaiters::pass_on(WaiterId waiter) {
  QUIRE_CHECK(waits(waiter));
  const Queue& queue = queues_[links_[waiter].tenant - 1];
  Ring& ring = rings_[queue.domain.value];
  if (ring.tenants.size() == 1 || !tries(queue, waiter)) return;
  links_[waiter].slots->give_back();
  ring.tenants.push_back(ring.tenants.front());
  ring.tenants.pop_front();
}

bool MemoryWaiters::take_back(DomainId domain) {
  if (domain.value >= rings_.size() || rings_[domain.value].tenants.empty()) return false;
  return links_[head(rings_[domain.value].tenants.front())].slots->give_back() > 0;
}

void MemoryWaiters::check_invariants() const {
  uint32_t waiting = 0;
  for (uint16_t d = 0; d < rings_.size(); ++d) {
    const Ring& ring = rings_[d];
    QUIRE_CHECK(events_->is_watched(DomainId{d}) == !ring.tenants.empty());
    for (const TenantId tenant : ring.tenants) {
      const Queue& queue = queues_[tenant.value];
      QUIRE_CHECK(queue.domain == DomainId{d} && queue.first != 0);
      uint32_t previous = 0;
      for (uint32_t at = queue.first; at != 0; at = links_[at - 1].next) {
        const Link& link = links_[at - 1];
        QUIRE_CHECK(link.tenant == tenant.value + 1u && link.previous == previous);
        QUIRE_CHECK(tries(queue, at - 1) || link.slots->count() == 0);
        previous = at;
        ++waiting;
      }
      QUIRE_CHECK(queue.last == previous);
    }
  }
  QUIRE_CHECK(waiting == count_);
}

}  // namespace quire::cache
