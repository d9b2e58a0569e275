#include "tiering/ssd/ssd_tier.h"

#include <string>
#include <utility>

namespace quire::tiering {

SsdTier::SsdTier(const SsdTierParts& parts, const SsdTierOptions& options)
    : parts_(parts),
      io_(parts.engine, parts.clock),
      health_(options.health),
      estimator_(EstimatorOptions{}) {}

model::Result<std::unique_ptr<SsdTier>> SsdTier::open(const SsdTierParts& parts,
                                                      const SsdTierOptions& options) {
  std::unique_ptr<SsdTier> tier(new SsdTier(parts, options));
  QUIRE_TRY(tier->build(options));
  return tier;
}

// What can fail for want of memory comes before restore(): nothing of a tier that is not there may
// be left in the cache.
model::Result<void> SsdTier::build(const SsdTierOptions& options) {
  contents_ = QUIRE_TRY(SsdContents::open(
      {.cache = parts_.cache, .engine = parts_.engine, .health = &health_, .clock = parts_.clock},
      options));
  forms_ =
      std::make_unique<StoredForms>(parts_.cache, contents_->files(), options.mover.bounce_bytes);
  mover_ = QUIRE_TRY(SsdMover::create({.cache = parts_.cache,
                                       .engine = parts_.engine,
                                       .io = &io_,
                                       .checks = parts_.checks,
                                       .files = contents_->files(),
                                       .forms = forms_.get(),
                                       .health = &health_,
                                       .estimator = &estimator_,
                                       .clock = parts_.clock,
                                       .instance = contents_->directory()->superblock().instance},
                                      options.mover));
  QUIRE_TRY(contents_->restore());
  committer_ = std::make_unique<SsdCommitter>(committer_parts());
  upkeep_ = QUIRE_TRY(SsdUpkeep::create(committer_parts(), committer_.get(),
                                        options.scrub_bytes_per_second, &events_));
  build_ends(options);
  return {};
}

CommitterParts SsdTier::committer_parts() {
  return {.cache = parts_.cache,
          .mover = mover_.get(),
          .forms = forms_.get(),
          .io = &io_,
          .manifest = contents_->manifest(),
          .directory = contents_->directory(),
          .files = contents_->files(),
          .space = contents_->space(),
          .roots = contents_->roots(),
          .kept = contents_->kept(),
          .health = &health_,
          .clock = parts_.clock,
          .instance = contents_->directory()->superblock().instance};
}

// What the tier's callers, its device and its operator meet.
void SsdTier::build_ends(const SsdTierOptions& options) {
  writer_ = std::make_unique<SsdWriter>(
      committer_parts(), committer_.get(),
      WriterOptions{.codec = options.codec, .first_generation = contents_->first_generation()},
      &events_);
  reader_ = std::make_unique<SsdReader>(SsdReader::Parts{.cache = parts_.cache,
                                                         .mover = mover_.get(),
                                                         .forms = forms_.get(),
                                                         .files = contents_->files()},
                                        &events_);
  watch_ = std::make_unique<SsdWatch>(SsdWatchParts{.contents = contents_.get(),
                                                    .mover = mover_.get(),
                                                    .health = &health_,
                                                    .io = &io_,
                                                    .engine = parts_.engine},
                                      options.health.hang_ns);
  report_ = std::make_unique<SsdReport>(SsdReportParts{.contents = contents_.get(),
                                                       .engine = parts_.engine,
                                                       .io = &io_,
                                                       .checks = parts_.checks,
                                                       .health = &health_,
                                                       .estimator = &estimator_,
                                                       .forms = forms_.get(),
                                                       .mover = mover_.get(),
                                                       .committer = committer_.get(),
                                                       .writer = writer_.get(),
                                                       .upkeep = upkeep_.get(),
                                                       .codec_enabled = options.codec.enabled});
  parts_.cache->layouts().on_forget(
      [this](const cache::KnownLayout& layout) { writer_->forget_layout(layout); });
}

SsdTier::~SsdTier() {
  if (writer_ != nullptr) parts_.cache->layouts().on_forget({});
}

bool SsdTier::may_change_directory() const {
  return !contents_->directory()->has_unknown_features();
}

TierState SsdTier::state() const {
  const auto worst = contents_->kept()->worst();
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
  // A start that is counted late has generations of its own, as any other.
  if (watch_->step(now)) writer_->set_first_generation(contents_->first_generation());
  return worked;
}

bool SsdTier::idle() const {
  const bool writing =
      writer_->allocating() || !committer_->idle() || contents_->kept()->is_dropping();
  return mover_->idle() && events_.empty() && (!writing || !health_.may_write());
}

}  // namespace quire::tiering
