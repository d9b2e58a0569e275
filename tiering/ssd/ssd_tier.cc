#include "tiering/ssd/ssd_tier.h"

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
  QUIRE_TRY(tier->build_movers());
  if (!tier->directory_->read_only()) tier->make_probe();
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
    health_.pin_state(TierMode::kReadOnly, "the directory has features this version may not write",
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
                          .on_done = options_.on_wake,
                          .on_caller = options_.manifest_on_caller};
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
  forms_ = std::make_unique<StoredForms>(parts_.cache, files_.get(), options_.mover.bounce_bytes);
  mover_ = QUIRE_TRY(SsdMover::create({.cache = parts_.cache,
                                       .engine = parts_.engine,
                                       .io = &io_,
                                       .checks = parts_.checks,
                                       .files = files_.get(),
                                       .forms = forms_.get(),
                                       .health = &health_,
                                       .estimator = &estimator_,
                                       .clock = parts_.clock,
                                       .instance = superblock.instance},
                                      options_.mover));
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
    health_.pin_state(TierMode::kReadOnly,
                      "the manifest lacks " + std::to_string(missing) +
                          " changes that were durable once: its log was cut or emptied",
                      rebuild);
  } else if (restored_.rejected > 0) {
    health_.pin_state(TierMode::kReadOnly,
                      std::to_string(restored_.rejected) + " records of the manifest do not parse",
                      rebuild);
  } else if (space_->is_over_capacity() && !options_.evict_to_capacity) {
    health_.pin_state(
        TierMode::kReadOnly,
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
      if (region < kMaxRegions) space_->stock().note_blocks(static_cast<uint32_t>(region));
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

model::Result<void> SsdTier::build_movers() {
  const CommitterParts parts{.cache = parts_.cache,
                             .mover = mover_.get(),
                             .forms = forms_.get(),
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
  writer_ = std::make_unique<SsdWriter>(
      parts, committer_.get(),
      WriterOptions{.codec = options_.codec, .first_generation = first_generation()}, &events_);
  reader_ = std::make_unique<SsdReader>(SsdReader::Parts{.cache = parts_.cache,
                                                         .mover = mover_.get(),
                                                         .forms = forms_.get(),
                                                         .files = files_.get()},
                                        &events_);
  upkeep_ = QUIRE_TRY(
      SsdUpkeep::create(parts, committer_.get(), options_.scrub_bytes_per_second, &events_));
  parts_.cache->layouts().on_forget(
      [this](const cache::KnownLayout& layout) { writer_->forget_layout(layout); });
  return {};
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
      health_.pin_state(TierMode::kOff, locked.error().text, "stop one of the two");
    }
    return locked;
  }
  QUIRE_TRY(files_->reopen());
  QUIRE_TRY(manifest_->make_writable());
  QUIRE_TRY(clean_manifest());
  writer_->set_first_generation(first_generation());
  not_writable_.reset();
  return {};
}

SsdTier::~SsdTier() {
  if (writer_ != nullptr) parts_.cache->layouts().on_forget({});
}

TierState SsdTier::state() const {
  const auto worst = kept_.worst();
  TierState state{.mode = health_.state(),
                  .whole = health_.may_write() && !worst,
                  .reason = health_.reason(),
                  .action = health_.action()};
  if (state.reason.empty() && worst) {
    state.reason = "content is kept and not served: " + std::string(kept_reason_text(*worst));
    state.action = kept_reason_action(*worst);
  }
  return state;
}

WriteOffer SsdTier::reserve(std::span<const model::NodeId> nodes) {
  const SsdWriter::Reserved reserved = writer_->reserve(nodes);
  if (reserved.fit != Fit::kFits) return {.fit = reserved.fit, .room = {}};
  return {.fit = Fit::kFits, .room = WriteRoom(this, reserved.objects, reserved.bytes)};
}

void SsdTier::write(WriteRoom&& room, std::span<const model::NodeId> nodes, uint32_t job) {
  room.take();
  writer_->write(nodes, job);
}

void SsdTier::erase(std::span<const cache::GivenUpCopy> copies) {
  for (const cache::GivenUpCopy& copy : copies) committer_->add_release(copy);
}

void SsdTier::route() {
  // Handlers may settle more; those are for the next round.
  settled_.clear();
  settled_.swap(mover_->settled());
  for (const SsdMover::Settled& one : settled_) {
    switch (one.transfer->kind) {
      case TransferKind::kDemote:
        writer_->on_settled(*one.transfer);
        break;
      case TransferKind::kPromote:
        reader_->on_settled(*one.transfer, one.object);
        break;
      case TransferKind::kScrub:
        upkeep_->on_settled(*one.transfer);
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

bool SsdTier::step(const StepHints& hints) {
  const int64_t now = parts_.clock->now_ns();
  mover_->set_quiet(hints.quiet);
  bool worked = io_.poll();
  worked = mover_->poll() || worked;
  route();
  if (!hints.writes_coming) writer_->nothing_waits();
  // RAM that is needed does not wait for company.
  const bool coming = !hints.short_of_ram &&
                      (hints.writes_coming || mover_->queued_bytes_of(TransferClass::kDemote) > 0);
  worked = committer_->step(!writer_->blocked_by().empty(), coming) || worked;
  writer_->step(now);
  worked = upkeep_->step(now) || worked;
  finish_probe(now);
  step_probe(now);
  return worked;
}

bool SsdTier::idle() const {
  const bool writing = writer_->allocating() || !committer_->idle() || kept_.is_dropping();
  return mover_->idle() && events_.empty() && (!writing || !health_.may_write());
}

}  // namespace quire::tiering
