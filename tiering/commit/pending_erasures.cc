#include "tiering/commit/pending_erasures.h"

#include <algorithm>
#include <utility>

#include "model/check.h"

namespace quire::tiering {

namespace {

// Erasures alone wait this long for company: each batch is a synced write.
constexpr int64_t kDelayNs = 200'000'000;
constexpr size_t kManyRuns = 1024;      // wait for no company
constexpr size_t kRunsInABatch = 4096;  // some 100 KiB

}  // namespace

void PendingErasures::add(Erasure&& erasure) {
  if (pending_.empty()) oldest_ns_ = parts_.clock->now_ns();
  const auto [at, added] = pending_.try_emplace(erasure.key.slot.value, std::move(erasure));
  if (added) return;
  Erasure& known = at->second;
  known.left = std::min(known.left, erasure.left);
  known.slots.insert(known.slots.end(), erasure.slots.begin(), erasure.slots.end());
  known.held.insert(known.held.end(), erasure.held.begin(), erasure.held.end());
}

void PendingErasures::add_release(const cache::GivenUpCopy& release) {
  const SsdSlot slot{release.slot};
  const SsdSlot first = parts_.space->run_start(slot);
  const uint32_t offset = slot.value - first.value;
  // Only spans stand in runs of more than one.
  const uint32_t run_units = release.units - offset * release.unit_step;
  std::vector<SsdSlot> slots = parts_.kept->truncate(first, offset);
  slots.push_back(slot);
  for (const SsdSlot gone : slots) parts_.space->release(gone);
  // The root may be forgotten already, so it is its last number that is asked for.
  add({.key = {.root = parts_.roots->last_number(release.root),
               .units = run_units,
               .kind = static_cast<uint8_t>(release.kind),
               .slot = first},
       .left = offset,
       .slots = std::move(slots),
       .held = {}});
}

void PendingErasures::add_dropped(SsdKept::Dropped&& dropped) {
  for (const SsdSlot slot : dropped.slots) parts_.space->release(slot);
  add({.key = dropped.key,
       .left = dropped.left,
       .slots = std::move(dropped.slots),
       .held = std::move(dropped.held)});
}

void PendingErasures::add_doubtful(const RunKey& key, uint32_t count) {
  Erasure erasure{.key = key, .left = 0, .slots = {}, .held = {}};
  for (uint32_t i = 0; i < count; ++i) {
    const SsdSlot slot{key.slot.value + i};
    parts_.space->release(slot);
    erasure.slots.push_back(slot);
  }
  add(std::move(erasure));
}

bool PendingErasures::due(bool hurry) const {
  if (pending_.empty()) return false;
  return hurry || pending_.size() >= kManyRuns || parts_.clock->now_ns() - oldest_ns_ >= kDelayNs;
}

void PendingErasures::begin_batch() {
  QUIRE_CHECK(in_batch_.empty());
  for (auto at = pending_.begin(); at != pending_.end() && in_batch_.size() < kRunsInABatch;) {
    in_batch_.push_back(std::move(at->second));
    at = pending_.erase(at);
  }
}

// The roots count a run as gone from here on; finish_batch() takes that back when the batch fails.
void PendingErasures::describe(ManifestBatch& batch) {
  for (const Erasure& erasure : in_batch_) {
    batch.truncate_run(erasure.key, erasure.left);
    if (erasure.left == 0) parts_.roots->remove_run(erasure.key.root);
  }
}

uint64_t PendingErasures::finish_batch(bool ok) {
  uint64_t freed = 0;
  for (Erasure& erasure : in_batch_) {
    if (ok) {
      freed += erasure.slots.size();
      free(erasure);
      continue;
    }
    if (erasure.left == 0) parts_.roots->add_run(erasure.key.root);
    add(std::move(erasure));
  }
  in_batch_.clear();
  return freed;
}

// Regions that were held for a missing part of a file go with the last run that was kept for it.
void PendingErasures::free(const Erasure& erasure) {
  for (const SsdSlot slot : erasure.slots) parts_.space->reclaim(slot);
  if (erasure.held.empty()) return;
  for (const uint32_t region : erasure.held) parts_.space->stock().let_go(region);
  for (const uint32_t region : parts_.kept->take_missing_regions())
    parts_.space->stock().let_go(region);
}

}  // namespace quire::tiering
