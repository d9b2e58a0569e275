#include "tiering/disk/ssd_space.h"

#include <algorithm>
#include <string>
#include <utility>

#include "model/check.h"

namespace quire::tiering {

using model::Errc;
using model::make_error;

namespace {

std::string name_of(SsdSlot first, uint32_t count) {
  return "slots " + std::to_string(first.index()) + " to " +
         std::to_string(uint64_t{first.index()} + count - 1) + " of region " +
         std::to_string(first.region());
}

}  // namespace

SsdSpace::SsdSpace(uint64_t region_bytes, uint32_t max_regions)
    : region_bytes_(region_bytes), max_regions_(max_regions) {
  QUIRE_CHECK(region_bytes % kSsdBlockBytes == 0);
  QUIRE_CHECK(max_regions <= kMaxRegions);
}

std::optional<SsdRun> SsdSpace::take(uint64_t slot_bytes, uint32_t count, SsdSlot after) {
  QUIRE_CHECK(count > 0);
  count = std::min(count, kMaxTakenSlots);
  const auto size = by_size_.find(slot_bytes);
  if (size == by_size_.end() || size->second.with_room.empty()) return std::nullopt;
  SsdRun run;
  if (const std::optional<SsdSlot> behind = room_behind(after, slot_bytes, count)) {
    run = {*behind, count};
  } else {
    run = best_run(size->second, slot_bytes, count, after);
  }
  occupy(run);
  regions_[run.first.region()].search_word = run.first.index() / kWordBits;
  size->second.last_region = run.first.region();
  if (regions_[run.first.region()].full()) take_off(size->second.with_room, run.first.region());
  return run;
}

std::optional<SsdSlot> SsdSpace::room_behind(SsdSlot after, uint64_t slot_bytes,
                                             uint32_t count) const {
  const Region* region = region_with(after);
  if (region == nullptr || region->slot_bytes != slot_bytes) return std::nullopt;
  const uint32_t first = after.index() + 1;
  if (first + count > region->geometry.slot_count) return std::nullopt;
  if (any_set(region->occupied, first, count)) return std::nullopt;
  return SsdSlot::of(after.region(), first);
}

// The first of three regions that has the whole run, else the longest run of the three.
SsdRun SsdSpace::best_run(SizeClass& size, uint64_t slot_bytes, uint32_t count,
                          SsdSlot after) const {
  const uint32_t any = size.with_room[size.turns++ % size.with_room.size()];
  SsdRun best;
  for (const uint32_t index : {after.region(), size.last_region, any}) {
    const Region* region = sized_region(index);
    if (region == nullptr || region->slot_bytes != slot_bytes || region->full()) continue;
    if (best.count > 0 && best.first.region() == index) continue;
    const SsdRun run = find_run(index, count);
    if (run.count > best.count) best = run;
    if (best.count == count) break;
  }
  return best;
}

SsdRun SsdSpace::find_run(uint32_t index, uint32_t count) const {
  const Region& region = regions_[index];
  const ClearRun run = find_clear_run(region.occupied, region.search_word, count);
  return {SsdSlot::of(index, run.first), run.count};
}

void SsdSpace::occupy(SsdRun run) {
  Region& region = regions_[run.first.region()];
  if (region.used_count == 0) std::erase(untouched_, run.first.region());
  for_words(run.first.index(), run.count, [&](uint32_t word, uint64_t mask) {
    QUIRE_CHECK((region.occupied[word] & mask) == 0);
    region.occupied[word] |= mask;
    region.starts[word] &= ~mask;
  });
  set_bit(region.starts, run.first.index());
  live_regions_ -= region.live_count();
  region.used_count += run.count;
  live_regions_ += region.live_count();
  used_slots_ += run.count;
  occupied_bytes_ += run.count * (region.slot_bytes + kSsdBlockBytes);
}

std::optional<SsdSpace::NewRegion> SsdSpace::add_region(uint64_t slot_bytes, bool grow) {
  if (geometry_of(slot_bytes).slot_count == 0) return std::nullopt;
  QUIRE_CHECK(slot_bytes % kSsdBlockBytes == 0);
  const size_t count = 1 + tiering::more_regions(region_bytes_, slot_bytes);
  std::vector<uint32_t> regions = unsized(grow, count);
  if (regions.size() < count && take_back_untouched(slot_bytes)) regions = unsized(grow, count);
  if (regions.size() < count) return std::nullopt;
  const std::vector<uint16_t> more(regions.begin() + 1, regions.end());
  return NewRegion{regions.front(), give_size(regions.front(), slot_bytes, more)};
}

// So many regions without a size, ascending, those with blocks before others; fewer: there are
// none, or the capacity forbids it.
std::vector<uint32_t> SsdSpace::unsized(bool grow, size_t count) {
  if (allocated_regions_ > max_regions_) return {};
  const auto with_blocks = static_cast<size_t>(std::count_if(
      no_size_.begin(), no_size_.end(), [&](uint32_t one) { return regions_[one].allocated; }));
  const size_t without = count - std::min(count, with_blocks);
  if (without > (grow ? max_regions_ - allocated_regions_ : 0)) return {};
  while (no_size_.size() < count && regions_.size() < kMaxRegions) {
    make_regions_up_to(region_count());
  }
  std::vector<uint32_t> found = no_size_;
  count = std::min(count, found.size());
  std::partial_sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(count), found.end(),
                    [&](uint32_t a, uint32_t b) {
                      return std::pair(!regions_[a].allocated, a) <
                             std::pair(!regions_[b].allocated, b);
                    });
  found.resize(count);
  std::sort(found.begin(), found.end());
  return found;
}

