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

model::Result<std::unique_ptr<SsdScrubber>> SsdScrubber::create(const Parts& parts,
                                                                std::vector<TierEvent>* events) {
  // Address space; what is touched is one object.
  allocator::ReservedMemory scratch = QUIRE_TRY(allocator::ReservedMemory::reserve(kScratchBytes));
  return std::unique_ptr<SsdScrubber>(new SsdScrubber(parts, events, std::move(scratch)));
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
  const uint32_t end = parts_.cache->store().tree().end_of_nodes();
  for (uint32_t i = 0; i < kScrubbedNodesPerStep; ++i) {
    if (next_node_ >= end) {
      ++status_.passes;
      next_node_ = 0;
      status_.running = forever_;
      return true;
    }
    const Node& link = parts_.cache->store().tree().node(NodeId{next_node_});
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
  cache::ObjectStore& store = parts_.cache->store();
  const NodeId node{next_node_};
  const SsdSlot slot{store.presence().place(node)->slot};
  const auto opened = parts_.files->open(slot.region(), false);
  if (opened.code() == model::Errc::kResourceExhausted) return false;
  if (!opened.ok()) {
    ++next_node_;
    ++status_.unreadable;
    return true;
  }
  Transfer* transfer = parts_.mover->take(TransferKind::kScrub, TransferClass::kScrub);
  if (transfer == nullptr) return false;
  std::byte* scratch = scratch_for(parts_.forms->object_bytes(node));
  const uint64_t encoded = parts_.forms->encoded_slot_bytes(node);
  if (scratch == nullptr) {
    parts_.mover->give_back(transfer);
    ++next_node_;
    ++status_.unreadable;
    return true;
  }
  if (encoded != 0 && !parts_.forms->set_encoded(*transfer, 1, encoded)) {
    parts_.mover->give_back(transfer);
    return false;
  }
  ++next_node_;
  transfer->first = slot;
  add_scratch_object(*transfer, *parts_.cache, node, scratch);
  checked_ = cache::Pin(&store, node, cache::PinKind::kPresence);
  reading_ = true;
  parts_.mover->start(*transfer);
  return true;
}

// A run is given up from its end only: with the copies behind this one. While one of those is the
// only one there is, the bad copy stays, and is met again when its page has left RAM.
void SsdScrubber::write_again(NodeId node) {
  cache::ObjectStore& store = parts_.cache->store();
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
    store.lose_copy(*last, model::TierId::kSsd, {cache::DepartureCause::kRenewed});
  }
  for (const NodeId again : run) {
    events_->push_back({.kind = TierEvent::Kind::kLost, .node = again});
  }
}

void SsdScrubber::on_settled(Transfer& transfer) {
  cache::ObjectStore& store = parts_.cache->store();
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
      store.quarantine(object.node, object.state == ObjectState::kCorrupt
                                        ? cache::DepartureCause::kDamaged
                                        : cache::DepartureCause::kUnreadable);
    }
  }
  checked_.reset();
  parts_.mover->give_back(&transfer);
  large_.reset();
}

ScrubStatus SsdScrubber::status() const {
  ScrubStatus status = status_;
  const uint32_t end = parts_.cache->store().tree().end_of_nodes();
  status.progress = end == 0 ? 0 : static_cast<double>(next_node_) / end;
  return status;
}

}  // namespace quire::tiering
