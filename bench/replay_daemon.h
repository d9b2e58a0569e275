// The same replay through a real daemon and client: sockets, rings, commits and evictions, RAM of
// so many blocks, no SSD, as fast as it goes. A session a request, as engines open them.
#pragma once

#include <cstdint>
#include <string>

#include "bench/replay_simulation.h"
#include "bench/replay_trace.h"

namespace quire::bench {

// Ends the program with the daemon's words where it refuses.
SimulationFigures replay_through_daemon(const ReplayTrace& trace, const std::string& policy,
                                        uint64_t capacity_blocks);

}  // namespace quire::bench