// Of any other size: who asked for them went on without.
bool SsdSpace::take_back_untouched(uint64_t slot_bytes) {
  std::vector<uint32_t> others;
  for (const uint32_t region : untouched_) {
    if (regions_[region].slot_bytes != slot_bytes) others.push_back(region);
  }
  for (const uint32_t region : others) take_size(region);
  return !others.empty();
}

void SsdSpace::drop_region(uint32_t region, std::span<const uint32_t> absent) {
  QUIRE_CHECK(region < regions_.size());
  QUIRE_CHECK(regions_[region].used_count == 0);
  if (regions_[region].slot_bytes != 0) take_size(region);
  for (const uint32_t one : absent) {
    if (std::exchange(regions_[one].allocated, false)) --allocated_regions_;
  }
}

void SsdSpace::make_regions_up_to(uint32_t region) {
  while (regions_.size() <= region) {
    regions_.emplace_back();
    put_on(no_size_, region_count() - 1);
  }
}

void SsdSpace::hold(uint32_t index, bool allocated) {
  QUIRE_CHECK(index < kMaxRegions);
  make_regions_up_to(index);
  Region& region = regions_[index];
  QUIRE_CHECK(!is_taken(index));
  live_regions_ -= region.live_count();
  held_with_blocks_ -= region.is_held_with_blocks() ? 1 : 0;
  if (allocated && !std::exchange(region.allocated, true)) ++allocated_regions_;
  if (region.hold_count++ == 0) {
    take_off(no_size_, index);
    ++held_regions_;
  }
  live_regions_ += region.live_count();
  held_with_blocks_ += region.is_held_with_blocks() ? 1 : 0;
}

void SsdSpace::let_go(uint32_t index) {
  QUIRE_CHECK(is_held(index));
  Region& region = regions_[index];
  if (--region.hold_count > 0) return;
  live_regions_ -= region.allocated ? 1 : 0;
  held_with_blocks_ -= region.allocated ? 1 : 0;
  --held_regions_;
  put_on(no_size_, index);
}

bool SsdSpace::is_held(uint32_t region) const {
  return region < regions_.size() && regions_[region].hold_count > 0;
}

