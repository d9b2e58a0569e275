// What the SSD tier says of itself: to people through a sink, to its tests as a struct. Asks the
// tier's parts and keeps nothing, so a figure is counted once, where it happens. Threads: core
// only; nothing here waits or walks more than the tier's tables. Lifetime: within that of the
// parts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/metrics.h"
#include "tiering/commit/ssd_committer.h"
#include "tiering/io/copy_engine.h"
#include "tiering/io/io_engine.h"
#include "tiering/io/io_port.h"
#include "tiering/io/load_estimator.h"
#include "tiering/ssd/ssd_contents.h"
#include "tiering/ssd/ssd_upkeep.h"
#include "tiering/ssd/ssd_writer.h"
#include "tiering/tier.h"
#include "tiering/transfer/ssd_health.h"
#include "tiering/transfer/ssd_mover.h"

namespace quire::tiering {

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

struct SsdReportParts {
  const SsdContents* contents = nullptr;
  const IoEngine* engine = nullptr;
  const IoPort* io = nullptr;  // to that engine
  const CopyEngine* checks = nullptr;
  const SsdHealth* health = nullptr;
  const LoadEstimator* estimator = nullptr;
  const StoredForms* forms = nullptr;
  const SsdMover* mover = nullptr;
  const SsdCommitter* committer = nullptr;
  const SsdWriter* writer = nullptr;
  const SsdUpkeep* upkeep = nullptr;
  bool codec_enabled = false;
};

class SsdReport {
 public:
  explicit SsdReport(const SsdReportParts& parts) : parts_(parts) {}

  // The part of the tier's row; names and units are docs/status.md's.
  void describe(model::MetricSink& sink, TierSection section) const;
  SsdTierStatus status() const;

 private:
  const std::string& blocked_by() const;
  void describe_itself(model::MetricSink& sink) const;
  void describe_written(model::MetricSink& sink) const;
  void describe_read(model::MetricSink& sink) const;
  void describe_codec(model::MetricSink& sink) const;
  void describe_own(model::MetricSink& sink) const;
  void describe_errors(model::MetricSink& sink) const;

  SsdReportParts parts_;
};

}  // namespace quire::tiering
