#include "tiering/ssd/ssd_committer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

#include "model/check.h"

namespace quire::tiering {

namespace {

// Erasures alone wait this long for company: each batch is a synced write.
constexpr int64_t kErasureDelayNs = 200'000'000;
// While more is being written a flush of the device waits this long, or for this many transfers:
// well within a second of durable lag.
constexpr int64_t kCycleNs = 200'000'000;
constexpr size_t kWrittenAtOnce = 96;
constexpr size_t kErasuresAtOnce = 1024;
constexpr size_t kErasuresInABatch = 4096;

}  // namespace

void SsdCommitter::merge(Erasure&& erasure) {
  if (erasing_.empty()) oldest_erasure_ns_ = parts_.clock->now_ns();
  const auto [at, added] = erasing_.try_emplace(erasure.key.slot.value, std::move(erasure));
  if (added) return;
  Erasure& known = at->second;
  known.left = std::min(known.left, erasure.left);
  known.slots.insert(known.slots.end(), erasure.slots.begin(), erasure.slots.end());
  known.held.insert(known.held.end(), erasure.held.begin(), erasure.held.end());
}

bool SsdCommitter::evict_one() {
  if (!parts_.cache->evictor().evict_copy(model::TierId::kSsd)) return false;
  // At once: whoever makes room asks how much is on its way.
  std::vector<cache::GivenUpCopy>& given_up = parts_.cache->store().given_up();
  for (const cache::GivenUpCopy& copy : given_up) add_release(copy);
  given_up.clear();
  return true;
}

void SsdCommitter::add_release(const cache::GivenUpCopy& release) {
  const SsdSlot slot{release.slot};
  const SsdSlot first = parts_.space->run_start(slot);
  const uint32_t offset = slot.value - first.value;
  // Only spans stand in runs of more than one. The root may be forgotten already.
  const uint32_t run_units = release.units - offset * release.unit_step;
  std::vector<SsdSlot> slots = parts_.kept->truncate(first, offset);
  slots.push_back(slot);
  for (const SsdSlot gone : slots) parts_.space->release(gone);
  merge({.key = {.root = parts_.roots->last_number(release.root),
                 .units = run_units,
                 .kind = static_cast<uint8_t>(release.kind),
                 .slot = first},
         .left = offset,
         .slots = std::move(slots)});
}

void SsdCommitter::add_dropped(SsdKept::Dropped&& dropped) {
  for (const SsdSlot slot : dropped.slots) parts_.space->release(slot);
  merge({.key = dropped.key,
         .left = dropped.left,
         .slots = std::move(dropped.slots),
         .held = std::move(dropped.held)});
}

void SsdCommitter::erase_run(const RunKey& key, uint32_t count) {
  Erasure erasure{.key = key, .left = 0, .slots = {}};
  for (uint32_t i = 0; i < count; ++i) {
    const SsdSlot slot{key.slot.value + i};
    parts_.space->release(slot);
    erasure.slots.push_back(slot);
  }
  merge(std::move(erasure));
}

bool SsdCommitter::step(bool hurry, bool coming) {
  bool worked = false;
  for (const IoOp* op : client_.take()) {
    worked = true;
    finish_sync(*op);
  }
  for (ManifestDone& done : parts_.manifest->poll()) {
    worked = true;
    batch_in_flight_ = false;
    if (!done.result.ok()) {
      ++counters_.failed_batches;
      const int error = done.result.code() == model::Errc::kResourceExhausted ? ENOSPC : EIO;
      parts_.health->write_failed(error, "manifest: " + done.result.error().text,
                                  parts_.clock->now_ns());
    }
    finish_batch(done.result.ok());
  }
  worked = drop_hopeless() || worked;
  if (busy() || !parts_.health->may_write()) return worked;
  const bool erasures_due =
      !erasing_.empty() && (hurry || erasing_.size() >= kErasuresAtOnce ||
                            parts_.clock->now_ns() - oldest_erasure_ns_ >= kErasureDelayNs);
  const bool wait = coming && written_.size() < kWrittenAtOnce &&
                    parts_.clock->now_ns() - cycle_began_ns_ < kCycleNs;
  if ((written_.empty() || wait) && !erasures_due) return worked;
  begin_cycle();
  return true;
}

// What is written does not wait for a device that takes no writes: it would hold its pages in RAM
// for as long. Nor for a sync of a sealed file, which proves nothing.
bool SsdCommitter::drop_hopeless() {
  if (parts_.health->may_write() && parts_.files->sealed_count() == 0) return false;
  return std::erase_if(written_, [&](Transfer* transfer) {
           if (parts_.health->may_write() && !parts_.files->is_sealed(transfer->first.region())) {
             return false;
           }
           fail_unnamed(transfer);
           return true;
         }) > 0;
}

// The manifest never named its slots.
void SsdCommitter::fail_unnamed(Transfer* transfer) {
  parts_.space->cancel(transfer->first, static_cast<uint32_t>(transfer->run.keys.size()));
  failed_.push_back(transfer);
}

void SsdCommitter::begin_cycle() {
  ++counters_.cycles;
  cycle_began_ns_ = parts_.clock->now_ns();
  cycle_.swap(written_);
  for (auto at = erasing_.begin();
       at != erasing_.end() && cycle_erasures_.size() < kErasuresInABatch;) {
    cycle_erasures_.push_back(std::move(at->second));
    at = erasing_.erase(at);
  }
  if (cycle_.empty()) return submit_batch();
  begin_syncs();
}

// Goes on in finish_sync(), when the last of them is back.
void SsdCommitter::begin_syncs() {
  std::set<uint32_t> numbers;
  for (const Transfer* transfer : cycle_) {
    for (const uint32_t number : parts_.files->numbers_of(transfer->first.region())) {
      numbers.insert(number);
    }
  }
  syncs_.assign(numbers.size(), IoOp{});
  syncs_in_flight_ = static_cast<uint32_t>(numbers.size());
  size_t i = 0;
  for (const uint32_t number : numbers) {
    IoOp& op = syncs_[i++];
    op.kind = IoKind::kSync;
    op.file = parts_.files->index_of(number);
    op.tag = number;
    op.client = &client_;
    ++counters_.syncs;
    parts_.io->submit_first(&op);
  }
}

void SsdCommitter::finish_sync(const IoOp& op) {
  --syncs_in_flight_;
  if (op.error != 0) {
    const auto number = static_cast<uint32_t>(op.tag);
    parts_.files->seal(number);
    parts_.health->sync_failed(op.error,
                               "fdatasync of a data file: " + std::string(std::strerror(op.error)),
                               parts_.clock->now_ns());
    std::erase_if(cycle_, [&](Transfer* transfer) {
      const std::vector<uint32_t> numbers = parts_.files->numbers_of(transfer->first.region());
      if (std::find(numbers.begin(), numbers.end(), number) == numbers.end()) return false;
      fail_unnamed(transfer);
      return true;
    });
  }
  if (syncs_in_flight_ == 0) submit_batch();
}

// Its nodes are pinned, so their root is there.
model::RootId SsdCommitter::root_of(const Transfer& transfer) const {
  return parts_.cache->store().tree().node(transfer.objects[0].node).root();
}

void SsdCommitter::submit_batch() {
  ManifestBatch batch;
  for (const Transfer* transfer : cycle_) {
    parts_.roots->describe(root_of(*transfer), batch);
    batch.put_run(transfer->run);
    parts_.roots->add_run(transfer->run.key.root);
  }
  for (const Erasure& erasure : cycle_erasures_) {
    batch.truncate_run(erasure.key, erasure.left);
    if (erasure.left == 0) parts_.roots->remove_run(erasure.key.root);
  }
  if (batch.empty()) return;
  parts_.roots->erase_empty(batch);
  if (!cycle_.empty()) make_names_durable(batch);
  batch_in_flight_ = true;
  QUIRE_CHECK(parts_.manifest->submit(std::move(batch)));  // one at a time: there is room
}

// Law 8: what names the objects must not be lost behind their records.
void SsdCommitter::make_names_durable(ManifestBatch& batch) {
  cycle_files_ = parts_.files->made_count();
  cycle_layouts_.clear();
  for (const Transfer* transfer : cycle_) {
    const cache::KnownLayout* layout = parts_.cache->names().root(root_of(*transfer)).layout;
    if (stored_layouts_.contains(layout->digest)) continue;
    const bool listed =
        std::any_of(cycle_layouts_.begin(), cycle_layouts_.end(),
                    [&](const StoredLayout& stored) { return stored.digest == layout->digest; });
    if (!listed) cycle_layouts_.push_back({layout->digest, layout->layout});
  }
  const bool files = cycle_files_ != named_files_;
  cycle_large_ = !says_large_ && std::any_of(cycle_.begin(), cycle_.end(), [](const auto* one) {
    return !one->run.more.empty();
  });
  if (!files && !cycle_large_ && cycle_layouts_.empty()) return;
  // Copies: the cache may forget a layout before the manifest's thread is done.
  batch.first([directory = parts_.directory, layouts = cycle_layouts_, files,
               large = cycle_large_]() -> model::Result<void> {
    for (const StoredLayout& layout : layouts) {
      QUIRE_TRY(directory->layouts().store(layout.digest, layout.layout));
    }
    if (large) QUIRE_TRY(directory->add_incompatible(kLargeObjects));
    return files ? directory->sync_names() : model::Result<void>{};
  });
}

void SsdCommitter::finish_batch(bool ok) {
  if (ok && !cycle_.empty()) {
    named_files_ = cycle_files_;
    says_large_ = says_large_ || cycle_large_;
    for (const StoredLayout& layout : cycle_layouts_) stored_layouts_.insert(layout.digest);
  }
  for (Transfer* transfer : cycle_) {
    if (ok) {
      counters_.durable_objects += transfer->run.keys.size();
      parts_.roots->durable(root_of(*transfer));
      durable_.push_back(transfer);
    } else {
      erase_run(transfer->run.key, static_cast<uint32_t>(transfer->run.keys.size()));
      failed_.push_back(transfer);
    }
  }
  cycle_.clear();
  for (Erasure& erasure : cycle_erasures_) {
    if (ok) {
      finish_erasure(erasure);
      continue;
    }
    if (erasure.left == 0) parts_.roots->add_run(erasure.key.root);
    merge(std::move(erasure));
  }
  cycle_erasures_.clear();
}

void SsdCommitter::finish_erasure(Erasure& erasure) {
  counters_.erased_objects += erasure.slots.size();
  for (const SsdSlot slot : erasure.slots) parts_.space->reclaim(slot);
  if (erasure.held.empty()) return;
  for (const uint32_t region : erasure.held) parts_.space->stock().let_go(region);
  for (const uint32_t region : parts_.kept->take_missing_regions())
    parts_.space->stock().let_go(region);
}

}  // namespace quire::tiering
