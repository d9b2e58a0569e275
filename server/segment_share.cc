#include "server/segment_share.h"

#include <algorithm>

namespace quire::server {

using model::Errc;
using model::SegmentId;

namespace {

model::SegmentInfo info_of(SegmentId id, const allocator::Segment& segment) {
  return {
      .segment = id.value, .page_size_log2 = segment.page_size_log2(), .bytes = segment.bytes()};
}

}  // namespace

SegmentShare::Told SegmentShare::tell_all(Connection& connection) {
  Told told;
  for (const auto& view : cache_->store().pool().segments(connection.domain)) {
    told.infos.push_back(info_of(view.id, *view.segment));
    if (told.descriptors.size() == model::kMaxDescriptorsPerFrame) continue;
    told.descriptors.push_back(view.segment->read_only_fd());
    connection.known_segments.insert(view.id.value);
  }
  return told;
}

model::Result<SegmentShare::Told> SegmentShare::tell(Connection& connection, SegmentId id) {
  const allocator::Segment* segment = cache_->store().pool().find_segment(connection.domain, id);
  if (segment == nullptr) {
    return model::make_error(Errc::kNotFound, "no such segment in this domain");
  }
  connection.known_segments.insert(id.value);
  return Told{{info_of(id, *segment)}, {segment->read_only_fd()}};
}

void SegmentShare::retire_pending(const std::vector<std::unique_ptr<Connection>>& connections) {
  for (cache::RetiredFrom& from : cache_->store().take_retired()) {
    Retiring retiring{std::move(from.retired), 0};
    const model::SegmentRetiredEvent event{retiring.retired.id.value, 0};
    for (const auto& connection : connections) {
      if (connection->ended() || !connection->known_segments.contains(event.segment)) continue;
      connection->send(model::FrameType::kSegmentRetired, false, 0, model::struct_bytes(event));
      if (!connection->ended()) ++retiring.unacknowledged;  // sending may end it
    }
    retiring_.push_back(std::move(retiring));
  }
  release_if_unmapped();
}

void SegmentShare::acknowledged(Connection& connection, SegmentId segment) {
  // Only a segment that is being taken back: a client that says so of a live one keeps its mapping.
  for (Retiring& retiring : retiring_) {
    if (retiring.retired.id != segment) continue;
    if (connection.known_segments.erase(segment.value) > 0) --retiring.unacknowledged;
  }
  release_if_unmapped();
}

void SegmentShare::forget(Connection& connection) {
  for (Retiring& retiring : retiring_) {
    if (connection.known_segments.erase(retiring.retired.id.value) > 0) --retiring.unacknowledged;
  }
  connection.known_segments.clear();
  release_if_unmapped();
}

void SegmentShare::release_if_unmapped() {
  std::erase_if(retiring_, [&](Retiring& retiring) {
    if (retiring.unacknowledged > 0) return false;
    before_unmap_(retiring.retired.segment->data());
    supply_->give_back(std::move(retiring.retired.segment));
    cache_->store().retired_returned();
    return true;
  });
}

}  // namespace quire::server