bool SsdSpace::is_taken(uint32_t region) const {
  return region < regions_.size() &&
         (regions_[region].slot_bytes != 0 || regions_[region].part_of != kNoRegion);
}

void SsdSpace::note_blocks(uint32_t index) {
  QUIRE_CHECK(index < kMaxRegions);
  make_regions_up_to(index);
  Region& region = regions_[index];
  if (is_taken(index) || region.hold_count > 0) return;
  if (!std::exchange(region.allocated, true)) ++allocated_regions_;
}

std::optional<uint32_t> SsdSpace::take_surplus() {
  if (allocated_regions_ <= max_regions_) return std::nullopt;
  const auto found = std::find_if(no_size_.begin(), no_size_.end(),
                                  [&](uint32_t region) { return regions_[region].allocated; });
  if (found == no_size_.end()) return std::nullopt;
  QUIRE_CHECK(!surplus_);
  surplus_ = *found;
  take_off(no_size_, *found);
  return surplus_;
}

void SsdSpace::given_back(bool blocks_are_gone) {
  const uint32_t region = surplus_.value();
  surplus_.reset();
  put_on(no_size_, region);
  if (blocks_are_gone && std::exchange(regions_[region].allocated, false)) --allocated_regions_;
}

void SsdSpace::take_blocks(uint32_t region, std::vector<uint32_t>& absent) {
  if (std::exchange(regions_[region].allocated, true)) return;
  ++allocated_regions_;
  absent.push_back(region);
}

// Returns those of its regions whose blocks were absent until now.
std::vector<uint32_t> SsdSpace::give_size(uint32_t index, uint64_t slot_bytes,
                                          std::span<const uint16_t> more) {
  std::vector<uint32_t> absent;
  take_off(no_size_, index);
  for (const uint16_t part : more) {
    take_off(no_size_, part);
    regions_[part].part_of = index;
  }
  Region& region = regions_[index];
  region.more.assign(more.begin(), more.end());
  region.slot_bytes = slot_bytes;
  region.geometry = geometry_of(slot_bytes);
  const uint32_t slots = region.geometry.slot_count;
  const size_t words = (slots + kWordBits - 1) / kWordBits;
  region.occupied.assign(words, 0);
  region.freeing.assign(words, 0);
  region.starts.assign(words, 0);
  if (slots % kWordBits != 0) region.occupied.back() = kAllBits << slots % kWordBits;
  region.search_word = 0;
  SizeClass& size = by_size_[slot_bytes];
  ++size.region_count;
  put_on(size.with_room, index);
  untouched_.push_back(index);
  take_blocks(index, absent);
  for (const uint16_t part : more) take_blocks(part, absent);
  return absent;
}

void SsdSpace::take_size(uint32_t index) {
  Region& region = regions_[index];
  const auto size = by_size_.find(region.slot_bytes);
  take_off(size->second.with_room, index);
  std::erase(untouched_, index);
  if (--size->second.region_count == 0) by_size_.erase(size);
  region.slot_bytes = 0;
  region.geometry = {};
  region.occupied = {};
  region.freeing = {};
  region.starts = {};
  put_on(no_size_, index);
  for (const uint16_t part : std::exchange(region.more, {})) {
    regions_[part].part_of = kNoRegion;
    put_on(no_size_, part);
  }
}

void SsdSpace::put_on(std::vector<uint32_t>& list, uint32_t region) {
  regions_[region].list_position = static_cast<uint32_t>(list.size());
  list.push_back(region);
}

void SsdSpace::take_off(std::vector<uint32_t>& list, uint32_t region) {
  const uint32_t position = regions_[region].list_position;
  QUIRE_CHECK(position < list.size() && list[position] == region);
  list[position] = list.back();
  regions_[list[position]].list_position = position;
  list.pop_back();
}

