// Whether a record of the manifest may be believed about where its run lies: what it claims is of
// one size with its region, fits it, and is nobody else's (law 8). Asked at open, of records that
// may say anything. Threads: core only; no state.
#pragma once

#include <cstdint>
#include <span>

#include "model/result.h"
#include "tiering/space/region_stock.h"
#include "tiering/space/sized_regions.h"

namespace quire::tiering {

struct SpaceClaim {
  SsdSlot first;
  uint32_t count = 0;
  uint64_t slot_bytes = 0;
  std::span<const uint16_t> more;  // the regions that the slot takes beside its first
};

// kCorrupt, with what is wrong and what to do. `region_bytes`: of each region.
model::Result<void> check_claim(const SpaceClaim& claim, const RegionStock& stock,
                                const SizedRegions& sized, uint64_t region_bytes);

}  // namespace quire::tiering
