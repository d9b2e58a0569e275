// Chain hashes that stand in memory a client can write. Each is copied once into a local, then used
// (law 6); what is done with them must hold for any bytes.
#pragma once

#include <cstdint>

#include "model/check.h"
#include "model/hash256.h"

namespace quire::cache {

class ChainView {
 public:
  // hashes[i] = chain hash after i + 1 units. `count` is the daemon's own number.
  ChainView(const model::Hash256* hashes, uint32_t count) : hashes_(hashes), count_(count) {}

  uint32_t count() const { return count_; }
  // The first `count` hashes only.
  ChainView first(uint32_t count) const {
    QUIRE_CHECK(count <= count_);
    return {hashes_, count};
  }
  // Chain hash after `units` units, 1..count.
  model::Hash256 after(uint32_t units) const {
    QUIRE_CHECK(units >= 1 && units <= count_);
    model::Hash256 copy = hashes_[units - 1];
    asm volatile("" : : "r"(&copy) : "memory");  // one read: see RingConsumer::take
    return copy;
  }

 private:
  const model::Hash256* hashes_;
  uint32_t count_;
};

}  // namespace quire::cache
