#include "tiering/commit/ssd_committer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

#include "model/check.h"

namespace quire::tiering {

namespace {

// While more is being written a flush of the device waits this long, or for this many transfers:
// well within a second of durable lag.
constexpr int64_t kCycleNs = 200'000'000;
constexpr size_t kWrittenAtOnce = 96;

}  // namespace

SsdCommitter::SsdCommitter(const CommitterParts& parts)
    : parts_(parts),
      erasures_(
          {.space = parts.space, .roots = parts.roots, .kept = parts.kept, .clock = parts.clock}),
      names_(parts.cache, parts.directory, parts.files) {}

bool SsdCommitter::evict_one(model::TenantId asker) {
  if (!parts_.cache->evictor().evict_copy(model::TierId::kSsd, asker)) return false;
  // At once: whoever makes room asks how much is on its way.
  std::vector<cache::GivenUpCopy>& given_up = parts_.cache->store().given_up();
  for (const cache::GivenUpCopy& copy : given_up) add_release(copy);
  given_up.clear();
  return true;
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
  const bool wait = coming && written_.size() < kWrittenAtOnce &&
                    parts_.clock->now_ns() - cycle_began_ns_ < kCycleNs;
  if ((written_.empty() || wait) && !erasures_.due(hurry)) return worked;
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
  erasures_.begin_batch();
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
  erasures_.describe(batch);
  if (batch.empty()) return;
  parts_.roots->erase_empty(batch);
  if (!cycle_.empty()) names_.add_to(batch, cycle_);
  batch_in_flight_ = true;
  QUIRE_CHECK(parts_.manifest->submit(std::move(batch)));  // one at a time: there is room
}

void SsdCommitter::finish_batch(bool ok) {
  if (ok && !cycle_.empty()) names_.batch_durable();
  for (Transfer* transfer : cycle_) {
    if (ok) {
      counters_.durable_objects += transfer->run.keys.size();
      parts_.roots->durable(root_of(*transfer));
      durable_.push_back(transfer);
    } else {
      erasures_.add_doubtful(transfer->run.key, static_cast<uint32_t>(transfer->run.keys.size()));
      failed_.push_back(transfer);
    }
  }
  cycle_.clear();
  counters_.erased_objects += erasures_.finish_batch(ok);
}

}  // namespace quire::tiering
