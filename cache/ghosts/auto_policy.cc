#include "cache/ghosts/auto_policy.h"

#include <algorithm>

namespace quire::cache {

std::string_view AutoPolicy::choose(const Ghosts& ghosts, int64_t now_us) {
  if (now_us - looked_us_ >= kLookUs) {
    looked_us_ = now_us;
    const WindowTotals totals = ghosts.totals(kWindow, now_us);
    const double percent =
        totals.prompt_tokens > 0 ? 100 * totals.hit_tokens / totals.prompt_tokens : 0;
    look(ghosts.near_rows(kWindow, now_us), percent);
  }
  return chosen_;
}

void AutoPolicy::look(std::span<const GhostRow> rows, double tier_percent) {
  const GhostRow* best = nullptr;
  const GhostRow* present = nullptr;
  for (const GhostRow& row : rows) {
    if (row.policy == chosen_) present = &row;
    if (best == nullptr || row.hits.percent > best->hits.percent) best = &row;
  }
  if (best == nullptr || present == nullptr) return;
  const double open_points = 2 * std::max(best->hits.error_points, present->hits.error_points);
  const double lead = best->hits.percent - std::max(present->hits.percent, tier_percent);
  if (lead <= std::max(kLeadPoints, open_points)) {
    leader_ = {};
    looks_ahead_ = 0;
    return;
  }
  looks_ahead_ = best->policy == leader_ ? looks_ahead_ + 1 : 1;
  leader_ = best->policy;
  if (looks_ahead_ < kLooksAhead) return;
  chosen_ = leader_;
  leader_ = {};
  looks_ahead_ = 0;
}

}  // namespace quire::cache
