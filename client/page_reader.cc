#include "client/page_reader.h"

namespace quire::client {

using model::Errc;
using model::PageDescriptor;
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
  if (known.read == read_ && known.segment == segment) return known.view;
  const SegmentView view = QUIRE_TRY(attachment_.acquire_segment(segment));
  lease.segments.push_back(segment);
  known = {read_, segment, view};
  return view;
}

bool PageReader::fits(const PageDescriptor& page, const SegmentView& segment) const {
  return page.group < page_bytes_.size() && page.bytes == page_bytes_[page.group] &&
         page.bytes <= segment.bytes && page.offset <= segment.bytes - page.bytes;
}

Result<void> PageReader::read(std::span<const PageDescriptor> descriptors, HeldLease& lease,
                              std::vector<PageView>& views) {
  ++read_;
  views.reserve(views.size() + descriptors.size());
  SegmentView segment;
  uint32_t segment_id = 0;
  for (const PageDescriptor& shared : descriptors) {
    const PageDescriptor page = shared;
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
