#include "tiering/loads.h"

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

// Under way for one load: more than a tier has in flight, so that its device is never idle, and
// little enough that a load which comes later does not wait for all of this one.
constexpr uint64_t kLoadBytes = 64 << 20;

}  // namespace

Loads::~Loads() {
  while (!loads_.empty()) cancel(loads_.begin()->first);
  while (let_go(kLetGoPerStep)) {
  }
}

// Loads share the device, so of a longer one it waits for as much as it reads itself, or for what
// that one has under way. Asked many times in one match: never a walk over the loads.
uint64_t Loads::estimate_us(uint64_t bytes) const {
  const uint64_t beyond = bytes - std::min(bytes, kLoadBytes);
  const uint64_t others = std::min(bytes_left_, near_bytes_left_ + beyond * interactive_count_);
  Tier* tier = first_readable();
  return tier == nullptr ? 0 : tier->estimator().estimate_us(bytes, others);
}

Tier* Loads::first_readable() const {
  const auto found = std::find_if(tiers_.begin(), tiers_.end(), [](const Tier* tier) {
    return tier != nullptr && may_read(tier->mode());
  });
  return found == tiers_.end() ? nullptr : *found;
}

Tier* Loads::source_of(NodeId node) const {
  const Node& link = cache_->store().tree().node(node);
  const auto found = std::find_if(tiers_.begin(), tiers_.end(), [&](const Tier* tier) {
    return tier != nullptr && link.is_in(tier->id()) && may_read(tier->mode());
  });
  return found == tiers_.end() ? nullptr : *found;
}

void Loads::set_bytes_left(Load& load, uint64_t bytes) {
  if (load.load_class == model::LoadClass::kInteractive) {
    bytes_left_ += bytes - load.bytes_left;  // unsigned arithmetic wraps as wanted
    near_bytes_left_ += std::min(bytes, kLoadBytes) - std::min(load.bytes_left, kLoadBytes);
  }
  load.bytes_left = bytes;
}

model::Result<void> Loads::check_bounds(const LoadRequest& request, model::DomainId domain) const {
  if (loads_.size() >= kMaxLoads) {
    return model::make_error(Errc::kBusy, "4,096 loads are under way");
  }
  const auto known = domains_.find(domain.value);
  if (known == domains_.end()) return {};
  if (known->second.loads >= kMaxLoadsOfDomain ||
      known->second.nodes + request.nodes.size() > kMaxLoadNodesOfDomain) {
    return model::make_error(Errc::kBusy,
                             "this user has 1,024 loads, or loads of 1,048,576 "
                             "objects, under way; wait for some");
  }
  return {};
}

model::Result<void> Loads::check_fits(model::TenantId tenant, uint64_t bytes) const {
  if (cache_->room().can_reach(tenant, bytes)) return {};
  return model::make_error(Errc::kResourceExhausted,
                           "this load takes " + std::to_string(bytes) +
                               " bytes, and its user's share of --ram_bytes is " +
                               std::to_string(cache_->room().reach_bytes(tenant)) +
                               "; load fewer blocks at a time");
}

model::Result<void> Loads::start(const LoadRequest& request) {
  const Tier* tier = source_of(request.nodes.front());
  if (tier == nullptr) {
    return model::make_error(Errc::kUnavailable, "the tier that has these objects is off");
  }
  ObjectStore& store = cache_->store();
  const model::RootId root{store.tree().node(request.nodes.front()).root()};
  const model::DomainId domain = cache_->names().root(root).key.domain;
  const model::TenantId tenant = cache_->names().root(root).tenant;
  QUIRE_TRY(check_bounds(request, domain));
  uint64_t bytes = 0;
  for (const NodeId node : request.nodes) bytes += object_bytes(store.presence().plan_of(node));
  QUIRE_TRY(check_fits(tenant, bytes));
  auto load = std::make_unique<Load>();
  load->tag = request.tag;
  load->domain = domain;
  load->tenant = tenant;
  load->load_class = request.load_class;
  load->order = request.order;
  load->started_ns = clock_->now_ns();
  load->deadline_ns = request.deadline_ns;
  load->from = tier->id();
  load->nodes.reserve(request.nodes.size());
  for (const NodeId node : request.nodes) {
    load->nodes.emplace_back(&store, node, cache::PinKind::kResidency);
  }
  load->estimated_us = estimate_us(bytes);
  set_bytes_left(*load, bytes);
  Domain& shared = domains_[domain.value];
  ++shared.loads;
  shared.nodes += load->nodes.size();
  Queue& queue = queues_[tenant.value];
  queue.domain = domain;
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
  ++counters_of(tier->id()).started;
  return {};
}