// Of a slot of one region only that no other slot takes it.
model::Result<void> SsdSpace::check_more(SsdSlot first, uint64_t slot_bytes,
                                         std::span<const uint16_t> more) const {
  const auto claimed_twice = [](uint32_t region) {
    return make_error(Errc::kCorrupt,
                      "region " + std::to_string(region) + " is claimed twice: drop the record");
  };
  const bool large = tiering::more_regions(region_bytes_, slot_bytes) > 0;
  if (!large && more.empty()) {
    const uint32_t region = first.region();
    const bool part = region < regions_.size() && regions_[region].part_of != kNoRegion;
    return part ? model::Result<void>(claimed_twice(region)) : model::Result<void>{};
  }
  std::vector<uint32_t> all(more.begin(), more.end());
  all.push_back(first.region());
  std::sort(all.begin(), all.end());
  const bool twice = std::adjacent_find(all.begin(), all.end()) != all.end();
  if (more.size() != tiering::more_regions(region_bytes_, slot_bytes) || twice) {
    return make_error(Errc::kCorrupt,
                      name_of(first, 1) + " name the wrong regions: drop the record");
  }
  if (all.back() >= kMaxRegions)
    return make_error(Errc::kCorrupt, "no such region: drop the record");
  for (const uint32_t region : all) {
    if (is_taken(region) || is_held(region)) return claimed_twice(region);
  }
  return {};
}

model::Result<void> SsdSpace::claim(SsdSlot first, uint32_t count, uint64_t slot_bytes,
                                    std::span<const uint16_t> more) {
  const uint32_t index = first.region();
  if (index >= kMaxRegions) return make_error(Errc::kCorrupt, "no such region: drop the record");
  if (is_held(index)) {
    return make_error(Errc::kCorrupt,
                      name_of(first, count) + " lie in a region that others hold: drop the record");
  }
  const RegionGeometry geometry = geometry_of(slot_bytes);
  if (slot_bytes % kSsdBlockBytes != 0 || count == 0 ||
      uint64_t{first.index()} + count > geometry.slot_count) {
    return make_error(Errc::kCorrupt, name_of(first, count) + " of " + std::to_string(slot_bytes) +
                                          " bytes do not fit it: drop the record");
  }
  QUIRE_TRY(check_more(first, slot_bytes, more));
  const Region* present = sized_region(index);
  if (present != nullptr && present->slot_bytes != slot_bytes) {
    return make_error(Errc::kCorrupt, name_of(first, count) + " have " +
                                          std::to_string(slot_bytes) + " bytes, the region's " +
                                          std::to_string(present->slot_bytes) +
                                          ": drop the record");
  }
  if (present != nullptr && any_set(present->occupied, first.index(), count)) {
    return make_error(Errc::kCorrupt,
                      name_of(first, count) + " are claimed twice: drop the record");
  }
  make_regions_up_to(index);
  for (const uint16_t part : more) make_regions_up_to(part);
  if (sized_region(index) == nullptr) give_size(index, slot_bytes, more);
  occupy({first, count});
  if (regions_[index].full()) take_off(by_size_[slot_bytes].with_room, index);
  return {};
}

void SsdSpace::release(SsdSlot slot) {
  QUIRE_CHECK(is_used(slot));
  Region& region = regions_[slot.region()];
  live_regions_ -= region.live_count();
  set_bit(region.freeing, slot.index());
  ++region.freeing_count;
  live_regions_ += region.live_count();
  --used_slots_;
  ++freeing_slots_;
  freeing_bytes_ += region.slot_bytes + kSsdBlockBytes;
}

void SsdSpace::reclaim(SsdSlot slot) {
  QUIRE_CHECK(region_with(slot) != nullptr);
  Region& region = regions_[slot.region()];
  QUIRE_CHECK(bit_at(region.freeing, slot.index()));
  if (region.full()) put_on(by_size_[region.slot_bytes].with_room, slot.region());
  clear_bit(region.freeing, slot.index());
  clear_bit(region.occupied, slot.index());
  --freeing_slots_;
  freeing_bytes_ -= region.slot_bytes + kSsdBlockBytes;
  --region.freeing_count;
  occupied_bytes_ -= region.slot_bytes + kSsdBlockBytes;
  if (--region.used_count == 0) take_size(slot.region());
}

