#include "tiering/space/sized_regions.h"

#include <algorithm>
#include <utility>

#include "model/check.h"

namespace quire::tiering {

void SizedRegions::give(uint32_t index, uint64_t slot_bytes, std::span<const uint16_t> more) {
  uint32_t last = index;
  for (const uint16_t part : more) last = std::max<uint32_t>(last, part);
  if (regions_.size() <= last) regions_.resize(last + 1);
  Region& region = regions_[index];
  QUIRE_CHECK(!region.slots && region.part_of == kNoRegion);
  for (const uint16_t part : more) regions_[part].part_of = index;
  region.more.assign(more.begin(), more.end());
  region.slots.emplace(slot_bytes, geometry(slot_bytes));
  SizeClass& size = by_size_[slot_bytes];
  ++size.region_count;
  enter_with_room(size, index);
  untouched_.push_back(index);
}

std::vector<uint32_t> SizedRegions::take_back(uint32_t index) {
  Region& region = regions_[index];
  QUIRE_CHECK(region.slots->occupied_count() == 0);
  const auto size = by_size_.find(region.slots->slot_bytes());
  leave_with_room(size->second, index);
  std::erase(untouched_, index);
  if (--size->second.region_count == 0) by_size_.erase(size);
  region.slots.reset();
  std::vector<uint32_t> all = {index};
  for (const uint16_t part : std::exchange(region.more, {})) {
    regions_[part].part_of = kNoRegion;
    all.push_back(part);
  }
  return all;
}

std::vector<uint32_t> SizedRegions::untouched_beside(uint64_t slot_bytes) const {
  std::vector<uint32_t> others;
  for (const uint32_t region : untouched_) {
    if (regions_[region].slots->slot_bytes() != slot_bytes) others.push_back(region);
  }
  return others;
}

std::optional<SsdRun> SizedRegions::take(uint64_t slot_bytes, uint32_t count, SsdSlot after) {
  count = std::min(count, kMaxTakenSlots);
  const auto size = by_size_.find(slot_bytes);
  if (size == by_size_.end() || size->second.with_room.empty()) return std::nullopt;
  const SsdRun run = has_room_behind(after, slot_bytes, count)
                         ? SsdRun{SsdSlot::of(after.region(), after.index() + 1), count}
                         : best_run(size->second, slot_bytes, count, after);
  // Before it may become full: then it is in no list any more.
  size->second.last_region = run.first.region();
  regions_[run.first.region()].slots->note_found(run.first.index());
  occupy(run);
  return run;
}

bool SizedRegions::has_room_behind(SsdSlot after, uint64_t slot_bytes, uint32_t count) const {
  const RegionSlots* slots = slots_with(after);
  return slots != nullptr && slots->slot_bytes() == slot_bytes &&
         slots->has_room(after.index() + 1, count);
}

// The first of three regions that has the whole run, else the longest run of the three.
SsdRun SizedRegions::best_run(SizeClass& size, uint64_t slot_bytes, uint32_t count,
                              SsdSlot after) const {
  const uint32_t any = size.with_room[size.turns++ % size.with_room.size()];
  SsdRun best;
  for (const uint32_t index : {after.region(), size.last_region, any}) {
    const RegionSlots* slots = slots_in(index);
    if (slots == nullptr || slots->slot_bytes() != slot_bytes || slots->full()) continue;
    if (best.count > 0 && best.first.region() == index) continue;
    const ClearRun run = slots->find_room(count);
    if (run.count > best.count) best = {SsdSlot::of(index, run.first), run.count};
    if (best.count == count) break;
  }
  return best;
}

void SizedRegions::occupy(SsdRun run) {
  const uint32_t index = run.first.region();
  Region& region = regions_[index];
  if (region.slots->occupied_count() == 0) std::erase(untouched_, index);
  live_count_ -= region.live_count();
  region.slots->occupy(run.first.index(), run.count);
  live_count_ += region.live_count();
  if (region.slots->full()) leave_with_room(by_size_.at(region.slots->slot_bytes()), index);
}

void SizedRegions::release(SsdSlot slot) {
  Region& region = regions_[slot.region()];
  live_count_ -= region.live_count();
  region.slots->release(slot.index());
  live_count_ += region.live_count();
}

bool SizedRegions::reclaim(SsdSlot slot) {
  RegionSlots& slots = *regions_[slot.region()].slots;
  const bool was_full = slots.full();
  slots.reclaim(slot.index());
  if (was_full) enter_with_room(by_size_.at(slots.slot_bytes()), slot.region());
  return slots.occupied_count() == 0;
}

void SizedRegions::enter_with_room(SizeClass& size, uint32_t region) {
  regions_[region].list_position = static_cast<uint32_t>(size.with_room.size());
  size.with_room.push_back(region);
}

void SizedRegions::leave_with_room(SizeClass& size, uint32_t region) {
  const uint32_t position = regions_[region].list_position;
  QUIRE_CHECK(position < size.with_room.size() && size.with_room[position] == region);
  size.with_room[position] = size.with_room.back();
  regions_[size.with_room[position]].list_position = position;
  size.with_room.pop_back();
}

std::span<const uint16_t> SizedRegions::more_regions(uint32_t region) const {
  if (region >= regions_.size()) return {};
  return regions_[region].more;
}

const RegionSlots* SizedRegions::slots_in(uint32_t region) const {
  if (region >= regions_.size() || !regions_[region].slots) return nullptr;
  return &*regions_[region].slots;
}

const RegionSlots* SizedRegions::slots_with(SsdSlot slot) const {
  const RegionSlots* slots = slots_in(slot.region());
  return slots != nullptr && slot.index() < slots->count() ? slots : nullptr;
}

bool SizedRegions::is_part(uint32_t region) const {
  return region < regions_.size() && regions_[region].part_of != kNoRegion;
}

uint64_t SizedRegions::table_bytes() const {
  uint64_t bytes = regions_.capacity() * sizeof(Region);
  for (const Region& region : regions_) {
    if (region.slots) bytes += region.slots->table_bytes();
    bytes += sizeof(uint16_t) * region.more.capacity();
  }
  for (const auto& [slot_bytes, size] : by_size_) {
    bytes += sizeof(SizeClass) + size.with_room.capacity() * sizeof(uint32_t);
  }
  return bytes;
}

void SizedRegions::check_region(uint32_t index) const {
  const Region& region = regions_[index];
  for (const uint16_t part : region.more) QUIRE_CHECK(regions_.at(part).part_of == index);
  if (!region.slots) {
    QUIRE_CHECK(region.more.empty());
    if (region.part_of == kNoRegion) return;
    const std::vector<uint16_t>& parts = regions_.at(region.part_of).more;
    QUIRE_CHECK(std::count(parts.begin(), parts.end(), index) == 1);
    return;
  }
  QUIRE_CHECK(region.part_of == kNoRegion);
  region.slots->check_invariants((1 + region.more.size()) * region_bytes_);
  const SizeClass& size = by_size_.at(region.slots->slot_bytes());
  QUIRE_CHECK(region.slots->full() || size.with_room.at(region.list_position) == index);
  const bool untouched = std::count(untouched_.begin(), untouched_.end(), index) == 1;
  QUIRE_CHECK(untouched == (region.slots->occupied_count() == 0));
}

void SizedRegions::check_invariants() const {
  uint32_t live = 0;
  size_t sized = 0;
  size_t with_room = 0;
  for (uint32_t index = 0; index < regions_.size(); ++index) {
    const Region& region = regions_[index];
    check_region(index);
    live += region.live_count();
    sized += region.slots ? 1 : 0;
    with_room += region.slots && !region.slots->full() ? 1 : 0;
  }
  QUIRE_CHECK(live == live_count_);
  for (const auto& [slot_bytes, size] : by_size_) {
    QUIRE_CHECK(size.region_count > 0);
    sized -= size.region_count;
    with_room -= size.with_room.size();
  }
  QUIRE_CHECK(sized == 0 && with_room == 0);
}

}  // namespace quire::tiering
