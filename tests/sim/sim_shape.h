// Bounds of a simulated session: small, so that runs meet them.
#pragma once

#include <cstdint>

#include "tests/sim/sim_world.h"

namespace quire::tests {

inline constexpr uint32_t kSimRingEntries = 16;
inline constexpr uint32_t kSimAreas = 3;  // of descriptors: requests at once
// Of staging, of all sessions of a process: commits at once. Few, so that what one session gave
// back is written by the next while it is still copied.
inline constexpr uint32_t kSimStagingAreas = 4;
inline constexpr uint64_t kSimStaging = 1;  // the number of the one that each process has
// Of the largest load: two groups of every block, and a checkpoint with its tail.
inline constexpr uint32_t kSimAreaPages = 2 * kSimMaxUnits + 8;

}  // namespace quire::tests
