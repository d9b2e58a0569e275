// Cost of the prefix index by size: 10^4 to 10^7 spans. See run_index_bench.
#pragma once

namespace quire::bench {

// Measures, at each size, the time to match a prompt of 4,096 spans (13 probes of a binary search;
// with the nearest caches emptied before each, as by other work of the core, and warm), the time to
// add one span, and the memory a span takes (tree, index and LRU); beside them the latency of
// dependent random reads of the same amount of memory on this machine. Prints a table,
// or exactly one JSON object. Returns 0 when the targets hold (match grows at most 4x from 10^5 to
// 10^7 spans, p99.99 of an insert at most 1 ms), 1 when not, 2 when memory cannot be had.
int run_index_bench(bool json);

}  // namespace quire::bench
