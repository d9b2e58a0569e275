// Receipts: what they cost the core, how fast they are kept, verified and billed, and what an
// attach costs with them and without.
#pragma once

#include <cstdint>

namespace quire::bench {

struct MeterBenchOptions {
  uint64_t bill_receipts = 4'000'000;  // --receipts N
};

int run_meter_bench(bool json, const MeterBenchOptions& options);

}  // namespace quire::bench
