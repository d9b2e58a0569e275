// The few page plans a session uses again and again: a plan depends on the position only through
// whether it cuts a block. Spares the hot path model::plan_pages and its allocations.
#pragma once

#include <cstdint>
#include <vector>

#include "model/layout.h"
#include "model/page_plan.h"

namespace quire::client {

class PlanCache {
 public:
  explicit PlanCache(const model::Layout& layout) : layout_(layout) {}

  // Valid until the next call.
  const model::PagePlan& plan(model::FillKind kind, uint32_t end_tokens, model::GroupMask groups);

 private:
  struct Entry {
    model::FillKind kind = model::FillKind::kSpan;
    bool tail = false;
    model::GroupMask groups = 0;
    model::PagePlan plan;
  };
  const model::Layout& layout_;
  std::vector<Entry> entries_;
  size_t next_victim_ = 0;
};

}  // namespace quire::client
