// Spans of other contexts, so that the index has its full size. They have real keys, nodes and
// slots; only their page bytes are never written (10^7 of them would not fit this machine).
#pragma once

#include <cstdint>

#include "cache/cache.h"

namespace quire::bench {

struct FillerCost {
  double bytes_per_span = 0;  // memory held by tree, index, page table and policy, key included
  double seconds = 0;
};

// Adds `spans` spans of `groups` append groups in runs of 64 below domain 0, which must exist.
FillerCost add_filler(cache::Cache& cache, uint64_t spans, uint32_t groups);

}  // namespace quire::bench
