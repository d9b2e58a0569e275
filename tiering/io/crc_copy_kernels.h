// Copy loops with stores that bypass the cache, one for each instruction set, chosen at run time.
#pragma once

#include <cstddef>
#include <span>

namespace quire::tiering {

// Granule of the loops below: one cache line.
inline constexpr size_t kStreamBytes = 64;

struct StreamKernel {
  const char* name;
  // Copies `bytes`, a multiple of kStreamBytes, to a target aligned to kStreamBytes; source any.
  // The stores are weakly ordered: stream_fence() before anybody is told of them.
  void (*copy)(std::byte* target, const std::byte* source, size_t bytes);
};

// The kernels this processor can run, best first; never empty.
std::span<const StreamKernel> stream_kernels();

// Orders the stores of a kernel before every later store.
void stream_fence();

}  // namespace quire::tiering
