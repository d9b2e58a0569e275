#include "tiering/cluster/cluster_tier.h"

#include <sys/random.h>

#include <array>
#include <utility>

namespace quire::tiering {

namespace {

// A network and a disk at its end: as a guess before the first reads.
constexpr EstimatorOptions kFirstGuess{.bytes_per_us = 500, .latency_us = 2000};

}  // namespace

model::Result<std::unique_ptr<ClusterTier>> ClusterTier::open(const ClusterTierParts& parts,
                                                              const ClusterTierOptions& options) {
  uint64_t writer = 0;
  if (::getrandom(&writer, sizeof(writer), 0) != sizeof(writer)) {
    return model::errno_error("getrandom");
  }
  auto pool = QUIRE_TRY(RadosPool::create(options.rados));
  return std::unique_ptr<ClusterTier>(new ClusterTier(parts, options, std::move(pool), writer));
}

ClusterTier::ClusterTier(const ClusterTierParts& parts, const ClusterTierOptions& options,
                         std::unique_ptr<RadosPool> pool, uint64_t writer)
    : parts_(parts),
      pool_(std::move(pool)),
      health_(options.health, options.rados.pool),
      ops_(pool_.get(), &health_, parts.clock),
      epochs_(parts.cache, &ops_),
      places_(options.max_places),
      buffers_(options.run_bytes, options.queue_bytes),
      describer_(parts.cache, writer),
      estimator_(kFirstGuess),
      pace_(&estimator_, parts.clock) {
  const ClusterParts shared{.cache = parts.cache,
                            .clock = parts.clock,
                            .checks = parts.checks,
                            .health = &health_,
                            .ops = &ops_,
                            .chores = &chores_,
                            .epochs = &epochs_,
                            .places = &places_,
                            .buffers = &buffers_,
                            .describer = &describer_,
                            .pace = &pace_,
                            .events = &events_,
                            .writer = writer,
                            .run_bytes = options.run_bytes};
  writer_ = std::make_unique<ClusterWriter>(shared);
  reader_ = std::make_unique<ClusterReader>(shared);
  search_ = std::make_unique<ClusterSearch>(shared);
  sweeper_ = std::make_unique<ClusterSweeper>(shared, options.sweep);
  probe_.client = &probe_client_;
  probe_.kind = RadosKind::kProbe;
  probe_.object = kProbeObject;
  heartbeat_.client = &probe_client_;
  heartbeat_.kind = RadosKind::kReadEntries;
  heartbeat_.object = probe_.object;
}

// What is under way names memory of the parts: it comes back first.
ClusterTier::~ClusterTier() { pool_.reset(); }

TierState ClusterTier::state() const {
  return {.mode = health_.mode(),
          .whole = health_.mode() == TierMode::kOk,
          .reason = health_.reason(),
          .action = health_.action()};
}

WriteOffer ClusterTier::reserve(std::span<const model::NodeId> nodes) {
  if (!may_write(mode())) return {};
  const ClusterWriter::Reserved reserved = writer_->reserve(nodes);
  if (reserved.fit != Fit::kFits) return {.fit = reserved.fit};
  return {.fit = Fit::kFits, .room = WriteRoom(this, reserved.objects, reserved.bytes)};
}

void ClusterTier::write(WriteRoom&& room, std::span<const model::NodeId> nodes, uint32_t job) {
  room.take();
  writer_->write(nodes, job);
}

void ClusterTier::take_checks() {
  std::array<CopyTask*, 64> done;
  for (size_t count = done.size(); count == done.size();) {
    count = parts_.checks->poll(done);
    for (size_t i = 0; i < count; ++i) {
      const auto record = static_cast<uint32_t>(done[i]->id / 2);
      done[i]->id % 2 == 0 ? writer_->on_checked(record) : reader_->on_checked(record);
    }
  }
}

// Off, it connects anew, and goes alone; else it goes beside what is read.
void ClusterTier::step_probe(int64_t now_ns) {
  for (const RadosOp* op : probe_client_.take()) {
    if (op == &heartbeat_) {
      beating_ = false;
      continue;
    }
    probing_ = false;
    if (!op->names.empty()) notes_.set_store(op->names.front(), pool_->name());
    health_.probe_finished(op->can_read, op->error, op->failure, now_ns);
    if (health_.mode() == TierMode::kOk) events_.push_back({.kind = TierEvent::Kind::kRoomier});
  }
  if (probing_ || !health_.probe_due(now_ns)) return;
  probe_.create = mode() == TierMode::kOff;
  if (probe_.create && ops_.under_way() > 0) return health_.put_probe_off();
  probing_ = true;
  probe_.create ? ops_.submit_alone(&probe_) : ops_.submit(&probe_);
}

void ClusterTier::step_heartbeat() {
  if (beating_ || !health_.suspects()) return;
  beating_ = true;
  ops_.submit(&heartbeat_);
}

bool ClusterTier::step(const StepHints&) {
  const bool moved = ops_.poll();
  take_checks();
  writer_->step();
  reader_->step();
  search_->step();
  epochs_.step();
  notes_.step();
  chores_.step();
  const int64_t now = parts_.clock->now_ns();
  step_probe(now);
  step_heartbeat();
  if (may_read(mode()) || !sweeper_->is_resting()) sweeper_->step(now);
  return moved || !events_.empty();
}

// The sweeper's operations wait for nobody, and nobody for them.
bool ClusterTier::idle() const {
  return writer_->idle() && reader_->idle() && search_->idle() && epochs_.idle() && notes_.idle() &&
         chores_.idle() && events_.empty();
}

void ClusterTier::describe(model::MetricSink& sink, TierSection section) const {
  switch (section) {
    case TierSection::kItself:
      sink.text("pool", pool_->name());
      sink.gauge("places", places_.size(), "Objects whose place in the pool is remembered");
      sink.gauge("buffer_bytes", buffers_.given_bytes(), "Memory of runs under way");
      sink.gauge("largest_object_bytes", largest_object_bytes(),
                 "The largest object that the tier can hold");
      return sweeper_->describe_pool(sink);
    case TierSection::kWritten:
      return model::describe(sink, writer_->counters());
    case TierSection::kRead:
      model::describe(sink, reader_->counters());
      sink.ratio("bytes_per_us", estimator_.bytes_per_us(), "How fast the cluster is taken to read",
                 model::MetricUnit::kBytesPerMicrosecond);
      sink.counter("estimates", estimator_.judged_count(), "Loads whose estimate was judged");
      return sink.ratio("estimate_error", estimator_.relative_error(),
                        "Mean of |estimated - actual| / actual of these");
    case TierSection::kErrors:
      return model::describe(sink, health_.counters());
    case TierSection::kOwn:
      break;
  }
  ops_.describe(sink);
  {
    // "search" is of the questions that matches ask a tier, whichever it is.
    const auto section_of = sink.section("index");
    model::describe(sink, search_->counters());
  }
  const auto section_of = sink.section("sweep");
  model::describe(sink, sweeper_->counters());
  model::describe(sink, chores_.counters());
}

}  // namespace quire::tiering
