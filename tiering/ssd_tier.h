// The SSD tier as the server sees it (DESIGN sections 2, 4 and 6).
//
//   ObjectStore.fresh() ---> SsdDemoter ---> SsdMover ---> IoEngine ---> data files
//   loads -------------> SsdLoader  ---^       \---> SsdCommitter ---> fdatasync, Manifest
//   ObjectStore.ssd_releases() ------------------------^
//
// One step a turn of the core; nothing blocks but opening, resuming a manifest that had failed, and
// beginning to write to a directory that could only be read.
// A new data file costs the core an open(O_CREAT), microseconds; its name, and layouts, are made
// durable by the manifest's writer. A device that fails degrades the tier, never the daemon (law
// 9): status() says in which state it is and why.
// Threads: core only. Lifetime: cache, engine, checks and clock outlive it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cache/cache.h"
#include "model/clock.h"
#include "model/metrics.h"
#include "tiering/disk/ssd_directory.h"
#include "tiering/io/copy_engine.h"
#include "tiering/io/io_engine.h"
#include "tiering/io/io_port.h"
#include "tiering/io/load_estimator.h"
#include "tiering/ssd/ssd_committer.h"
#include "tiering/ssd/ssd_health.h"
#include "tiering/ssd/ssd_mover.h"
#include "tiering/ssd/ssd_probe.h"
#include "tiering/ssd/ssd_restore.h"
#include "tiering/ssd/ssd_shrinker.h"
#include "tiering/ssd_demoter.h"
#include "tiering/ssd_loader.h"
#include "tiering/ssd_scrubber.h"

namespace quire::tiering {

struct SsdTierOptions {
  SsdDirectoryOptions directory;
  uint64_t capacity_bytes = 0;  // of data files, rounded down to whole regions
  // What is done with a directory that has more than that: false: it is only read, until an
  // operator has decided; true: the least useful copies go.
  bool evict_to_capacity = false;
  DemoterOptions demoter;
  MoverOptions mover;
  SsdHealthOptions health;
  uint64_t scrub_bytes_per_second = 0;  // 0: only when asked for
  rocksdb::Env* manifest_env = nullptr;
  std::function<void()> on_wake;  // any thread: there is something to poll
};

struct SsdTierParts {
  cache::Cache* cache = nullptr;  // with attach_tier() done
  IoEngine* engine = nullptr;
  CopyEngine* checks = nullptr;  // its own: takes kMaxTransfers * kMaxRunObjects tasks
  const model::Clock* clock = nullptr;
};

// What the tier's own tests, benches and the start of the daemon look at. What people see is
// describe()'s, and needs no field here.
struct SsdTierStatus {
  SsdState state = SsdState::kOff;
  std::string reason;
  std::string action;
  std::string engine;
  bool direct_io = false;
  SsdSpaceUsage space;
  uint64_t table_bytes = 0;
  uint64_t stale_completions = 0;
  SsdHealthCounters health;
  MoverCounters mover;
  CommitterCounters committer;
  DemoterCounters demoter;
  LoaderCounters loader;
  AdmissionCounters admission;
  ScrubStatus scrub;
  RestoreReport restored;
  std::string repaired;  // what was wrong with a copy of the superblock at the start
  KeptCounts kept;
  bool dropping_kept = false;
  std::string kept_action;
  std::string blocked_by;
  std::string limited_by;             // why the tier is smaller than it may be
  uint64_t largest_object_bytes = 0;  // of a slot: a larger object is never on SSD
  uint64_t manifest_bytes_written = 0;
  std::vector<CodecGroupStatus> codec_groups;
  uint64_t queued = 0;     // candidates for demotion
  uint64_t transfers = 0;  // under way
  uint64_t checks = 0;     // objects of them that a worker has
  uint64_t loads = 0;      // under way
  uint32_t sealed_files = 0;
  double durable_lag_ms_p50 = 0;  // from candidate to durable, over the last 4,096 objects
  double durable_lag_ms_p99 = 0;
};

class SsdTier {
 public:
  // Opens, restores, and makes the manifest say what was restored. A directory that cannot be
  // written to now is read, and written to when a probe finds that it can. kBusy: another daemon
  // has the directory. kUnsupportedVersion: a later format; nothing was changed. kCorrupt,
  // kIoError, kResourceExhausted: the daemon may go on without the tier; nothing of it is left in
  // the cache.
  static model::Result<std::unique_ptr<SsdTier>> open(const SsdTierParts& parts,
                                                      const SsdTierOptions& options);
  ~SsdTier();