NodeId Loads::next_missing(uint64_t tag) const {
  const auto found = loads_.find(tag);
  if (found == loads_.end() || found->second->head == found->second->nodes.size()) return {};
  return found->second->nodes[found->second->head].node();
}

bool Loads::needs_slots(NodeId node) const {
  const Node& link = cache_->store().tree().node(node);
  return !link.is_in_ram() && !link.is_moving();
}

std::span<const SlotId> Loads::slots_of(const Load& load, size_t index) const {
  const uint32_t begin = index == 0 ? 0 : load.slot_ends[index - 1];
  return std::span(load.slots).subspan(begin, load.slot_ends[index] - begin);
}

// Slots behind those of the node before, so that a run lies adjacent in RAM too.
bool Loads::reserve_node(Load& load, NodeId node, Reserved& outcome) {
  ObjectStore& store = cache_->store();
  const cache::Root& root = cache_->names().root(store.tree().node(node).root());
  const std::vector<model::PlannedPage>& plan = store.presence().plan_of(node).pages;
  const std::span<const SlotId> before =
      load.reserved == 0 ? std::span<const SlotId>() : slots_of(load, load.reserved - 1);
  const size_t start = load.slots.size();
  for (size_t i = 0; i < plan.size(); ++i) {
    const SlotId after =
        before.size() == plan.size() ? load.slots[start - plan.size() + i] : SlotId{};
    SlotId slot;
    const cache::Room room = cache_->room().allocate(
        {.size_class = root.classes[plan[i].group], .tenant = root.tenant, .after = after}, slot);
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

Loads::Reserved Loads::reserve(Load& load, uint32_t nodes) {
  for (uint32_t step = 0; step < nodes; ++step) {
    if (load.is_reserved()) return Reserved::kDone;
    const NodeId node = load.nodes[load.reserved].node();
    Reserved outcome = Reserved::kMore;
    if (needs_slots(node)) {
      if (!reserve_node(load, node, outcome)) return outcome;
    } else {
      ++counters_of(load.from).shared;
    }
    load.slot_ends.push_back(static_cast<uint32_t>(load.slots.size()));
    ++load.reserved;
  }
  return load.is_reserved() ? Reserved::kDone : Reserved::kMore;
}

void Loads::note_issued(Load& load, std::span<const ReadObject> objects, uint32_t job_number) {
  ObjectStore& store = cache_->store();
  ReadJob& job = jobs_[job_number];
  job.load = load.tag;
  job.left = static_cast<uint32_t>(objects.size());
  for (size_t i = 0; i < objects.size(); ++i) {
    const NodeId node = objects[i].node;
    job.nodes[i] = cache::Pin(&store, node, cache::PinKind::kResidency);
    job.slots.insert(job.slots.end(), objects[i].slots.begin(), objects[i].slots.end());
    job.slot_ends[i] = static_cast<uint32_t>(job.slots.size());
    job.bytes += object_bytes(store.presence().plan_of(node));
    store.tree().marks().set_moving(node, true);
  }
  load.issued += objects.size();
  load.bytes_under_way += job.bytes;
}

// Offers its tier the nodes from load.issued on that need reading. Returns how many it took.
uint32_t Loads::issue_run(Load& load) {
  std::array<ReadObject, kMaxJobObjects> run;
  Tier* tier = source_of(load.nodes[load.issued].node());
  size_t count = 0;
  while (count < run.size() && load.issued + count < load.nodes.size()) {
    const size_t index = load.issued + count;
    const NodeId node = load.nodes[index].node();
    const std::span<const SlotId> slots = slots_of(load, index);
    if (slots.empty() || !needs_slots(node) || source_of(node) != tier) break;
    run[count++] = {node, slots};
  }
  const std::span<const ReadObject> objects = std::span(run).first(count);
  const uint32_t job = jobs_.take();
  const auto taken = tier->read(
      {.job = job, .load_class = load.load_class, .order = load.order, .objects = objects});
  if (!taken.ok()) {
    const bool shortage = taken.code() == Errc::kResourceExhausted;
    load.failure = shortage ? Errc::kResourceExhausted : Errc::kIoError;
  }
  if (!taken.ok() || *taken == 0) {
    jobs_.give_back(job);
    return 0;
  }
  note_issued(load, objects.first(*taken), job);
  return *taken;
}

void Loads::issue(Load& load) {
  ObjectStore& store = cache_->store();
  while (load.issued < load.nodes.size() && load.bytes_under_way < kLoadBytes) {
    const NodeId node = load.nodes[load.issued].node();
    const std::span<const SlotId> slots = slots_of(load, load.issued);
    if (slots.empty() || !needs_slots(node) || source_of(node) == nullptr) {
      // In RAM by now, on its way, or out of reach: its slots, if it has any, are not needed.
      for (const SlotId slot : slots) store.pool().free(slot);
      ++load.issued;
      continue;
    }
    if (issue_run(load) == 0) return;
  }
}

// Whoever comes first takes what is free of a tier's records, so that changes from step to step.
void Loads::serve_queues() {
  const auto nodes = static_cast<uint32_t>(std::max<size_t>(1, kNodesPerStep / queues_.size()));
  auto at = queues_.upper_bound(last_served_);
  if (at == queues_.end()) at = queues_.begin();
  last_served_ = at->first;
  for (size_t i = 0; i < queues_.size(); ++i) {
    serve(at->second, nodes);
    if (++at == queues_.end()) at = queues_.begin();
  }
}

void Loads::serve(Queue& queue, uint32_t nodes) {
  bool reserving = false;
  for (Load* load : queue.loads) {
    if (!load->is_reserved() && !reserving) {
      reserving = true;  // one at a time
      reserve_for(*load, nodes);
    }
    if (load->is_reserved() && load->issued < load->nodes.size()) issue(*load);
  }
}

// The first of its queue that lacks something, if it is its domain's turn to have it.
void Loads::reserve_for(Load& load, uint32_t nodes) {
  Domain& domain = domains_[load.domain.value];
  if (domain.reserving != nullptr && domain.reserving != &load) return;
  domain.reserving = &load;
  if (!load.gives_way) {
    const Reserved reserved = reserve(load, nodes);
    if (reserved == Reserved::kNoRoom && !may_get_room(load)) {
      load.failure = Errc::kResourceExhausted;
    }
    if (reserved == Reserved::kDone) domain.reserving = nullptr;
    if (reserved == Reserved::kDone || reserved == Reserved::kMore) return;
    load.gives_way = others_wait(load);
  }
  if (load.gives_way) give_way(load, nodes);
}

// Another tenant of the domain has a load that needs memory.
bool Loads::others_wait(const Load& load) const {
  return std::any_of(queues_.begin(), queues_.end(), [&](const auto& entry) {
    const auto& [tenant, queue] = entry;
    return queue.domain == load.domain && tenant != load.tenant.value &&
           std::any_of(queue.loads.begin(), queue.loads.end(),
                       [](const Load* other) { return !other->is_reserved(); });
  });
}

// What it has goes back, in steps; then it is another's turn to reserve.
void Loads::give_way(Load& load, uint32_t nodes) {
  for (; nodes > 0 && load.reserved > 0; --nodes) {
    --load.reserved;
    for (const SlotId slot : slots_of(load, load.reserved)) cache_->store().pool().free(slot);
    load.slot_ends.pop_back();
    load.slots.resize(load.reserved == 0 ? 0 : load.slot_ends.back());
  }
  if (load.reserved > 0) return;
  load.gives_way = false;
  domains_[load.domain.value].reserving = nullptr;
}

// What its domain's clients hold they may hold for ever: that is not waited for.
bool Loads::may_get_room(const Load& load) const {
  if (domains_.at(load.domain.value).leaving > 0) return true;
  const bool moves = std::any_of(tiers_.begin(), tiers_.end(), [&](const Tier* tier) {
    return tier != nullptr && tier->moves_for(load.domain);
  });
  if (moves) return true;
  return std::any_of(loads_.begin(), loads_.end(), [&](const auto& entry) {
    return entry.second->domain == load.domain && entry.second->is_reserved();
  });
}

void Loads::finish_object(model::TierId tier, ReadJob& job, uint32_t index, Errc code) {
  ObjectStore& store = cache_->store();
  const NodeId node = job.nodes[index].node();
  const uint32_t begin = index == 0 ? 0 : job.slot_ends[index - 1];
  const std::span<const SlotId> slots =
      std::span<const SlotId>(job.slots).subspan(begin, job.slot_ends[index] - begin);
  store.tree().marks().set_moving(node, false);
  if (code == Errc::kOk) {
    store.make_resident(node, slots);
  } else {
    for (const SlotId slot : slots) store.pool().free(slot);
    const bool corrupt = code == Errc::kCorrupt;
    ++(corrupt ? counters_of(tier).corrupt : counters_of(tier).read_failures);
    if (!corrupt && unreadable_.size() < kMaxUnreadable) {
      unreadable_[node.value] = store.tree().key(node);
    }
    // Out of the index before anyone is answered, or the next match would promise it again.
    if (!store.tree().node(node).is_quarantined()) store.quarantine(node);
  }
  job.nodes[index].reset();
}

void Loads::take(Tier& tier, const TierEvent& event) {
  ReadJob& job = jobs_[event.job];
  for (uint32_t i = 0; i < event.count; ++i) {
    finish_object(tier.id(), job, event.first + i, event.code);
  }
  job.left -= event.count;
  if (job.left > 0) return;
  if (const auto found = loads_.find(job.load); found != loads_.end()) {
    Load& load = *found->second;
    load.bytes_under_way -= job.bytes;
    set_bytes_left(load, load.bytes_left - std::min(load.bytes_left, job.bytes));
  }
  jobs_.give_back(event.job);
}

bool Loads::is_unreadable(NodeId node) const {
  const auto found = unreadable_.find(node.value);
  return found != unreadable_.end() && found->second == cache_->store().tree().key(node);
}

std::optional<Errc> Loads::outcome(Load& load, int64_t now_ns) {
  const ObjectStore& store = cache_->store();
  const size_t head = load.head;
  while (load.head < load.nodes.size() &&
         store.tree().node(load.nodes[load.head].node()).is_in_ram()) {
    ++load.head;
  }
  if (load.head > head) advanced_.push_back(load.tag);
  if (load.head == load.nodes.size()) return Errc::kOk;
  const NodeId next = load.nodes[load.head].node();
  const Node& link = store.tree().node(next);
  if (load.failure != Errc::kOk) return load.failure;
  if (link.is_quarantined()) return is_unreadable(next) ? Errc::kIoError : Errc::kCorrupt;
  if (load.head < load.issued && !link.is_moving()) return Errc::kIoError;
  if (now_ns >= load.deadline_ns) return Errc::kDeadlineExceeded;
  if (source_of(next) == nullptr) return Errc::kIoError;
  return std::nullopt;
}

// From here on nobody is told of it.
void Loads::leave(Queues::iterator queue, Load& load) {
  if (load.load_class == model::LoadClass::kInteractive) --interactive_count_;
  set_bytes_left(load, 0);
  std::erase(queue->second.loads, &load);
  Domain& domain = domains_[load.domain.value];
  --domain.loads;
  ++domain.leaving;
  if (domain.reserving == &load) domain.reserving = nullptr;
  const auto owned = loads_.find(load.tag);
  leaving_.push_back(std::move(owned->second));
  loads_.erase(owned);
}

// Slots of nodes that were issued belong to their jobs. Deepest first: a quarantined node goes
// with its last pin, and then its parent may.
bool Loads::let_go(uint32_t nodes) {
  ObjectStore& store = cache_->store();
  if (leaving_.empty()) return false;
  while (nodes > 0 && !leaving_.empty()) {
    Load& load = *leaving_.front();
    Domain& domain = domains_[load.domain.value];
    for (; nodes > 0 && load.reserved > load.issued; --nodes) {
      --load.reserved;
      for (const SlotId slot : slots_of(load, load.reserved)) store.pool().free(slot);
    }
    for (; nodes > 0 && !load.nodes.empty(); --nodes) {
      load.nodes.pop_back();
      --domain.nodes;
    }
    if (!load.nodes.empty()) break;
    if (--domain.leaving == 0 && domain.loads == 0) domains_.erase(load.domain.value);
    leaving_.pop_front();
  }
  if (idle()) unreadable_.clear();
  return true;
}

void Loads::finish(Load& load, Errc code, int64_t now_ns) {
  LoadCounters& counters = counters_of(load.from);
  ++counters.finished;
  if (code == Errc::kDeadlineExceeded) {
    ++counters.deadline_exceeded;
  } else if (code != Errc::kOk) {
    ++counters.failed;
  } else {
    tiers_[model::index_of(load.from)]->estimator().judge(
        load.estimated_us, static_cast<uint64_t>(now_ns - load.started_ns) / 1000);
  }
  finished_.push_back({load.tag, code});
}

void Loads::cancel(uint64_t tag) {
  const auto found = loads_.find(tag);
  if (found == loads_.end()) return;
  const auto queue = queues_.find(found->second->tenant.value);
  leave(queue, *found->second);
  if (queue->second.loads.empty()) queues_.erase(queue);
}

bool Loads::step(int64_t now_ns) {
  bool worked = let_go(kLetGoPerStep);
  if (loads_.empty()) return worked;
  serve_queues();
  for (auto queue = queues_.begin(); queue != queues_.end();) {
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
    queue = loads.empty() ? queues_.erase(queue) : std::next(queue);
  }
  if (worked) let_go(kLetGoPerStep);
  return worked;
}

}  // namespace quire::tiering
