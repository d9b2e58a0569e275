// What the SSD tier says of itself: to people through a sink, to its tests as a struct.
#include <array>
#include <string>

#include "tiering/ssd/ssd_tier.h"

namespace quire::tiering {

using model::MetricSink;

SsdTierStatus SsdTier::status() const {
  SsdTierStatus status;
  status.state = health_.state();
  status.reason = health_.reason();
  status.action = health_.action();
  status.engine = parts_.engine->name();
  status.direct_io = directory_->direct_io();
  status.space = space_->usage();
  status.table_bytes = space_->table_bytes();
  status.stale_completions = parts_.engine->stale_completions();
  status.health = health_.counters();
  status.mover = mover_->counters();
  status.committer = committer_->counters();
  status.encoded = writer_->counters();
  status.scrub = upkeep_->scrub();
  status.restored = restored_;
  if (!directory_->read_only()) status.repaired = directory_->repaired();
  status.kept = kept_.counts();
  status.dropping_kept = kept_.is_dropping();
  if (const auto worst = kept_.worst()) status.kept_action = kept_reason_action(*worst);
  status.blocked_by = blocked_by();
  status.largest_object_bytes = largest_object_bytes();
  status.limited_by = writer_->room().limited_by();
  status.manifest_bytes_written = manifest_->bytes_written();
  status.codec_groups = writer_->codec().status();
  status.transfers = mover_->in_use_count();
  status.checks = parts_.checks->in_flight();
  status.sealed_files = files_->sealed_count();
  return status;
}

const std::string& SsdTier::blocked_by() const {
  return writer_->blocked_by().empty() ? upkeep_->shrinker().blocked_by() : writer_->blocked_by();
}

// Nothing here waits or walks more than the tier's tables.
void SsdTier::describe(MetricSink& sink, TierSection section) const {
  switch (section) {
    case TierSection::kItself:
      return describe_itself(sink);
    case TierSection::kWritten:
      return describe_written(sink);
    case TierSection::kRead:
      return describe_read(sink);
    case TierSection::kErrors:
      return describe_errors(sink);
    case TierSection::kOwn:
      return describe_own(sink);
  }
}

void SsdTier::describe_itself(MetricSink& sink) const {
  sink.text("engine", parts_.engine->name());
  sink.flag("direct_io", directory_->direct_io(), "The page cache of the kernel is left out");
  model::describe(sink, static_cast<const SsdSpaceFigures&>(space_->usage()));
  sink.gauge("given_back_regions", upkeep_->shrinker().regions_given_back(),
             "Empty regions whose blocks the file system has again");
  sink.gauge("roots", roots_.count(), "Roots with runs in the manifest");
  sink.gauge("transfers", mover_->in_use_count(), "Transfers under way");
  sink.gauge("checks", parts_.checks->in_flight(), "Objects of these that a worker has");
  sink.text("waits_for", blocked_by());
  sink.text("limited_by", writer_->room().limited_by());
  sink.gauge("largest_object_bytes", largest_object_bytes(),
             "Slot of the largest object that the tier can hold");
  sink.gauge("sealed_files", files_->sealed_count(), "Data files that are only read");
  sink.gauge("registered_bytes", parts_.engine->registered_bytes(),
             "Memory registered with the I/O engine");
  sink.gauge("table_bytes", space_->table_bytes(), "Tables of the space on the device");
  sink.metric(mover_->counters().unregistered_segments);
}

void SsdTier::describe_written(MetricSink& sink) const {
  model::describe(sink, static_cast<const WrittenCounters&>(mover_->counters()));
  sink.counter("manifest_bytes", manifest_->bytes_written(), "Bytes written to the manifest");
  model::describe(sink, committer_->counters());
}

void SsdTier::describe_codec(MetricSink& sink) const {
  const auto section = sink.section("codec");
  sink.text("mode", options_.codec.enabled ? "auto" : "off");
  model::describe(sink, writer_->counters());
  sink.gauge("memory_bytes", forms_->held_bytes(), "Buffers in which pages are encoded");
  writer_->codec().describe(sink);
}

void SsdTier::describe_read(MetricSink& sink) const {
  model::describe(sink, static_cast<const ReadCounters&>(mover_->counters()));
  sink.ratio("bytes_per_us", estimator_.bytes_per_us(), "How fast the device is taken to read",
             model::MetricUnit::kBytesPerMicrosecond);
  sink.counter("estimates", estimator_.judged_count(), "Loads whose estimate was judged");
  sink.ratio("estimate_error", estimator_.relative_error(),
             "Mean of |estimated - actual| / actual of these");
}

void SsdTier::describe_errors(MetricSink& sink) const {
  model::describe(sink, health_.counters());
  sink.counter("stale_completions", parts_.engine->stale_completions(),
               "Completions of operations that had been given up");
}

// What only this tier has.
void SsdTier::describe_own(MetricSink& sink) const {
  describe_codec(sink);
  {
    const auto section = sink.section("restored");
    model::describe(sink, static_cast<const RestoredCounters&>(restored_));
  }
  {
    const auto section = sink.section("kept");
    upkeep_->describe_kept(sink);
  }
  const auto section = sink.section("scrub");
  upkeep_->describe_scrub(sink);
}

}  // namespace quire::tiering
