// Runs of a load told again as the page form tells them, so that both can be compared page by page.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/layout.h"
#include "model/ring_frames.h"

namespace quire::tests {

// The pages that `result` delivered out of `room`, the descriptors that the load was given, in the
// order of the page form; without checksums. `first_block`: of the load.
std::vector<model::PageDescriptor> expand_runs(std::span<const model::PageDescriptor> room,
                                               const model::LoadResult& result,
                                               const model::Layout& layout, uint32_t first_block);
// What the run form says of a page: all but its checksum.
model::PageDescriptor without_checksum(model::PageDescriptor page);
// Of each of these.
std::vector<model::PageDescriptor> without_checksums(std::span<const model::PageDescriptor> pages);
bool same_page(const model::PageDescriptor& a, const model::PageDescriptor& b);
bool same_pages(std::span<const model::PageDescriptor> a, std::span<const model::PageDescriptor> b);

}  // namespace quire::tests
