#include "cache/eviction/ram_shares.h"

#include <algorithm>

namespace quire::cache {

using model::DomainId;

uint64_t RamShares::usable(DomainId domain) const {
  return pool_->usage(domain).segment_bytes / pool_->supply().segment_bytes();
}

uint64_t RamShares::held(DomainId domain) const {
  return usable(domain) + pool_->usage(domain).retiring_bytes / pool_->supply().segment_bytes();
}

uint64_t RamShares::guaranteed(DomainId domain) const {
  const uint64_t segment_bytes = pool_->supply().segment_bytes();
  const uint64_t bytes = quotas_->guaranteed_bytes(model::TierId::kRam, domain);
  return bytes / segment_bytes + (bytes % segment_bytes > 0 ? 1 : 0);
}

// The asker has a share although it may hold nothing yet.
RamShares::Division RamShares::division_with(DomainId asker) const {
  uint64_t total = held(asker);
  uint64_t kept = guaranteed(asker);
  Division division;
  for (uint16_t d = 0; d < pool_->domain_count(); ++d) {
    if (DomainId{d} == asker) continue;
    const uint64_t segments = held(DomainId{d});
    total += segments;
    if (segments == 0) continue;
    ++division.domains;
    kept += guaranteed(DomainId{d});
  }
  division.equal = (total - std::min(total, kept)) / division.domains;
  const uint64_t budget = pool_->supply().max_segments();
  division.unheld = budget - std::min(budget, total);
  return division;
}

bool RamShares::can_spare(DomainId domain, const Division& division) const {
  if (const uint64_t share = share_of(domain, division); share > 0) return usable(domain) > share;
  const bool in_use = domain.value < sessions_.size() && sessions_[domain.value] > 0;
  return usable(domain) > 1 || (usable(domain) == 1 && !in_use);
}

uint64_t RamShares::fair_share(DomainId domain, const Division& division) const {
  const uint64_t part = pool_->supply().max_segments() / division.domains;
  return std::max({uint64_t{1}, part, share_of(domain, division)});
}

bool RamShares::note_session(DomainId domain, bool opened) {
  if (sessions_.size() <= domain.value) sessions_.resize(domain.value + size_t{1});
  sessions_[domain.value] += opened ? 1 : ~uint32_t{0};
  return sessions_[domain.value] == 0;
}

}  // namespace quire::cache
