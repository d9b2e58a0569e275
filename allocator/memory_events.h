// For which domains something happened that may let a waiting allocation succeed: a slot was freed,
// a segment came, an object may be evicted now. An event per domain, kept until it is taken; of a
// domain that nobody watches nothing is kept, and raising it costs a look at one byte.
//
// Threads: core only. Bound: one entry a domain. No allocation but in watch().
#pragma once

#include <cstdint>
#include <vector>

#include "model/ids.h"

namespace quire::allocator {

class MemoryEvents {
 public:
  // What was raised before is forgotten, either way.
  void watch(model::DomainId domain);
  void unwatch(model::DomainId domain);
  bool is_watched(model::DomainId domain) const {
    return domain.value < states_.size() && states_[domain.value] != State::kUnwatched;
  }
  bool any_watched() const { return watched_count_ > 0; }

  void raise(model::DomainId domain) {
    if (watched_count_ > 0 && is_watched(domain)) note(domain);
  }
  // Shares between domains moved, or something came for whoever takes it first.
  void raise_all();
  bool any_raised() const { return !raised_.empty(); }
  // One of those that were raised, the one that was first; none when there is none. It can be
  // raised again.
  model::DomainId take();

 private:
  enum class State : uint8_t { kUnwatched = 0, kWatched, kRaised };
  void note(model::DomainId domain);

  std::vector<State> states_;            // by domain
  std::vector<model::DomainId> raised_;  // each once
  uint32_t watched_count_ = 0;
};

}  // namespace quire::allocator
