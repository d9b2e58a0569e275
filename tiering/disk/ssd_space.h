// Room on the device: regions of one slot size each, slots in adjacent runs. Free space is derived
// from the manifest at open by claim(), which refuses an overlap (law 8); nothing of this is
// stored.
//
//   slot:  free --take--> used --release--> freeing --reclaim--> free
//          free --claim (at open)--> used              freeing: its manifest record is not gone yet
//
// A slot that fits no region takes several, in any order (tiering/disk/ssd_format.h): the first has
// it as its only slot and the size, the others are parts of it and come and go with it.
//
// take() places a run behind `after` when all of it fits there, else at the first free run that is
// long enough, else hands out a shorter run; it looks into three regions at most. A region is made
// (its blocks allocated by the caller) when no region of the size has room, and goes back to no
// size when its last slot is free, or when another size needs it and none was ever taken. A run
// loses slots from its end only, or all at once.
//
// The capacity is a number of regions, not the highest of them: one that is allocated counts,
// wherever it lies. What was claimed may be more than that (the operator lowered the capacity):
// then no region is added until enough have given their blocks back (take_surplus).
//
// A region may be held: no slot of it is known, and nothing may be written there, for it has
// content that this start cannot place (tiering/disk/ssd_kept.h).
// Invariants (check_invariants): a slot is in one state; counts and lists agree with the bitmaps;
// the slots of a region fit it; a used slot behind a free one starts a run. Memory: three bits a
// slot. Threads: core only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "model/metrics.h"
#include "model/result.h"
#include "tiering/disk/slot_bits.h"
#include "tiering/disk/ssd_format.h"

namespace quire::tiering {

inline constexpr uint32_t kMaxTakenSlots = 64;  // of one take(); a word of the bitmap

struct SsdRun {
  SsdSlot first;
  uint32_t count = 0;
};

struct SsdSpaceFigures {
  model::Gauge capacity_bytes{"capacity_bytes", "What the operator allows, in whole regions"};
  model::Gauge allocated_bytes{"allocated_bytes", "Regions that exist"};
  model::Gauge used_bytes{"used_bytes", "Slots used or being freed, with their headers"};
  model::Gauge used_slots{"used_slots", "Slots used"};
  model::Gauge freeing_slots{"freeing_slots", "Slots whose entry is not yet durably gone"};
  model::Gauge freeing_bytes{"freeing_bytes", "Of these, with their headers"};
};
struct SsdSpaceUsage : SsdSpaceFigures {
  model::Gauge held_regions{"held_regions", "Regions held as a whole for what is kept"};
};

class SsdSpace {
 public:
  // region_bytes: a multiple of 4096; max_regions: at most kMaxRegions.
  SsdSpace(uint64_t region_bytes, uint32_t max_regions);

  // A run of 1..min(count, kMaxTakenSlots) adjacent slots of exactly slot_bytes; the first slot
  // starts a run (run_start). `after` is a hint: it may name a slot that is free by now.
  // nullopt: no region of this size has a free slot; make one with add_region.
  std::optional<SsdRun> take(uint64_t slot_bytes, uint32_t count, SsdSlot after = {});
  // Gives a region that has no size yet (one with blocks first), or the next one never used, to a
  // slot size; as many as a slot takes. nullopt: max_regions are in use, or no slot of this size
  // can be. `grow`: also regions whose blocks must be allocated first, `absent`; when one could not
  // be, the region goes back with drop_region. Its slots may be taken from now on.
  struct NewRegion {
    uint32_t region = 0;
    std::vector<uint32_t> absent;
    bool fresh() const { return !absent.empty(); }
  };
  std::optional<NewRegion> add_region(uint64_t slot_bytes, bool grow = true);
  // Precondition: no slot used. The blocks of `absent`, or of the region itself, count as absent.
  void drop_region(uint32_t region, std::span<const uint32_t> absent);
  void drop_region(uint32_t region) { drop_region(region, {&region, 1}); }

  // At open: these slots hold a run. Any input is answered by a value, and an error claims nothing:
  // kCorrupt: they overlap another, or do not fit their region, or the region has another slot
  // size or is held. `more`: the regions that the slot takes beside its first.
  model::Result<void> claim(SsdSlot first, uint32_t count, uint64_t slot_bytes,
                            std::span<const uint16_t> more = {});
  // Also at open: nothing is taken from this region. As often as it is held, it must be let go.
  // Precondition: it is not taken. `allocated`: it has blocks.
  void hold(uint32_t region, bool allocated);
  void let_go(uint32_t region);
  // More regions than the capacity have slots in use or are held, so copies must go.
  bool is_over_capacity() const { return live_regions_ > max_regions_; }
  uint32_t live_regions() const { return live_regions_; }
  // At open: the region, which is not in use, has blocks.
  void note_blocks(uint32_t region);
  // A region that is not in use and whose blocks are beyond the capacity: nobody else gets it until
  // given_back. Precondition: the one before was.
  std::optional<uint32_t> take_surplus();
  void given_back(bool blocks_are_gone);

