#include "allocator/domain_segments.h"

#include <algorithm>
#include <utility>

namespace quire::allocator {

void DomainSegments::add(model::SegmentId id, std::unique_ptr<Segment> segment) {
  QUIRE_CHECK(by_id_.empty() || records_[by_id_.back()]->id < id);
  if (free_ordinals_.empty()) {
    free_ordinals_.push_back(static_cast<uint32_t>(records_.size()));
    records_.emplace_back();
  }
  const uint32_t ordinal = free_ordinals_.back();
  free_ordinals_.pop_back();
  const auto granules = static_cast<uint32_t>(segment->bytes() / ExtentMap::kGranuleBytes);
  bytes_ += segment->bytes();
  records_[ordinal].emplace(Record{id, std::move(segment), ExtentMap(granules), {}, 0});
  by_id_.push_back(ordinal);
  longest_run_.set(ordinal, granules);
}

DomainSegments::Record DomainSegments::remove(uint32_t ordinal) {
  QUIRE_CHECK(records_[ordinal]->chunks.empty());
  std::erase(by_id_, ordinal);
  std::optional<Record> record = std::exchange(records_[ordinal], std::nullopt);
  // Ordinals are reused: chunks name them in four bytes, and none of this segment is left.
  free_ordinals_.push_back(ordinal);
  longest_run_.set(ordinal, 0);
  bytes_ -= record->segment->bytes();
  return std::move(*record);
}

void DomainSegments::set_aside(uint32_t ordinal, bool aside) {
  records_[ordinal]->set_aside = aside;
  // 0 offers nothing: find_room() passes the segment over while it is emptied.
  longest_run_.set(ordinal, aside ? 0 : records_[ordinal]->room.longest_run());
}

const DomainSegments::Record* DomainSegments::find(model::SegmentId id) const {
  const std::optional<uint32_t> ordinal = ordinal_of(id);
  return ordinal ? &*records_[*ordinal] : nullptr;
}

std::optional<uint32_t> DomainSegments::ordinal_of(model::SegmentId id) const {
  const auto found = std::lower_bound(
      by_id_.begin(), by_id_.end(), id,
      [this](uint32_t ordinal, model::SegmentId wanted) { return records_[ordinal]->id < wanted; });
  if (found == by_id_.end() || records_[*found]->id != id) return std::nullopt;
  return *found;
}

std::optional<ChunkPlace> DomainSegments::find_room(uint32_t granules,
                                                    std::optional<uint32_t> preferred) const {
  std::optional<uint32_t> ordinal = preferred;
  if (!ordinal || longest_run_.value(*ordinal) < granules) {
    // The lowest that has room: pages gather in segments that are in use already, and others stay
    // empty.
    ordinal = longest_run_.find_at_least(granules);
  }
  if (!ordinal) return std::nullopt;
  return ChunkPlace{*ordinal, *records_[*ordinal]->room.find(granules), granules};
}

void DomainSegments::take(const ChunkPlace& place) {
  ExtentMap& room = records_[place.ordinal]->room;
  room.take(place.first_granule, place.granules);
  longest_run_.set(place.ordinal, room.longest_run());
}

void DomainSegments::put(const ChunkPlace& place) {
  Record& record = *records_[place.ordinal];
  record.room.put(place.first_granule, place.granules);
  if (!record.set_aside) longest_run_.set(place.ordinal, record.room.longest_run());
}

uint64_t DomainSegments::table_bytes() const {
  uint64_t bytes = 0;
  for (const uint32_t ordinal : by_id_) bytes += records_[ordinal]->room.table_bytes();
  return bytes;
}

void DomainSegments::check_invariants() const {
  uint64_t bytes = 0;
  for (size_t position = 0; position < by_id_.size(); ++position) {
    const Record& record = (*this)[by_id_[position]];
    QUIRE_CHECK(position == 0 || (*this)[by_id_[position - 1]].id < record.id);
    QUIRE_CHECK(longest_run_.value(by_id_[position]) ==
                (record.set_aside ? 0 : record.room.longest_run()));
    record.room.check_invariants();
    bytes += record.segment->bytes();
  }
  QUIRE_CHECK(bytes == bytes_);
  QUIRE_CHECK(by_id_.size() + free_ordinals_.size() == records_.size());
}

}  // namespace quire::allocator
