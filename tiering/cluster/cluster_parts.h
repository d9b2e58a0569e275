// What the parts of the cluster tier share. The tier owns most of it; all outlives them.
#pragma once

#include <vector>

#include "cache/cache.h"
#include "model/clock.h"
#include "tiering/cluster/cluster_chores.h"
#include "tiering/cluster/cluster_epochs.h"
#include "tiering/cluster/cluster_health.h"
#include "tiering/cluster/cluster_ops.h"
#include "tiering/cluster/object_describer.h"
#include "tiering/cluster/place_table.h"
#include "tiering/cluster/run_buffers.h"
#include "tiering/io/copy_engine.h"
#include "tiering/tier.h"
#include "tiering/transfer/read_pace.h"

namespace quire::tiering {

// Jobs at once, of writes and of reads; each has kMaxJobObjects tasks with the check worker.
inline constexpr uint32_t kMaxClusterJobs = 32;

struct ClusterParts {
  cache::Cache* cache = nullptr;
  const model::Clock* clock = nullptr;
  CopyEngine* checks = nullptr;
  ClusterHealth* health = nullptr;
  ClusterOps* ops = nullptr;
  ClusterChores* chores = nullptr;
  ClusterEpochs* epochs = nullptr;
  PlaceTable* places = nullptr;
  RunBuffers* buffers = nullptr;
  const ObjectDescriber* describer = nullptr;
  ReadPace* pace = nullptr;
  std::vector<TierEvent>* events = nullptr;
  uint64_t writer = 0;
  uint64_t run_bytes = 0;
};

// An operation of a job.
struct JobOp : RadosOp {
  uint32_t record = 0;  // of the job
  uint32_t first = 0;   // objects that it is about
  uint32_t count = 0;
};

}  // namespace quire::tiering
