// How long single requests take: the first span of a context on the device, a hit in RAM while the
// device is saturated, and a commit's way to the device.
#pragma once

#include <string>
#include <vector>

#include "bench/ssd_bench_work.h"

namespace quire::bench {

struct FirstSpanFigures {
  double raw_us = 0;     // bare read of the page and its header, in parallel; p50
  double idle_us = 0;    // load of one block, p50
  double loaded_us = 0;  // the same while a session of the batch class loads without end
  uint64_t samples = 0;  // of each
};

struct RamHitFigures {
  double idle_p50_us = 0;
  double idle_p99_us = 0;
  double saturated_p50_us = 0;
  double saturated_p99_us = 0;
  uint64_t samples = 0;      // of each
  double promote_gib_s = 0;  // meanwhile
  double demote_gib_s = 0;
};

struct LagFigures {
  double asked_gib_s = 0;
  double committed_gib_s = 0;
  double durable_lag_ms_p50 = 0;
  double durable_lag_ms_p99 = 0;
  double max_commit_stall_ms = 0;
};

// What loads in the background: a context on the device, whole, over and over.
struct BackgroundLoad {
  const BenchModel* model = nullptr;
  uint64_t context = 0;
  uint32_t tokens = 0;
};

// Numbers of the contexts that these benches make begin here.
inline constexpr uint64_t kFirstSpanContexts = 1000;
inline constexpr uint64_t kRamHitContext = 2000;
inline constexpr uint64_t kSaturatingContexts = 3000;

FirstSpanFigures measure_first_span(BenchDaemon& daemon, RawDevice& raw,
                                    const std::string& ssd_path, const BenchModel& model,
                                    uint32_t contexts, const BackgroundLoad& background);

// `loads`: contexts that together do not fit RAM, so that each of their loads reads the device.
RamHitFigures measure_ram_hits(BenchDaemon& daemon, const BenchModel& model, uint64_t samples,
                               const std::vector<BackgroundLoad>& loads);

// Commits `tokens` of a context span by span at so many GiB/s, write-through.
LagFigures measure_lag(BenchDaemon& daemon, const BenchModel& model, uint64_t context,
                       uint32_t tokens, double gib_s);

}  // namespace quire::bench
