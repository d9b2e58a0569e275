// Takes runs out of the pool that nobody will hit: of older epochs, too old, named by nobody, and
// the oldest where the pool is too full; and notes that nobody follows (NoteSweep). Every daemon
// sweeps, none leads.
//
//   resting --> usage --> list of a part of the pool, by chance --> headers of its runs
//      ^          --> their entries, epochs of their namespaces --> entries removed --> runs
//      removed
//      +--------------------------------------------------------------------------------+
//
// Two that sweep the same part do no harm: entries go where they are still what was read, and a run
// goes after its entries; what is gone already is an answer. A search that found an entry before
// may find no run: a miss. A run is no orphan before orphan_s, for its writer names it last.
// Parts are chosen by chance, so hosts share the work without knowing of each other; of a part the
// oldest quarter goes at most, since the pool's own figures are seconds old.
// Threads: core only. Bounds: kMaxRuns of a part at a time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "model/metrics.h"
#include "tiering/cluster/cluster_parts.h"
#include "tiering/cluster/note_sweep.h"

namespace quire::tiering {

struct SweepOptions {
  int64_t period_ns = 10'000'000'000;  // between the beginnings of two sweeps
  uint64_t capacity_bytes = 0;         // of the pool, all hosts together; 0: what it takes
  uint64_t max_age_s = 0;              // since a run was written; 0: none is too old
  uint64_t orphan_s = 3600;
  uint64_t note_s = 3600;  // since a note last changed
};

struct SweepCounters {
  model::Counter sweeps{"sweeps", "Parts of the pool that were looked at"};
  model::Counter runs{"runs", "Runs that were looked at"};
  model::Counter by_age{"by_age", "Runs removed as they were too old"};
  model::Counter by_epoch{"by_epoch", "Runs removed as their weights are not used any more"};
  model::Counter by_capacity{"by_capacity", "Runs removed as the pool was too full"};
  model::Counter orphans{"orphans", "Runs removed as no entry named them"};
  model::Counter notes{"notes", "Notes of hand-overs removed as nobody wrote or followed them"};
  model::Counter unreadable{"unreadable",
                            "Runs left alone, whose header is bad or of a later format"};
};

class ClusterSweeper {
 public:
  ClusterSweeper(const ClusterParts& parts, const SweepOptions& options);

  void step(int64_t now_ns);
  // The next step begins one, if none is under way.
  void sweep_soon() { next_ns_ = INT64_MIN; }
  bool is_resting() const { return stage_ == Stage::kResting; }
  const SweepCounters& counters() const { return counters_; }
  void describe_pool(model::MetricSink& sink) const;

 private:
  static constexpr size_t kMaxRuns = 512;
  enum class Stage : uint8_t { kResting, kUsage, kListing, kReading, kAsking, kRemoving };
  enum class Reason : uint8_t { kNone, kAge, kEpoch, kCapacity, kOrphan };
  struct Run {
    RunHeader header;
    RadosOp op;
    std::string epoch_object;
    std::vector<RadosEntry> live;  // entries that name this run
    Reason reason = Reason::kNone;
    bool good = false;
  };

  void next();
  void begin_usage();
  void begin_listing();
  void begin_reading();
  void begin_asking();
  void begin_removing();
  void finish();
  void submit(RadosOp& op);
  void judge_all();
  Reason judge(const Run& run, uint64_t now_s) const;
  void count(Reason reason);
  void take_entries(Run& run) const;

  ClusterParts parts_;
  SweepOptions options_;
  ClusterClient client_;
  std::mt19937_64 random_;
  Stage stage_ = Stage::kResting;
  int64_t next_ns_ = 0;
  int64_t now_ns_ = 0;  // of this step
  bool over_ = false;   // above the high watermark, and not yet below the low one
  bool failed_ = false;
  uint64_t used_bytes_ = 0;
  uint64_t object_count_ = 0;
  uint32_t left_ = 0;
  RadosOp pool_op_;
  std::vector<std::unique_ptr<Run>> runs_;
  std::map<std::string, std::unique_ptr<RadosOp>> epochs_;
  NoteSweep notes_;
  SweepCounters counters_;
};

}  // namespace quire::tiering
