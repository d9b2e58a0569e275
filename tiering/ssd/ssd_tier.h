// The SSD tier: a directory of data files and a manifest (DESIGN sections 2, 4 and 6).
//
//   reserve, write --> SsdWriter --> SsdMover ---> IoEngine ---> data files
//   read ------------> SsdReader ----^    \---> SsdCommitter ---> fdatasync, Manifest
//   erase --------------------------------------------^   SsdUpkeep: scrub, shrink, drop
//
// One step a turn of the core; nothing blocks but opening, resuming a manifest that had failed, and
// beginning to write to a directory that could only be read.
// A new data file costs the core an open(O_CREAT), microseconds; its name, and layouts, are made
// durable by the manifest's writer. A device that fails degrades the tier, never the daemon (law
// 9): state() says which state it is in and why.
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
#include "tiering/ssd/ssd_probe.h"
#include "tiering/ssd/ssd_reader.h"
#include "tiering/ssd/ssd_restore.h"
#include "tiering/ssd/ssd_upkeep.h"
#include "tiering/ssd/ssd_writer.h"
#include "tiering/tier.h"
#include "tiering/transfer/ssd_health.h"
#include "tiering/transfer/ssd_mover.h"

namespace quire::tiering {

struct SsdTierOptions {
  SsdDirectoryOptions directory;
  uint64_t capacity_bytes = 0;  // of data files, rounded down to whole regions
  // What is done with a directory that has more than that: false: it is only read, until an
  // operator has decided; true: the least useful copies go.
  bool evict_to_capacity = false;
  CodecOptions codec;
  MoverOptions mover;
  SsdHealthOptions health;
  uint64_t scrub_bytes_per_second = 0;  // 0: only when asked for
  rocksdb::Env* manifest_env = nullptr;
  bool manifest_on_caller = false;  // as DatabaseOptions::on_caller
  std::function<void()> on_wake;    // any thread: there is something to poll
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
  TierMode state = TierMode::kOff;
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
  EncodedCounters encoded;
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
  uint64_t transfers = 0;  // under way
  uint64_t checks = 0;     // objects of them that a worker has
  uint32_t sealed_files = 0;
};

class SsdTier final : public Tier {
 public:
  // Opens, restores, and makes the manifest say what was restored. A directory that cannot be
  // written to now is read, and written to when a probe finds that it can. kBusy: another daemon
  // has the directory. kUnsupportedVersion: a later format; nothing was changed. kCorrupt,
  // kIoError, kResourceExhausted: the daemon may go on without the tier; nothing of it is left in
  // the cache.
  static model::Result<std::unique_ptr<SsdTier>> open(const SsdTierParts& parts,
                                                      const SsdTierOptions& options);
  ~SsdTier() override;

  model::TierId id() const override { return model::TierId::kSsd; }
  std::string_view name() const override { return "ssd"; }
  TierMode mode() const override { return health_.state(); }
  // A tier that works and keeps content back says so where a failure would stand.
  TierState state() const override;

  Fitting fits(model::NodeId node) override { return writer_->fits(node); }
  WriteOffer reserve(std::span<const model::NodeId> nodes) override;
  void write(WriteRoom&& room, std::span<const model::NodeId> nodes, uint32_t job) override;
  model::Result<uint32_t> read(const ReadRun& run) override { return reader_->read(run); }
  void erase(std::span<const cache::GivenUpCopy> copies) override;

  bool step(const StepHints& hints) override;
  std::vector<TierEvent>& events() override { return events_; }
  bool submit() override { return mover_->issue(); }
  bool idle() const override;
  bool moves_for(model::DomainId domain) const override { return mover_->moves_for(domain); }
  int wake_fd() const override { return parts_.engine->wake_fd(); }
  void forget_segment(const std::byte* data) override { mover_->forget_segment(data); }

  LoadEstimator& estimator() override { return estimator_; }
  uint64_t largest_object_bytes() const override { return space_->largest_slot_bytes(); }
  void describe(model::MetricSink& sink, TierSection section) const override;
  Upkeep* upkeep() override { return upkeep_.get(); }

  // For tests, benches and the start of the daemon.
  SsdTierStatus status() const;
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
  model::Result<void> build_movers();
  uint64_t first_generation() const;
  void wait_until_writable(model::Error&& why);
  model::Result<void> make_writable();
  void finish_probe(int64_t now_ns);
  void make_probe();
  void give_back_room() override { writer_->give_back(); }
  const std::string& blocked_by() const;
  void describe_itself(model::MetricSink& sink) const;
  void describe_written(model::MetricSink& sink) const;
  void describe_read(model::MetricSink& sink) const;
  void describe_codec(model::MetricSink& sink) const;
  void describe_own(model::MetricSink& sink) const;
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
  std::unique_ptr<StoredForms> forms_;
  std::unique_ptr<SsdMover> mover_;
  std::unique_ptr<SsdCommitter> committer_;
  std::unique_ptr<SsdWriter> writer_;
  std::unique_ptr<SsdReader> reader_;
  std::unique_ptr<SsdUpkeep> upkeep_;
  std::unique_ptr<SsdProbe> probe_;
  std::vector<SsdMover::Settled> settled_;  // scratch of route()
  std::vector<TierEvent> events_;
  int64_t last_look_ns_ = 0;
  bool probe_done_ = false;  // its verdict waits until the mover is idle
};

}  // namespace quire::tiering
