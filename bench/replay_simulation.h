// A tier without bytes: the board, its policies, the prefix tree and the rule of who may leave are
// the daemon's, driven in the order of a trace; the tier holds a number of blocks.
//
// A request uses the path that it finds, as a match does, and adds the rest, the
// first block first, while it holds its path as a session does. RAM takes all that is committed. A
// tier that can do without asks its policy, when it is full, whether it admits a block before one
// goes for it; what is behind a block that was refused is not asked for.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "bench/replay_trace.h"
#include "model/hash256.h"
#include "model/result.h"

namespace quire::bench {

struct SimulationFigures {
  uint64_t hits = 0;     // blocks
  uint64_t inserts = 0;  // blocks
  double seconds = 0;
};

struct SimulationOptions {
  std::string policy;
  uint64_t capacity_blocks = 0;
  bool admission = false;  // a tier that can do without: its policy may refuse a newcomer
  // Told of each request after it was served: by its number, and how many blocks were found.
  std::function<void(size_t request, uint64_t found)> served;
};

// kInvalidArgument: no such policy.
model::Result<SimulationFigures> simulate(const ReplayTrace& trace,
                                          const SimulationOptions& options);
// A key of the simulated tier.
model::Hash256 simulated_key(uint32_t block);
// Bytes of a simulated block.
inline constexpr uint32_t kSimulatedBytes = 4096;

}  // namespace quire::bench
