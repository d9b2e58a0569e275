#include "client/plan_cache.h"

#include <utility>

#include "model/boundary.h"

namespace quire::client {

namespace {
constexpr size_t kMaxPlans = 8;  // span, checkpoint with and without tail, for two group masks
}

const model::PagePlan& PlanCache::plan(model::FillKind kind, uint32_t end_tokens,
                                       model::GroupMask groups) {
  const bool tail = kind == model::FillKind::kCheckpoint && model::has_tail(layout_, end_tokens);
  for (const Entry& entry : entries_) {
    if (entry.kind == kind && entry.tail == tail && entry.groups == groups) return entry.plan;
  }
  Entry fresh{kind, tail, groups, model::plan_pages(layout_, kind, end_tokens, groups)};
  // Bounded: a caller with a mask for each layer would grow it with every fill.
  if (entries_.size() < kMaxPlans) return entries_.emplace_back(std::move(fresh)).plan;
  Entry& victim = entries_[next_victim_++ % kMaxPlans];
  victim = std::move(fresh);
  return victim.plan;
}

}  // namespace quire::client
