// The cluster tier: a pool of Ceph RADOS that many daemons share (docs/cluster.md).
//
//   reserve, write --> ClusterWriter --.
//   read ------------> ClusterReader --+--> ClusterOps --> RadosPool (librados) --> the cluster
//   search ----------> ClusterSearch --'
//                      ClusterSweeper: age, epochs, capacity; ClusterEpochs; ClusterChores
//
// What is in the pool is everybody's: a copy that this cache gives up stays there, until a sweep
// finds it old. What the pool holds is not known but found (ClusterSearch).
// It begins off and connects by itself; a cluster that fails degrades the tier, never the daemon
// (law 9). Threads: core only; what waits is on threads of RadosPool. Lifetime: cache, checks and
// clock outlive it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tiering/cluster/cluster_notes.h"
#include "tiering/cluster/cluster_parts.h"
#include "tiering/cluster/cluster_reader.h"
#include "tiering/cluster/cluster_search.h"
#include "tiering/cluster/cluster_sweeper.h"
#include "tiering/cluster/cluster_writer.h"
#include "tiering/cluster/rados_pool.h"
#include "tiering/tier.h"

namespace quire::tiering {

struct ClusterTierOptions {
  RadosOptions rados;
  ClusterHealthOptions health;
  SweepOptions sweep;
  uint64_t run_bytes = 8ull << 20;      // of a run, at most, but for one object that is larger
  uint64_t queue_bytes = 256ull << 20;  // of runs under way
  size_t max_places = 1 << 19;          // remembered
};

struct ClusterTierParts {
  cache::Cache* cache = nullptr;  // with attach_tier() done
  CopyEngine* checks = nullptr;   // its own: takes kClusterChecks tasks
  const model::Clock* clock = nullptr;
};
inline constexpr uint32_t kClusterChecks = 2 * kMaxClusterJobs * kMaxJobObjects;

class ClusterTier final : public Tier {
 public:
  // At once: it connects in the steps that follow. Errors of RadosPool::create().
  static model::Result<std::unique_ptr<ClusterTier>> open(const ClusterTierParts& parts,
                                                          const ClusterTierOptions& options);
  ~ClusterTier() override;

  model::TierId id() const override { return model::TierId::kCluster; }
  std::string_view name() const override { return "cluster"; }
  TierMode mode() const override { return health_.mode(); }
  TierState state() const override;

  Fitting fits(model::NodeId node) override { return writer_->fits(node); }
  WriteOffer reserve(std::span<const model::NodeId> nodes) override;
  void write(WriteRoom&& room, std::span<const model::NodeId> nodes, uint32_t job) override;
  model::Result<uint32_t> read(const ReadRun& run) override { return reader_->read(run); }
  // Others may have a use for them: they stay in the pool.
  void erase(std::span<const cache::GivenUpCopy>) override {}

  bool step(const StepHints& hints) override;
  std::vector<TierEvent>& events() override { return events_; }
  bool submit() override { return false; }
  bool idle() const override;
  bool moves_for(model::DomainId domain) const override {
    return writer_->moves_for(domain) || reader_->moves_for(domain);
  }
  int wake_fd() const override { return pool_->wake_fd(); }
  void forget_segment(const std::byte*) override {}

  LoadEstimator& estimator() override { return estimator_; }
  uint64_t largest_object_bytes() const override { return writer_->largest_object_bytes(); }
  void describe(model::MetricSink& sink, TierSection section) const override;
  ChainSearch* search() override { return search_.get(); }
  SharedNotes* notes() override { return &notes_; }

  // For tests and benches.
  const ClusterSearchCounters& search_counters() const { return search_->counters(); }
  const ClusterWriteCounters& write_counters() const { return writer_->counters(); }
  const ClusterReadCounters& read_counters() const { return reader_->counters(); }
  ClusterSweeper& sweeper() { return *sweeper_; }

 private:
  ClusterTier(const ClusterTierParts& parts, const ClusterTierOptions& options,
              std::unique_ptr<RadosPool> pool, uint64_t writer);
  void give_back_room() override { writer_->give_back(); }
  void take_checks();
  void step_probe(int64_t now_ns);
  void step_heartbeat();

  ClusterTierParts parts_;
  std::unique_ptr<RadosPool> pool_;  // goes first, by hand
  ClusterHealth health_;
  ClusterOps ops_;
  ClusterChores chores_{&ops_};
  ClusterEpochs epochs_;
  ClusterNotes notes_{&ops_};
  PlaceTable places_;
  RunBuffers buffers_;
  ObjectDescriber describer_;
  LoadEstimator estimator_;
  ReadPace pace_;
  std::vector<TierEvent> events_;
  ClusterClient probe_client_;
  RadosOp probe_;
  bool probing_ = false;
  RadosOp heartbeat_;  // asks whether what failed once fails again, where nothing else would
  bool beating_ = false;
  std::unique_ptr<ClusterWriter> writer_;
  std::unique_ptr<ClusterReader> reader_;
  std::unique_ptr<ClusterSearch> search_;
  std::unique_ptr<ClusterSweeper> sweeper_;
};

}  // namespace quire::tiering