void SsdSpace::cancel(SsdSlot first, uint32_t count) {
  for (uint32_t i = count; i > 0; --i) {
    release({first.value + i - 1});
    reclaim({first.value + i - 1});
  }
}

// A size from a damaged record may be anything.
RegionGeometry SsdSpace::geometry_of(uint64_t slot_bytes) const {
  return slot_geometry(region_bytes_, slot_bytes);
}

uint64_t SsdSpace::largest_slot_bytes() const {
  return std::min<uint64_t>(max_regions_, kMaxMoreRegions + 1) * region_bytes_ - kSsdBlockBytes;
}

std::span<const uint16_t> SsdSpace::more_regions(uint32_t region) const {
  if (region >= regions_.size()) return {};
  return regions_[region].more;
}

const SsdSpace::Region* SsdSpace::sized_region(uint32_t region) const {
  if (region >= regions_.size() || regions_[region].slot_bytes == 0) return nullptr;
  return &regions_[region];
}

const SsdSpace::Region* SsdSpace::region_with(SsdSlot slot) const {
  const Region* region = sized_region(slot.region());
  return region != nullptr && slot.index() < region->geometry.slot_count ? region : nullptr;
}

SsdSlot SsdSpace::run_start(SsdSlot slot) const {
  const Region* region = region_with(slot);
  QUIRE_CHECK(region != nullptr && bit_at(region->occupied, slot.index()));
  return SsdSlot::of(slot.region(), last_set(region->starts, slot.index()));
}

bool SsdSpace::is_used(SsdSlot slot) const {
  const Region* region = region_with(slot);
  return region != nullptr && bit_at(region->occupied, slot.index()) &&
         !bit_at(region->freeing, slot.index());
}

uint64_t SsdSpace::slot_bytes(uint32_t region) const {
  return region < regions_.size() ? regions_[region].slot_bytes : 0;
}

RegionGeometry SsdSpace::geometry(uint32_t region) const {
  return region < regions_.size() ? regions_[region].geometry : RegionGeometry{};
}

uint64_t SsdSpace::header_offset(SsdSlot slot) const { return slot.index() * kSsdBlockBytes; }

uint64_t SsdSpace::data_offset(SsdSlot slot) const {
  const Region* region = region_with(slot);
  QUIRE_CHECK(region != nullptr);
  return region->geometry.slots_offset + slot.index() * region->slot_bytes;
}

SsdSpaceUsage SsdSpace::usage() const {
  SsdSpaceUsage usage;
  usage.capacity_bytes = max_regions_ * region_bytes_;
  usage.allocated_bytes = allocated_regions_ * region_bytes_;
  usage.used_bytes = occupied_bytes_;
  usage.used_slots = used_slots_;
  usage.freeing_slots = freeing_slots_;
  usage.freeing_bytes = freeing_bytes_;
  usage.held_regions = held_regions_;
  return usage;
}

uint64_t SsdSpace::table_bytes() const {
  uint64_t bytes = regions_.capacity() * sizeof(Region) + no_size_.capacity() * sizeof(uint32_t);
  for (const Region& region : regions_) {
    bytes += sizeof(uint64_t) *
             (region.occupied.capacity() + region.freeing.capacity() + region.starts.capacity());
    bytes += sizeof(uint16_t) * region.more.capacity();
  }
  for (const auto& [slot_bytes, size] : by_size_) {
    bytes += sizeof(SizeClass) + size.with_room.capacity() * sizeof(uint32_t);
  }
  return bytes;
}

void SsdSpace::check_part(uint32_t index) const {
  const std::vector<uint16_t>& parts = regions_.at(regions_[index].part_of).more;
  QUIRE_CHECK(std::count(parts.begin(), parts.end(), index) == 1);
  QUIRE_CHECK(regions_[index].allocated);
}

