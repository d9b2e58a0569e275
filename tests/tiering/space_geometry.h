// The geometry of a region, as tests compare slots with it.
#pragma once

#include "tiering/space/ssd_space.h"

namespace quire::tiering {

// Of the slots that the region has; none: it has no size.
inline RegionGeometry geometry_of(const SsdSpace& space, uint32_t region) {
  const uint64_t slot_bytes = space.slot_bytes(region);
  return slot_bytes == 0 ? RegionGeometry{} : slot_geometry(space.region_bytes(), slot_bytes);
}

}  // namespace quire::tiering
