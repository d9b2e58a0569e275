#include "cache/accounts/memory_waiters.h"

#include "model/check.h"

namespace quire::cache {

using model::DomainId;

model::Result<MemoryWaiters> MemoryWaiters::create(allocator::MemoryEvents* events,
                                                   uint32_t max_waiters) {
  MemoryWaiters waiters;
  waiters.events_ = events;
  waiters.links_ = QUIRE_TRY(
      allocator::FlatArray<Link>::reserve(max_waiters, allocator::ReservedMemory::Pages::kSmall));
  return waiters;
}

void MemoryWaiters::add(DomainId domain, WaiterId waiter, SlotSet* slots) {
  QUIRE_CHECK(!waits(waiter));
  if (queues_.size() <= domain.value) queues_.resize(domain.value + size_t{1});
  Queue& queue = queues_[domain.value];
  QUIRE_CHECK(queue.first == 0 || slots->count() == 0);
  links_[waiter] = {
      .slots = slots, .previous = queue.last, .next = 0, .domain = domain.value + uint32_t{1}};
  (queue.last == 0 ? queue.first : links_[queue.last - 1].next) = waiter + 1;
  queue.last = waiter + 1;
  ++count_;
  // One watch a domain, from the first that waits to the last: events wake whoever is the head by
  // then.
  if (queue.first == waiter + 1) events_->watch(domain);
}

void MemoryWaiters::remove(WaiterId waiter) {
  QUIRE_CHECK(waits(waiter));
  Link& link = links_[waiter];
  const DomainId domain{static_cast<uint16_t>(link.domain - 1)};
  Queue& queue = queues_[domain.value];
  const bool was_head = queue.first == waiter + 1;
  (link.previous == 0 ? queue.first : links_[link.previous - 1].next) = link.next;
  (link.next == 0 ? queue.last : links_[link.next - 1].previous) = link.previous;
  link = {};
  --count_;
  if (queue.first == 0) {
    events_->unwatch(domain);
  } else if (was_head) {
    wake(domain);  // nothing else may happen: what the old head left over is free by now
  }
}

std::optional<WaiterId> MemoryWaiters::next_woken() {
  const DomainId domain = events_->take();
  if (!domain.valid()) return std::nullopt;
  return head(domain);  // who is watched has one
}

bool MemoryWaiters::take_back(DomainId domain) {
  return is_waiting(domain) && links_[head(domain)].slots->give_back() > 0;
}

void MemoryWaiters::check_invariants() const {
  uint32_t waiting = 0;
  for (uint16_t d = 0; d < queues_.size(); ++d) {
    QUIRE_CHECK(events_->is_watched(DomainId{d}) == is_waiting(DomainId{d}));
    uint32_t previous = 0;
    for (uint32_t at = queues_[d].first; at != 0; at = links_[at - 1].next) {
      const Link& link = links_[at - 1];
      QUIRE_CHECK(link.domain == d + 1u && link.previous == previous);
      QUIRE_CHECK(previous == 0 || link.slots->count() == 0);  // the head alone holds something
      previous = at;
      ++waiting;
    }
    QUIRE_CHECK(queues_[d].last == previous);
  }
  QUIRE_CHECK(waiting == count_);
}

}  // namespace quire::cache
