#include "cache/fill/fill_claims.h"

#include <string>

namespace quire::cache {

using model::Errc;
using model::make_error;

model::Result<void> claim_pages(Fill& fill, const PlannedPages& plan, HolderTag holder,
                                model::GroupMask groups) {
  const model::GroupMask wanted = groups == 0 ? ~uint64_t{0} : groups;
  // Two passes: a refusal must leave every claim as it was. The asker's own claim counts as taken
  // too, for its copy may be in flight.
  size_t claimed = 0;
  for (size_t i = 0; i < plan.size(); ++i) {
    if ((wanted >> plan[i].group & 1) == 0) continue;
    if (fill.claimed_by[i] != 0 && fill.claimed_by[i] != kGoneHolder) {
      return make_error(Errc::kBusy, "group " + std::to_string(plan[i].group) +
                                         " of this object is being written by another process or "
                                         "fill; begin it again when that one ended");
    }
    ++claimed;
  }
  if (claimed == 0) return make_error(Errc::kInvalidArgument, "no group of this object is named");
  for (size_t i = 0; i < plan.size(); ++i) {
    if ((wanted >> plan[i].group & 1) == 0) continue;
    // Its writer is gone: what that one copied is written again.
    if (fill.claimed_by[i] == kGoneHolder) {
      fill.page_state[i] = static_cast<uint8_t>(PageFill::kMissing);
      ++fill.pages_missing;
    }
    fill.claimed_by[i] = holder;
  }
  return {};
}

bool is_written(const Fill& fill, const PlannedPages& plan, model::GroupMask groups) {
  const model::GroupMask wanted = groups == 0 ? ~uint64_t{0} : groups;
  bool any = false;
  for (size_t i = 0; i < plan.size(); ++i) {
    if ((wanted >> plan[i].group & 1) == 0) continue;
    if (fill.page_state[i] != static_cast<uint8_t>(PageFill::kCopied)) return false;
    any = true;
  }
  return any;
}

model::GroupMask unwritten_groups(const Fill& fill, const PlannedPages& plan) {
  model::GroupMask groups = 0;
  for (size_t i = 0; i < plan.size(); ++i) {
    const bool copied = fill.page_state[i] == static_cast<uint8_t>(PageFill::kCopied);
    if (!copied) groups |= model::GroupMask{1} << plan[i].group;
  }
  return groups;
}

bool lose_claims(Fill& fill, HolderTag holder) {
  for (size_t i = 0; i < fill.slots.count(); ++i) {
    if (fill.claimed_by[i] != holder) continue;
    // The caller ends the whole fill, so the claims behind this one need no change.
    if (fill.page_state[i] != static_cast<uint8_t>(PageFill::kCopied)) return true;
    fill.claimed_by[i] = kGoneHolder;
  }
  return false;
}

}  // namespace quire::cache
