#include "cache/ghosts/auto_policy.h"

#include <algorithm>
#include <cmath>

namespace quire::cache {

std::string_view AutoPolicy::choose(const Ghosts& ghosts, int64_t now_us) {
  if (now_us - looked_us_ < kLookUs) return chosen_;
  looked_us_ = now_us;
  ++looks_in_charge_;
  if (looks_in_charge_ < kLooksOfQuarter) return chosen_;
  const HitWindow window = looks_in_charge_ < kLooksOfHour ? HitWindow::kQuarter : HitWindow::kHour;
  const WindowTotals totals = ghosts.totals(window, now_us);
  if (totals.prompt_tokens <= 0) return chosen_;
  look(ghosts.near_rows(window, now_us), 100 * totals.hit_tokens / totals.prompt_tokens);
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
  const double sample_points = 2 * std::max(best->hits.error_points, present->hits.error_points);
  const double ghost_points = std::abs(present->hits.percent - tier_percent);
  const double lead = best->hits.percent - tier_percent;
  if (lead <= std::max({kLeadPoints, sample_points, ghost_points})) {
    leader_ = {};
    looks_ahead_ = 0;
    return;
  }
  looks_ahead_ = best->policy == leader_ ? looks_ahead_ + 1 : 1;
  leader_ = best->policy;
  if (looks_ahead_ < kLooksAhead) return;
  chosen_ = leader_;
  looks_in_charge_ = 0;
  leader_ = {};
  looks_ahead_ = 0;
}

}  // namespace quire::cache
