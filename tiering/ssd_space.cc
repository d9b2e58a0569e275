// A search goes over the bitmap of a region once, 64 slots a step: with x the free slots from some
// slot on, bit i of x & x >> 1 says that two slots from i on are free, of that & itself >> 2 that
// four are, and so on. So each step knows the longest run that starts in its word to within a
// factor of two, whatever the slots look like, and count says where to stop.
#include "tiering/ssd_space.h"

#include <algorithm>
#include <bit>
#include <string>
#include <utility>

#include "model/check.h"

namespace quire::tiering {

using model::Errc;
using model::make_error;

namespace {

__extension__ using Wide = unsigned __int128;
using Bits = std::vector<uint64_t>;

constexpr uint32_t kWordBits = 64;
constexpr uint64_t kAllBits = ~0ull;

bool bit_at(const Bits& bits, uint32_t index) {
  return bits[index / kWordBits] >> index % kWordBits & 1;
}
void set_bit(Bits& bits, uint32_t index) { bits[index / kWordBits] |= 1ull << index % kWordBits; }
void clear_bit(Bits& bits, uint32_t index) {
  bits[index / kWordBits] &= ~(1ull << index % kWordBits);
}

// Calls visit(word, mask) for the words that hold [first, first + count).
template <typename Visit>
void for_words(uint32_t first, uint32_t count, Visit visit) {
  while (count > 0) {
    const uint32_t shift = first % kWordBits;
    const uint32_t in_word = std::min(count, kWordBits - shift);
    visit(first / kWordBits, kAllBits >> (kWordBits - in_word) << shift);
    first += in_word;
    count -= in_word;
  }
}

bool any_set(const Bits& bits, uint32_t first, uint32_t count) {
  bool any = false;
  for_words(first, count, [&](uint32_t word, uint64_t mask) { any |= (bits[word] & mask) != 0; });
  return any;
}

// The slots from `first` on that are clear, at most `limit` of them.
uint32_t clear_from(const Bits& bits, uint32_t first, uint32_t limit) {
  uint32_t count = 0;
  while (count < limit && !bit_at(bits, first + count)) ++count;
  return count;
}

uint64_t count_set(const Bits& bits) {
  uint64_t count = 0;
  for (const uint64_t word : bits) count += static_cast<uint64_t>(std::popcount(word));
  return count;
}

// `word` and the one after it, which is occupied when there is none.
Wide free_from_word(const Bits& occupied, size_t word) {
  const uint64_t next = word + 1 < occupied.size() ? ~occupied[word + 1] : 0;
  return Wide{next} << kWordBits | ~occupied[word];
}

struct WordRun {
  uint32_t length = 0;  // exactly count, or a power of two below it; 0: none starts in this word
  uint32_t bit = 0;
};

WordRun longest_run(Wide free, uint32_t count) {
  if (static_cast<uint64_t>(free) == 0) return {};
  uint32_t length = 1;
  while (length < count) {
    const uint32_t step = std::min(length, count - length);
    const Wide longer = free & free >> step;
    if (static_cast<uint64_t>(longer) == 0) break;
    free = longer;
    length += step;
  }
  return {length, static_cast<uint32_t>(std::countr_zero(static_cast<uint64_t>(free)))};
}

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
  const size_t words = region.occupied.size();
  WordRun best;
  size_t best_word = 0;
  for (size_t i = 0; i < words && best.length < count; ++i) {
    const size_t word =
        region.search_word + i < words ? region.search_word + i : region.search_word + i - words;
    if (region.occupied[word] == kAllBits) continue;
    const WordRun run = longest_run(free_from_word(region.occupied, word), count);
    if (run.length > best.length) {
      best = run;
      best_word = word;
    }
  }
  const auto first = static_cast<uint32_t>(best_word * kWordBits + best.bit);
  const uint32_t limit = std::min(count, region.geometry.slot_count - first);
  return {SsdSlot::of(index, first), clear_from(region.occupied, first, limit)};
}

void SsdSpace::occupy(SsdRun run) {
  Region& region = regions_[run.first.region()];
  for_words(run.first.index(), run.count, [&](uint32_t word, uint64_t mask) {
    QUIRE_CHECK((region.occupied[word] & mask) == 0);
    region.occupied[word] |= mask;
    region.starts[word] &= ~mask;
  });
  set_bit(region.starts, run.first.index());
  live_regions_ += region.is_live() ? 0 : 1;
  region.used_count += run.count;
  used_slots_ += run.count;
  occupied_bytes_ += run.count * (region.slot_bytes + kSsdBlockBytes);
}

std::optional<SsdSpace::NewRegion> SsdSpace::add_region(uint64_t slot_bytes) {
  if (geometry_of(slot_bytes).slot_count == 0) return std::nullopt;
  QUIRE_CHECK(slot_bytes % kSsdBlockBytes == 0);
  if (allocated_regions_ > max_regions_) return std::nullopt;
  const bool may_allocate = allocated_regions_ < max_regions_;
  if (no_size_.empty()) {
    if (!may_allocate || regions_.size() == kMaxRegions) return std::nullopt;
    make_regions_up_to(region_count());
  }
  const uint32_t region = *std::min_element(no_size_.begin(), no_size_.end(), [&](auto a, auto b) {
    return std::pair(!regions_[a].allocated, a) < std::pair(!regions_[b].allocated, b);
  });
  if (!may_allocate && !regions_[region].allocated) return std::nullopt;
  return NewRegion{region, give_size(region, slot_bytes)};
}

void SsdSpace::drop_region(uint32_t region) {
  QUIRE_CHECK(region < regions_.size());
  QUIRE_CHECK(regions_[region].used_count == 0);
  if (regions_[region].slot_bytes != 0) take_size(region);
  if (std::exchange(regions_[region].allocated, false)) --allocated_regions_;
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
  QUIRE_CHECK(region.used_count == 0 && region.slot_bytes == 0);
  live_regions_ -= region.is_live() ? 1 : 0;
  if (allocated && !std::exchange(region.allocated, true)) ++allocated_regions_;
  if (region.hold_count++ == 0) {
    take_off(no_size_, index);
    ++held_regions_;
  }
  live_regions_ += region.is_live() ? 1 : 0;
}

void SsdSpace::let_go(uint32_t index) {
  QUIRE_CHECK(is_held(index));
  Region& region = regions_[index];
  if (--region.hold_count > 0) return;
  live_regions_ -= region.allocated ? 1 : 0;
  --held_regions_;
  put_on(no_size_, index);
}

bool SsdSpace::is_held(uint32_t region) const {
  return region < regions_.size() && regions_[region].hold_count > 0;
}

void SsdSpace::note_blocks(uint32_t index) {
  QUIRE_CHECK(index < kMaxRegions);
  make_regions_up_to(index);
  Region& region = regions_[index];
  if (region.slot_bytes != 0 || region.hold_count > 0) return;
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

// True: its blocks were absent until now.
bool SsdSpace::give_size(uint32_t index, uint64_t slot_bytes) {
  take_off(no_size_, index);
  Region& region = regions_[index];
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
  const bool fresh = !std::exchange(region.allocated, true);
  if (fresh) ++allocated_regions_;
  return fresh;
}

void SsdSpace::take_size(uint32_t index) {
  Region& region = regions_[index];
  const auto size = by_size_.find(region.slot_bytes);
  take_off(size->second.with_room, index);
  if (--size->second.region_count == 0) by_size_.erase(size);
  region.slot_bytes = 0;
  region.geometry = {};
  region.occupied = {};
  region.freeing = {};
  region.starts = {};
  put_on(no_size_, index);
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

model::Result<void> SsdSpace::claim(SsdSlot first, uint32_t count, uint64_t slot_bytes) {
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
  if (present == nullptr) give_size(index, slot_bytes);
  occupy({first, count});
  if (regions_[index].full()) take_off(by_size_[slot_bytes].with_room, index);
  return {};
}

void SsdSpace::release(SsdSlot slot) {
  QUIRE_CHECK(is_used(slot));
  Region& region = regions_[slot.region()];
  set_bit(region.freeing, slot.index());
  ++region.freeing_count;
  live_regions_ -= region.is_live() ? 0 : 1;
  --used_slots_;
  ++freeing_slots_;
}

void SsdSpace::reclaim(SsdSlot slot) {
  QUIRE_CHECK(region_with(slot) != nullptr);
  Region& region = regions_[slot.region()];
  QUIRE_CHECK(bit_at(region.freeing, slot.index()));
  if (region.full()) put_on(by_size_[region.slot_bytes].with_room, slot.region());
  clear_bit(region.freeing, slot.index());
  clear_bit(region.occupied, slot.index());
  --freeing_slots_;
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
  return slot_bytes <= region_bytes_ ? region_geometry(region_bytes_, slot_bytes)
                                     : RegionGeometry{};
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
  size_t word = slot.index() / kWordBits;
  uint64_t starts = region->starts[word] & kAllBits >> (kWordBits - 1 - slot.index() % kWordBits);
  while (starts == 0) {
    QUIRE_CHECK(word > 0);
    starts = region->starts[--word];
  }
  const auto bit = static_cast<uint32_t>(kWordBits - 1 - std::countl_zero(starts));
  return SsdSlot::of(slot.region(), static_cast<uint32_t>(word) * kWordBits + bit);
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
  return {.capacity_bytes = max_regions_ * region_bytes_,
          .allocated_bytes = allocated_regions_ * region_bytes_,
          .used_bytes = occupied_bytes_,
          .freeing_slots = freeing_slots_,
          .used_slots = used_slots_,
          .held_regions = held_regions_};
}

uint64_t SsdSpace::table_bytes() const {
  uint64_t bytes = regions_.capacity() * sizeof(Region) + no_size_.capacity() * sizeof(uint32_t);
  for (const Region& region : regions_) {
    bytes += sizeof(uint64_t) *
             (region.occupied.capacity() + region.freeing.capacity() + region.starts.capacity());
  }
  for (const auto& [slot_bytes, size] : by_size_) {
    bytes += sizeof(SizeClass) + size.with_room.capacity() * sizeof(uint32_t);
  }
  return bytes;
}

void SsdSpace::check_region(uint32_t index) const {
  const Region& region = regions_[index];
  if (region.slot_bytes == 0) {
    QUIRE_CHECK(region.used_count == 0 && region.occupied.empty());
    QUIRE_CHECK(region.hold_count > 0 || surplus_ == index ||
                no_size_.at(region.list_position) == index);
    return;
  }
  QUIRE_CHECK(region.hold_count == 0 && region.freeing_count == count_set(region.freeing));
  const uint32_t slots = region.geometry.slot_count;
  const SizeClass& size = by_size_.at(region.slot_bytes);
  QUIRE_CHECK(region.allocated);
  QUIRE_CHECK(region.geometry.slots_offset >= slots * kSsdBlockBytes);
  QUIRE_CHECK(region.geometry.slots_offset + slots * region.slot_bytes <= region_bytes_);
  const uint64_t past_last = region.occupied.size() * kWordBits - slots;
  QUIRE_CHECK(count_set(region.occupied) == region.used_count + past_last);
  QUIRE_CHECK(region.full() || size.with_room.at(region.list_position) == index);
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
  uint32_t allocated = 0;
  uint32_t live = 0;
  uint32_t held = 0;
  size_t with_room = 0;
  QUIRE_CHECK(regions_.size() <= kMaxRegions);
  for (uint32_t index = 0; index < regions_.size(); ++index) {
    const Region& region = regions_[index];
    check_region(index);
    const uint64_t freeing_here = count_set(region.freeing);
    used += region.used_count - freeing_here;
    freeing += freeing_here;
    bytes += region.used_count * (region.slot_bytes + kSsdBlockBytes);
    allocated += region.allocated ? 1 : 0;
    live += region.is_live() ? 1 : 0;
    held += region.hold_count > 0 ? 1 : 0;
    with_room += region.slot_bytes != 0 && !region.full() ? 1 : 0;
  }
  QUIRE_CHECK(used == used_slots_ && freeing == freeing_slots_);
  QUIRE_CHECK(bytes == occupied_bytes_ && (bytes != 0) == (used + freeing != 0));
  QUIRE_CHECK(allocated == allocated_regions_);
  QUIRE_CHECK(live == live_regions_ && held == held_regions_);
  size_t sized = 0;
  for (const auto& [slot_bytes, size] : by_size_) {
    QUIRE_CHECK(size.region_count > 0);
    sized += size.region_count;
    with_room -= size.with_room.size();
  }
  QUIRE_CHECK(with_room == 0 &&
              sized + no_size_.size() + held + (surplus_ ? 1 : 0) == regions_.size());
}

}  // namespace quire::tiering
