#include "server/sessions/segment_share.h"

#include <algorithm>
#include <string>

#include "server/runtime/log.h"

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

void SegmentShare::retire_pending(const std::vector<std::unique_ptr<Connection>>& connections,
                                  int64_t now_ns) {
  for (cache::RetiredFrom& from : cache_->room().taker().take_retired()) {
    announce(std::move(from), connections, now_ns);
  }
  for (Retiring& retiring : retiring_) {
    if (retiring.late || now_ns - retiring.since_ns < kPatienceNs) continue;
    retiring.late = true;
    log(LogLevel::kWarning, cache_->names().domain_name(retiring.from.donor) + ": segment " +
                                std::to_string(retiring.from.retired.id.value) +
                                " is asked back, and a client has not unmapped it within 1 s");
    cache_->room().taker().note_late(retiring.from.asker);
  }
  release_if_unmapped();
  cache_->room().taker().settle();
}

void SegmentShare::announce(cache::RetiredFrom from,
                            const std::vector<std::unique_ptr<Connection>>& connections,
                            int64_t now_ns) {
  Retiring retiring{.from = std::move(from), .since_ns = now_ns};
  const model::SegmentRetiredEvent event{retiring.from.retired.id.value, 0};
  for (const auto& connection : connections) {
    if (connection->ended() || !connection->known_segments.contains(event.segment)) continue;
    connection->send(model::FrameType::kSegmentRetired, false, 0, model::struct_bytes(event));
    if (!connection->ended()) ++retiring.unacknowledged;  // sending may end it
  }
  retiring_.push_back(std::move(retiring));
}

void SegmentShare::acknowledged(Connection& connection, SegmentId segment) {
  // Only a segment that is being taken back: a client that says so of a live one keeps its mapping.
  for (Retiring& retiring : retiring_) {
    if (retiring.from.retired.id != segment) continue;
    if (connection.known_segments.erase(segment.value) > 0) --retiring.unacknowledged;
  }
  release_if_unmapped();
}

void SegmentShare::forget(Connection& connection) {
  for (Retiring& retiring : retiring_) {
    if (connection.known_segments.erase(retiring.from.retired.id.value) > 0)
      --retiring.unacknowledged;
  }
  connection.known_segments.clear();
  release_if_unmapped();
}

void SegmentShare::release_if_unmapped() {
  std::erase_if(retiring_, [&](Retiring& retiring) {
    if (retiring.unacknowledged > 0) return false;
    before_unmap_(retiring.from.retired.segment->data());
    cache_->store().pool().give_back(retiring.from.donor, std::move(retiring.from.retired.segment));
    return true;
  });
}

}  // namespace quire::server
