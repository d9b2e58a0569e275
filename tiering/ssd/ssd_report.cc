#include "tiering/ssd/ssd_report.h"

#include <string>

namespace quire::tiering {

using model::MetricSink;

SsdTierStatus SsdReport::status() const {
  SsdTierStatus status;
  status.state = parts_.health->state();
  status.reason = parts_.health->reason();
  status.action = parts_.health->action();
  status.engine = parts_.engine->name();
  status.direct_io = parts_.contents->directory()->direct_io();
  status.space = parts_.contents->space()->usage();
  status.table_bytes = parts_.contents->space()->table_bytes();
  status.stale_completions = parts_.engine->stale_completions();
  status.health = parts_.health->counters();
  status.mover = parts_.mover->counters();
  status.committer = parts_.committer->counters();
  status.encoded = parts_.writer->codec().counters();
  status.scrub = parts_.upkeep->scrub();
  status.restored = parts_.contents->restored();
  if (!parts_.contents->directory()->read_only())
    status.repaired = parts_.contents->directory()->repaired();
  status.kept = parts_.contents->kept()->counts();
  status.dropping_kept = parts_.contents->kept()->is_dropping();
  if (const auto worst = parts_.contents->kept()->worst())
    status.kept_action = kept_reason_action(*worst);
  status.blocked_by = blocked_by();
  status.largest_object_bytes = parts_.contents->space()->largest_slot_bytes();
  status.limited_by = parts_.writer->room().limited_by();
  status.manifest_bytes_written = parts_.contents->manifest()->bytes_written();
  status.codec_groups = parts_.writer->codec().chooser().status();
  status.transfers = parts_.mover->in_use_count();
  status.checks = parts_.checks->in_flight();
  status.sealed_files = parts_.contents->files()->sealed_count();
  return status;
}

const std::string& SsdReport::blocked_by() const {
  return parts_.writer->blocked_by().empty() ? parts_.upkeep->shrinker().blocked_by()
                                             : parts_.writer->blocked_by();
}

// Nothing here waits or walks more than the tier's tables.
void SsdReport::describe(MetricSink& sink, TierSection section) const {
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

void SsdReport::describe_itself(MetricSink& sink) const {
  sink.text("engine", parts_.engine->name());
  sink.flag("direct_io", parts_.contents->directory()->direct_io(),
            "The page cache of the kernel is left out");
  model::describe(sink, static_cast<const SsdSpaceFigures&>(parts_.contents->space()->usage()));
  sink.gauge("given_back_regions", parts_.upkeep->shrinker().regions_given_back(),
             "Empty regions whose blocks the file system has again");
  sink.gauge("roots", parts_.contents->roots()->count(), "Roots with runs in the manifest");
  sink.gauge("transfers", parts_.mover->in_use_count(), "Transfers under way");
  sink.gauge("checks", parts_.checks->in_flight(), "Objects of these that a worker has");
  sink.text("waits_for", blocked_by());
  sink.text("limited_by", parts_.writer->room().limited_by());
  sink.gauge("largest_object_bytes", parts_.contents->space()->largest_slot_bytes(),
             "Slot of the largest object that the tier can hold");
  sink.gauge("sealed_files", parts_.contents->files()->sealed_count(),
             "Data files that are only read");
  sink.gauge("registered_bytes", parts_.engine->registered_bytes(),
             "Memory registered with the I/O engine");
  sink.gauge("table_bytes", parts_.contents->space()->table_bytes(),
             "Tables of the space on the device");
  sink.metric(parts_.mover->counters().unregistered_segments);
}

void SsdReport::describe_written(MetricSink& sink) const {
  model::describe(sink, static_cast<const WrittenCounters&>(parts_.mover->counters()));
  sink.counter("manifest_bytes", parts_.contents->manifest()->bytes_written(),
               "Bytes written to the manifest");
  model::describe(sink, parts_.committer->counters());
}

void SsdReport::describe_codec(MetricSink& sink) const {
  const auto section = sink.section("codec");
  sink.text("mode", parts_.codec_enabled ? "auto" : "off");
  model::describe(sink, parts_.writer->codec().counters());
  sink.gauge("memory_bytes", parts_.forms->held_bytes(), "Buffers in which pages are encoded");
  parts_.writer->codec().chooser().describe(sink);
}

void SsdReport::describe_read(MetricSink& sink) const {
  model::describe(sink, static_cast<const ReadCounters&>(parts_.mover->counters()));
  sink.ratio("bytes_per_us", parts_.estimator->bytes_per_us(),
             "How fast the device is taken to read", model::MetricUnit::kBytesPerMicrosecond);
  sink.counter("estimates", parts_.estimator->judged_count(), "Loads whose estimate was judged");
  sink.ratio("estimate_error", parts_.estimator->relative_error(),
             "Mean of |estimated - actual| / actual of these");
}

void SsdReport::describe_errors(MetricSink& sink) const {
  model::describe(sink, parts_.health->counters());
  model::describe(sink, parts_.health->by_errno());
  sink.counter("stale_completions", parts_.engine->stale_completions(),
               "Completions of operations that had been given up");
}

// What only this tier has.
void SsdReport::describe_own(MetricSink& sink) const {
  parts_.io->describe(sink);
  describe_codec(sink);
  {
    const auto section = sink.section("restored");
    model::describe(sink, static_cast<const RestoredCounters&>(parts_.contents->restored()));
  }
  {
    const auto section = sink.section("kept");
    parts_.upkeep->describe_kept(sink);
  }
  const auto section = sink.section("scrub");
  parts_.upkeep->describe_scrub(sink);
}

}  // namespace quire::tiering
