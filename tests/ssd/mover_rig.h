// The mover alone: a cache in RAM, contents in a directory, and a device and a manifest that
// misbehave, without tier, loads or demotion. Runs are placed, described and settled by the test.
// Everything by steps; the manifest writes where it is submitted to.
#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "tests/ssd/scratch_directory.h"
#include "tests/support/faulty_engine.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/io_rig.h"
#include "tests/tiering/tier_rig.h"
#include "tiering/io/thread_engine.h"
#include "tiering/ssd/ssd_contents.h"
#include "tiering/transfer/ssd_mover.h"

namespace quire::tests {

// The objects of a transfer, as they settled.
using States = std::vector<tiering::ObjectState>;

class MoverRig : public TierRig {
 public:
  static constexpr uint64_t kObjectBytes = 64 << 10;
  static constexpr uint64_t kRegionBytes = 1 << 20;  // 15 objects and their headers

  // `waits`: the manifest cannot be written to at this start, until file_system().lift().
  explicit MoverRig(const tiering::MoverOptions& options = {}, bool waits = false)
      : TierRig({.page_bytes = kObjectBytes}),
        io_(&engine_, &clock),
        health_(tiering::SsdHealthOptions{}),
        estimator_(tiering::EstimatorOptions{}),
        contents_(open_contents(waits)),
        forms_(&cache(), &files(), options.bounce_bytes),
        mover_(tiering::SsdMover::create({.cache = &cache(),
                                          .engine = &engine_,
                                          .io = &io_,
                                          .checks = &checks_,
                                          .files = &files(),
                                          .forms = &forms_,
                                          .health = &health_,
                                          .estimator = &estimator_,
                                          .clock = &clock,
                                          .instance = instance()},
                                         options)
                   .value()) {}
  ~MoverRig() override { mover_->check_invariants(); }

  FaultyEngine& device() { return engine_; }
  FaultyFileSystem& file_system() { return file_system_; }  // the manifest's
  tiering::SsdContents& contents() { return *contents_; }
  tiering::SsdMover& mover() { return *mover_; }
  tiering::SsdHealth& health() { return health_; }
  tiering::IoPort& io() { return io_; }
  tiering::SsdSpace& space() { return *contents_->space(); }
  tiering::SsdFiles& files() { return *contents_->files(); }
  tiering::StoredForms& forms() { return forms_; }
  const std::array<uint8_t, 16>& instance() {
    return contents_->directory()->superblock().instance;
  }
  tiering::ObjectChecker checker() {
    return tiering::ObjectChecker(
        {.cache = &cache(), .files = &files(), .forms = &forms_, .instance = instance()});
  }

  allocator::Pool& pool() { return cache().store().pool(); }
  // Where its pages lie in RAM.
  std::vector<model::SlotId> slots_of(model::NodeId node) {
    const cache::Presence& presence = cache().store().presence();
    std::vector<model::SlotId> slots;
    for (model::SlotId slot = presence.first_page(node); slot.valid();
         slot = presence.next_page(slot)) {
      slots.push_back(slot);
    }
    return slots;
  }

  // A run of slots for these nodes, described but for its pages; not started. With
  // encoded_bytes the pages are to be encoded in slots of this size.
  tiering::Transfer& begin_write(std::span<const model::NodeId> nodes, uint64_t encoded_bytes = 0) {
    tiering::Transfer* transfer =
        mover_->take(tiering::TransferKind::kDemote, tiering::TransferClass::kDemote);
    QUIRE_CHECK(transfer != nullptr);
    const auto count = static_cast<uint32_t>(nodes.size());
    const uint64_t slot_bytes = encoded_bytes == 0 ? kObjectBytes : encoded_bytes;
    if (encoded_bytes != 0) QUIRE_CHECK(forms_.set_encoded(*transfer, count, slot_bytes));
    auto run = space().take(slot_bytes, count);
    if (!run) {
      QUIRE_CHECK(space().add_region(slot_bytes));
      run = space().take(slot_bytes, count);
    }
    QUIRE_CHECK(run && run->count == count);
    QUIRE_CHECK(files().open(run->first.region(), true).ok());
    // Its blocks, which a region that is made has: an encoded object is read with all of its slot.
    const std::string file = scratch_ / "ssd/" + files().name_of(run->first.region());
    std::filesystem::resize_file(file, contents_->directory()->file_bytes());
    transfer->first = run->first;
    for (uint32_t i = 0; i < count; ++i) {
      mover_->add_object(*transfer, nodes[i], slots_of(nodes[i]));
      describe(*transfer, i);
    }
    return *transfer;
  }
  // Reads what was written of these nodes, which lies in adjacent slots, over their own pages in
  // RAM; not started.
  tiering::Transfer& begin_read(
      std::span<const model::NodeId> nodes,
      tiering::TransferClass priority = tiering::TransferClass::kInteractive) {
    tiering::Transfer* transfer = mover_->take(tiering::TransferKind::kPromote, priority);
    QUIRE_CHECK(transfer != nullptr);
    transfer->first = {inspect().ssd_copy(nodes.front())->slot};
    if (const uint64_t encoded = forms_.encoded_slot_bytes(nodes.front()); encoded != 0) {
      QUIRE_CHECK(forms_.set_encoded(*transfer, static_cast<uint32_t>(nodes.size()), encoded));
    }
    for (const model::NodeId node : nodes) {
      const auto page = inspect().pages(node).front().bytes;
      std::fill(page.begin(), page.end(), std::byte{0xee});
      mover_->add_object(*transfer, node, slots_of(node));
    }
    return *transfer;
  }

