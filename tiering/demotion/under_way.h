// How much of each domain's RAM is pinned because it is on its way to a tier, of all tiers
// together: who commits finds nothing to evict there until the writes end. Threads: core only.
// Bound: domains.
#pragma once

#include <cstdint>
#include <vector>

#include "model/check.h"
#include "model/ids.h"

namespace quire::tiering {

class UnderWay {
 public:
  void add(model::DomainId domain, uint64_t bytes) {
    if (domain.value >= bytes_.size()) bytes_.resize(size_t{domain.value} + 1);
    bytes_[domain.value] += bytes;
  }
  // Precondition: so much was added.
  void remove(model::DomainId domain, uint64_t bytes) {
    QUIRE_CHECK(domain.value < bytes_.size() && bytes_[domain.value] >= bytes);
    bytes_[domain.value] -= bytes;
  }
  uint64_t bytes(model::DomainId domain) const {
    return domain.value < bytes_.size() ? bytes_[domain.value] : 0;
  }

 private:
  std::vector<uint64_t> bytes_;  // by domain
};

}  // namespace quire::tiering
