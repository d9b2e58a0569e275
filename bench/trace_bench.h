// Replays an agent trace through a real client and daemon, with and without the checkpoint before
// the tail: which part of what spans would allow can be resumed exactly, and what it costs in
// bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace quire::bench {

struct TraceBenchOptions {
  std::string path;       // empty: the built-in one
  uint32_t sessions = 0;  // at most so many; 0 = all
};
int run_trace_bench(bool json, const TraceBenchOptions& options);

}  // namespace quire::bench
