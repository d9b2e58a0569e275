#include "tests/support/run_pages.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <tuple>

#include "model/check.h"

namespace quire::tests {

using model::PageDescriptor;
using model::PageRun;

namespace {

// Block-major, the groups of a block ascending; the checkpoint behind all, in its own order.
using Place = std::tuple<bool, uint32_t, uint16_t>;

PageRun run_at(std::span<const PageDescriptor> room, size_t index) {
  PageRun run;
  std::memcpy(&run, &room[index], sizeof run);
  return run;
}

}  // namespace

std::vector<PageDescriptor> expand_runs(std::span<const PageDescriptor> room,
                                        const model::LoadResult& result,
                                        const model::Layout& layout, uint32_t first_block) {
  std::map<Place, PageDescriptor> pages;
  for (uint32_t i = 0; i < result.run_count; ++i) {
    const PageRun run = run_at(room, result.first_run + i);
    const bool checkpoint = (run.flags & model::kRunOfCheckpoint) != 0;
    if (checkpoint && result.checkpoint_count == 0) continue;
    for (uint32_t page = 0; page < run.page_count; ++page) {
      const uint32_t block = run.first_block + page;
      if (!checkpoint && block >= first_block + result.block_count) break;
      const PageDescriptor descriptor{.offset = run.offset + uint64_t{page} * run.stride,
                                      .bytes = layout.groups.at(run.group).page_bytes,
                                      .segment = run.segment,
                                      .generation = run.generation,
                                      .crc32c = 0,
                                      .group = run.group,
                                      .flags = run.flags};
      const uint16_t group = checkpoint ? uint16_t{0} : run.group;
      QUIRE_CHECK(pages.emplace(Place{checkpoint, block, group}, descriptor).second);
    }
  }
  std::vector<PageDescriptor> listed;
  for (const auto& [place, page] : pages) listed.push_back(page);
  return listed;
}

PageDescriptor without_checksum(PageDescriptor page) {
  page.crc32c = 0;
  return page;
}

std::vector<PageDescriptor> without_checksums(std::span<const PageDescriptor> pages) {
  std::vector<PageDescriptor> all;
  for (const PageDescriptor& page : pages) all.push_back(without_checksum(page));
  return all;
}

bool same_page(const PageDescriptor& a, const PageDescriptor& b) {
  return std::memcmp(&a, &b, sizeof a) == 0;
}

bool same_pages(std::span<const PageDescriptor> a, std::span<const PageDescriptor> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), same_page);
}

}  // namespace quire::tests