  // One bounded step. True when something moved. `quiet`: no client waits for the core.
  bool step(bool quiet = false);
  // Nothing is under way or waiting to be made durable.
  bool idle() const;
  // Before a clean stop: what is fresh is demoted without delay.
  void hurry();
  int wake_fd() const { return parts_.engine->wake_fd(); }

  SsdLoader& loader() { return *loader_; }
  SsdAdmission& admission() { return demoter_->admission(); }
  // Writes the object, and what of its path has no copy, soon, whatever the write policy.
  void demote_now(model::NodeId node, int64_t now_ns) { demoter_->enqueue_first(node, now_ns); }
  void start_scrub(uint64_t bytes_per_second);
  void stop_scrub() { scrubber_->stop(); }
  // What is kept for this reason, or for any, is erased in the steps that follow. kBusy: the tier
  // takes no writes now; the text says why.
  model::Result<void> drop_kept(std::optional<KeptReason> reason);
  // A segment is about to be unmapped: precondition, none of its slots is in use.
  void forget_segment(const std::byte* data) { mover_->forget_segment(data); }
  SsdState state() const { return health_.state(); }
  size_t queued() const { return demoter_->queued(); }  // candidates for demotion
  // It works, and all that is on the device is served.
  bool is_whole() const { return state() == SsdState::kOk && !kept_.worst(); }
  // Of a slot: an object that takes more is never on SSD.
  uint64_t largest_object_bytes() const { return space_->largest_slot_bytes(); }
  SsdTierStatus status() const;
  // A row of the list of tiers.
  void describe(model::MetricSink& sink) const;
  // What is kept and not served, by reason, and whether that is being dropped.
  void describe_kept(model::MetricSink& sink) const;
  ScrubStatus scrub() const { return scrubber_->status(); }
  void check_invariants() const { space_->check_invariants(); }

 private:
  SsdTier(const SsdTierParts& parts, const SsdTierOptions& options);
  model::Result<void> open_parts();
  model::Result<void> open_directory();
  model::Result<void> open_manifest();
  model::Result<void> restore();
  model::Result<void> clean_manifest();
  void judge_restored();
  void measure_blocks();
  void build_movers();
  uint64_t first_generation() const;
  void wait_until_writable(model::Error&& why);
  model::Result<void> make_writable();
  void finish_probe(int64_t now_ns);
  void make_probe();
  bool drop_some_kept();
  const std::string& blocked_by() const;
  void describe_itself(model::MetricSink& sink) const;
  void describe_written(model::MetricSink& sink) const;
  void describe_read(model::MetricSink& sink) const;
  void describe_codec(model::MetricSink& sink) const;
  void describe_errors(model::MetricSink& sink) const;
  void route();
  void step_probe(int64_t now_ns);

  SsdTierParts parts_;
  SsdTierOptions options_;
  IoPort io_;
  SsdHealth health_;
  LoadEstimator estimator_;
  SsdRoots roots_;
  SsdKept kept_;
  RestoreReport restored_;
  std::optional<model::Error> not_writable_;  // why nothing was changed yet since the start
  std::unique_ptr<SsdDirectory> directory_;
  std::unique_ptr<Manifest> manifest_;
  std::unique_ptr<SsdSpace> space_;
  std::unique_ptr<SsdFiles> files_;
  std::unique_ptr<SsdMover> mover_;
  std::unique_ptr<SsdCommitter> committer_;
  std::unique_ptr<SsdDemoter> demoter_;
  std::unique_ptr<SsdLoader> loader_;
  std::unique_ptr<SsdScrubber> scrubber_;
  std::unique_ptr<SsdShrinker> shrinker_;
  std::unique_ptr<SsdProbe> probe_;
  std::vector<SsdMover::Settled> settled_;  // scratch of route()
  int64_t last_look_ns_ = 0;
  bool probe_done_ = false;  // its verdict waits until the mover is idle
};

}  // namespace quire::tiering
