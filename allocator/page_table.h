// What each slot holds: 16 bytes a page, flat, indexed by SlotId.
//
//   free -> filling -> sealed -> free          (abort: filling -> free)
//                         \-> quarantined -> free   (checksum mismatch; freed when unpinned)
//
// Pages of one object are linked through `next` in plan_pages order, so that an object's further
// groups cost 16 bytes each and nothing else. Core thread only; kept by the daemon alone.
#pragma once

#include <cstdint>

#include "allocator/flat_array.h"
#include "model/ids.h"

namespace quire::allocator {

// Page tables stay below 2^31 slots, so this bit of PageEntry::next is free.
inline constexpr uint32_t kLastPageTag = 1u << 31;

enum class PageState : uint8_t { kFree = 0, kFilling = 1, kSealed = 2, kQuarantined = 3 };

struct PageEntry {
  uint32_t owner;             // NodeId value + 1; 0 = none (so that zero bytes mean free)
  uint32_t next;              // SlotId value + 1 of the object's next page; 0 = last; kLastPageTag:
                              // last too, the rest is its owner's
  uint32_t crc32c;            // of page_bytes, from the moment of sealing (law 4)
  uint32_t state_generation;  // state in the low 8 bits; generation, +1 at each reuse, above

  PageState state() const { return static_cast<PageState>(state_generation & 0xff); }
  uint32_t generation() const { return state_generation >> 8; }
  void set_state(PageState state) {
    state_generation = (state_generation & ~uint32_t{0xff}) | static_cast<uint32_t>(state);
  }
};
static_assert(sizeof(PageEntry) == 16);

}  // namespace quire::allocator
