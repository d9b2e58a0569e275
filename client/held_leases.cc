#include "client/held_leases.h"

#include <algorithm>
#include <utility>

#include "model/check.h"

namespace quire::client {

namespace {
constexpr size_t kMaxSpare = 32;  // records and view buffers kept for reuse; the rest is freed
}

HeldLease& HeldLeases::add(const model::MatchResult& match) {
  if (spare_.empty()) spare_.push_back(std::make_unique<HeldLease>());
  held_.push_back(std::move(spare_.back()));
  spare_.pop_back();
  HeldLease& lease = *held_.back();
  lease.lease = match.lease;
  lease.exact_tokens = match.exact_tokens;
  lease.span_tokens = match.span_tokens;
  lease.loading = 0;
  lease.untaken = 0;
  return lease;
}

HeldLease* HeldLeases::find(uint64_t lease) {
  const auto found = std::find_if(held_.begin(), held_.end(),
                                  [lease](const auto& held) { return held->lease == lease; });
  return found == held_.end() ? nullptr : found->get();
}

std::vector<PageView>& HeldLeases::add_load(HeldLease& lease) {
  if (spare_views_.empty()) {
    lease.loads.emplace_back();
  } else {
    lease.loads.push_back(std::move(spare_views_.back()));
    spare_views_.pop_back();
  }
  return lease.loads.back();
}

void HeldLeases::recycle(HeldLease& lease) {
  for (std::vector<PageView>& views : lease.loads) {
    if (spare_views_.size() == kMaxSpare) break;
    views.clear();
    spare_views_.push_back(std::move(views));
  }
  lease.loads.clear();
  lease.segments.clear();
}

void HeldLeases::remove(HeldLease& lease) {
  const auto found = std::find_if(held_.begin(), held_.end(),
                                  [&lease](const auto& held) { return held.get() == &lease; });
  QUIRE_CHECK(found != held_.end());
  recycle(lease);
  if (spare_.size() < kMaxSpare) spare_.push_back(std::move(*found));
  *found = std::move(held_.back());
  held_.pop_back();
}

}  // namespace quire::client
