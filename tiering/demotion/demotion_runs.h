// Candidates put together as a tier writes them: each with what of its path has no copy, parents
// first, neighbours in one run.
//
// 1. A node is in one run, once. Its parent has a copy, or stands before it: in its run or in one
//    before.
// 2. A run is a chain of spans of one retention class, kMaxJobObjects at most; a checkpoint is one
//    alone, for it is a leaf.
//
// Threads: core only. Lifetime: of one step; nodes are named, not pinned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "cache/cache.h"
#include "model/ids.h"
#include "tiering/demotion/candidate_queue.h"
#include "tiering/tier.h"

namespace quire::tiering {

struct DemotionRun {
  std::vector<model::NodeId> nodes;
  bool batch = false;
  int64_t since_ns = 0;  // of its first candidate
};

class DemotionRuns {
 public:
  DemotionRuns(cache::Cache* cache, model::TierId tier) : cache_(cache), tier_(tier) {}

  void clear();
  // The node, after those of its ancestors that want a copy too. Precondition: it wants_copy().
  void add(const Candidate& candidate);
  // In the order in which they are to be started; who starts objects takes them off.
  std::span<DemotionRun> runs() { return runs_; }
  bool empty() const { return runs_.empty(); }

 private:
  void append(model::NodeId node, const Candidate& candidate);

  cache::Cache* cache_;
  model::TierId tier_;
  std::vector<DemotionRun> runs_;
  std::unordered_map<uint32_t, size_t> ends_;  // last span of a run -> its place in runs_
  std::unordered_set<uint32_t> in_runs_;
};

}  // namespace quire::tiering
