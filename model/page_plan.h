// Which pages an object has, in which order, and where they stand in a staging area. Client and
// daemon both call it, so neither sends the answer.
//
//   span:        append groups, ascending
//   checkpoint:  window and state groups (rule other than kNone), ascending; then, when its
//   position
//                cuts a block, the tail pages: append groups, ascending
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "model/layout.h"
#include "model/limits.h"
#include "model/ring_frames.h"

namespace quire::model {

struct PlannedPage {
  GroupIndex group = 0;
  bool tail = false;            // a partly filled append page
  uint64_t bytes = 0;           // page_bytes of the group
  uint64_t staging_offset = 0;  // from CommitArgs::staging_offset; multiple of kStagingAlignment
};

struct PagePlan {
  std::vector<PlannedPage> pages;
  uint64_t staging_bytes = 0;  // whole object, all groups of the mask
  uint64_t page_bytes = 0;     // sum over the pages: what accounts are charged
};

// Pages of an object restricted to `groups` (0 = all); staging offsets are consecutive over the
// pages that remain. `end_tokens`: position of the object's end.
PagePlan plan_pages(const Layout& layout, FillKind kind, uint32_t end_tokens, GroupMask groups);

// Staging that holds one span and the largest checkpoint at once, all groups of both.
uint64_t staging_bytes_for(const Layout& layout);

}  // namespace quire::model
