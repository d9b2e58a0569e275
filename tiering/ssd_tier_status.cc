// What the SSD tier says of itself: to people through a sink, to its tests as a struct.
#include <array>
#include <string>

#include "tiering/ssd_tier.h"

namespace quire::tiering {

using model::MetricSink;

namespace {

constexpr double kNsPerMs = 1e6;

}  // namespace

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
  status.demoter = demoter_->counters();
  status.loader = loader_->counters();
  status.admission = demoter_->admission().counters();
  status.scrub = scrubber_->status();
  status.restored = restored_;
  if (!directory_->read_only()) status.repaired = directory_->repaired();
  status.kept = kept_.counts();
  status.dropping_kept = kept_.is_dropping();
  if (const auto worst = kept_.worst()) status.kept_action = kept_reason_action(*worst);
  status.blocked_by = blocked_by();
  status.largest_object_bytes = largest_object_bytes();
  status.limited_by = demoter_->room().limited_by();
  status.manifest_bytes_written = manifest_->bytes_written();
  status.codec_groups = demoter_->codec().status();
  status.queued = demoter_->queued();
  status.transfers = mover_->in_use_count();
  status.checks = parts_.checks->in_flight();
  status.loads = loader_->count();
  status.sealed_files = files_->sealed_count();
  status.durable_lag_ms_p50 = model::quantile(demoter_->durable_lags_ns(), 0.5) / kNsPerMs;
  status.durable_lag_ms_p99 = model::quantile(demoter_->durable_lags_ns(), 0.99) / kNsPerMs;
  return status;
}

const std::string& SsdTier::blocked_by() const {
  return demoter_->blocked_by().empty() ? shrinker_->blocked_by() : demoter_->blocked_by();
}

// Sections in the order in which an operator looks: what it is, what it writes, what it reads, what
// went wrong, what the start found. Nothing here waits or walks more than the tier's tables.
void SsdTier::describe(MetricSink& sink) const {
  const model::MetricLabel name{.name = "tier", .text = "ssd"};
  const auto row = sink.row(name);
  describe_itself(sink);
  describe_written(sink);
  describe_codec(sink);
  describe_read(sink);
  describe_errors(sink);
  {
    const auto section = sink.section("restored");
    model::describe(sink, static_cast<const RestoredCounters&>(restored_));
  }
  {
    const auto section = sink.section("kept");
    describe_kept(sink);
  }
  const auto section = sink.section("scrub");
  model::describe(sink, scrub());
}

void SsdTier::describe_itself(MetricSink& sink) const {
  const auto worst = kept_.worst();
  const bool healthy = health_.reason().empty();
  // A tier that works and keeps content back says so where a failure would stand.
  sink.state("state", ssd_state_name(health_.state()), "What the tier can do now");
  if (healthy && worst) {
    sink.text("reason", "content is kept and not served: " + std::string(kept_reason_text(*worst)));
    sink.text("action", kept_reason_action(*worst));
  } else {
    sink.text("reason", health_.reason());
    sink.text("action", health_.action());
  }
  sink.text("engine", parts_.engine->name());
  sink.flag("direct_io", directory_->direct_io(), "The page cache of the kernel is left out");
  const cache::ObjectStore& store = parts_.cache->store();
  model::describe(sink, static_cast<const SsdSpaceFigures&>(space_->usage()));
  sink.gauge("given_back_regions", shrinker_->regions_given_back(),
             "Empty regions whose blocks the file system has again");
  model::describe(sink, store.presence().counts(model::TierId::kSsd));
  sink.gauge("roots", roots_.count(), "Roots with runs in the manifest");
  sink.gauge("only_here", store.presence().count_below_ram(), "Objects without pages in RAM");
  sink.gauge("queued", demoter_->queued(), "Candidates for demotion");
  sink.gauge("transfers", mover_->in_use_count(), "Transfers under way");
  sink.gauge("checks", parts_.checks->in_flight(), "Objects of these that a worker has");
  sink.gauge("loads", loader_->count(), "Loads under way");
  sink.text("waits_for", blocked_by());
  sink.text("limited_by", demoter_->room().limited_by());
  sink.gauge("largest_object_bytes", largest_object_bytes(),
             "Slot of the largest object that the tier can hold");
  sink.gauge("sealed_files", files_->sealed_count(), "Data files that are only read");
  sink.gauge("registered_bytes", parts_.engine->registered_bytes(),
             "Memory registered with the I/O engine");
  sink.gauge("table_bytes", space_->table_bytes(), "Tables of the space on the device");
  sink.metric(mover_->counters().unregistered_segments);
}

