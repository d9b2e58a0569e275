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

std::optional<DomainSegments::Record> DomainSegments::remove_unused() {
  const auto unused = std::find_if(by_id_.rbegin(), by_id_.rend(), [this](uint32_t ordinal) {
    return records_[ordinal]->chunks.empty();
  });
  if (unused == by_id_.rend()) return std::nullopt;
  const uint32_t ordinal = *unused;
  by_id_.erase(std::next(unused).base());
  std::optional<Record> record = std::exchange(records_[ordinal], std::nullopt);
  free_ordinals_.push_back(ordinal);
  longest_run_.set(ordinal, 0);
  bytes_ -= record->segment->bytes();
  return record;
}

const DomainSegments::Record* DomainSegments::find(model::SegmentId id) const {
  const auto found = std::lower_bound(
      by_id_.begin(), by_id_.end(), id,
      [this](uint32_t ordinal, model::SegmentId wanted) { return records_[ordinal]->id < wanted; });
  if (found == by_id_.end() || records_[*found]->id != id) return nullptr;
  return &*records_[*found];
}

std::optional<ChunkPlace> DomainSegments::find_room(uint32_t granules,
                                                    std::optional<uint32_t> preferred) const {
  std::optional<uint32_t> ordinal = preferred;
  if (!ordinal || longest_run_.value(*ordinal) < granules) {
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
  ExtentMap& room = records_[place.ordinal]->room;
  room.put(place.first_granule, place.granules);
  longest_run_.set(place.ordinal, room.longest_run());
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
    QUIRE_CHECK(longest_run_.value(by_id_[position]) == record.room.longest_run());
    record.room.check_invariants();
    bytes += record.segment->bytes();
  }
  QUIRE_CHECK(bytes == bytes_);
  QUIRE_CHECK(by_id_.size() + free_ordinals_.size() == records_.size());
}

}  // namespace quire::allocator
