// What many small extents cost: opening a directory of them, holding them, and making their
// manifest anew.
#pragma once

#include <optional>
#include <string>

#include "bench/ssd_bench_work.h"

namespace quire::bench {

struct RestartFigures {
  uint64_t spans = 0;
  double commit_seconds = 0;               // until all of them were durable
  double restart_ms_per_million = 0;       // Daemon::create, RocksDB's files in the page cache
  double restart_cold_ms_per_million = 0;  // not in it
  double first_hit_ms = 0;                 // from the start to the first block of a context, warm
  double bytes_per_span = 0;
  std::optional<double> rebuild_ms_per_million;
};

// In a fresh directory below `directory`, which is removed.
RestartFigures measure_restart(const std::string& directory, uint64_t spans);

}  // namespace quire::bench
