#include "tiering/ssd/ssd_scrubber.h"

#include <algorithm>

namespace quire::tiering {

using cache::Node;
using cache::NodeKind;
using model::NodeId;

namespace {

constexpr uint32_t kScrubbedNodesPerStep = 256;  // looked at, most of them not on SSD perhaps
// Kept from one object to the next; those that are larger are few.
constexpr uint64_t kScratchBytes = 64 << 20;

}  // namespace

model::Result<std::unique_ptr<SsdScrubber>> SsdScrubber::create(cache::Cache* cache,
                                                                SsdMover* mover, SsdFiles* files,
                                                                std::vector<TierEvent>* events) {
  // Address space; what is touched is one object.
  allocator::ReservedMemory scratch = QUIRE_TRY(allocator::ReservedMemory::reserve(kScratchBytes));
  return std::unique_ptr<SsdScrubber>(
      new SsdScrubber(cache, mover, files, events, std::move(scratch)));
}

void SsdScrubber::start(uint64_t bytes_per_second, bool forever, int64_t now_ns) {
  status_.running = true;
  status_.bytes_per_second = bytes_per_second;
  forever_ = forever;
  next_node_ = 0;
  next_at_ns_ = now_ns;
}

bool SsdScrubber::step(int64_t now_ns) {
  if (!status_.running || reading_ || now_ns < next_at_ns_) return false;
  const uint32_t end = cache_->store().tree().end_of_nodes();
  for (uint32_t i = 0; i < kScrubbedNodesPerStep; ++i) {
    if (next_node_ >= end) {
      ++status_.passes;
      next_node_ = 0;
      status_.running = forever_;
      return true;
    }
    const Node& link = cache_->store().tree().node(NodeId{next_node_});
    if (link.is_in(model::TierId::kSsd) && !link.is_moving() && !link.is_quarantined()) {
      if (!check_next()) return false;  // no record free: later
      next_at_ns_ = now_ns;
      return true;
    }
    ++next_node_;
  }
  return true;
}

std::byte* SsdScrubber::scratch_for(uint64_t bytes) {
  if (bytes <= scratch_.bytes()) return static_cast<std::byte*>(scratch_.data());
  auto reserved = allocator::ReservedMemory::reserve(bytes);
  if (!reserved.ok()) return nullptr;
  large_.emplace(std::move(reserved).value());
  return static_cast<std::byte*>(large_->data());
}

bool SsdScrubber::check_next() {
  cache::ObjectStore& store = cache_->store();
  const NodeId node{next_node_};
  const SsdSlot slot{store.presence().place(node)->slot};
  const auto opened = files_->open(slot.region(), false);
  if (opened.code() == model::Errc::kResourceExhausted) return false;
  if (!opened.ok()) {
    ++next_node_;
    ++status_.unreadable;
    return true;
  }
  Transfer* transfer = mover_->take(TransferKind::kScrub, TransferClass::kScrub);
  if (transfer == nullptr) return false;
  std::byte* scratch = scratch_for(mover_->object_bytes(node));
  const uint64_t encoded = mover_->encoded_slot_bytes(node);
  if (scratch == nullptr) {
    mover_->give_back(transfer);
    ++next_node_;
    ++status_.unreadable;
    return true;
  }
  if (encoded != 0 && !mover_->set_encoded(*transfer, 1, encoded)) {
    mover_->give_back(transfer);
    return false;
  }
  ++next_node_;
  transfer->first = slot;
  mover_->add_scratch_object(*transfer, node, scratch);
  checked_ = cache::Pin(&store, node, cache::PinKind::kPresence);
  reading_ = true;
  mover_->start(*transfer);
  return true;
}

// A run is given up from its end only: with the copies behind this one. While one of those is the
// only one there is, the bad copy stays, and is met again when its page has left RAM.
void SsdScrubber::write_again(NodeId node) {
  cache::ObjectStore& store = cache_->store();
  std::vector<NodeId> run;
  for (NodeId next = node; next.valid();) {
    if (!store.tree().node(next).is_in_ram()) return;
    run.push_back(next);
    const uint32_t slot = store.presence().place(next)->slot + 1;
    next = NodeId{};
    store.tree().children(run.back()).for_each([&](NodeId child) {
      const auto place = store.presence().place(child);
      if (place && place->slot == slot) next = child;
    });
  }
  for (auto last = run.rbegin(); last != run.rend(); ++last) {
    store.lose_copy(*last, model::TierId::kSsd, cache::Why::kDropped);
  }
  for (const NodeId again : run) {
    events_->push_back({.kind = TierEvent::Kind::kLost, .node = again});
  }
}

void SsdScrubber::on_settled(Transfer& transfer) {
  cache::ObjectStore& store = cache_->store();
  TransferObject& object = transfer.objects[0];
  reading_ = false;
  ++status_.objects;
  status_.bytes += transfer.stored_bytes;
  if (status_.bytes_per_second > 0) {
    next_at_ns_ += static_cast<int64_t>(static_cast<double>(transfer.stored_bytes) * 1e9 /
                                        static_cast<double>(status_.bytes_per_second));
  }
  const Node& link = store.tree().node(object.node);
  if (object.state != ObjectState::kGood) {
    ++(object.state == ObjectState::kCorrupt ? status_.bad : status_.unreadable);
    if (link.is_in_ram() && link.is_in(model::TierId::kSsd)) {
      write_again(object.node);
    } else if (!link.is_quarantined()) {
      store.quarantine(object.node);
    }
  }
  checked_.reset();
  mover_->give_back(&transfer);
  large_.reset();
}

ScrubStatus SsdScrubber::status() const {
  ScrubStatus status = status_;
  const uint32_t end = cache_->store().tree().end_of_nodes();
  status.progress = end == 0 ? 0 : static_cast<double>(next_node_) / end;
  return status;
}

}  // namespace quire::tiering
