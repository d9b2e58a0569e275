// Who of a session's processes writes which pages of an object that they share (tensor-parallel
// ranks). A page is claimed, then copied; the claim of a process that is gone may be taken over.
// Threads: core only.
#pragma once

#include <vector>

#include "cache/fill/fill_table.h"
#include "model/page_plan.h"
#include "model/result.h"

namespace quire::cache {

using PlannedPages = std::vector<model::PlannedPage>;  // of the fill's plan

// Pages of these groups (0: all) are the holder's to write. What one that is gone had copied of
// them is written again. kBusy: one is another's; kInvalidArgument: there is none; nothing changed.
model::Result<void> claim_pages(Fill& fill, const PlannedPages& plan, HolderTag holder,
                                model::GroupMask groups);
// Whether every page of these groups is copied, whoever did it and whether that one is still there:
// what was copied counts until somebody claims it anew.
bool is_written(const Fill& fill, const PlannedPages& plan, model::GroupMask groups);
// Groups of which some page is not copied.
model::GroupMask unwritten_groups(const Fill& fill, const PlannedPages& plan);
// The holder is gone; what it did copy is nobody's. True: it claimed a page that will not come now.
bool lose_claims(Fill& fill, HolderTag holder);

}  // namespace quire::cache
