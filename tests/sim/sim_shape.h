// Bounds of a simulated session: small, so that runs meet them.
#pragma once

#include <cstdint>

#include "tests/sim/sim_world.h"

namespace quire::tests {

inline constexpr uint32_t kSimRingEntries = 16;
inline constexpr uint32_t kSimAreas = 3;  // of staging, and of descriptors: requests at once
// Of the largest load: two groups of every block, and a checkpoint with its tail.
inline constexpr uint32_t kSimAreaPages = 2 * kSimMaxUnits + 8;

}  // namespace quire::tests
