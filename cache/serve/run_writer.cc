#include "cache/serve/run_writer.h"

namespace quire::cache {

using allocator::ChunkView;
using allocator::Pool;
using model::PageRun;

void RunWriter::begin(uint32_t capacity, uint32_t groups) {
  for (uint32_t which = 0; which < groups; ++which) open_[which].slot = {};
  groups_ = groups;
  capacity_ = capacity;
  count_ = 0;
}

// In another chunk: perhaps the one in front of it, which a session's pages go on in.
void RunWriter::add_elsewhere(Open& open, const Page& page, const Pool& pool,
                              std::span<PageRun> out) {
  const ChunkView view = pool.chunk_view(page.slot);
  // A run is told with one segment, one stride and one generation, so its pages have to agree in
  // all.
  const bool adjacent =
      open.slot.valid() && view.segment == open.view.segment && page.block + 1 == open.block &&
      page.generation == open.generation &&
      view.offset_of(page.slot) + view.slot_bytes == open.view.offset_of(open.slot);
  if (!adjacent) {
    close(open, out);
    open.end = page.block + 1;
    open.generation = page.generation;
    open.group = page.group;
  }
  open.slot = page.slot;
  open.block = page.block;
  open.view = view;
}

void RunWriter::add_checkpoint(const Page& page, const Pool& pool, std::span<PageRun> out) {
  const ChunkView view = pool.chunk_view(page.slot);
  write({.offset = view.offset_of(page.slot),
         .segment = view.segment.value,
         .generation = page.generation,
         .first_block = page.block,
         .page_count = 1,
         .stride = static_cast<uint32_t>(view.slot_bytes),
         .group = page.group,
         .flags = model::kRunOfCheckpoint},
        out);
}

void RunWriter::close(const Open& open, std::span<PageRun> out) {
  if (!open.slot.valid()) return;
  write({.offset = open.view.offset_of(open.slot),
         .segment = open.view.segment.value,
         .generation = open.generation,
         .first_block = open.block,
         .page_count = open.end - open.block,
         .stride = static_cast<uint32_t>(open.view.slot_bytes),
         .group = open.group,
         .flags = 0},
        out);
}

// What does not fit is counted all the same: so it is known that something is missing.
void RunWriter::write(const PageRun& run, std::span<PageRun> out) {
  if (count_ < capacity_) out[capacity_ - 1 - count_] = run;
  ++count_;
}

void RunWriter::finish(std::span<PageRun> out) {
  // The last group first: of runs that end together the first group's then stands in front.
  for (uint32_t which = groups_; which > 0; --which) {
    close(open_[which - 1], out);
    open_[which - 1].slot = {};
  }
}

}  // namespace quire::cache
