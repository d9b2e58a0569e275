// How much of RAM each domain may hold, in whole segments.
//
// A domain's share is what its owners are guaranteed (QuotaTable), and an equal part of the other
// segments that are held; domains that hold or ask have one. What was taken from a domain counts as
// held by it until its memory is really gone: a client that does not unmap costs its own domain.
// Pure but for the count of sessions. Threads: core only.
#pragma once

#include <cstdint>
#include <vector>

#include "allocator/pool.h"
#include "cache/accounts/quota_table.h"
#include "model/ids.h"

namespace quire::cache {

class RamShares {
 public:
  RamShares(const allocator::Pool* pool, const QuotaTable* quotas) : pool_(pool), quotas_(quotas) {}

  // What all shares are made of while this domain asks, too.
  struct Division {
    uint64_t equal = 0;    // segments of each, beside what it is guaranteed
    uint64_t unheld = 0;   // segments of the budget that no domain holds
    uint32_t domains = 1;  // that hold or ask
  };
  Division division_with(model::DomainId asker) const;
  // Segments that nobody takes from the domain.
  uint64_t share_of(model::DomainId domain, const Division& division) const {
    return guaranteed(domain) + division.equal;
  }
  // Of the whole budget, whether it is held already or not.
  uint64_t fair_share(model::DomainId domain, const Division& division) const;
  // Segments that count as the domain's, those taken away and not gone included.
  uint64_t held(model::DomainId domain) const;
  // Segments that it can put pages into.
  uint64_t usable(model::DomainId domain) const;
  // Whether one may be taken from it: it can use more than its share, or it has a last one and
  // nobody there is in a session.
  bool can_spare(model::DomainId domain, const Division& division) const;
  // A session of the domain was opened, or closed. True: it was the last one.
  bool note_session(model::DomainId domain, bool opened);

 private:
  uint64_t guaranteed(model::DomainId domain) const;

  const allocator::Pool* pool_;
  const QuotaTable* quotas_;
  std::vector<uint32_t> sessions_;  // by domain: how many are open
};

}  // namespace quire::cache
