#include "client/page_reader.h"

#include <algorithm>

namespace quire::client {

using model::Errc;
using model::PageDescriptor;
using model::PageRun;
using model::Result;

namespace {
constexpr uint16_t kCheckpointFlag = 1;
}

PageReader::PageReader(Attachment& attachment, const model::Layout& layout)
    : attachment_(attachment) {
  for (const model::Group& group : layout.groups) page_bytes_.push_back(group.page_bytes);
}

Result<SegmentView> PageReader::find_segment(uint32_t segment, HeldLease& lease) {
  Known& known = known_[segment % kTableEntries];
  // Known within this read() only: each adds a user of its own, and the lease gives all of them
  // back.
  if (known.read == read_ && known.segment == segment) return known.view;
  const SegmentView view = QUIRE_TRY(attachment_.acquire_segment(segment));
  // At once, so that a failure further on leaves no user behind.
  lease.segments.push_back(segment);
  known = {read_, segment, view};
  return view;
}

// A view outside its segment would be a read of foreign memory, or a SIGSEGV in the engine.
bool PageReader::fits(const PageDescriptor& page, const SegmentView& segment) const {
  return page.group < page_bytes_.size() && page.bytes == page_bytes_[page.group] &&
         page.bytes <= segment.bytes && page.offset <= segment.bytes - page.bytes;
}

// Counts and strides are the daemon's word: the products are taken in 64 bits and cannot wrap.
bool PageReader::fits(const PageRun& run, const SegmentView& segment) const {
  if (run.group >= page_bytes_.size() || run.page_count == 0) return false;
  const uint64_t page_bytes = page_bytes_[run.group];
  if (run.page_count > 1 && run.stride < page_bytes) return false;
  const uint64_t bytes = uint64_t{run.page_count - 1} * run.stride + page_bytes;
  return bytes <= segment.bytes && run.offset <= segment.bytes - bytes;
}

Result<void> PageReader::read_runs(std::span<const PageRun> runs, const Delivered& delivered,
                                   HeldLease& lease, std::vector<RunView>& views) {
  ++read_;
  views.reserve(views.size() + runs.size());
  for (const PageRun& shared : runs) {
    PageRun run = shared;
    const bool of_checkpoint = (run.flags & model::kRunOfCheckpoint) != 0;
    // Runs are of all that was asked for; only the head of them may have been delivered.
    if (of_checkpoint ? !delivered.checkpoint : run.first_block >= delivered.end_block) continue;
    if (!of_checkpoint) {
      run.page_count = static_cast<uint32_t>(
          std::min<uint64_t>(run.page_count, delivered.end_block - run.first_block));
    }
    const SegmentView segment = QUIRE_TRY(find_segment(run.segment, lease));
    if (!fits(run, segment)) {
      return model::make_error(Errc::kCorrupt, "a run of pages that does not fit the layout");
    }
    views.push_back({.data = segment.data + run.offset,
                     .page_bytes = page_bytes_[run.group],
                     .stride = run.stride,
                     .offset = run.offset,
                     .first_block = run.first_block,
                     .page_count = run.page_count,
                     .generation = run.generation,
                     .segment = run.segment,
                     .group = static_cast<model::GroupIndex>(run.group),
                     .of_checkpoint = of_checkpoint});
  }
  return {};
}

Result<void> PageReader::read(std::span<const PageDescriptor> descriptors, HeldLease& lease,
                              std::vector<PageView>& views) {
  ++read_;
  views.reserve(views.size() + descriptors.size());
  SegmentView segment;
  uint32_t segment_id = 0;
  for (const PageDescriptor& shared : descriptors) {
    // A copy: the area is shared memory, and what was checked must be what is used.
    const PageDescriptor page = shared;
    // As a rule neighbours lie in one segment: no look-up.
    if (segment.data == nullptr || page.segment != segment_id) {
      segment = QUIRE_TRY(find_segment(page.segment, lease));
      segment_id = page.segment;
    }
    if (!fits(page, segment)) {
      return model::make_error(Errc::kCorrupt, "a page descriptor that does not fit the layout");
    }
    views.push_back({.data = segment.data + page.offset,
                     .bytes = page.bytes,
                     .crc32c = page.crc32c,
                     .generation = page.generation,
                     .segment = page.segment,
                     .group = static_cast<model::GroupIndex>(page.group),
                     .of_checkpoint = (page.flags & kCheckpointFlag) != 0,
                     .offset = page.offset});
  }
  return {};
}

}  // namespace quire::client
