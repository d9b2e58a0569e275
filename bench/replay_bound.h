// What a trace allows: the ceiling of an infinite cache, and the best that any cache of a size
// could have done, knowing the future.
//
// The bound is Belady's (1966) with bypass: what is used latest goes first, or is not taken at all;
// of one request's blocks the deepest first, which keeps what is resident prefix-closed. Blocks
// that are next used by one request form a stretch of its path, so the resident set is kept as one
// stretch a request, and the bound takes time in proportion to stretches, not blocks.
#pragma once

#include <cstdint>
#include <vector>

#include "bench/replay_trace.h"

namespace quire::bench {

// References to blocks that came before.
uint64_t ceiling_hits(const ReplayTrace& trace);

struct BoundFigures {
  uint64_t hits = 0;
  uint64_t inserts = 0;
};

class ReplayBound {
 public:
  explicit ReplayBound(const ReplayTrace& trace);
  BoundFigures at(uint64_t capacity_blocks) const;

 private:
  static constexpr uint32_t kNever = UINT32_MAX;
  struct Stretch {
    uint32_t end = 0;   // of the path, from its beginning
    uint32_t next = 0;  // request that uses it next; kNever
  };
  class Residents;

  std::vector<std::vector<Stretch>> stretches_;  // by request
};

}  // namespace quire::bench
