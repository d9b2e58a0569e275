// The figures of the bench of the SSD tier, as one JSON object or as a table.
#pragma once

#include <string>
#include <vector>

#include "bench/ssd_bench_codec.h"
#include "bench/ssd_bench_latency.h"
#include "bench/ssd_bench_restart.h"
#include "bench/ssd_bench_transfers.h"

namespace quire::bench {

struct SsdFigures {
  std::vector<PromoteFigures> promote;
  std::vector<DemoteFigures> demote;
  FirstSpanFigures first_span;
  RamHitFigures ram_hit;
  LagFigures lag;
  RestartFigures restart;
  CodecFigures codec;
  bool quick = false;
  uint64_t pool_bytes = 0;
  uint64_t pool_huge_bytes = 0;
  bool raw_huge_pages = false;
  std::string engine;
  bool direct_io = false;
  std::string file_system;
};

void print_json(const SsdFigures& figures);
void print_table(const SsdFigures& figures);

}  // namespace quire::bench
