#include "tiering/space/region_slots.h"

#include "model/check.h"

namespace quire::tiering {

RegionSlots::RegionSlots(uint64_t slot_bytes, const RegionGeometry& geometry)
    : slot_bytes_(slot_bytes), geometry_(geometry) {
  const uint32_t slots = geometry.slot_count;
  QUIRE_CHECK(slots > 0);
  const size_t words = (slots + kWordBits - 1) / kWordBits;
  occupied_.assign(words, 0);
  freeing_.assign(words, 0);
  starts_.assign(words, 0);
  if (slots % kWordBits != 0) occupied_.back() = kAllBits << slots % kWordBits;
}

bool RegionSlots::has_room(uint32_t first, uint32_t count) const {
  return first + count <= geometry_.slot_count && !any_set(occupied_, first, count);
}

ClearRun RegionSlots::find_room(uint32_t count) const {
  return find_clear_run(occupied_, search_word_, count);
}

void RegionSlots::occupy(uint32_t first, uint32_t count) {
  for_words(first, count, [&](uint32_t word, uint64_t mask) {
    QUIRE_CHECK((occupied_[word] & mask) == 0);
    occupied_[word] |= mask;
    // What an earlier run left would cut this one in two.
    starts_[word] &= ~mask;
  });
  set_bit(starts_, first);
  occupied_count_ += count;
}

void RegionSlots::release(uint32_t slot) {
  QUIRE_CHECK(is_used(slot));
  set_bit(freeing_, slot);
  ++freeing_count_;
}

void RegionSlots::reclaim(uint32_t slot) {
  QUIRE_CHECK(bit_at(freeing_, slot));
  clear_bit(freeing_, slot);
  clear_bit(occupied_, slot);
  --freeing_count_;
  --occupied_count_;
}

uint32_t RegionSlots::run_start(uint32_t slot) const {
  QUIRE_CHECK(is_occupied(slot));
  return last_set(starts_, slot);
}

uint64_t RegionSlots::table_bytes() const {
  return sizeof(uint64_t) * (occupied_.capacity() + freeing_.capacity() + starts_.capacity());
}

void RegionSlots::check_invariants(uint64_t bytes) const {
  const uint32_t slots = geometry_.slot_count;
  QUIRE_CHECK(geometry_.slots_offset >= slots * kSsdBlockBytes);
  QUIRE_CHECK(geometry_.slots_offset + slots * slot_bytes_ <= bytes);
  const uint64_t past_last = occupied_.size() * kWordBits - slots;
  QUIRE_CHECK(count_set(occupied_) == occupied_count_ + past_last);
  QUIRE_CHECK(count_set(freeing_) == freeing_count_);
  bool previous = false;
  for (uint32_t i = 0; i < slots; ++i) {
    const bool occupied = bit_at(occupied_, i);
    QUIRE_CHECK(occupied || !bit_at(freeing_, i));
    QUIRE_CHECK(!occupied || previous || bit_at(starts_, i));
    previous = occupied;
  }
}

}  // namespace quire::tiering
