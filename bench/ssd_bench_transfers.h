// How fast the tier moves data, against the bare device in the same run, in turns.
#pragma once

#include <string>
#include <vector>

#include "bench/ssd_bench_work.h"

namespace quire::bench {

struct PromoteFigures {
  std::string model;
  uint32_t tokens = 0;
  double gib_s = 0;  // of pages, from the load's submission to its completion
  double raw_gib_s = 0;
  double cpu_cores = 0;
  double cpu_seconds_per_gib = 0;
  std::string skipped;  // why; empty: measured
};

struct DemoteFigures {
  std::string model;
  double gib = 0;
  double gib_s = 0;  // of pages, from the first write to the last manifest entry being durable
  double raw_gib_s = 0;
  double cpu_cores = 0;
  double cpu_seconds_per_gib = 0;
  double write_amplification = 0;  // everything written, manifest included, by bytes of pages
};

// One daemon, all its contexts on the device already.
class PromoteBench {
 public:
  PromoteBench(BenchDaemon& daemon, RawDevice& raw, const std::string& ssd_path)
      : daemon_(&daemon), raw_(&raw), ssd_path_(ssd_path) {}
  PromoteFigures run(const BenchModel& model, client::Session& session, uint32_t tokens,
                     int rounds);

 private:
  double load_once(client::Session& session, uint32_t tokens);

  BenchDaemon* daemon_;
  RawDevice* raw_;
  std::string ssd_path_;
};

// `rounds` daemons one after the other, each with a directory of its own below `directory`; what
// they wrote is removed.
DemoteFigures measure_demote(const BenchModel& model, RawDevice& raw, const std::string& directory,
                             uint32_t spans, int rounds);

}  // namespace quire::bench
