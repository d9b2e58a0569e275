// Ghosts beside a simulated tier: what they say of each policy and size, what they cost, and the
// ceiling that they found, to be held against full simulations and the exact ceiling.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/replay_trace.h"
#include "cache/ghosts/ghosts.h"
#include "model/result.h"

namespace quire::bench {

struct GhostRunOptions {
  std::string policy = "lru";  // of the tier that they stand beside
  uint64_t capacity_blocks = 0;
  bool admission = false;  // as SimulationOptions
  uint64_t memory_bytes = 64ull << 20;
  // One conversation in 2^so many, whatever the budgets; -1: as the budgets let them.
  int halvings = -1;
};

struct GhostFigures {
  std::vector<cache::GhostRow> rows;  // over the whole trace
  double ceiling_percent = 0;
  double cpu_percent = 0;  // of a core, at 10^5 references a second
  uint64_t bytes = 0;
  // In the end, of the sample at the tier's own size and of that at other sizes.
  double near_rate = 1;
  double far_rate = 1;
  double calls_per_reference = 0;  // of policies
};

model::Result<GhostFigures> run_ghosts(const ReplayTrace& trace, const GhostRunOptions& options);

}  // namespace quire::bench
