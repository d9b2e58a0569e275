#include "client/held_leases.h"

#include <algorithm>
#include <utility>

#include "model/check.h"

namespace quire::client {

namespace {
constexpr size_t kMaxSpare = 32;  // records and view buffers kept for reuse; the rest is freed

template <typename View>
std::vector<View>& add_buffer(std::vector<std::vector<View>>& loads,
                              std::vector<std::vector<View>>& spare) {
  if (spare.empty()) return loads.emplace_back();
  loads.push_back(std::move(spare.back()));
  spare.pop_back();
  return loads.back();
}

template <typename View>
void recycle_buffers(std::vector<std::vector<View>>& loads, std::vector<std::vector<View>>& spare) {
  for (std::vector<View>& views : loads) {
    if (spare.size() == kMaxSpare) break;
    views.clear();
    spare.push_back(std::move(views));
  }
  loads.clear();
}
}  // namespace

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

// A handful are held as a rule; a map would allocate for each match.
HeldLease* HeldLeases::find(uint64_t lease) {
  const auto found = std::find_if(held_.begin(), held_.end(),
                                  [lease](const auto& held) { return held->lease == lease; });
  return found == held_.end() ? nullptr : found->get();
}

std::vector<PageView>& HeldLeases::add_load(HeldLease& lease) {
  return add_buffer(lease.loads, spare_views_);
}

std::vector<RunView>& HeldLeases::add_run_load(HeldLease& lease) {
  return add_buffer(lease.run_loads, spare_runs_);
}

void HeldLeases::recycle(HeldLease& lease) {
  recycle_buffers(lease.loads, spare_views_);
  recycle_buffers(lease.run_loads, spare_runs_);
  lease.segments.clear();
}

void HeldLeases::remove(HeldLease& lease) {
  const auto found = std::find_if(held_.begin(), held_.end(),
                                  [&lease](const auto& held) { return held.get() == &lease; });
  QUIRE_CHECK(found != held_.end());
  recycle(lease);
  if (spare_.size() < kMaxSpare) spare_.push_back(std::move(*found));
  // Records stay where they are; only their places in the list change.
  *found = std::move(held_.back());
  held_.pop_back();
}

}  // namespace quire::client
