#include "allocator/memory_events.h"

#include <algorithm>

namespace quire::allocator {

using model::DomainId;

void MemoryEvents::watch(DomainId domain) {
  if (states_.size() <= domain.value) {
    states_.resize(domain.value + size_t{1});
    raised_.reserve(states_.size());  // raising never allocates
  }
  // What was raised for those who waited before says nothing to the next one.
  unwatch(domain);
  states_[domain.value] = State::kWatched;
  ++watched_count_;
}

void MemoryEvents::unwatch(DomainId domain) {
  if (!is_watched(domain)) return;
  if (states_[domain.value] == State::kRaised) std::erase(raised_, domain);
  states_[domain.value] = State::kUnwatched;
  --watched_count_;
}

void MemoryEvents::note(DomainId domain) {
  if (states_[domain.value] == State::kRaised) return;
  states_[domain.value] = State::kRaised;
  raised_.push_back(domain);
}

void MemoryEvents::raise_all() {
  if (watched_count_ == 0) return;
  for (uint16_t d = 0; d < states_.size(); ++d) raise(DomainId{d});
}

DomainId MemoryEvents::take() {
  if (raised_.empty()) return {};
  const DomainId first = raised_.front();
  // At most one entry a domain: moving the rest costs less than a ring would.
  raised_.erase(raised_.begin());
  states_[first.value] = State::kWatched;
  return first;
}

}  // namespace quire::allocator
