#include "model/page_plan.h"

#include "model/boundary.h"
#include "model/session_shm.h"

namespace quire::model {

namespace {

void append_planned(const Layout& layout, GroupMask groups, bool tail, PagePlan& plan) {
  // By group, tails behind: client and daemon compute the order alike, and slots, staging areas and
  // what lies on disk follow it.
  for (GroupIndex g = 0; g < layout.groups.size(); ++g) {
    if ((groups >> g & 1) == 0) continue;
    const uint64_t bytes = layout.groups[g].page_bytes;
    plan.pages.push_back({g, tail, bytes, plan.staging_bytes});
    plan.staging_bytes += align_up(bytes, kStagingAlignment);
    plan.page_bytes += bytes;
  }
}

}  // namespace

PagePlan plan_pages(const Layout& layout, FillKind kind, uint32_t end_tokens, GroupMask groups) {
  const GroupMask wanted = groups == 0 ? ~GroupMask{0} : groups;
  PagePlan plan;
  if (kind == FillKind::kSpan) {
    append_planned(layout, append_groups(layout) & wanted, false, plan);
    return plan;
  }
  append_planned(layout, checkpoint_groups(layout) & wanted, false, plan);
  if (has_tail(layout, end_tokens)) {
    append_planned(layout, append_groups(layout) & wanted, true, plan);
  }
  return plan;
}

uint64_t staging_bytes_for(const Layout& layout) {
  // Where a block has several units, a checkpoint at the first of them has the tail of its block.
  return plan_pages(layout, FillKind::kSpan, layout.block_tokens, 0).staging_bytes +
         plan_pages(layout, FillKind::kCheckpoint, layout.unit_tokens, 0).staging_bytes;
}

}  // namespace quire::model
