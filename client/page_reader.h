// Turns page descriptors and runs into views of mapped memory. A load may name thousands of pages
// in a few segments, so segments are looked up in a small direct-mapped table, not per page under a
// lock. Threads: the session's; mapping a segment takes the attachment's lock.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "client/attachment.h"
#include "client/held_leases.h"
#include "model/layout.h"
#include "model/result.h"
#include "model/ring_frames.h"

namespace quire::client {

class PageReader {
 public:
  PageReader(Attachment& attachment, const model::Layout& layout);

  // Appends one view per descriptor to `views`. Every segment used is acquired for `lease` and
  // listed there, also when this fails. kCorrupt: a descriptor that does not fit the layout or its
  // segment; else the errors of Attachment::acquire_segment.
  model::Result<void> read(std::span<const model::PageDescriptor> descriptors, HeldLease& lease,
                           std::vector<PageView>& views);

  // The same of runs, cut to what was delivered: pages of spans before block `end_block`, and the
  // checkpoint's if `checkpoint`.
  struct Delivered {
    uint64_t end_block = 0;
    bool checkpoint = false;
  };
  model::Result<void> read_runs(std::span<const model::PageRun> runs, const Delivered& delivered,
                                HeldLease& lease, std::vector<RunView>& views);

 private:
  static constexpr size_t kTableEntries = 256;  // segments of one load seldom collide
  struct Known {
    uint64_t read = 0;  // the read() call that acquired it
    uint32_t segment = 0;
    SegmentView view;
  };
  model::Result<SegmentView> find_segment(uint32_t segment, HeldLease& lease);
  // A page of the layout that lies within its segment: anything else is not shown to the engine.
  bool fits(const model::PageDescriptor& page, const SegmentView& segment) const;
  bool fits(const model::PageRun& run, const SegmentView& segment) const;

  Attachment& attachment_;
  std::vector<uint64_t> page_bytes_;  // by group
  std::array<Known, kTableEntries> known_{};
  uint64_t read_ = 0;
};

}  // namespace quire::client
