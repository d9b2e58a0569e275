#include "tiering/ssd/ssd_upkeep.h"

namespace quire::tiering {

using model::Errc;
using model::make_error;

namespace {

constexpr uint32_t kDroppedPerStep = 64;  // kept runs
constexpr size_t kErasuresEnough = 4096;  // the committer has work for a batch

}  // namespace

SsdUpkeep::SsdUpkeep(const CommitterParts& parts, SsdCommitter* committer,
                     uint64_t scrub_bytes_per_second, std::unique_ptr<SsdScrubber> scrubber)
    : parts_(parts),
      committer_(committer),
      scrub_bytes_per_second_(scrub_bytes_per_second),
      scrubber_(std::move(scrubber)),
      shrinker_({.committer = committer,
                 .space = parts.space,
                 .files = parts.files,
                 .io = parts.io,
                 .health = parts.health,
                 .clock = parts.clock}) {}

model::Result<std::unique_ptr<SsdUpkeep>> SsdUpkeep::create(const CommitterParts& parts,
                                                            SsdCommitter* committer,
                                                            uint64_t scrub_bytes_per_second,
                                                            std::vector<TierEvent>* events) {
  auto scrubber = QUIRE_TRY(SsdScrubber::create(
      {.cache = parts.cache, .mover = parts.mover, .forms = parts.forms, .files = parts.files},
      events));
  std::unique_ptr<SsdUpkeep> upkeep(
      new SsdUpkeep(parts, committer, scrub_bytes_per_second, std::move(scrubber)));
  if (scrub_bytes_per_second > 0) upkeep->start_scrub(0);
  return upkeep;
}

bool SsdUpkeep::step(int64_t now_ns) {
  bool worked = scrubber_->step(now_ns);
  worked = shrinker_.step() || worked;
  return drop_some_kept() || worked;
}

void SsdUpkeep::start_scrub(uint64_t bytes_per_second) {
  const uint64_t rate = bytes_per_second != 0 ? bytes_per_second : scrub_bytes_per_second_;
  scrubber_->start(rate, scrub_bytes_per_second_ > 0, parts_.clock->now_ns());
}

void SsdUpkeep::describe_scrub(model::MetricSink& sink) const { model::describe(sink, scrub()); }

bool SsdUpkeep::drop_some_kept() {
  if (!parts_.health->may_write() || committer_->pending_erasures() >= kErasuresEnough) {
    return false;
  }
  uint32_t dropped = 0;
  while (dropped < kDroppedPerStep) {
    auto run = parts_.kept->next_dropped();
    if (!run) break;
    committer_->add_dropped(std::move(*run));
    ++dropped;
  }
  return dropped > 0;
}

model::Result<void> SsdUpkeep::check_reason(std::string_view reason) const {
  if (reason.empty() || parse_kept_reason(reason)) return {};
  return make_error(Errc::kInvalidArgument,
                    "nothing is kept for the reason \"" + std::string(reason) + "\"");
}

model::Result<void> SsdUpkeep::drop_kept(std::string_view reason) {
  QUIRE_TRY(check_reason(reason));
  if (!parts_.health->may_write()) {
    return make_error(Errc::kBusy, "the tier takes no writes now: " + parts_.health->reason());
  }
  parts_.kept->drop(parse_kept_reason(reason));
  return {};
}

// By reason only where something is kept for it: an empty object is the good news.
void SsdUpkeep::describe_kept(model::MetricSink& sink) const {
  const KeptCounts& counts = parts_.kept->counts();
  KeptCount all;
  for (const KeptCount& count : counts) {
    all.runs += count.runs;
    all.objects += count.objects;
    all.bytes += count.bytes;
  }
  model::describe(sink, all);
  sink.metric(parts_.space->usage().held_regions);
  sink.flag("dropping", is_dropping(), "It is being erased, as an operator said");
  const auto list = sink.list({.key = "reasons", .prefix = "reason", .by_label = true});
  for (size_t i = 0; i < kKeptReasons; ++i) {
    const KeptCount& count = counts[i];
    if (count.runs == 0) continue;
    const auto reason = static_cast<KeptReason>(i);
    const auto row = sink.row({.name = "reason", .text = kept_reason_name(reason)});
    model::describe(sink, count);
    sink.text("why", kept_reason_text(reason));
  }
}

}  // namespace quire::tiering
