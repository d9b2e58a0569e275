// What a tier is writing: pinned in RAM and marked as moving until the tier has told its end.
//
//   start --> objects under way --release, each--> finish, by counts --> the job's number is free
//
// The parent of the first object is pinned by its presence: its copy stays, or those of the job
// would be lost with it. Threads: core only. Bound: the tier's records of jobs. Lifetime: within
// the cache's.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <unordered_set>

#include "cache/cache.h"
#include "cache/objects/pin.h"
#include "model/ids.h"
#include "tiering/demotion/under_way.h"
#include "tiering/job_table.h"
#include "tiering/tier.h"

namespace quire::tiering {

class DemotionJobs {
 public:
  // `under_way`: of all tiers.
  DemotionJobs(cache::Cache* cache, UnderWay* under_way)
      : names_(&cache->names()), store_(&cache->store()), under_way_of_all_(under_way) {}

  // The object is in one of its jobs.
  bool contains(model::NodeId node) const { return under_way_.contains(node.value); }
  // The number by which the tier calls it. 1..kMaxJobObjects nodes, all in RAM; since_ns: when the
  // oldest became a candidate.
  uint32_t start(std::span<const model::NodeId> nodes, int64_t since_ns);
  // Precondition: not released yet.
  model::NodeId node(uint32_t job, uint32_t object) const {
    return jobs_[job].nodes[object].node();
  }
  int64_t since_ns(uint32_t job) const { return jobs_[job].since_ns; }
  // The object is where it stays. It may be gone afterwards, with its last pin.
  void release(uint32_t job, uint32_t object);
  // So many objects more were released; with the last one the job is forgotten.
  void finish(uint32_t job, uint32_t objects);

  // Of all that are under way the earliest; a large time when none is.
  int64_t oldest_since_ns() const;
  // Of RAM that is pinned by all of them.
  uint64_t bytes() const { return bytes_; }

 private:
  struct Job {
    cache::Pin parent;
    std::array<cache::Pin, kMaxJobObjects> nodes;
    uint32_t left = 0;  // objects without an end
    int64_t since_ns = 0;
    model::DomainId domain;  // whose they are
    uint64_t bytes = 0;
  };

  const cache::NamespaceTable* names_;
  cache::ObjectStore* store_;
  UnderWay* under_way_of_all_;
  JobTable<Job> jobs_;
  std::unordered_set<uint32_t> under_way_;  // node ids, which are pinned
  uint64_t bytes_ = 0;
};

}  // namespace quire::tiering
