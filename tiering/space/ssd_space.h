// Room on the device: regions of one slot size each, slots in adjacent runs. Free space is derived
// from the manifest at open by claim(), which refuses an overlap (law 8); nothing of this is
// stored. Three parts come together here: what becomes of a region (region_stock.h), of a slot
// (region_slots.h), and who has room of which size (sized_regions.h).
//
// A slot that fits no region takes several, in any order (tiering/disk/ssd_format.h): the first has
// it as its only slot and the size, the others are parts of it and come and go with it.
//
// A region is made (its blocks allocated by the caller) when no region of the size has room, and
// goes back to the stock when its last slot is free, or when another size needs it and none was
// ever taken. A run loses slots from its end only, or all at once.
// Invariants (check_invariants): those of the parts; a region is taken from the stock when it has a
// size or is part of one that has; counts agree. Threads: core only.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "model/metrics.h"
#include "model/result.h"
#include "tiering/disk/ssd_format.h"
#include "tiering/space/region_stock.h"
#include "tiering/space/sized_regions.h"

namespace quire::tiering {

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
  // Precondition: no slot used. The blocks of `absent` count as absent again.
  void drop_region(uint32_t region, std::span<const uint32_t> absent);

  // At open: these slots hold a run. Any input is answered by a value, and an error claims nothing:
  // kCorrupt: they overlap another, or do not fit their region, or the region has another slot
  // size or is held. `more`: the regions that the slot takes beside its first.
  model::Result<void> claim(SsdSlot first, uint32_t count, uint64_t slot_bytes,
                            std::span<const uint16_t> more = {});
  // More regions than the capacity have slots in use or are held, so copies must go.
  bool is_over_capacity() const { return live_regions() > stock_.max_count(); }
  uint32_t live_regions() const { return sized_.live_count() + stock_.held_with_blocks(); }

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
  // The regions that its slot takes beside it; empty: none, as a rule.
  std::span<const uint16_t> more_regions(uint32_t region) const;
  uint64_t data_offset(SsdSlot slot) const;  // in the region
  // What all regions, or the most that one slot can take, have room for.
  uint64_t largest_slot_bytes() const;
  uint64_t region_bytes() const { return region_bytes_; }
  // For what concerns whole regions: what is held, blocks that are found or go back.
  RegionStock& stock() { return stock_; }
  const RegionStock& stock() const { return stock_; }

  SsdSpaceUsage usage() const;
  uint64_t table_bytes() const;
  void check_invariants() const;

 private:
  std::vector<uint32_t> give_size(uint32_t region, uint64_t slot_bytes,
                                  std::span<const uint16_t> more);
  void take_size(uint32_t region);
  bool take_back_untouched(uint64_t slot_bytes);
  // A slot of this region with its header.
  uint64_t extent_bytes(SsdSlot slot) const { return slot_bytes(slot.region()) + kSsdBlockBytes; }
  void count_used(SsdRun run);

  uint64_t region_bytes_;
  RegionStock stock_;
  SizedRegions sized_;
  uint64_t occupied_bytes_ = 0;  // slots used or freeing, with their headers
  uint64_t used_slots_ = 0;
  uint64_t freeing_slots_ = 0;
  uint64_t freeing_bytes_ = 0;
};

}  // namespace quire::tiering