  // One turn of the mover.
  void turn() {
    io_.poll();
    mover_->poll();
    mover_->issue();
  }
  // Turns until all objects of the transfer are settled, which then is given back. Precondition:
  // the device holds nothing back.
  States finish(tiering::Transfer& transfer) {
    States states(transfer.object_count);
    uint32_t left = transfer.object_count;
    while (true) {
      for (const tiering::SsdMover::Settled& one : mover_->settled()) {
        QUIRE_CHECK(one.transfer == &transfer);
        states[one.object] = transfer.objects[one.object].state;
        --left;
      }
      mover_->settled().clear();
      if (left == 0) break;
      turn();
      // Nothing can come but from the device.
      if (mover_->settled().empty() && engine_.in_flight() > 0) {
        QUIRE_CHECK(wait_readable(engine_.wake_fd()));
      }
    }
    mover_->give_back(&transfer);
    return states;
  }
  // Writes them whole; they have a copy from then on.
  void write(std::span<const model::NodeId> nodes, uint64_t encoded_bytes = 0) {
    tiering::Transfer& transfer = begin_write(nodes, encoded_bytes);
    const tiering::SsdSlot first = transfer.first;
    mover_->start(transfer);
    const States states = finish(transfer);
    QUIRE_CHECK(states == States(nodes.size(), tiering::ObjectState::kGood));
    for (uint32_t i = 0; i < nodes.size(); ++i) note_copy(nodes[i], first.value + i, i);
  }
  // What the manifest will say of these spans, as the writer does.
  void describe_run(tiering::Transfer& transfer, std::span<const model::NodeId> nodes) {
    const cache::PrefixTree& tree = cache().store().tree();
    const model::NodeId first = nodes.front();
    const model::RootId root = root_of(first);
    transfer.run.key = {.root = contents_->roots()->number(root),
                        .units = tree.node(first).units(),
                        .kind = static_cast<uint8_t>(tree.node(first).kind()),
                        .slot = transfer.first};
    transfer.run.unit_step = 1;
    transfer.run.parent_units = tree.node(tree.parent(first)).units();
    transfer.run.parent_key = cache().names().root(root).hash;
    for (const model::NodeId node : nodes) transfer.run.keys.push_back(tree.key(node));
  }
  model::RootId root_of(model::NodeId node) { return cache().store().tree().node(node).root(); }
  // As the cache knows it from now on.
  void note_copy(model::NodeId node, uint32_t slot, uint32_t generation) {
    cache().store().gain_copy(node, model::TierId::kSsd,
                              {.slot = slot, .generation = static_cast<uint16_t>(generation)});
  }
  States read(std::span<const model::NodeId> nodes) {
    tiering::Transfer& transfer = begin_read(nodes);
    mover_->start(transfer);
    return finish(transfer);
  }

 private:
  // As the writer does, of what is checked; the object's place in its run is its generation.
  void describe(tiering::Transfer& transfer, uint32_t object) {
    const cache::PrefixTree& tree = cache().store().tree();
    const model::NodeId node = transfer.objects[object].node;
    const cache::Root& root = cache().names().root(tree.node(node).root());
    tiering::ExtentHeader& header = transfer.headers[object];
    header = tiering::ExtentHeader{};
    header.kind = static_cast<uint8_t>(tree.node(node).kind());
    header.generation = object;
    header.slot = transfer.first.value + object;
    header.units = tree.node(node).units();
    header.instance = instance();
    header.root = root.hash;
    header.key = tree.key(node);
    header.layout_digest = root.layout->digest;
  }

  std::unique_ptr<tiering::SsdContents> open_contents(bool waits) {
    const tiering::SsdContentsParts parts{
        .cache = &cache(), .engine = &engine_, .health = &health_, .clock = &clock};
    tiering::SsdContentsOptions options;
    options.directory = {
        .path = scratch_ / "ssd", .region_bytes = kRegionBytes, .regions_per_file = 4};
    options.capacity_bytes = 64 * kRegionBytes;
    options.manifest_env = file_system_.env();
    options.manifest_on_caller = true;
    file_system_.skip_device_syncs();
    if (waits) {
      QUIRE_CHECK(tiering::SsdContents::open(parts, options).ok());
      file_system_.fail_change(1, EIO, true);
    }
    auto contents = tiering::SsdContents::open(parts, options).value();
    QUIRE_CHECK(contents->restore().ok());
    return contents;
  }

  ScratchDirectory scratch_{memory_directory()};
  FaultyFileSystem file_system_;
  FaultyEngine engine_{tiering::ThreadEngine::create({.queue_depth = 64, .max_files = 64}).value()};
  tiering::InlineCopyEngine checks_{tiering::kMaxTransfers * tiering::kMaxRunObjects};
  tiering::IoPort io_;
  tiering::SsdHealth health_;
  tiering::LoadEstimator estimator_;
  std::unique_ptr<tiering::SsdContents> contents_;
  tiering::StoredForms forms_;
  std::unique_ptr<tiering::SsdMover> mover_;
};

}  // namespace quire::tests
