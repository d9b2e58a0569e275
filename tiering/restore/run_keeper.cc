#include "tiering/restore/run_keeper.h"

#include <algorithm>
#include <string>

#include "cache/tree/node.h"

namespace quire::tiering {

using model::Errc;
using model::Result;

namespace {

SsdKept::Run kept_run(const RunRecord& run, uint64_t slot_bytes, KeptReason reason) {
  const auto count = static_cast<uint32_t>(run.keys.size());
  return {.key = run.key,
          .count = count,
          .kept = low_bits(count),
          .reason = reason,
          .held = false,
          .slot_bytes = slot_bytes,
          .more = run.more};
}

}  // namespace

bool RunKeeper::has_data(const RunRecord& run) {
  return has_data(run.key.slot.region()) &&
         std::all_of(run.more.begin(), run.more.end(),
                     [&](uint16_t region) { return has_data(region); });
}

bool RunKeeper::has_data(uint32_t region) {
  const uint32_t number = parts_.directory->file_of(region);
  // Once a file: a manifest has millions of runs.
  const auto [at, added] = file_bytes_.try_emplace(number, 0);
  if (added) at->second = parts_.directory->data_files().bytes(number);
  return parts_.directory->offset_of(region) + parts_.space->region_bytes() <= at->second;
}

Result<void> RunKeeper::claim(const RunRecord& run, uint64_t slot_bytes) {
  return claim_slots(run.key.slot, static_cast<uint32_t>(run.keys.size()), slot_bytes, run.more);
}

Result<void> RunKeeper::claim_slots(SsdSlot first, uint32_t count, uint64_t slot_bytes,
                                    std::span<const uint16_t> more) {
  Result<void> claimed = parts_.space->claim(first, count, slot_bytes, more);
  if (claimed.ok()) return claimed;
  return model::make_error(claimed.code(), claimed.error().text + "; run `quirectl rebuild`");
}

Result<void> RunKeeper::keep(const RunRecord& run, uint64_t slot_bytes, KeptReason reason) {
  const SsdKept::Run kept = kept_run(run, slot_bytes, reason);
  parts_.roots->add_run(run.key.root);
  note_kept_spans(run, 0, reason);
  // Without data a size says nothing of what lies there.
  if (slot_bytes == 0 || reason == KeptReason::kNoData || !has_data(run)) {
    unsized_.push_back(kept);
    return {};
  }
  QUIRE_TRY(claim(run, slot_bytes));
  parts_.kept->add(kept);
  return {};
}

void RunKeeper::keep_some(const RunRecord& run, uint64_t slot_bytes, uint32_t objects,
                          KeptReason reason) {
  SsdKept::Run kept = kept_run(run, slot_bytes, reason);
  kept.kept &= objects;
  parts_.kept->add(kept);
}

void RunKeeper::note_kept_spans(const RunRecord& run, uint32_t first, KeptReason reason) {
  // Nothing depends on a checkpoint.
  if (static_cast<cache::NodeKind>(run.key.kind) != cache::NodeKind::kSpan) return;
  for (size_t i = first; i < run.keys.size(); ++i) kept_spans_.emplace(run.keys[i], reason);
}

std::optional<KeptReason> RunKeeper::reason_of(const model::Hash256& span) const {
  const auto found = kept_spans_.find(span);
  return found != kept_spans_.end() ? std::optional(found->second) : std::nullopt;
}

// Runs of unknown size come last, for others may tell the slot size of their region.
Result<void> RunKeeper::finish() {
  for (SsdKept::Run& run : unsized_) {
    const uint64_t size = parts_.space->slot_bytes(run.key.slot.region());
    run.held = size == 0 || !run.more.empty();
    QUIRE_TRY(run.held ? hold(run) : claim_slots(run.key.slot, run.count, size, {}));
    parts_.kept->add(run);
  }
  hold_missing_data();
  return {};
}

// Where slots cannot be told apart nobody else may have any of the region.
Result<void> RunKeeper::hold(const SsdKept::Run& run) {
  std::vector<uint32_t> regions(run.more.begin(), run.more.end());
  regions.push_back(run.key.slot.region());
  for (const uint32_t region : regions) {
    if (parts_.space->stock().is_taken(region)) {
      return model::make_error(Errc::kCorrupt, "region " + std::to_string(region) +
                                                   " is claimed twice; run `quirectl rebuild`");
    }
    parts_.space->stock().hold(region, has_data(region));
    if (!has_data(region)) missing_files_.insert(parts_.directory->file_of(region));
  }
  return {};
}

// A file that is missing is not made anew, nor a short one made longer, as long as anything is
// kept for it: what it had would pass for damaged when it is looked at next.
void RunKeeper::hold_missing_data() {
  const auto per_file = static_cast<uint32_t>(parts_.directory->superblock().regions_per_file);
  for (const uint32_t number : missing_files_) {
    for (uint32_t i = 0; i < per_file; ++i) {
      const uint64_t region = uint64_t{number} * per_file + i;
      if (region >= kMaxRegions || has_data(static_cast<uint32_t>(region))) continue;
      parts_.space->stock().hold(static_cast<uint32_t>(region), false);
      parts_.kept->hold_for_missing(static_cast<uint32_t>(region));
    }
  }
}

}  // namespace quire::tiering
