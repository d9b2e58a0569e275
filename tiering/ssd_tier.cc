#include "tiering/ssd_tier.h"

#include <algorithm>
#include <filesystem>
#include <thread>

namespace quire::tiering {

using model::Errc;
using model::make_error;

namespace {

constexpr int64_t kLookNs = 100'000'000;  // between looks for hangs and probes
constexpr uint64_t kMinRegions = 2;

uint32_t region_count(const SsdTierOptions& options, uint64_t region_bytes) {
  return static_cast<uint32_t>(
      std::min<uint64_t>(options.capacity_bytes / region_bytes, kMaxRegions));
}

}  // namespace

SsdTier::SsdTier(const SsdTierParts& parts, const SsdTierOptions& options)
    : parts_(parts),
      options_(options),
      health_(options.health),
      estimator_(EstimatorOptions{}),
      roots_(parts.cache) {}

model::Result<std::unique_ptr<SsdTier>> SsdTier::open(const SsdTierParts& parts,
                                                      const SsdTierOptions& options) {
  std::unique_ptr<SsdTier> tier(new SsdTier(parts, options));
  QUIRE_TRY(tier->open_parts());
  QUIRE_TRY(tier->restore());
  tier->build_movers();
  tier->scrubber_ =
      QUIRE_TRY(SsdScrubber::create(parts.cache, tier->mover_.get(), tier->files_.get(),
                                    tier->demoter_.get(), tier->space_->region_bytes()));
  if (!tier->directory_->read_only()) {
    tier->probe_ =
        QUIRE_TRY(SsdProbe::create(tier->directory_.get(), tier->mover_.get(), parts.engine));
  }
  if (options.scrub_bytes_per_second > 0) {
    tier->scrubber_->start(options.scrub_bytes_per_second, true, parts.clock->now_ns());
  }
  parts.cache->store().set_ssd_readable(true);
  SsdLoader* loader = tier->loader_.get();
  parts.cache->reader().set_load_time(
      [loader](uint64_t bytes) { return loader->estimate_us(bytes); });
  return tier;
}

model::Result<void> SsdTier::open_parts() {
  directory_ = QUIRE_TRY(SsdDirectory::open(options_.directory));
  const Superblock& superblock = directory_->superblock();
  const uint32_t regions = region_count(options_, superblock.region_bytes);
  if (regions < kMinRegions) {
    return make_error(Errc::kInvalidArgument, "--ssd_bytes must hold at least two regions of " +
                                                  std::to_string(superblock.region_bytes) +
                                                  " bytes");
  }
  const auto data_files = QUIRE_TRY(directory_->list_data_files());
  std::error_code ignored;
  if (!data_files.empty() && !std::filesystem::exists(directory_->manifest_path(), ignored)) {
    return make_error(Errc::kCorrupt,
                      directory_->path() + " has data but no manifest; run `quirectl rebuild`");
  }
  manifest_ = QUIRE_TRY(Manifest::open({.path = directory_->manifest_path(),
                                        .env = options_.manifest_env,
                                        .read_only = directory_->read_only(),
                                        .on_done = options_.on_wake}));
  space_ = std::make_unique<SsdSpace>(superblock.region_bytes, regions);
  files_ = std::make_unique<SsdFiles>(directory_.get(), space_.get(), parts_.engine);
  mover_ = QUIRE_TRY(SsdMover::create({.cache = parts_.cache,
                                       .engine = parts_.engine,
                                       .checks = parts_.checks,
                                       .files = files_.get(),
                                       .health = &health_,
                                       .estimator = &estimator_,
                                       .clock = parts_.clock},
                                      options_.mover, superblock.instance));
  if (directory_->read_only()) {
    health_.pin_state(SsdState::kReadOnly, "the directory has features this version may not write",
                      "run the version that wrote it, or start with another --ssd_path");
  }
  return {};
}

model::Result<void> SsdTier::restore() {
  auto restored = restore_from_manifest({.cache = parts_.cache,
                                         .manifest = manifest_.get(),
                                         .directory = directory_.get(),
                                         .space = space_.get(),
                                         .roots = &roots_});
  if (restored.ok()) {
    restored_ = std::move(restored).value();
    if (directory_->read_only()) return {};
    const auto cleaned = clean_manifest(restored_.cleaning);
    restored_.cleaning.clear();
    if (cleaned.ok()) return {};
    // Slots that the manifest still names must not be written to.
    health_.pin_state(SsdState::kReadOnly,
                      "the manifest cannot be written: " + cleaned.error().text,
                      "free space or replace the device, then restart");
    return {};
  }
  cache::NodeStore& store = parts_.cache->store();
  store.offer_restored();
  while (store.evict_one_from_ssd()) {
  }
  store.ssd_releases().clear();
  return std::move(restored).error();
}

model::Result<void> SsdTier::clean_manifest(std::vector<ManifestBatch>& batches) {
  for (ManifestBatch& batch : batches) {
    QUIRE_CHECK(manifest_->submit(std::move(batch)));
    while (manifest_->in_flight() > 0) {
      for (ManifestDone& done : manifest_->poll()) QUIRE_TRY(std::move(done.result));
      std::this_thread::yield();
    }
  }
  return {};
}

void SsdTier::build_movers() {
  const CommitterParts parts{.cache = parts_.cache,
                             .mover = mover_.get(),
                             .manifest = manifest_.get(),
                             .directory = directory_.get(),
                             .files = files_.get(),
                             .space = space_.get(),
                             .roots = &roots_,
                             .health = &health_,
                             .clock = parts_.clock,
                             .instance = directory_->superblock().instance};
  committer_ = std::make_unique<SsdCommitter>(parts);
  // Each start has 2^40 generations of its own, so none is ever given out twice.
  const uint64_t first_generation = directory_->superblock().start_count << 40;
  demoter_ =
      std::make_unique<SsdDemoter>(parts, committer_.get(), options_.demoter, first_generation);
  parts_.cache->layouts().on_forget(
      [this](const cache::KnownLayout& layout) { demoter_->forget_layout(layout); });
  loader_ = std::make_unique<SsdLoader>(LoaderParts{.cache = parts_.cache,
                                                    .mover = mover_.get(),
                                                    .files = files_.get(),
                                                    .health = &health_,
                                                    .estimator = &estimator_,
                                                    .clock = parts_.clock});
}

SsdTier::~SsdTier() {
  if (loader_ == nullptr) return;
  parts_.cache->layouts().on_forget({});
  parts_.cache->store().set_ssd_readable(false);
  parts_.cache->reader().set_load_time([](uint64_t) { return uint64_t{0}; });
}

void SsdTier::route() {
  const int64_t now = parts_.clock->now_ns();
  // Handlers may settle more; those are for the next round.
  settled_.clear();
  settled_.swap(mover_->settled());
  for (const SsdMover::Settled& one : settled_) {
    switch (one.transfer->kind) {
      case TransferKind::kDemote:
        demoter_->on_settled(*one.transfer);
        break;
      case TransferKind::kPromote:
        loader_->on_settled(*one.transfer, one.object);
        break;
      case TransferKind::kScrub:
        scrubber_->on_settled(*one.transfer, now);
        break;
    }
  }
  others_.clear();
  others_.swap(mover_->others());
  for (IoOp* op : others_) {
    if (op->tag & SsdCommitter::kSyncTag) {
      committer_->on_sync(*op);
    } else if (op->tag & SsdDemoter::kAllocateTag) {
      demoter_->on_allocated(*op);
    } else if (probe_->on_done(*op)) {
      bool write_worked = probe_->write_worked();
      if (write_worked && !manifest_->failure().empty()) write_worked = manifest_->resume().ok();
      health_.probe_finished(probe_->read_worked(), write_worked, now);
    }
  }
}

void SsdTier::step_probe(int64_t now_ns) {
  if (now_ns - last_look_ns_ < kLookNs) return;
  last_look_ns_ = now_ns;
  mover_->find_hangs(now_ns, options_.health.hang_ns);
  if (probe_ == nullptr || probe_->running() || !health_.probe_due(now_ns)) return;
  probe_->start(space_->region_bytes());
  if (!probe_->running()) health_.probe_finished(false, false, now_ns);
}

bool SsdTier::step(bool quiet) {
  const int64_t now = parts_.clock->now_ns();
  mover_->set_quiet(quiet);
  bool worked = mover_->poll();
  route();
  cache::NodeStore& store = parts_.cache->store();
  for (const cache::SsdRelease& release : store.ssd_releases()) committer_->add_release(release);
  store.ssd_releases().clear();
  // RAM that is needed does not wait for company.
  const bool coming =
      !demoter_->short_of_ram() &&
      (demoter_->queued() > 0 || mover_->queued_bytes_of(TransferClass::kDemote) > 0);
  worked = committer_->step(!demoter_->blocked_by().empty(), coming) || worked;
  worked = demoter_->step(now) || worked;
  worked = loader_->step(now) || worked;
  worked = scrubber_->step(now) || worked;
  step_probe(now);
  worked = mover_->issue() || worked;
  store.set_ssd_readable(health_.may_read());
  return worked;
}

bool SsdTier::idle() const {
  const bool writing = !demoter_->idle() || !committer_->idle();
  return mover_->idle() && loader_->idle() && (!writing || !health_.may_write());
}

void SsdTier::hurry() { demoter_->hurry(); }

void SsdTier::start_scrub(uint64_t bytes_per_second) {
  const uint64_t rate = bytes_per_second != 0 ? bytes_per_second : options_.scrub_bytes_per_second;
  scrubber_->start(rate, options_.scrub_bytes_per_second > 0, parts_.clock->now_ns());
}

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
  status.registered_bytes = parts_.engine->registered_bytes();
  status.health = health_.counters();
  status.mover = mover_->counters();
  status.committer = committer_->counters();
  status.demoter = demoter_->counters();
  status.loader = loader_->counters();
  status.admission = demoter_->admission().counters();
  status.scrub = scrubber_->status();
  status.restored = restored_;
  status.blocked_by = demoter_->blocked_by();
  status.manifest_bytes_written = manifest_->bytes_written();
  status.codec_groups = demoter_->codec_groups();
  status.codec_memory_bytes = mover_->codec_memory_bytes();
  status.queued = demoter_->queued();
  status.transfers = mover_->in_use_count();
  status.checks = parts_.checks->in_flight();
  status.loads = loader_->count();
  status.sealed_files = files_->sealed_count();
  status.bytes_per_us = estimator_.bytes_per_us();
  status.latency_us = estimator_.latency_us();
  status.estimates = estimator_.judged_count();
  status.estimate_error = estimator_.relative_error();
  status.durable_lag_ms_p50 = demoter_->durable_lag_ms(0.5);
  status.durable_lag_ms_p99 = demoter_->durable_lag_ms(0.99);
  return status;
}

}  // namespace quire::tiering
