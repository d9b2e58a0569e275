#include "tiering/ssd_tier.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <thread>

namespace quire::tiering {

using model::Errc;
using model::make_error;

namespace {

constexpr int64_t kLookNs = 100'000'000;  // between looks for hangs and probes
constexpr uint64_t kMinRegions = 2;
constexpr uint32_t kDroppedPerStep = 64;  // kept runs
constexpr size_t kErasuresEnough = 4096;  // the committer has work for a batch

// The world's, and it may pass.
bool may_pass(Errc code) { return code == Errc::kIoError || code == Errc::kResourceExhausted; }

int errno_of(const model::Error& error, const std::string& path) {
  if (error.code == Errc::kResourceExhausted) return ENOSPC;
  struct statvfs file_system = {};
  const bool known = ::statvfs(path.c_str(), &file_system) == 0;
  return known && (file_system.f_flag & ST_RDONLY) != 0 ? EROFS : EIO;
}
// Room for what the manifest writes in a while. A region need not fit: a tier whose file system has
// no room for one goes on with those it has, if it has any.
constexpr uint64_t kProbedBytes = 1 << 20;

uint32_t region_count(const SsdTierOptions& options, uint64_t region_bytes) {
  return static_cast<uint32_t>(
      std::min<uint64_t>(options.capacity_bytes / region_bytes, kMaxRegions));
}

}  // namespace

SsdTier::SsdTier(const SsdTierParts& parts, const SsdTierOptions& options)
    : parts_(parts),
      options_(options),
      io_(parts.engine, parts.clock),
      health_(options.health),
      estimator_(EstimatorOptions{}),
      roots_(parts.cache) {}

model::Result<std::unique_ptr<SsdTier>> SsdTier::open(const SsdTierParts& parts,
                                                      const SsdTierOptions& options) {
  std::unique_ptr<SsdTier> tier(new SsdTier(parts, options));
  QUIRE_TRY(tier->open_parts());
  QUIRE_TRY(tier->restore());
  tier->build_movers();
  tier->scrubber_ = QUIRE_TRY(SsdScrubber::create(parts.cache, tier->mover_.get(),
                                                  tier->files_.get(), tier->demoter_.get()));
  tier->shrinker_ = std::make_unique<SsdShrinker>(ShrinkerParts{.committer = tier->committer_.get(),
                                                                .space = tier->space_.get(),
                                                                .files = tier->files_.get(),
                                                                .io = &tier->io_,
                                                                .health = &tier->health_,
                                                                .clock = parts.clock});
  if (!tier->directory_->read_only()) tier->make_probe();
  if (options.scrub_bytes_per_second > 0) {
    tier->scrubber_->start(options.scrub_bytes_per_second, true, parts.clock->now_ns());
  }
  parts.cache->store().presence().set_state(model::TierId::kSsd, {.readable = true});
  SsdLoader* loader = tier->loader_.get();
  parts.cache->reader().set_load_time(
      [loader](uint64_t bytes) { return loader->estimate_us(bytes); });
  return tier;
}

// Keeps what must not be written to from being so: until a probe finds that it can be.
void SsdTier::wait_until_writable(model::Error&& why) {
  health_.write_failed(errno_of(why, options_.directory.path), why.text, parts_.clock->now_ns());
  not_writable_ = std::move(why);
}

model::Result<void> SsdTier::open_directory() {
  auto opened = SsdDirectory::open(options_.directory);
  if (!opened.ok() && may_pass(opened.code())) {
    SsdDirectoryOptions options = options_.directory;
    options.look_only = true;
    auto seen = SsdDirectory::open(options);
    if (seen.ok()) {
      wait_until_writable(std::move(opened).error());
      opened = std::move(seen);
    }
  }
  directory_ = QUIRE_TRY(std::move(opened));
  if (directory_->has_unknown_features()) {
    health_.pin_state(SsdState::kReadOnly, "the directory has features this version may not write",
                      "run the version that wrote it, or start with another --ssd_path");
  }
  return {};
}

model::Result<void> SsdTier::open_manifest() {
  const auto data_files = QUIRE_TRY(directory_->list_data_files());
  std::error_code ignored;
  // RocksDB would make a new one; a manifest is there before the first data file is.
  if (!data_files.empty() &&
      !std::filesystem::exists(directory_->manifest_path() + "/CURRENT", ignored)) {
    return make_error(Errc::kCorrupt,
                      directory_->path() + " has data but no manifest; run `quirectl rebuild`");
  }
  QUIRE_TRY(directory_->check_manifest());
  ManifestOptions options{.path = directory_->manifest_path(),
                          .env = options_.manifest_env,
                          .read_only = directory_->read_only(),
                          .on_done = options_.on_wake};
  auto opened = Manifest::open(options);
  if (!opened.ok() && may_pass(opened.code()) && !options.read_only) {
    options.read_only = true;
    auto seen = Manifest::open(options);
    if (seen.ok()) {
      wait_until_writable(std::move(opened).error());
      opened = std::move(seen);
    }
  }
  manifest_ = QUIRE_TRY(std::move(opened));
  return {};
}

model::Result<void> SsdTier::open_parts() {
  // Before a new directory is made.
  const SsdGeometry geometry = QUIRE_TRY(SsdDirectory::look(options_.directory));
  const uint32_t regions = region_count(options_, geometry.region_bytes);
  if (regions < kMinRegions) {
    return make_error(Errc::kInvalidArgument, "--ssd_bytes must hold at least two regions of " +
                                                  std::to_string(geometry.region_bytes) +
                                                  " bytes; it is " +
                                                  std::to_string(options_.capacity_bytes));
  }
  QUIRE_TRY(open_directory());
  const Superblock& superblock = directory_->superblock();
  QUIRE_TRY(open_manifest());
  space_ = std::make_unique<SsdSpace>(superblock.region_bytes, regions);
  files_ = std::make_unique<SsdFiles>(directory_.get(), space_.get(), parts_.engine);
  mover_ = QUIRE_TRY(SsdMover::create({.cache = parts_.cache,
                                       .engine = parts_.engine,
                                       .io = &io_,
                                       .checks = parts_.checks,
                                       .files = files_.get(),
                                       .health = &health_,
                                       .estimator = &estimator_,
                                       .clock = parts_.clock},
                                      options_.mover, superblock.instance));
  return {};
}

model::Result<void> SsdTier::restore() {
  auto restored = restore_from_manifest({.cache = parts_.cache,
                                         .manifest = manifest_.get(),
                                         .directory = directory_.get(),
                                         .space = space_.get(),
                                         .roots = &roots_,
                                         .kept = &kept_});
  if (!restored.ok()) {
    cache::ObjectStore& store = parts_.cache->store();
    store.offer_restored();
    while (parts_.cache->evictor().evict_copy(model::TierId::kSsd)) {
    }
    store.given_up().clear();
    return std::move(restored).error();
  }
  restored_ = std::move(restored).value();
  judge_restored();
  measure_blocks();
  if (directory_->read_only() || not_writable_ || !health_.may_write()) return {};
  // Slots that the manifest still names must not be written to.
  if (auto cleaned = clean_manifest(); !cleaned.ok()) {
    wait_until_writable(std::move(cleaned).error());
  }
  return {};
}

// What must not be written over before an operator has decided.
void SsdTier::judge_restored() {
  const std::string rebuild =
      "stop, run `quirectl rebuild --ssd_path=" + directory_->path() + "`, then start";
  if (const uint64_t missing = manifest_->missing_writes(); missing > 0) {
    health_.pin_state(SsdState::kReadOnly,
                      "the manifest lacks " + std::to_string(missing) +
                          " changes that were durable once: its log was cut or emptied",
                      rebuild);
  } else if (restored_.rejected > 0) {
    health_.pin_state(SsdState::kReadOnly,
                      std::to_string(restored_.rejected) + " records of the manifest do not parse",
                      rebuild);
  } else if (space_->is_over_capacity() && !options_.evict_to_capacity) {
    health_.pin_state(
        SsdState::kReadOnly,
        std::to_string(space_->live_regions() * space_->region_bytes()) +
            " bytes of regions are in use, --ssd_bytes allows " +
            std::to_string(space_->usage().capacity_bytes),
        "start with a larger --ssd_bytes, or with --ssd_shrink=evict to drop the least useful");
  }
}

// Blocks that regions had which are in use no more are given back when they are beyond the
// capacity.
void SsdTier::measure_blocks() {
  const auto files = directory_->list_data_files();
  if (!files.ok()) return;
  uint64_t allocated = 0;
  for (const uint32_t number : *files) allocated += directory_->data_file_blocks(number);
  if (allocated <= space_->usage().capacity_bytes) return;
  const uint64_t per_file = directory_->superblock().regions_per_file;
  for (const uint32_t number : *files) {
    const uint64_t regions =
        (directory_->data_file_bytes(number) + space_->region_bytes() - 1) / space_->region_bytes();
    for (uint64_t i = 0; i < std::min(regions, per_file); ++i) {
      const uint64_t region = number * per_file + i;
      if (region < kMaxRegions) space_->note_blocks(static_cast<uint32_t>(region));
    }
  }
}

model::Result<void> SsdTier::clean_manifest() {
  for (const ManifestBatch& batch : restored_.cleaning) {
    QUIRE_CHECK(manifest_->submit(ManifestBatch(batch)));
    while (manifest_->in_flight() > 0) {
      for (ManifestDone& done : manifest_->poll()) QUIRE_TRY(std::move(done.result));
      std::this_thread::yield();
    }
  }
  restored_.cleaning.clear();
  return {};
}

void SsdTier::build_movers() {
  const CommitterParts parts{.cache = parts_.cache,
                             .mover = mover_.get(),
                             .io = &io_,
                             .manifest = manifest_.get(),
                             .directory = directory_.get(),
                             .files = files_.get(),
                             .space = space_.get(),
                             .roots = &roots_,
                             .kept = &kept_,
                             .health = &health_,
                             .clock = parts_.clock,
                             .instance = directory_->superblock().instance};
  committer_ = std::make_unique<SsdCommitter>(parts);
  demoter_ =
      std::make_unique<SsdDemoter>(parts, committer_.get(), options_.demoter, first_generation());
  parts_.cache->layouts().on_forget(
      [this](const cache::KnownLayout& layout) { demoter_->forget_layout(layout); });
  loader_ = std::make_unique<SsdLoader>(LoaderParts{.cache = parts_.cache,
                                                    .mover = mover_.get(),
                                                    .files = files_.get(),
                                                    .health = &health_,
                                                    .estimator = &estimator_,
                                                    .clock = parts_.clock});
}

// Each start has 2^40 generations of its own, so none is ever given out twice.
uint64_t SsdTier::first_generation() const { return directory_->superblock().start_count << 40; }

// When it cannot be made now it is made when it is needed.
void SsdTier::make_probe() {
  auto made = SsdProbe::create(directory_.get(), &io_, parts_.engine);
  if (made.ok()) probe_ = std::move(made).value();
}

// Of a directory that could only be read at start: what a start changes is changed now, in the same
// order. Cut short by another failure it is tried again, from the beginning.
model::Result<void> SsdTier::make_writable() {
  if (!not_writable_)
    return manifest_->failure().empty() ? model::Result<void>{} : manifest_->resume();
  if (auto locked = directory_->make_writable(); !locked.ok()) {
    if (locked.code() == Errc::kBusy) {
      health_.pin_state(SsdState::kOff, locked.error().text, "stop one of the two");
    }
    return locked;
  }
  QUIRE_TRY(files_->reopen());
  QUIRE_TRY(manifest_->make_writable());
  QUIRE_TRY(clean_manifest());
  demoter_->set_first_generation(first_generation());
  not_writable_.reset();
  return {};
}

SsdTier::~SsdTier() {
  if (loader_ == nullptr) return;
  parts_.cache->layouts().on_forget({});
  parts_.cache->store().presence().set_state(model::TierId::kSsd, {});
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
}

void SsdTier::finish_probe(int64_t now_ns) {
  if (probe_ != nullptr && probe_->step()) probe_done_ = true;
  // Files that were opened for reading are opened anew: nothing may be under way in them.
  if (!probe_done_ || (not_writable_ && probe_->write_worked() && !mover_->idle())) return;
  probe_done_ = false;
  const bool write_worked = probe_->write_worked() && make_writable().ok();
  health_.probe_finished(probe_->read_worked(), write_worked, now_ns);
}

void SsdTier::step_probe(int64_t now_ns) {
  if (now_ns - last_look_ns_ < kLookNs) return;
  last_look_ns_ = now_ns;
  mover_->find_hangs(now_ns, options_.health.hang_ns);
  if (probe_done_ || (probe_ != nullptr && probe_->running()) || !health_.probe_due(now_ns)) return;
  if (probe_ == nullptr) make_probe();
  if (probe_ == nullptr) {
    health_.probe_finished(false, false, now_ns);
    return;
  }
  const bool any = space_->usage().allocated_bytes > 0;
  probe_->start(any ? kProbedBytes : space_->region_bytes());
}

bool SsdTier::drop_some_kept() {
  if (!health_.may_write() || committer_->pending_erasures() >= kErasuresEnough) return false;
  uint32_t dropped = 0;
  while (dropped < kDroppedPerStep) {
    auto run = kept_.next_dropped();
    if (!run) break;
    committer_->add_dropped(std::move(*run));
    ++dropped;
  }
  return dropped > 0;
}

model::Result<void> SsdTier::drop_kept(std::optional<KeptReason> reason) {
  if (!health_.may_write()) {
    return make_error(Errc::kBusy, "the tier takes no writes now: " + health_.reason());
  }
  kept_.drop(reason);
  return {};
}

bool SsdTier::step(bool quiet) {
  const int64_t now = parts_.clock->now_ns();
  mover_->set_quiet(quiet);
  bool worked = io_.poll();
  worked = mover_->poll() || worked;
  route();
  cache::ObjectStore& store = parts_.cache->store();
  committer_->take_releases();
  // RAM that is needed does not wait for company.
  const bool coming =
      !demoter_->short_of_ram() &&
      (demoter_->queued() > 0 || mover_->queued_bytes_of(TransferClass::kDemote) > 0);
  worked = committer_->step(!demoter_->blocked_by().empty(), coming) || worked;
  worked = demoter_->step(now) || worked;
  worked = loader_->step(now) || worked;
  worked = scrubber_->step(now) || worked;
  worked = shrinker_->step() || worked;
  worked = drop_some_kept() || worked;
  finish_probe(now);
  step_probe(now);
  worked = mover_->issue() || worked;
  store.presence().set_state(
      model::TierId::kSsd,
      {.readable = health_.may_read(),
       .writes_soon = health_.may_write() && options_.demoter.policy == WritePolicy::kThrough});
  return worked;
}

bool SsdTier::idle() const {
  const bool writing = !demoter_->idle() || !committer_->idle() || kept_.is_dropping();
  return mover_->idle() && loader_->idle() && (!writing || !health_.may_write());
}

void SsdTier::hurry() { demoter_->hurry(); }

void SsdTier::start_scrub(uint64_t bytes_per_second) {
  const uint64_t rate = bytes_per_second != 0 ? bytes_per_second : options_.scrub_bytes_per_second;
  scrubber_->start(rate, options_.scrub_bytes_per_second > 0, parts_.clock->now_ns());
}

}  // namespace quire::tiering
