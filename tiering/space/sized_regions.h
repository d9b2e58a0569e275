// Regions that have a slot size, by that size, and where among them a run of slots finds room.
//
// take() places a run behind `after` when all of it fits there, else at the first free run that is
// long enough, else hands out a shorter run; it looks into three regions at most: a walk over all
// of them would make a nearly full tier slow exactly when it is busy.
//
// Invariants (check_invariants): a region with free slots stands in the list of its size, at the
// place that it notes; a part of a slot of several regions has no slots of its own; the slots of a
// region fit it. Threads: core only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "tiering/disk/ssd_format.h"
#include "tiering/space/region_slots.h"

namespace quire::tiering {

inline constexpr uint32_t kMaxTakenSlots = 64;  // of one take(); a word of the bitmap

struct SsdRun {
  SsdSlot first;
  uint32_t count = 0;
};

class SizedRegions {
 public:
  explicit SizedRegions(uint64_t region_bytes) : region_bytes_(region_bytes) {}

  // The region, which has none, has slots of this size from now on. `more`: the regions that its
  // only slot takes too. Precondition: a slot of this size can be.
  void give(uint32_t region, uint64_t slot_bytes, std::span<const uint16_t> more);
  // It has no size any more. Returns it and those that its slot took too. Precondition: all its
  // slots are free.
  std::vector<uint32_t> take_back(uint32_t region);
  // Regions of other sizes, none of whose slots was ever taken.
  std::vector<uint32_t> untouched_beside(uint64_t slot_bytes) const;

  // 1..min(count, kMaxTakenSlots) adjacent slots, which are occupied from now on. nullopt: no
  // region of this size has one.
  std::optional<SsdRun> take(uint64_t slot_bytes, uint32_t count, SsdSlot after);
  // Precondition: the region has a size, and room for just this run.
  void occupy(SsdRun run);
  void release(SsdSlot slot);
  // True: that was the last one occupied in its region, which is to be taken back now.
  bool reclaim(SsdSlot slot);

  const RegionSlots* slots_in(uint32_t region) const;  // null: it has no size
  const RegionSlots* slots_with(SsdSlot slot) const;   // null: no such slot
  std::span<const uint16_t> more_regions(uint32_t region) const;
  // It is part of a slot that begins in another.
  bool is_part(uint32_t region) const;
  // Regions with used slots, each with those that its slot takes too.
  uint32_t live_count() const { return live_count_; }
  RegionGeometry geometry(uint64_t slot_bytes) const {  // whatever the size, also 0 slots
    return slot_geometry(region_bytes_, slot_bytes);
  }
  uint64_t table_bytes() const;
  void check_invariants() const;

 private:
  static constexpr uint32_t kNoRegion = kMaxRegions;
  struct Region {
    std::optional<RegionSlots> slots;  // none: it has no size
    uint32_t part_of = kNoRegion;      // first region of the slot that takes this one too
    std::vector<uint16_t> more;        // the others that its slot takes
    uint32_t list_position = 0;        // in with_room, unless it is full
    uint32_t live_count() const {
      return slots && slots->has_used() ? 1 + static_cast<uint32_t>(more.size()) : 0;
    }
  };
  struct SizeClass {
    std::vector<uint32_t> with_room;  // regions of this size with free slots
    uint32_t region_count = 0;        // with room or full
    uint32_t last_region = 0;         // taken from last
    uint32_t turns = 0;               // so that each region with room is looked into some time
  };

  bool has_room_behind(SsdSlot after, uint64_t slot_bytes, uint32_t count) const;
  SsdRun best_run(SizeClass& size, uint64_t slot_bytes, uint32_t count, SsdSlot after) const;
  void enter_with_room(SizeClass& size, uint32_t region);
  void leave_with_room(SizeClass& size, uint32_t region);
  void check_region(uint32_t index) const;

  uint64_t region_bytes_;
  std::vector<Region> regions_;            // as far as any ever had a size
  std::map<uint64_t, SizeClass> by_size_;  // of the slot sizes that regions have
  std::vector<uint32_t> untouched_;        // with a size, of which no slot was taken yet; few
  uint32_t live_count_ = 0;
};

}  // namespace quire::tiering