  // No longer named by anything in memory; still named by the manifest.
  void release(SsdSlot slot);
  // Its record is durably gone: may be written again.
  void reclaim(SsdSlot slot);
  // The last slots of a run, or all of it, that no record was ever made of: free at once.
  void cancel(SsdSlot first, uint32_t count);

  // The run a used or freeing slot belongs to: its first slot. (A bit a slot marks starts.)
  SsdSlot run_start(SsdSlot slot) const;
  bool is_used(SsdSlot slot) const;  // false for a freeing slot, and for one that does not exist
  uint64_t slot_bytes(uint32_t region) const;  // 0: the region has no size
  bool is_held(uint32_t region) const;
  bool is_taken(uint32_t region) const;  // it has a size, or is part of a slot of several regions
  uint32_t held_with_blocks() const { return held_with_blocks_; }
  RegionGeometry geometry(uint32_t region) const;
  // The regions that its slot takes beside it; empty: none, as a rule.
  std::span<const uint16_t> more_regions(uint32_t region) const;
  // Offset in the region.
  uint64_t header_offset(SsdSlot slot) const;
  uint64_t data_offset(SsdSlot slot) const;
  // What all regions, or the most that one slot can take, have room for.
  uint64_t largest_slot_bytes() const;
  uint32_t region_count() const { return static_cast<uint32_t>(regions_.size()); }  // ever used
  uint64_t region_bytes() const { return region_bytes_; }

  SsdSpaceUsage usage() const;
  uint64_t table_bytes() const;
  void check_invariants() const;

 private:
  static constexpr uint32_t kNoRegion = kMaxRegions;
  struct Region {
    uint64_t slot_bytes = 0;       // 0 = no size
    uint32_t part_of = kNoRegion;  // first region of the slot that takes this one too
    std::vector<uint16_t> more;    // the others that its slot takes
    RegionGeometry geometry;
    bool allocated = false;   // its blocks exist in the file
    uint32_t hold_count = 0;  // above 0: in no list, without a size
    uint32_t used_count = 0;  // used or freeing
    uint32_t freeing_count = 0;
    uint32_t search_word = 0;    // of the bitmap: where the last run was found
    uint32_t list_position = 0;  // in no_size_, or in with_room unless it is full
    SlotBits occupied;           // used or freeing; also the bits past the last slot
    SlotBits freeing;
    SlotBits starts;  // stale for free slots

    bool full() const { return used_count == geometry.slot_count; }
    bool is_held_with_blocks() const { return hold_count > 0 && allocated; }
    bool is_live() const { return used_count > freeing_count || is_held_with_blocks(); }
    // The regions that are in use by it.
    uint32_t live_count() const { return is_live() ? 1 + static_cast<uint32_t>(more.size()) : 0; }
  };
  struct SizeClass {
    std::vector<uint32_t> with_room;  // regions of this size with free slots
    uint32_t region_count = 0;        // with room or full
    uint32_t last_region = 0;         // taken from last
    uint32_t turns = 0;               // so that each region with room is looked into some time
  };

  RegionGeometry geometry_of(uint64_t slot_bytes) const;
  const Region* sized_region(uint32_t region) const;  // null: it has no size
  const Region* region_with(SsdSlot slot) const;      // null: no such slot
  std::optional<SsdSlot> room_behind(SsdSlot after, uint64_t slot_bytes, uint32_t count) const;
  SsdRun best_run(SizeClass& size, uint64_t slot_bytes, uint32_t count, SsdSlot after) const;
  SsdRun find_run(uint32_t region, uint32_t count) const;
  void occupy(SsdRun run);
  std::vector<uint32_t> unsized(bool grow, size_t count);
  bool take_back_untouched(uint64_t slot_bytes);
  model::Result<void> check_more(SsdSlot first, uint64_t slot_bytes,
                                 std::span<const uint16_t> more) const;
  std::vector<uint32_t> give_size(uint32_t region, uint64_t slot_bytes,
                                  std::span<const uint16_t> more);
  void take_blocks(uint32_t region, std::vector<uint32_t>& absent);
  void take_size(uint32_t region);
  void make_regions_up_to(uint32_t region);
  void put_on(std::vector<uint32_t>& list, uint32_t region);
  void take_off(std::vector<uint32_t>& list, uint32_t region);
  void check_part(uint32_t index) const;
  void check_region(uint32_t index) const;

  uint64_t region_bytes_;
  uint32_t max_regions_;
  std::vector<Region> regions_;
  std::map<uint64_t, SizeClass> by_size_;  // of the slot sizes that regions have
  std::vector<uint32_t> no_size_;          // regions that may take any size
  std::vector<uint32_t> untouched_;        // with a size, of which no slot was taken yet; few
  uint32_t allocated_regions_ = 0;
  uint32_t live_regions_ = 0;  // Region::live_count
  uint32_t held_regions_ = 0;
  uint32_t held_with_blocks_ = 0;    // of these
  std::optional<uint32_t> surplus_;  // in no list
  uint64_t occupied_bytes_ = 0;      // slots used or freeing, with their headers
  uint64_t used_slots_ = 0;
  uint64_t freeing_slots_ = 0;
  uint64_t freeing_bytes_ = 0;
};

}  // namespace quire::tiering
