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

SegmentShare::Told SegmentShare::tell_all(ClientProcess& client) {
  Told told;
  for (const auto& view : cache_->store().pool().segments(client.domain)) {
    told.infos.push_back(info_of(view.id, *view.segment));
    // The others are named only; the client asks for them one by one when a page lies there.
    if (told.descriptors.size() == model::kMaxDescriptorsPerFrame) continue;
    told.descriptors.push_back(view.segment->read_only_fd());
    note(client, view.id);
  }
  return told;
}

model::Result<SegmentShare::Told> SegmentShare::tell(ClientProcess& client, SegmentId id) {
  const allocator::Segment* segment = cache_->store().pool().find_segment(client.domain, id);
  if (segment == nullptr) {
    return model::make_error(Errc::kNotFound, "no such segment in this domain");
  }
  note(client, id);
  return Told{{info_of(id, *segment)}, {segment->read_only_fd()}};
}

void SegmentShare::note(ClientProcess& client, SegmentId segment) {
  if (std::find(clients_.begin(), clients_.end(), &client) == clients_.end()) {
    clients_.push_back(&client);
  }
  client.known_segments.insert(segment.value);
}

void SegmentShare::retire_pending(int64_t now_ns) {
  for (cache::RetiredFrom& from : cache_->room().taker().take_retired()) {
    announce(std::move(from), now_ns);
  }
  for (Retiring& retiring : retiring_) {
    if (retiring.late || now_ns - retiring.since_ns < kPatienceNs) continue;
    retiring.late = true;
    log(LogLevel::kWarning, cache_->names().domain_name(retiring.from.donor) + ": segment " +
                                std::to_string(retiring.from.retired.id.value) +
                                " is asked back, and a client has not unmapped it within 1 s");
    // The asker may have another domain's segment; this one stays charged to the donor until it is
    // gone.
    cache_->room().taker().note_late(retiring.from.asker);
  }
  release_if_unmapped();
  cache_->room().taker().settle();
}

void SegmentShare::announce(cache::RetiredFrom from, int64_t now_ns) {
  Retiring retiring{.from = std::move(from), .since_ns = now_ns};
  const model::SegmentRetiredEvent event{retiring.from.retired.id.value, 0};
  // Telling one may end it, and forget() takes it out of the list.
  for (ClientProcess* client : std::vector<ClientProcess*>(clients_)) {
    if (client->ended() || !client->known_segments.contains(event.segment)) continue;
    client->tell(model::FrameType::kSegmentRetired, model::struct_bytes(event));
    // One that ended while it was told is not waited for: forget() did not find this record yet.
    if (!client->ended()) ++retiring.unacknowledged;
  }
  retiring_.push_back(std::move(retiring));
}

void SegmentShare::acknowledged(ClientProcess& client, SegmentId segment) {
  // Only a segment that is being taken back: a client that says so of a live one keeps its mapping.
  for (Retiring& retiring : retiring_) {
    if (retiring.from.retired.id != segment) continue;
    if (client.known_segments.erase(segment.value) > 0) --retiring.unacknowledged;
  }
  release_if_unmapped();
}

void SegmentShare::forget(ClientProcess& client) {
  for (Retiring& retiring : retiring_) {
    if (client.known_segments.erase(retiring.from.retired.id.value) > 0) --retiring.unacknowledged;
  }
  client.known_segments.clear();
  std::erase(clients_, &client);
  release_if_unmapped();
}

void SegmentShare::release_if_unmapped() {
  std::erase_if(retiring_, [&](Retiring& retiring) {
    if (retiring.unacknowledged > 0) return false;
    // A tier may have the memory registered with its device: it lets go before the address is
    // another's.
    before_unmap_(retiring.from.retired.segment->data());
    cache_->store().pool().give_back(retiring.from.donor, std::move(retiring.from.retired.segment));
    return true;
  });
}

}  // namespace quire::server
