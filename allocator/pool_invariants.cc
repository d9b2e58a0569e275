// Pool::check_invariants: recounts everything from the chunks. Apart from pool.cc because tests and
// the simulation alone call it.
#include <vector>

#include "allocator/pool.h"

namespace quire::allocator {

void Pool::check_invariants() const {
  for (uint32_t domain = 0; domain < domains_.size(); ++domain) {
    const DomainSegments& segments = domains_[domain].segments;
    segments.check_invariants();
    DomainUsage recounted;
    for (const uint32_t ordinal : segments.by_id()) check_segment(domain, ordinal, &recounted);
    const DomainUsage& counted = domains_[domain].usage;
    QUIRE_CHECK(recounted.slots == counted.slots);
    QUIRE_CHECK(recounted.slot_bytes == counted.slot_bytes);
    QUIRE_CHECK(recounted.page_bytes == counted.page_bytes);
  }
  check_partial_lists();
}

// Chunks and free room are disjoint and cover the segment; each chunk belongs here.
void Pool::check_segment(uint32_t domain, uint32_t ordinal, DomainUsage* usage) const {
  const DomainSegments::Record& record = domains_[domain].segments[ordinal];
  std::vector<bool> covered(record.room.granules(), false);
  uint64_t used_bytes = 0;
  for (ChunkId id = record.chunks.front(); id.valid(); id = record.chunks.next(chunks_, id)) {
    QUIRE_CHECK(chunks_.is_live(id));
    const ChunkRecord& chunk = chunks_[id];
    const SizeClass& size_class = classes_[chunk.size_class];
    QUIRE_CHECK(chunk.segment_ordinal == ordinal);
    QUIRE_CHECK(size_class.domain.value == domain);
    check_chunk(id, &covered);
    const uint64_t slots = chunk.used_count();
    usage->slots += slots;
    usage->page_bytes += slots * size_class.page_bytes;
    used_bytes += slots * size_class.slot_granules * ExtentMap::kGranuleBytes;
  }
  for (uint32_t granule = 0; granule < covered.size(); ++granule) {
    QUIRE_CHECK(covered[granule] != record.room.is_free(granule));
  }
  QUIRE_CHECK(used_bytes == record.used_bytes);
  usage->slot_bytes += used_bytes;
}

void Pool::check_chunk(ChunkId id, std::vector<bool>* covered) const {
  const ChunkRecord& chunk = chunks_[id];
  QUIRE_CHECK(chunk.used_slots != 0 && (chunk.used_slots & ~chunk.all_slots()) == 0);
  QUIRE_CHECK(chunk.slot_count <= classes_[chunk.size_class].chunk_slots);
  const ChunkPlace place = place_of(chunk);
  for (uint32_t granule = 0; granule < place.granules; ++granule) {
    QUIRE_CHECK(!(*covered)[place.first_granule + granule]);
    (*covered)[place.first_granule + granule] = true;
  }
  for (uint32_t index = 0; index < kSlotsPerChunk; ++index) {
    const bool used = ((chunk.used_slots >> index) & 1) != 0;
    const PageEntry& entry = pages_[id.value * kSlotsPerChunk + index];
    QUIRE_CHECK(used == (entry.state() != PageState::kFree));
  }
}

// Each chunk with a free slot is in the list of its class, once, and no other is, but for those of
// segments that are set aside.
void Pool::check_partial_lists() const {
  uint32_t listed = 0;
  for (uint32_t index = 0; index < classes_.size(); ++index) {
    const auto& partial = classes_[index].partial;
    for (ChunkId id = partial.front(); id.valid(); id = partial.next(chunks_, id)) {
      QUIRE_CHECK(chunks_.is_live(id) && chunks_[id].size_class == index);
      QUIRE_CHECK(!chunks_[id].is_full() && !is_set_aside(chunks_[id]));
      ++listed;
    }
  }
  uint32_t with_room = 0;
  for (ChunkId id{0}; id.value < chunks_.high_water(); ++id.value) {
    if (!chunks_.is_live(id) || chunks_[id].is_full()) continue;
    if (!is_set_aside(chunks_[id])) ++with_room;
  }
  QUIRE_CHECK(listed == with_room);
}

}  // namespace quire::allocator
