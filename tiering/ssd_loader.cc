#include "tiering/ssd_loader.h"

#include <algorithm>

#include "model/check.h"

namespace quire::tiering {

using cache::NodeKind;
using cache::NodeLink;
using cache::NodeStore;
using model::Errc;
using model::NodeId;
using model::SlotId;

namespace {

constexpr uint32_t kNodesPerStep = 64;  // reserved: with evictions, some 300 us

// Under way for one load: more than the mover has in flight, so that the device is never idle, and
// little enough that a load which comes later does not wait for all of this one.
constexpr uint64_t kLoadBytes = 64 << 20;

TransferClass class_of(model::LoadClass load_class) {
  return load_class == model::LoadClass::kBatch ? TransferClass::kBatch
                                                : TransferClass::kInteractive;
}

}  // namespace

SsdLoader::~SsdLoader() {
  for (const auto& load : loads_) let_go(*load);
}

// Loads share the device, so of a longer one it waits for as much as it reads itself, or for what
// that one has under way.
uint64_t SsdLoader::estimate_us(uint64_t bytes) const {
  uint64_t others = 0;
  for (const auto& load : loads_) {
    if (load->load_class == model::LoadClass::kBatch) continue;
    others += std::min(load->bytes_left, std::max(bytes, kLoadBytes));
  }
  return parts_.estimator->estimate_us(bytes, others);
}

model::Result<void> SsdLoader::start(const LoadRequest& request) {
  if (loads_.size() >= kMaxLoads) {
    return model::make_error(Errc::kBusy, "4,096 loads are under way");
  }
  if (!parts_.health->may_read()) {
    return model::make_error(Errc::kUnavailable, "the SSD tier is off: " + parts_.health->reason());
  }
  NodeStore& store = parts_.cache->store();
  auto load = std::make_unique<Load>();
  load->tag = request.tag;
  load->load_class = request.load_class;
  load->order = request.order;
  load->started_ns = parts_.clock->now_ns();
  load->deadline_ns = request.deadline_ns;
  load->nodes.assign(request.nodes.begin(), request.nodes.end());
  load->slot_ends.reserve(load->nodes.size());
  uint64_t bytes = 0;
  for (const NodeId node : load->nodes) {
    store.pin(node);
    bytes += parts_.mover->object_bytes(node);
  }
  load->estimated_us = estimate_us(bytes);
  load->bytes_left = bytes;
  by_tag_.emplace(load->tag, load.get());
  // Interactive loads stand before batch ones, else first come, first served.
  auto place = loads_.end();
  if (load->load_class == model::LoadClass::kInteractive) {
    place = std::find_if(loads_.begin(), loads_.end(), [](const auto& other) {
      return other->load_class == model::LoadClass::kBatch;
    });
  }
  loads_.insert(place, std::move(load));
  ++counters_.started;
  return {};
}

NodeId SsdLoader::next_missing(uint64_t tag) const {
  const auto found = by_tag_.find(tag);
  if (found == by_tag_.end() || found->second->head == found->second->nodes.size()) return {};
  return found->second->nodes[found->second->head];
}

bool SsdLoader::needs_slots(NodeId node) const {
  const NodeLink& link = parts_.cache->store().tree().link(node);
  return !link.resident && !link.moving;
}

std::span<const SlotId> SsdLoader::slots_of(const Load& load, size_t index) const {
  const uint32_t begin = index == 0 ? 0 : load.slot_ends[index - 1];
  return std::span(load.slots).subspan(begin, load.slot_ends[index] - begin);
}

// Slots behind those of the node before, so that a run lies adjacent in RAM too.
bool SsdLoader::reserve_node(Load& load, NodeId node, Reserved& outcome) {
  NodeStore& store = parts_.cache->store();
  const cache::Root& root = parts_.cache->names().root(model::RootId{store.tree().link(node).root});
  const std::vector<model::PlannedPage>& plan = store.plan_of(node).pages;
  const std::span<const SlotId> before =
      load.reserved == 0 ? std::span<const SlotId>() : slots_of(load, load.reserved - 1);
  const size_t start = load.slots.size();
  for (size_t i = 0; i < plan.size(); ++i) {
    const SlotId after =
        before.size() == plan.size() ? load.slots[start - plan.size() + i] : SlotId{};
    SlotId slot;
    const NodeStore::Room room =
        store.allocate(root.classes[plan[i].group], root.key.domain, after, slot);
    if (room == NodeStore::Room::kHave) {
      load.slots.push_back(slot);
      continue;
    }
    outcome = room == NodeStore::Room::kPending ? Reserved::kWaiting : Reserved::kNoRoom;
    for (size_t s = start; s < load.slots.size(); ++s) store.pool().free(load.slots[s]);
    load.slots.resize(start);
    return false;
  }
  return true;
}

SsdLoader::Reserved SsdLoader::reserve(Load& load) {
  for (uint32_t step = 0; step < kNodesPerStep; ++step) {
    if (load.is_reserved()) return Reserved::kDone;
    const NodeId node = load.nodes[load.reserved];
    Reserved outcome = Reserved::kMore;
    if (needs_slots(node)) {
      if (!reserve_node(load, node, outcome)) return outcome;
    } else {
      ++counters_.shared;
    }
    load.slot_ends.push_back(static_cast<uint32_t>(load.slots.size()));
    ++load.reserved;
  }
  return load.is_reserved() ? Reserved::kDone : Reserved::kMore;
}

// Nodes from load.issued on that lie in adjacent slots of the device and need reading, all of them
// encoded or none.
uint32_t SsdLoader::run_length(const Load& load) const {
  const NodeStore& store = parts_.cache->store();
  uint32_t count = 0;
  uint32_t first = 0;
  uint64_t encoded = 0;
  while (load.issued + count < load.nodes.size() && count < kMaxRunObjects) {
    const size_t index = load.issued + count;
    const NodeId node = load.nodes[index];
    if (!needs_slots(node) || slots_of(load, index).empty()) break;
    const uint32_t slot = store.ssd_place(node)->slot;
    const uint64_t slot_bytes = parts_.mover->encoded_slot_bytes(node);
    if (count == 0) {
      first = slot;
      encoded = slot_bytes;
    }
    if (slot != first + count || slot_bytes != encoded) break;
    ++count;
  }
  return count;
}

void SsdLoader::issue_run(Load& load, Transfer& transfer, uint32_t count) {
  NodeStore& store = parts_.cache->store();
  transfer.first = {store.ssd_place(load.nodes[load.issued])->slot};
  for (uint32_t i = 0; i < count; ++i) {
    const NodeId node = load.nodes[load.issued + i];
    parts_.mover->add_object(transfer, node, slots_of(load, load.issued + i));
    store.pin(node);
    store.tree().link(node).moving = 1;
  }
  load.issued += count;
  transfer.load = load.tag;
  transfer.load_bytes = count * parts_.mover->object_bytes(load.nodes[load.issued - 1]);
  load.bytes_under_way += transfer.load_bytes;
  transfer.layer_major = load.order == model::LoadOrder::kLayerMajor;
  parts_.mover->start(transfer);
}

void SsdLoader::issue(Load& load) {
  NodeStore& store = parts_.cache->store();
  while (load.issued < load.nodes.size() && load.bytes_under_way < kLoadBytes) {
    uint32_t count = run_length(load);
    if (count == 0) {
      // In RAM by now, on its way, or quarantined: its slots, if it has any, are not needed.
      for (const SlotId slot : slots_of(load, load.issued)) store.pool().free(slot);
      ++load.issued;
      continue;
    }
    const NodeId first = load.nodes[load.issued];
    const auto region = SsdSlot{store.ssd_place(first)->slot}.region();
    Transfer* transfer = parts_.mover->take(TransferKind::kPromote, class_of(load.load_class));
    if (transfer == nullptr) return;
    if (!parts_.files->open(region, false).ok()) {
      parts_.mover->give_back(transfer);
      load.failure = Errc::kIoError;
      return;
    }
    if (const uint64_t encoded = parts_.mover->encoded_slot_bytes(first); encoded != 0) {
      count = std::min(count, parts_.mover->max_encoded(TransferKind::kPromote, encoded));
      if (!parts_.mover->set_encoded(*transfer, count, encoded)) {
        parts_.mover->give_back(transfer);
        return;
      }
    }
    issue_run(load, *transfer, count);
  }
}

void SsdLoader::reserve_and_issue() {
  bool reserving = false;
  for (const auto& load : loads_) {
    if (!load->is_reserved()) {
      if (reserving) continue;  // one at a time
      reserving = true;
      // Nobody is there whose end would make room.
      if (reserve(*load) == Reserved::kNoRoom && loads_.size() == 1 && parts_.mover->idle()) {
        load->failure = Errc::kResourceExhausted;
      }
    }
    if (load->is_reserved() && load->issued < load->nodes.size()) issue(*load);
  }
}

void SsdLoader::on_settled(Transfer& transfer, uint32_t index) {
  NodeStore& store = parts_.cache->store();
  TransferObject& object = transfer.objects[index];
  std::vector<SlotId> slots;
  for (uint32_t p = 0; p < object.page_count; ++p) {
    slots.push_back(transfer.pages[object.first_page + p].slot);
  }
  store.tree().link(object.node).moving = 0;
  if (object.state == ObjectState::kGood) {
    for (uint32_t p = 0; p < object.page_count; ++p) {
      store.pool().page(slots[p]).crc32c = transfer.checks[object.first_page + p].crc32c;
    }
    store.make_resident(object.node, slots);
  } else {
    for (const SlotId slot : slots) store.pool().free(slot);
    const bool corrupt = object.state == ObjectState::kCorrupt;
    ++(corrupt ? counters_.corrupt : counters_.read_failures);
    if (!corrupt) note_unreadable(object.node);
    // Out of the index before anyone is answered, or the next match would promise it again.
    if (!store.tree().link(object.node).quarantined) store.quarantine(object.node);
  }
  store.unpin(object.node);
  if (++transfer.handled < transfer.object_count) return;
  if (const auto load = by_tag_.find(transfer.load); load != by_tag_.end()) {
    load->second->bytes_under_way -= transfer.load_bytes;
    load->second->bytes_left -= std::min(load->second->bytes_left, transfer.load_bytes);
  }
  parts_.mover->give_back(&transfer);
}

// The loads that will come to it say what stopped them: the device, not what lies on it. Of two
// such nodes the one nearer to the head counts, and what is below it is quarantined with it.
void SsdLoader::note_unreadable(NodeId node) {
  for (const auto& load : loads_) {
    const auto from = load->nodes.begin() + static_cast<std::ptrdiff_t>(load->head);
    const auto found = std::find(from, load->nodes.end(), node);
    if (found == load->nodes.end()) continue;
    const auto known = std::find(from, found, load->unreadable);
    if (known == found) load->unreadable = node;
  }
}

std::optional<Errc> SsdLoader::outcome(Load& load, int64_t now_ns) {
  const NodeStore& store = parts_.cache->store();
  while (load.head < load.nodes.size() && store.is_resident(load.nodes[load.head])) ++load.head;
  if (load.head == load.nodes.size()) return Errc::kOk;
  const NodeId next = load.nodes[load.head];
  const NodeLink& link = store.tree().link(next);
  if (load.failure != Errc::kOk) return load.failure;
  if (link.quarantined) return load.unreadable == next ? Errc::kIoError : Errc::kCorrupt;
  if (load.head < load.issued && !link.moving) return Errc::kIoError;
  if (now_ns >= load.deadline_ns) return Errc::kDeadlineExceeded;
  if (!parts_.health->may_read()) return Errc::kIoError;
  return std::nullopt;
}

// Slots of nodes that were issued belong to their transfers.
void SsdLoader::let_go(Load& load) {
  NodeStore& store = parts_.cache->store();
  for (size_t i = load.issued; i < load.reserved; ++i) {
    for (const SlotId slot : slots_of(load, i)) store.pool().free(slot);
  }
  // Deepest first: a quarantined node goes with its last pin, and then its parent may.
  for (auto node = load.nodes.rbegin(); node != load.nodes.rend(); ++node) store.unpin(*node);
}

void SsdLoader::finish(Load& load, Errc code, int64_t now_ns) {
  ++counters_.finished;
  if (code == Errc::kDeadlineExceeded) {
    ++counters_.deadline_exceeded;
  } else if (code != Errc::kOk) {
    ++counters_.failed;
  } else {
    parts_.estimator->judge(load.estimated_us,
                            static_cast<uint64_t>(now_ns - load.started_ns) / 1000);
  }
  finished_.push_back({load.tag, code});
}

void SsdLoader::cancel(uint64_t tag) {
  const auto found = by_tag_.find(tag);
  if (found == by_tag_.end()) return;
  let_go(*found->second);
  std::erase_if(loads_, [&](const auto& load) { return load.get() == found->second; });
  by_tag_.erase(found);
}

bool SsdLoader::step(int64_t now_ns) {
  if (loads_.empty()) return false;
  reserve_and_issue();
  bool worked = false;
  for (auto at = loads_.begin(); at != loads_.end();) {
    Load& load = **at;
    const std::optional<Errc> code = outcome(load, now_ns);
    if (!code) {
      ++at;
      continue;
    }
    finish(load, *code, now_ns);
    let_go(load);
    by_tag_.erase(load.tag);
    at = loads_.erase(at);
    worked = true;
  }
  return worked;
}

}  // namespace quire::tiering
