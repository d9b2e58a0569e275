#include "tiering/ssd_loader.h"

#include <algorithm>
#include <string>

#include "model/check.h"

namespace quire::tiering {

using cache::Node;
using cache::NodeKind;
using cache::ObjectStore;
using model::Errc;
using model::NodeId;
using model::SlotId;

namespace {

constexpr uint32_t kNodesPerStep = 64;    // reserved, of all domains: with evictions, some 300 us
constexpr uint32_t kLetGoPerStep = 1024;  // unpinned: some 50 us
// What the device could not read is remembered for so many objects; others count as corrupt.
constexpr size_t kMaxUnreadable = 1 << 16;

// Under way for one load: more than the mover has in flight, so that the device is never idle, and
// little enough that a load which comes later does not wait for all of this one.
constexpr uint64_t kLoadBytes = 64 << 20;

TransferClass class_of(model::LoadClass load_class) {
  return load_class == model::LoadClass::kBatch ? TransferClass::kBatch
                                                : TransferClass::kInteractive;
}

}  // namespace

SsdLoader::~SsdLoader() {
  while (!loads_.empty()) cancel(loads_.begin()->first);
  while (let_go(kLetGoPerStep)) {
  }
}

// Loads share the device, so of a longer one it waits for as much as it reads itself, or for what
// that one has under way. Asked many times in one match: never a walk over the loads.
uint64_t SsdLoader::estimate_us(uint64_t bytes) const {
  const uint64_t beyond = bytes - std::min(bytes, kLoadBytes);
  const uint64_t others = std::min(bytes_left_, near_bytes_left_ + beyond * interactive_count_);
  return parts_.estimator->estimate_us(bytes, others);
}

void SsdLoader::set_bytes_left(Load& load, uint64_t bytes) {
  if (load.load_class == model::LoadClass::kInteractive) {
    bytes_left_ += bytes - load.bytes_left;  // unsigned arithmetic wraps as wanted
    near_bytes_left_ += std::min(bytes, kLoadBytes) - std::min(load.bytes_left, kLoadBytes);
  }
  load.bytes_left = bytes;
}

model::Result<void> SsdLoader::check_bounds(const LoadRequest& request,
                                            model::DomainId domain) const {
  if (loads_.size() >= kMaxLoads) {
    return model::make_error(Errc::kBusy, "4,096 loads are under way");
  }
  const auto queue = queues_.find(domain.value);
  if (queue == queues_.end()) return {};
  if (queue->second.loads.size() >= kMaxLoadsOfDomain ||
      queue->second.nodes + request.nodes.size() > kMaxLoadNodesOfDomain) {
    return model::make_error(Errc::kBusy,
                             "this user has 1,024 loads, or loads of 1,048,576 "
                             "objects, under way; wait for some");
  }
  return {};
}

model::Result<void> SsdLoader::check_fits(model::DomainId domain, uint64_t bytes) const {
  ObjectStore& store = parts_.cache->store();
  if (bytes <= store.pool().usage(domain).segment_bytes) return {};
  const uint64_t reach = parts_.cache->room().taker().reach_bytes(domain);
  if (bytes <= reach) return {};
  return model::make_error(Errc::kResourceExhausted,
                           "this load takes " + std::to_string(bytes) +
                               " bytes, and its user's share of --ram_bytes is " +
                               std::to_string(reach) + "; load fewer blocks at a time");
}

model::Result<void> SsdLoader::start(const LoadRequest& request) {
  if (!parts_.health->may_read()) {
    return model::make_error(Errc::kUnavailable, "the SSD tier is off: " + parts_.health->reason());
  }
  ObjectStore& store = parts_.cache->store();
  const model::RootId root{store.tree().node(request.nodes.front()).root()};
  const model::DomainId domain = parts_.cache->names().root(root).key.domain;
  QUIRE_TRY(check_bounds(request, domain));
  uint64_t bytes = 0;
  for (const NodeId node : request.nodes) bytes += parts_.mover->object_bytes(node);
  QUIRE_TRY(check_fits(domain, bytes));
  auto load = std::make_unique<Load>();
  load->tag = request.tag;
  load->domain = domain;
  load->load_class = request.load_class;
  load->order = request.order;
  load->started_ns = parts_.clock->now_ns();
  load->deadline_ns = request.deadline_ns;
  load->nodes.reserve(request.nodes.size());
  for (const NodeId node : request.nodes) {
    load->nodes.emplace_back(&store, node, cache::PinKind::kResidency);
  }
  load->estimated_us = estimate_us(bytes);
  set_bytes_left(*load, bytes);
  Queue& queue = queues_[domain.value];
  queue.nodes += load->nodes.size();
  // Interactive loads stand before batch ones, else first come, first served.
  auto place = queue.loads.end();
  if (load->load_class == model::LoadClass::kInteractive) {
    ++interactive_count_;
    place = std::find_if(queue.loads.begin(), queue.loads.end(), [](const Load* other) {
      return other->load_class == model::LoadClass::kBatch;
    });
  }
  queue.loads.insert(place, load.get());
  loads_.emplace(load->tag, std::move(load));
  ++counters_.started;
  return {};
}

NodeId SsdLoader::next_missing(uint64_t tag) const {
  const auto found = loads_.find(tag);
  if (found == loads_.end() || found->second->head == found->second->nodes.size()) return {};
  return found->second->nodes[found->second->head].node();
}

bool SsdLoader::needs_slots(NodeId node) const {
  const Node& link = parts_.cache->store().tree().node(node);
  return !link.is_in_ram() && !link.is_moving();
}

std::span<const SlotId> SsdLoader::slots_of(const Load& load, size_t index) const {
  const uint32_t begin = index == 0 ? 0 : load.slot_ends[index - 1];
  return std::span(load.slots).subspan(begin, load.slot_ends[index] - begin);
}

// Slots behind those of the node before, so that a run lies adjacent in RAM too.
bool SsdLoader::reserve_node(Load& load, NodeId node, Reserved& outcome) {
  ObjectStore& store = parts_.cache->store();
  const cache::Root& root = parts_.cache->names().root(store.tree().node(node).root());
  const std::vector<model::PlannedPage>& plan = store.presence().plan_of(node).pages;
  const std::span<const SlotId> before =
      load.reserved == 0 ? std::span<const SlotId>() : slots_of(load, load.reserved - 1);
  const size_t start = load.slots.size();
  for (size_t i = 0; i < plan.size(); ++i) {
    const SlotId after =
        before.size() == plan.size() ? load.slots[start - plan.size() + i] : SlotId{};
    SlotId slot;
    const cache::Room room =
        parts_.cache->room().allocate(root.classes[plan[i].group], root.key.domain, after, slot);
    if (room == cache::Room::kHave) {
      load.slots.push_back(slot);
      continue;
    }
    outcome = room == cache::Room::kPending ? Reserved::kWaiting : Reserved::kNoRoom;
    for (size_t s = start; s < load.slots.size(); ++s) store.pool().free(load.slots[s]);
    load.slots.resize(start);
    return false;
  }
  return true;
}

SsdLoader::Reserved SsdLoader::reserve(Load& load, uint32_t nodes) {
  for (uint32_t step = 0; step < nodes; ++step) {
    if (load.is_reserved()) return Reserved::kDone;
    const NodeId node = load.nodes[load.reserved].node();
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
  const ObjectStore& store = parts_.cache->store();
  uint32_t count = 0;
  uint32_t first = 0;
  uint64_t encoded = 0;
  while (load.issued + count < load.nodes.size() && count < kMaxRunObjects) {
    const size_t index = load.issued + count;
    const NodeId node = load.nodes[index].node();
    if (!needs_slots(node) || slots_of(load, index).empty()) break;
    const uint32_t slot = store.presence().place(node)->slot;
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
  ObjectStore& store = parts_.cache->store();
  transfer.first = {store.presence().place(load.nodes[load.issued].node())->slot};
  for (uint32_t i = 0; i < count; ++i) {
    const NodeId node = load.nodes[load.issued + i].node();
    parts_.mover->add_object(transfer, node, slots_of(load, load.issued + i));
    transfer.objects[i].pin = cache::Pin(&store, node, cache::PinKind::kResidency);
    store.tree().marks().set_moving(node, true);
  }
  load.issued += count;
  transfer.load = load.tag;
  transfer.load_bytes = count * parts_.mover->object_bytes(load.nodes[load.issued - 1].node());
  load.bytes_under_way += transfer.load_bytes;
  transfer.layer_major = load.order == model::LoadOrder::kLayerMajor;
  parts_.mover->start(transfer);
}

void SsdLoader::issue(Load& load) {
  ObjectStore& store = parts_.cache->store();
  while (load.issued < load.nodes.size() && load.bytes_under_way < kLoadBytes) {
    uint32_t count = run_length(load);
    if (count == 0) {
      // In RAM by now, on its way, or quarantined: its slots, if it has any, are not needed.
      for (const SlotId slot : slots_of(load, load.issued)) store.pool().free(slot);
      ++load.issued;
      continue;
    }
    const NodeId first = load.nodes[load.issued].node();
    const auto region = SsdSlot{store.presence().place(first)->slot}.region();
    Transfer* transfer = parts_.mover->take(TransferKind::kPromote, class_of(load.load_class));
    if (transfer == nullptr) return;
    if (const auto opened = parts_.files->open(region, false); !opened.ok()) {
      parts_.mover->give_back(transfer);
      const bool shortage = opened.code() == Errc::kResourceExhausted;
      load.failure = shortage ? Errc::kResourceExhausted : Errc::kIoError;
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

// Whoever comes first takes what is free of the mover's records, so that changes from step to step.
void SsdLoader::serve_queues() {
  const auto nodes = static_cast<uint32_t>(std::max<size_t>(1, kNodesPerStep / queues_.size()));
  auto at = queues_.upper_bound(last_served_);
  if (at == queues_.end()) at = queues_.begin();
  last_served_ = at->first;
  for (size_t i = 0; i < queues_.size(); ++i) {
    serve(at->second, nodes);
    if (++at == queues_.end()) at = queues_.begin();
  }
}

void SsdLoader::serve(Queue& queue, uint32_t nodes) {
  bool reserving = false;
  for (Load* load : queue.loads) {
    if (!load->is_reserved()) {
      if (reserving) continue;  // one at a time
      reserving = true;
      if (reserve(*load, nodes) == Reserved::kNoRoom && !may_get_room(queue, *load)) {
        load->failure = Errc::kResourceExhausted;
      }
    }
    if (load->is_reserved() && load->issued < load->nodes.size()) issue(*load);
  }
}

// What its domain's clients hold they may hold for ever: that is not waited for.
bool SsdLoader::may_get_room(const Queue& queue, const Load& load) const {
  if (queue.leaving > 0 || parts_.mover->moves_for(load.domain)) return true;
  return std::any_of(queue.loads.begin(), queue.loads.end(),
                     [](const Load* other) { return other->is_reserved(); });
}

void SsdLoader::on_settled(Transfer& transfer, uint32_t index) {
  ObjectStore& store = parts_.cache->store();
  TransferObject& object = transfer.objects[index];
  std::vector<SlotId> slots;
  for (uint32_t p = 0; p < object.page_count; ++p) {
    slots.push_back(transfer.pages[object.first_page + p].slot);
  }
  store.tree().marks().set_moving(object.node, false);
  if (object.state == ObjectState::kGood) {
    for (uint32_t p = 0; p < object.page_count; ++p) {
      store.pool().page(slots[p]).crc32c = transfer.checks[object.first_page + p].crc32c;
    }
    store.make_resident(object.node, slots);
  } else {
    for (const SlotId slot : slots) store.pool().free(slot);
    const bool corrupt = object.state == ObjectState::kCorrupt;
    ++(corrupt ? counters_.corrupt : counters_.read_failures);
    if (!corrupt && unreadable_.size() < kMaxUnreadable) {
      unreadable_[object.node.value] = store.tree().key(object.node);
    }
    // Out of the index before anyone is answered, or the next match would promise it again.
    if (!store.tree().node(object.node).is_quarantined()) store.quarantine(object.node);
  }
  object.pin.reset();
  if (++transfer.handled < transfer.object_count) return;
  if (const auto found = loads_.find(transfer.load); found != loads_.end()) {
    Load& load = *found->second;
    load.bytes_under_way -= transfer.load_bytes;
    set_bytes_left(load, load.bytes_left - std::min(load.bytes_left, transfer.load_bytes));
  }
  parts_.mover->give_back(&transfer);
}

bool SsdLoader::is_unreadable(NodeId node) const {
  const auto found = unreadable_.find(node.value);
  return found != unreadable_.end() && found->second == parts_.cache->store().tree().key(node);
}

std::optional<Errc> SsdLoader::outcome(Load& load, int64_t now_ns) {
  const ObjectStore& store = parts_.cache->store();
  while (load.head < load.nodes.size() &&
         store.tree().node(load.nodes[load.head].node()).is_in_ram()) {
    ++load.head;
  }
  if (load.head == load.nodes.size()) return Errc::kOk;
  const NodeId next = load.nodes[load.head].node();
  const Node& link = store.tree().node(next);
  if (load.failure != Errc::kOk) return load.failure;
  if (link.is_quarantined()) return is_unreadable(next) ? Errc::kIoError : Errc::kCorrupt;
  if (load.head < load.issued && !link.is_moving()) return Errc::kIoError;
  if (now_ns >= load.deadline_ns) return Errc::kDeadlineExceeded;
  if (!parts_.health->may_read()) return Errc::kIoError;
  return std::nullopt;
}

// From here on nobody is told of it.
void SsdLoader::leave(Queues::iterator queue, Load& load) {
  if (load.load_class == model::LoadClass::kInteractive) --interactive_count_;
  set_bytes_left(load, 0);
  std::erase(queue->second.loads, &load);
  ++queue->second.leaving;
  const auto owned = loads_.find(load.tag);
  leaving_.push_back(std::move(owned->second));
  loads_.erase(owned);
}

// Slots of nodes that were issued belong to their transfers. Deepest first: a quarantined node goes
// with its last pin, and then its parent may.
bool SsdLoader::let_go(uint32_t nodes) {
  ObjectStore& store = parts_.cache->store();
  if (leaving_.empty()) return false;
  while (nodes > 0 && !leaving_.empty()) {
    Load& load = *leaving_.front();
    Queue& queue = queues_[load.domain.value];
    for (; nodes > 0 && load.reserved > load.issued; --nodes) {
      --load.reserved;
      for (const SlotId slot : slots_of(load, load.reserved)) store.pool().free(slot);
    }
    for (; nodes > 0 && !load.nodes.empty(); --nodes) {
      load.nodes.pop_back();
      --queue.nodes;
    }
    if (!load.nodes.empty()) break;
    if (--queue.leaving == 0 && queue.loads.empty()) queues_.erase(load.domain.value);
    leaving_.pop_front();
  }
  if (idle()) unreadable_.clear();
  return true;
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
  const auto found = loads_.find(tag);
  if (found == loads_.end()) return;
  leave(queues_.find(found->second->domain.value), *found->second);
}

bool SsdLoader::step(int64_t now_ns) {
  bool worked = let_go(kLetGoPerStep);
  if (loads_.empty()) return worked;
  serve_queues();
  for (auto queue = queues_.begin(); queue != queues_.end(); ++queue) {
    std::vector<Load*>& loads = queue->second.loads;
    for (size_t i = 0; i < loads.size();) {
      Load& load = *loads[i];
      const std::optional<Errc> code = outcome(load, now_ns);
      if (!code) {
        ++i;
        continue;
      }
      finish(load, *code, now_ns);
      leave(queue, load);  // another one stands at i now
      worked = true;
    }
  }
  if (worked) let_go(kLetGoPerStep);
  return worked;
}

}  // namespace quire::tiering
