#include "tiering/space/region_stock.h"

#include <algorithm>
#include <utility>

#include "model/check.h"

namespace quire::tiering {

RegionStock::RegionStock(uint32_t max_regions) : max_count_(max_regions) {
  QUIRE_CHECK(max_regions <= kMaxRegions);
}

std::vector<uint32_t> RegionStock::find_free(size_t count, bool grow) {
  // Above its capacity the tier takes nothing, also no region with blocks: those go back.
  if (allocated_count_ > max_count_) return {};
  const auto with_blocks = static_cast<size_t>(std::count_if(
      free_.begin(), free_.end(), [&](uint32_t one) { return regions_[one].allocated; }));
  const size_t without = count - std::min(count, with_blocks);
  if (without > (grow ? max_count_ - allocated_count_ : 0)) return {};
  while (free_.size() < count && regions_.size() < kMaxRegions) make_up_to(this->count());
  if (free_.size() < count) return {};
  std::vector<uint32_t> found = free_;
  std::partial_sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(count), found.end(),
                    [&](uint32_t a, uint32_t b) {
                      return std::pair(!regions_[a].allocated, a) <
                             std::pair(!regions_[b].allocated, b);
                    });
  found.resize(count);
  // An object of several regions is read and written front to back.
  std::sort(found.begin(), found.end());
  return found;
}

bool RegionStock::take(uint32_t region) {
  make_up_to(region);
  leave_free(region, State::kTaken);
  const bool absent = !regions_[region].allocated;
  set_allocated(region, true);
  return absent;
}

void RegionStock::put_back(uint32_t region) {
  QUIRE_CHECK(is_taken(region));
  enter_free(region);
}

void RegionStock::note_absent(uint32_t region) { set_allocated(region, false); }

void RegionStock::hold(uint32_t index, bool allocated) {
  QUIRE_CHECK(index < kMaxRegions);
  make_up_to(index);
  Region& region = regions_[index];
  QUIRE_CHECK(region.state != State::kTaken);
  if (region.hold_count++ == 0) {
    leave_free(index, State::kHeld);
    ++held_count_;
    held_with_blocks_ += region.allocated ? 1 : 0;
  }
  // Two runs may know of it, and only one of them that it has blocks.
  if (allocated && !region.allocated) {
    set_allocated(index, true);
    ++held_with_blocks_;
  }
}

void RegionStock::let_go(uint32_t index) {
  QUIRE_CHECK(is_held(index));
  Region& region = regions_[index];
  if (--region.hold_count > 0) return;
  --held_count_;
  held_with_blocks_ -= region.allocated ? 1 : 0;
  enter_free(index);
}

void RegionStock::note_blocks(uint32_t region) {
  QUIRE_CHECK(region < kMaxRegions);
  make_up_to(region);
  if (regions_[region].state == State::kFree) set_allocated(region, true);
}

std::optional<uint32_t> RegionStock::take_surplus() {
  if (allocated_count_ <= max_count_) return std::nullopt;
  const auto found = std::find_if(free_.begin(), free_.end(),
                                  [&](uint32_t region) { return regions_[region].allocated; });
  if (found == free_.end()) return std::nullopt;
  QUIRE_CHECK(!surplus_);
  surplus_ = *found;
  leave_free(*surplus_, State::kSurplus);
  return surplus_;
}

void RegionStock::given_back(bool blocks_are_gone) {
  const uint32_t region = surplus_.value();
  surplus_.reset();
  enter_free(region);
  if (blocks_are_gone) set_allocated(region, false);
}

bool RegionStock::is_held(uint32_t region) const {
  return region < regions_.size() && regions_[region].state == State::kHeld;
}

bool RegionStock::is_taken(uint32_t region) const {
  return region < regions_.size() && regions_[region].state == State::kTaken;
}

void RegionStock::make_up_to(uint32_t region) {
  while (regions_.size() <= region) {
    regions_.emplace_back();
    enter_free(count() - 1);
  }
}

void RegionStock::set_allocated(uint32_t region, bool allocated) {
  if (std::exchange(regions_[region].allocated, allocated) == allocated) return;
  allocated_count_ += allocated ? 1 : -1;
}

void RegionStock::enter_free(uint32_t region) {
  regions_[region].state = State::kFree;
  regions_[region].list_position = static_cast<uint32_t>(free_.size());
  free_.push_back(region);
}

// The last of the list takes its place.
void RegionStock::leave_free(uint32_t region, State state) {
  QUIRE_CHECK(regions_[region].state == State::kFree);
  const uint32_t position = regions_[region].list_position;
  free_[position] = free_.back();
  regions_[free_[position]].list_position = position;
  free_.pop_back();
  regions_[region].state = state;
}

uint64_t RegionStock::table_bytes() const {
  return regions_.capacity() * sizeof(Region) + free_.capacity() * sizeof(uint32_t);
}

void RegionStock::check_invariants() const {
  uint32_t allocated = 0;
  uint32_t held = 0;
  uint32_t held_with_blocks = 0;
  size_t free = 0;
  QUIRE_CHECK(regions_.size() <= kMaxRegions);
  for (uint32_t index = 0; index < regions_.size(); ++index) {
    const Region& region = regions_[index];
    const bool is_held = region.state == State::kHeld;
    QUIRE_CHECK(is_held == (region.hold_count > 0));
    QUIRE_CHECK((region.state == State::kSurplus) == (surplus_ == index));
    allocated += region.allocated ? 1 : 0;
    held += is_held ? 1 : 0;
    held_with_blocks += is_held && region.allocated ? 1 : 0;
    if (region.state != State::kFree) continue;
    ++free;
    QUIRE_CHECK(free_.at(region.list_position) == index);
  }
  QUIRE_CHECK(free == free_.size() && allocated == allocated_count_);
  QUIRE_CHECK(held == held_count_ && held_with_blocks == held_with_blocks_);
}

}  // namespace quire::tiering
