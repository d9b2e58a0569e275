// The slots of one region, all of one size, in adjacent runs.
//
//   slot:  free --occupy--> used --release--> freeing --reclaim--> free
//
// A freeing slot is named by nothing in memory, and still by a record of the manifest. Invariants:
// a slot is in one state; a used or freeing slot behind a free one starts a run; counts agree with
// the bitmaps. Memory: three bits a slot. Threads: core only.
#pragma once

#include <cstdint>

#include "tiering/disk/ssd_format.h"
#include "tiering/space/slot_bits.h"

namespace quire::tiering {

class RegionSlots {
 public:
  // All of them free. `geometry`: of slots of slot_bytes, at least one.
  RegionSlots(uint64_t slot_bytes, const RegionGeometry& geometry);

  uint64_t slot_bytes() const { return slot_bytes_; }
  uint32_t count() const { return geometry_.slot_count; }
  uint32_t occupied_count() const { return occupied_count_; }  // used or freeing
  uint32_t freeing_count() const { return freeing_count_; }
  bool full() const { return occupied_count_ == geometry_.slot_count; }
  bool has_used() const { return occupied_count_ > freeing_count_; }
  bool is_occupied(uint32_t slot) const { return bit_at(occupied_, slot); }
  bool is_used(uint32_t slot) const { return bit_at(occupied_, slot) && !bit_at(freeing_, slot); }
  // True: [first, first + count) are slots, and free.
  bool has_room(uint32_t first, uint32_t count) const;
  // A free run of at most `count`, 1 to 64: from where the last one was found on, the first that is
  // as long, else one at least half as long as the longest. count 0: full.
  ClearRun find_room(uint32_t count) const;

  // They become a run. Precondition: has_room(), or they are claimed at open, when each is free.
  void occupy(uint32_t first, uint32_t count);
  // The search goes on from here.
  void note_found(uint32_t first) { search_word_ = first / kWordBits; }
  void release(uint32_t slot);
  void reclaim(uint32_t slot);
  // First slot of the run that a used or freeing slot belongs to.
  uint32_t run_start(uint32_t slot) const;
  uint64_t data_offset(uint32_t slot) const {  // in the region
    return geometry_.slots_offset + slot * slot_bytes_;
  }

  uint64_t table_bytes() const;
  // `bytes`: of the regions that they lie in.
  void check_invariants(uint64_t bytes) const;

 private:
  uint64_t slot_bytes_;
  RegionGeometry geometry_;
  uint32_t occupied_count_ = 0;
  uint32_t freeing_count_ = 0;
  uint32_t search_word_ = 0;  // of the bitmap: where the last run was found
  SlotBits occupied_;         // also the bits past the last slot: no search ends beyond it
  SlotBits freeing_;
  SlotBits starts_;  // stale for free slots
};

}  // namespace quire::tiering
