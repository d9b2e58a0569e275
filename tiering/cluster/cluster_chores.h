// Removals that nobody waits for: entries that lead nowhere, runs that nobody names. Best effort:
// what is not removed now is swept. Bound: kMaxChores. Threads: core only.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "model/metrics.h"
#include "tiering/cluster/cluster_format.h"
#include "tiering/cluster/cluster_ops.h"

namespace quire::tiering {

struct ChoreCounters {
  model::Counter dropped_entries{"dropped_entries", "Entries of the index that led nowhere"};
  model::Counter dropped_runs{"dropped_runs", "Runs that were removed, as nobody named them"};
};

class ClusterChores {
 public:
  explicit ClusterChores(ClusterOps* ops) : ops_(ops) {}

  // While it is still this record: another host may have written the object anew.
  void drop_entry(const ObjectName& name, const model::Hash256& segment, const PlaceRecord& record);
  void drop_run(const model::Hash256& root, const RunName& run, uint64_t run_bytes);
  void step();
  bool idle() const { return under_way_.empty(); }
  const ChoreCounters& counters() const { return counters_; }

 private:
  static constexpr size_t kMaxChores = 1024;
  RadosOp* add(RadosKind kind);

  ClusterOps* ops_;
  ClusterClient client_;
  std::vector<std::unique_ptr<RadosOp>> under_way_;
  ChoreCounters counters_;
};

}  // namespace quire::tiering