void SsdSpace::check_region(uint32_t index) const {
  const Region& region = regions_[index];
  for (const uint16_t part : region.more) QUIRE_CHECK(regions_.at(part).part_of == index);
  if (region.slot_bytes == 0) {
    QUIRE_CHECK(region.used_count == 0 && region.occupied.empty() && region.more.empty());
    if (region.part_of != kNoRegion) return check_part(index);
    QUIRE_CHECK(region.hold_count > 0 || surplus_ == index ||
                no_size_.at(region.list_position) == index);
    return;
  }
  QUIRE_CHECK(region.hold_count == 0 && region.freeing_count == count_set(region.freeing));
  const uint32_t slots = region.geometry.slot_count;
  const SizeClass& size = by_size_.at(region.slot_bytes);
  QUIRE_CHECK(region.allocated);
  QUIRE_CHECK(region.geometry.slots_offset >= slots * kSsdBlockBytes);
  QUIRE_CHECK(region.part_of == kNoRegion);
  QUIRE_CHECK(region.geometry.slots_offset + slots * region.slot_bytes <=
              (1 + region.more.size()) * region_bytes_);
  const uint64_t past_last = region.occupied.size() * kWordBits - slots;
  QUIRE_CHECK(count_set(region.occupied) == region.used_count + past_last);
  QUIRE_CHECK(region.full() || size.with_room.at(region.list_position) == index);
  const bool untouched = std::count(untouched_.begin(), untouched_.end(), index) == 1;
  QUIRE_CHECK(untouched == (region.used_count == 0));
  bool previous = false;
  for (uint32_t i = 0; i < slots; ++i) {
    const bool occupied = bit_at(region.occupied, i);
    QUIRE_CHECK(occupied || !bit_at(region.freeing, i));
    QUIRE_CHECK(!occupied || previous || bit_at(region.starts, i));
    previous = occupied;
  }
}

void SsdSpace::check_invariants() const {
  uint64_t used = 0;
  uint64_t freeing = 0;
  uint64_t bytes = 0;
  uint64_t freeing_bytes = 0;
  uint32_t allocated = 0;
  uint32_t live = 0;
  uint32_t held = 0;
  uint32_t held_with_blocks = 0;
  size_t with_room = 0;
  QUIRE_CHECK(regions_.size() <= kMaxRegions);
  for (uint32_t index = 0; index < regions_.size(); ++index) {
    const Region& region = regions_[index];
    check_region(index);
    const uint64_t freeing_here = count_set(region.freeing);
    used += region.used_count - freeing_here;
    freeing += freeing_here;
    freeing_bytes += freeing_here * (region.slot_bytes + kSsdBlockBytes);
    bytes += region.used_count * (region.slot_bytes + kSsdBlockBytes);
    allocated += region.allocated ? 1 : 0;
    live += region.live_count();
    held += region.hold_count > 0 ? 1 : 0;
    held_with_blocks += region.is_held_with_blocks() ? 1 : 0;
    with_room += region.slot_bytes != 0 && !region.full() ? 1 : 0;
  }
  QUIRE_CHECK(used == used_slots_ && freeing == freeing_slots_);
  QUIRE_CHECK(freeing_bytes == freeing_bytes_);
  QUIRE_CHECK(bytes == occupied_bytes_ && (bytes != 0) == (used + freeing != 0));
  QUIRE_CHECK(allocated == allocated_regions_);
  QUIRE_CHECK(live == live_regions_ && held == held_regions_);
  QUIRE_CHECK(held_with_blocks == held_with_blocks_);
  size_t sized = 0;
  for (const Region& region : regions_) sized += region.more.size();
  for (const auto& [slot_bytes, size] : by_size_) {
    QUIRE_CHECK(size.region_count > 0);
    sized += size.region_count;
    with_room -= size.with_room.size();
  }
  QUIRE_CHECK(with_room == 0 &&
              sized + no_size_.size() + held + (surplus_ ? 1 : 0) == regions_.size());
}

}  // namespace quire::tiering
