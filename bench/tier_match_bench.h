// What a match costs where half of all spans are below RAM only, beside the same with all in RAM:
// 10^7 spans in contexts of a million tokens. No tier moves anything; nodes say where copies are.
#pragma once

namespace quire::bench {
// Prints a table, or exactly one JSON object. 0 when a match costs at most twice as much, else 1.
int run_tier_match_bench(bool json);
}  // namespace quire::bench
