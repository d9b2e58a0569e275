// The same as runs: pages of one group that lie behind each other are one entry (model::PageRun).
// Sessions' pages are placed adjacent, so that a million tokens are some tens of runs.
//
// Pages are told from the end of a range towards its start, as a path is walked, so runs grow
// downwards and are written from the end of the room backwards: of each group they stand in memory
// in the order of their blocks.
//
//   room:  [ not used | the checkpoint's pages | runs of spans, interleaved as they closed ]
//                      ^ first_run()
//
// Lives as long as its load is described, in several pieces. Threads: core only.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "allocator/pool.h"
#include "model/limits.h"
#include "model/ring_frames.h"

namespace quire::cache {

class RunWriter {
 public:
  struct Page {
    model::GroupIndex group = 0;
    model::SlotId slot;
    uint32_t generation = 0;
    uint32_t block = 0;
  };

  // Starts anew; `capacity` runs fit. `groups`: so many pages of each span will be told.
  void begin(uint32_t capacity, uint32_t groups);

  // The page of a span. `which` counts the pages told of each span; `page.block` falls from call
  // to call. `out` has the capacity told and is the same each time.
  void add(uint32_t which, const Page& page, const allocator::Pool& pool,
           std::span<model::PageRun> out) {
    Open& open = open_[which];
    // In one chunk, where slots and places are adjacent alike. As a rule: no look at the chunk.
    const bool behind = page.slot.value + 1 == open.slot.value &&
                        allocator::chunk_of(page.slot) == open.view.chunk &&
                        page.block + 1 == open.block && page.generation == open.generation;
    if (behind) [[likely]] {
      open.slot = page.slot;
      open.block = page.block;
      return;
    }
    add_elsewhere(open, page, pool, out);
  }
  // How many spans above the one that was told last can be told by go_on(): pages of one chunk.
  uint32_t most_in_front() const {
    uint32_t most = allocator::kSlotsPerChunk;
    for (uint32_t which = 0; which < groups_; ++which) {
      most = std::min(most, open_[which].slot.value % allocator::kSlotsPerChunk);
    }
    return most;
  }
  // Whether all pages of a span, which are told in full, lie that many places in front of those
  // told last, and are of the same generations. `first`: the slot of its first page.
  bool goes_on(uint32_t distance, model::SlotId first, const allocator::Pool& pool) const {
    for (uint32_t which = 0; which < groups_; ++which) {
      if (first.value + distance != open_[which].slot.value) return false;
      const allocator::PageEntry& page = pool.page(first);
      if (page.generation() != open_[which].generation) return false;
      first.value = page.next - 1;
    }
    return true;
  }
  // So many spans, for each of which goes_on() was true.
  void go_on(uint32_t spans) {
    for (uint32_t which = 0; which < groups_; ++which) {
      open_[which].slot.value -= spans;
      open_[which].block -= spans;
    }
  }
  // Writes the runs of spans that are still open.
  void finish(std::span<model::PageRun> out);
  // A page of the checkpoint, the last one first, behind finish(). `page.block` counts them.
  void add_checkpoint(const Page& page, const allocator::Pool& pool, std::span<model::PageRun> out);

  // More runs than there is room for: what was written is worthless.
  bool overflowed() const { return count_ > capacity_; }
  uint32_t count() const { return count_; }
  // Index of the first of them. Precondition: not overflowed.
  uint32_t first_run() const { return capacity_ - count_; }

 private:
  // A run that may go on; none while `slot` is none.
  struct Open {
    model::SlotId slot;  // of its first page
    uint32_t block = 0;  // of its first page
    uint32_t end = 0;    // behind its last page's block
    uint32_t generation = 0;
    model::GroupIndex group = 0;
    allocator::ChunkView view;  // of `slot`
  };
  void add_elsewhere(Open& open, const Page& page, const allocator::Pool& pool,
                     std::span<model::PageRun> out);
  void close(const Open& open, std::span<model::PageRun> out);
  void write(const model::PageRun& run, std::span<model::PageRun> out);

  std::array<Open, model::kMaxGroups> open_{};
  uint32_t groups_ = 0;
  uint32_t capacity_ = 0;
  uint32_t count_ = 0;  // written, or would be
};

}  // namespace quire::cache
