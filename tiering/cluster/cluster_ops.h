// The one way to the pool for all parts of the tier, and the way back: what has come waits at its
// client until that takes it. What it says of the cluster is told to the tier's health here, once.
//
// Never refuses: what the pool has no place for waits, and its owners have bounds of their own.
// Threads: core only. Lifetime: pool, health and clock outlive it.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "model/clock.h"
#include "model/metrics.h"
#include "tiering/cluster/cluster_health.h"
#include "tiering/cluster/rados_op.h"
#include "tiering/cluster/rados_pool.h"

namespace quire::tiering {

// One who submits. Lifetime: outlives the operations that name it.
class ClusterClient {
 public:
  ClusterClient() = default;
  ClusterClient(const ClusterClient&) = delete;
  ClusterClient& operator=(const ClusterClient&) = delete;

  // What has come back since the last call, in order; lent until the next one.
  std::span<RadosOp* const> take() {
    taken_.clear();
    taken_.swap(done_);
    return taken_;
  }

 private:
  friend class ClusterOps;
  std::vector<RadosOp*> done_;
  std::vector<RadosOp*> taken_;
};

// An answer about the object, as opposed to a failure of the cluster.
bool is_answer(int error);

class ClusterOps {
 public:
  ClusterOps(RadosPool* pool, ClusterHealth* health, const model::Clock* clock)
      : pool_(pool), health_(health), clock_(clock) {}

  // op->client is set.
  void submit(RadosOp* op);
  // True: something came, or went.
  bool poll();
  // Alone: what is submitted until it is back waits. Precondition: under_way() is 0.
  void submit_alone(RadosOp* op);
  // Submitted and not back.
  size_t under_way() const { return pool_->in_flight() + waiting_.size(); }
  void describe(model::MetricSink& sink) const;

 private:
  void judge(const RadosOp& op);

  RadosPool* pool_;
  ClusterHealth* health_;
  const model::Clock* clock_;
  std::deque<RadosOp*> waiting_;
  RadosOp* alone_ = nullptr;
  model::TimeHistogram read_times_;
  model::TimeHistogram write_times_;
  model::TimeHistogram entry_times_;
};

}  // namespace quire::tiering