void SsdTier::describe_written(MetricSink& sink) const {
  const auto section = sink.section("written");
  const cache::StoreCounters& store = parts_.cache->store().counters();
  model::describe(sink, static_cast<const WrittenCounters&>(mover_->counters()));
  sink.counter("manifest_bytes", manifest_->bytes_written(), "Bytes written to the manifest");
  model::describe(sink, committer_->counters());
  DemotedCounters demoted = demoter_->counters();
  demoted.set_aside += store.fresh_missed;  // the queue before the demoter's is one with it
  model::describe(sink, demoted);
  model::describe(sink, demoter_->admission().counters());
  sink.metric(parts_.cache->evictor().evicted_copies());
  // Of a window, so that an operator sees today's device and not last month's.
  sink.summary(
      {.key = "durable_lag", .help = "From candidate to durable, over the last 4,096 objects"},
      demoter_->durable_lags_ns());
}

void SsdTier::describe_codec(MetricSink& sink) const {
  const auto section = sink.section("codec");
  sink.text("mode", options_.demoter.codec.enabled ? "auto" : "off");
  model::describe(sink, static_cast<const EncodedCounters&>(demoter_->counters()));
  sink.gauge("memory_bytes", mover_->codec_memory_bytes(), "Buffers in which pages are encoded");
  demoter_->codec().describe(sink);
}

void SsdTier::describe_read(MetricSink& sink) const {
  const auto section = sink.section("read");
  model::describe(sink, static_cast<const ReadCounters&>(mover_->counters()));
  sink.metric(parts_.cache->store().counters().promoted);
  model::describe(sink, loader_->counters());
  sink.ratio("bytes_per_us", estimator_.bytes_per_us(), "How fast the device is taken to read",
             model::MetricUnit::kBytesPerMicrosecond);
  sink.counter("estimates", estimator_.judged_count(), "Loads whose estimate was judged");
  sink.ratio("estimate_error", estimator_.relative_error(),
             "Mean of |estimated - actual| / actual of these");
}

void SsdTier::describe_errors(MetricSink& sink) const {
  const auto section = sink.section("errors");
  model::describe(sink, health_.counters());
  sink.metric(demoter_->counters().corrupt_in_ram);
  sink.counter("stale_completions", parts_.engine->stale_completions(),
               "Completions of operations that had been given up");
}

// By reason only where something is kept for it: an empty object is the good news.
void SsdTier::describe_kept(MetricSink& sink) const {
  KeptCount all;
  for (const KeptCount& count : kept_.counts()) {
    all.runs += count.runs;
    all.objects += count.objects;
    all.bytes += count.bytes;
  }
  model::describe(sink, all);
  sink.metric(space_->usage().held_regions);
  sink.flag("dropping", kept_.is_dropping(), "It is being erased, as an operator said");
  const auto list = sink.list({.key = "reasons", .prefix = "reason", .by_label = true});
  for (size_t i = 0; i < kKeptReasons; ++i) {
    const KeptCount& count = kept_.counts()[i];
    if (count.runs == 0) continue;
    const auto reason = static_cast<KeptReason>(i);
    const auto row = sink.row({.name = "reason", .text = kept_reason_name(reason)});
    model::describe(sink, count);
    sink.text("why", kept_reason_text(reason));
  }
}

}  // namespace quire::tiering
