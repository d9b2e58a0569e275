// `verify`: reads every page in RAM at a bounded rate and compares its bytes with the checksum from
// the moment it was sealed (law 4). An object whose page changed is a miss from then on, with all
// that depends on it, and is counted.
//
//   start() --> step() each turn: pin the next object, a copy worker reads its pages
//                  ^--- finish(): compare, unpin <---'         ... until every node was looked at
//
// One pass at a time. Nodes made behind the hand wait for the next pass. Threads: core only; the
// bytes are read by copy workers. Bound: kInFlight copy jobs of those it shares with commits.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "cache/cache.h"
#include "model/metrics.h"
#include "server/rings/copy_jobs.h"
#include "tiering/io/copy_engine.h"

namespace quire::server {

struct MemoryCheckStatus {
  model::Flag running{"running", "A pass over the pages in memory is under way"};
  model::Gauge bytes_per_second{"bytes_per_second", "How fast the pass reads"};
  model::Counter passes{"passes", "Whole passes"};
  model::Ratio progress{"progress", "Of the present pass, 0 to 1"};
  model::Counter objects{"objects", "Objects checked"};
  model::Counter bytes{"bytes", "Bytes read to check", {model::MetricFamily::kScrubBytes}};
  model::Counter bad{"bad",
                     "Objects that are not what was sealed",
                     {model::MetricFamily::kScrubErrors, R"(kind="bad")"}};
};

class MemoryCheck {
 public:
  MemoryCheck(cache::Cache* cache, tiering::CopyEngine* copies, CopyJobs* jobs)
      : cache_(cache), copies_(copies), jobs_(jobs) {}

  // Begins a pass; one that is under way goes on.
  void start(int64_t now_ns);
  // True when something was submitted, or a pass ended.
  bool step(int64_t now_ns);
  // A job of CopyPurpose::kMemory came back.
  void finish(CopyJob* job);
  // Figures of the present pass and of all; for status.
  MemoryCheckStatus status() const;

 private:
  static constexpr uint32_t kInFlight = 16;
  bool check(model::NodeId node);

  cache::Cache* cache_;
  tiering::CopyEngine* copies_;
  CopyJobs* jobs_;
  MemoryCheckStatus status_;
  uint32_t next_node_ = 0;
  uint32_t in_flight_ = 0;
  int64_t next_at_ns_ = 0;
  std::unordered_map<uint64_t, cache::Pin> pins_;  // by task
};

}  // namespace quire::server
