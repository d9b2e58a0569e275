// The SSD tier: a directory of data files and a manifest (DESIGN sections 2, 4 and 6).
//
//   reserve, write --> SsdWriter --> SsdMover ---> IoEngine ---> data files
//   read ------------> SsdReader ----^    \---> SsdCommitter ---> fdatasync, Manifest
//   erase --------------------------------------------^   SsdUpkeep: scrub, shrink, drop
//
// SsdContents has what lies on the device, SsdWatch looks after the device, SsdReport says of all.
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
#include <vector>

#include "cache/cache.h"
#include "model/clock.h"
#include "model/metrics.h"
#include "tiering/commit/ssd_committer.h"
#include "tiering/io/copy_engine.h"
#include "tiering/io/io_engine.h"
#include "tiering/io/io_port.h"
#include "tiering/io/load_estimator.h"
#include "tiering/ssd/ssd_contents.h"
#include "tiering/ssd/ssd_reader.h"
#include "tiering/ssd/ssd_report.h"
#include "tiering/ssd/ssd_upkeep.h"
#include "tiering/ssd/ssd_watch.h"
#include "tiering/ssd/ssd_writer.h"
#include "tiering/tier.h"
#include "tiering/transfer/ssd_health.h"
#include "tiering/transfer/ssd_mover.h"

namespace quire::tiering {

struct SsdTierOptions : SsdContentsOptions {
  CodecOptions codec;
  MoverOptions mover;
  SsdHealthOptions health;
  uint64_t scrub_bytes_per_second = 0;  // 0: only when asked for
};

struct SsdTierParts {
  cache::Cache* cache = nullptr;  // with attach_tier() done
  IoEngine* engine = nullptr;
  CopyEngine* checks = nullptr;  // its own: takes kMaxTransfers * kMaxRunObjects tasks
  const model::Clock* clock = nullptr;
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
  // A region's worth of slots comes free at a time, so a full tier is seldom full to the last slot.
  bool is_full() const override {
    const SsdSpaceUsage usage = contents_->space()->usage();
    return usage.used_bytes + contents_->space()->region_bytes() >= usage.capacity_bytes;
  }
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
  uint64_t largest_object_bytes() const override {
    return contents_->space()->largest_slot_bytes();
  }
  void describe(model::MetricSink& sink, TierSection section) const override {
    report_->describe(sink, section);
  }
  Upkeep* upkeep() override { return upkeep_.get(); }

  // For tests, benches and the start of the daemon.
  SsdTierStatus status() const { return report_->status(); }
  // False: a later version's directory, of which this one may change nothing (law 14).
  bool may_change_directory() const;
  void check_invariants() const { contents_->space()->check_invariants(); }

 private:
  SsdTier(const SsdTierParts& parts, const SsdTierOptions& options);
  model::Result<void> build(const SsdTierOptions& options);
  void build_ends(const SsdTierOptions& options);
  CommitterParts committer_parts();
  void give_back_room() override { writer_->give_back(); }
  void route();

  SsdTierParts parts_;
  IoPort io_;
  SsdHealth health_;
  LoadEstimator estimator_;
  // In the order in which they need each other.
  std::unique_ptr<SsdContents> contents_;
  std::unique_ptr<StoredForms> forms_;
  std::unique_ptr<SsdMover> mover_;
  std::unique_ptr<SsdCommitter> committer_;
  std::unique_ptr<SsdWriter> writer_;
  std::unique_ptr<SsdReader> reader_;
  std::unique_ptr<SsdUpkeep> upkeep_;
  std::unique_ptr<SsdWatch> watch_;
  std::unique_ptr<SsdReport> report_;
  std::vector<SsdMover::Settled> settled_;  // scratch of route()
  std::vector<TierEvent> events_;
};

}  // namespace quire::tiering
