#include "tiering/space/ssd_space.h"

#include <algorithm>

#include "model/check.h"
#include "tiering/space/space_claim.h"

namespace quire::tiering {

SsdSpace::SsdSpace(uint64_t region_bytes, uint32_t max_regions)
    : region_bytes_(region_bytes), stock_(max_regions), sized_(region_bytes) {
  QUIRE_CHECK(region_bytes % kSsdBlockBytes == 0);
}

std::optional<SsdRun> SsdSpace::take(uint64_t slot_bytes, uint32_t count, SsdSlot after) {
  QUIRE_CHECK(count > 0);
  const std::optional<SsdRun> run = sized_.take(slot_bytes, count, after);
  if (run) count_used(*run);
  return run;
}

void SsdSpace::count_used(SsdRun run) {
  used_slots_ += run.count;
  occupied_bytes_ += run.count * extent_bytes(run.first);
}

std::optional<SsdSpace::NewRegion> SsdSpace::add_region(uint64_t slot_bytes, bool grow) {
  if (sized_.geometry(slot_bytes).slot_count == 0) return std::nullopt;
  QUIRE_CHECK(slot_bytes % kSsdBlockBytes == 0);
  const size_t count = 1 + tiering::more_regions(region_bytes_, slot_bytes);
  std::vector<uint32_t> regions = stock_.find_free(count, grow);
  if (regions.empty() && take_back_untouched(slot_bytes)) regions = stock_.find_free(count, grow);
  if (regions.empty()) return std::nullopt;
  const std::vector<uint16_t> more(regions.begin() + 1, regions.end());
  return NewRegion{regions.front(), give_size(regions.front(), slot_bytes, more)};
}

// Of any other size: who asked for them went on without.
bool SsdSpace::take_back_untouched(uint64_t slot_bytes) {
  const std::vector<uint32_t> others = sized_.untouched_beside(slot_bytes);
  for (const uint32_t region : others) take_size(region);
  return !others.empty();
}

void SsdSpace::drop_region(uint32_t region, std::span<const uint32_t> absent) {
  QUIRE_CHECK(region < stock_.count());
  // One whose only run was cancelled went back by itself.
  if (slot_bytes(region) != 0) take_size(region);
  for (const uint32_t one : absent) stock_.note_absent(one);
}

// Returns those of its regions whose blocks were absent until now.
std::vector<uint32_t> SsdSpace::give_size(uint32_t region, uint64_t slot_bytes,
                                          std::span<const uint16_t> more) {
  std::vector<uint32_t> absent;
  if (stock_.take(region)) absent.push_back(region);
  for (const uint16_t part : more) {
    if (stock_.take(part)) absent.push_back(part);
  }
  sized_.give(region, slot_bytes, more);
  return absent;
}

void SsdSpace::take_size(uint32_t region) {
  for (const uint32_t one : sized_.take_back(region)) stock_.put_back(one);
}

model::Result<void> SsdSpace::claim(SsdSlot first, uint32_t count, uint64_t slot_bytes,
                                    std::span<const uint16_t> more) {
  QUIRE_TRY(check_claim({.first = first, .count = count, .slot_bytes = slot_bytes, .more = more},
                        stock_, sized_, region_bytes_));
  if (sized_.slots_in(first.region()) == nullptr) give_size(first.region(), slot_bytes, more);
  sized_.occupy({first, count});
  count_used({first, count});
  return {};
}

void SsdSpace::release(SsdSlot slot) {
  QUIRE_CHECK(is_used(slot));
  sized_.release(slot);
  --used_slots_;
  ++freeing_slots_;
  freeing_bytes_ += extent_bytes(slot);
}

void SsdSpace::reclaim(SsdSlot slot) {
  QUIRE_CHECK(sized_.slots_with(slot) != nullptr);
  const uint64_t bytes = extent_bytes(slot);
  const bool empty = sized_.reclaim(slot);
  --freeing_slots_;
  freeing_bytes_ -= bytes;
  occupied_bytes_ -= bytes;
  if (empty) take_size(slot.region());
}

// From the end: a run loses slots from there only.
void SsdSpace::cancel(SsdSlot first, uint32_t count) {
  for (uint32_t i = count; i > 0; --i) {
    release({first.value + i - 1});
    reclaim({first.value + i - 1});
  }
}

uint64_t SsdSpace::largest_slot_bytes() const {
  return std::min<uint64_t>(stock_.max_count(), kMaxMoreRegions + 1) * region_bytes_ -
         kSsdBlockBytes;
}

SsdSlot SsdSpace::run_start(SsdSlot slot) const {
  const RegionSlots* slots = sized_.slots_with(slot);
  QUIRE_CHECK(slots != nullptr);
  return SsdSlot::of(slot.region(), slots->run_start(slot.index()));
}

bool SsdSpace::is_used(SsdSlot slot) const {
  const RegionSlots* slots = sized_.slots_with(slot);
  return slots != nullptr && slots->is_used(slot.index());
}

uint64_t SsdSpace::slot_bytes(uint32_t region) const {
  const RegionSlots* slots = sized_.slots_in(region);
  return slots != nullptr ? slots->slot_bytes() : 0;
}

uint64_t SsdSpace::data_offset(SsdSlot slot) const {
  const RegionSlots* slots = sized_.slots_with(slot);
  QUIRE_CHECK(slots != nullptr);
  return slots->data_offset(slot.index());
}

std::span<const uint16_t> SsdSpace::more_regions(uint32_t region) const {
  return sized_.more_regions(region);
}

SsdSpaceUsage SsdSpace::usage() const {
  SsdSpaceUsage usage;
  usage.capacity_bytes = stock_.max_count() * region_bytes_;
  usage.allocated_bytes = stock_.allocated_count() * region_bytes_;
  usage.used_bytes = occupied_bytes_;
  usage.used_slots = used_slots_;
  usage.freeing_slots = freeing_slots_;
  usage.freeing_bytes = freeing_bytes_;
  usage.held_regions = stock_.held_count();
  return usage;
}

uint64_t SsdSpace::table_bytes() const { return stock_.table_bytes() + sized_.table_bytes(); }

void SsdSpace::check_invariants() const {
  stock_.check_invariants();
  sized_.check_invariants();
  uint64_t used = 0;
  uint64_t freeing = 0;
  uint64_t bytes = 0;
  uint64_t freeing_bytes = 0;
  for (uint32_t region = 0; region < stock_.count(); ++region) {
    const RegionSlots* slots = sized_.slots_in(region);
    QUIRE_CHECK(stock_.is_taken(region) == (slots != nullptr || sized_.is_part(region)));
    if (slots == nullptr) continue;
    const uint64_t extent = slots->slot_bytes() + kSsdBlockBytes;
    used += slots->occupied_count() - slots->freeing_count();
    freeing += slots->freeing_count();
    bytes += slots->occupied_count() * extent;
    freeing_bytes += slots->freeing_count() * extent;
  }
  QUIRE_CHECK(used == used_slots_ && freeing == freeing_slots_);
  QUIRE_CHECK(freeing_bytes == freeing_bytes_ && bytes == occupied_bytes_);
}

}  // namespace quire::tiering
