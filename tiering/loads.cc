#include "tiering/loads.h"

#include <algorithm>

#include "model/check.h"

namespace quire::tiering {

using cache::ObjectStore;
using model::Errc;
using model::NodeId;

namespace {

constexpr uint32_t kNodesPerStep = 64;    // reserved, of all domains: with evictions, some 300 us
constexpr uint32_t kLetGoPerStep = 1024;  // unpinned: some 50 us
constexpr size_t kTenantsPerStep = 64;    // served: each has its turn, whatever others have
constexpr uint32_t kReadsPerTenant = 16;  // loads of one that are looked at for a piece to read
constexpr uint32_t kPiecesPerStep = 256;  // offered to tiers

}  // namespace

Loads::~Loads() {
  while (!loads_.empty()) cancel(loads_.begin()->first);
  while (let_go()) {
  }
}

uint64_t Loads::estimate_us(const cache::TierBytes& bytes) const {
  uint64_t sum = 0;
  for (const model::TierId id : model::kTiers) {
    Tier* tier = reads_.tier(id);
    if (bytes[id] == 0 || tier == nullptr || !may_read(tier->mode())) continue;
    const uint64_t before = backlogs_[model::index_of(id)].bytes_before(bytes[id]);
    sum += tier->estimator().estimate_us(bytes[id], before);
  }
  return sum;
}

// What no tier can read now is counted for none.
cache::TierBytes Loads::bytes_of(std::span<const NodeId> nodes) const {
  cache::TierBytes bytes;
  for (const NodeId node : nodes) {
    const Tier* tier = reads_.source_of(node);
    if (tier == nullptr) continue;
    bytes[tier->id()] += object_bytes(cache_->store().presence().plan_of(node));
  }
  return bytes;
}

model::Result<void> Loads::check_bounds(const LoadRequest& request, model::DomainId domain) const {
  if (loads_.size() >= kMaxLoads) {
    return model::make_error(Errc::kBusy, "4,096 loads are under way");
  }
  const LoadQueues::Domain* known = queues_.find_domain(domain);
  if (known == nullptr) return {};
  if (known->loads >= kMaxLoadsOfDomain ||
      known->nodes + request.nodes.size() > kMaxLoadNodesOfDomain) {
    return model::make_error(Errc::kBusy,
                             "this user has 1,024 loads, or loads of 1,048,576 "
                             "objects, under way; wait for some");
  }
  return {};
}

// Its nodes are pinned from here on.
std::unique_ptr<LoadRecord> Loads::make_record(const LoadRequest& request) const {
  ObjectStore& store = cache_->store();
  const cache::Root& root = cache_->names().root(store.tree().node(request.nodes.front()).root());
  auto load = std::make_unique<LoadRecord>();
  load->tag = request.tag;
  load->domain = root.key.domain;
  load->tenant = root.tenant;
  load->load_class = request.load_class;
  load->order = request.order;
  load->started_ns = clock_->now_ns();
  load->deadline_ns = request.deadline_ns;
  load->reservation = request.reservation;
  load->nodes.reserve(request.nodes.size());
  for (const NodeId node : request.nodes) {
    load->nodes.emplace_back(&store, node, cache::PinKind::kResidency);
  }
  return load;
}

model::Result<void> Loads::start(const LoadRequest& request) {
  const Tier* tier = reads_.source_of(request.nodes.front());
  if (tier == nullptr) {
    return model::make_error(Errc::kUnavailable, "the tier that has these objects is off");
  }
  ObjectStore& store = cache_->store();
  const cache::Root& root = cache_->names().root(store.tree().node(request.nodes.front()).root());
  QUIRE_TRY(check_bounds(request, root.key.domain));
  uint64_t bytes = 0;
  for (const NodeId node : request.nodes) bytes += object_bytes(store.presence().plan_of(node));
  QUIRE_TRY(memory_.check_fits(root.tenant, bytes));
  auto made = make_record(request);
  LoadRecord& load = *made;
  load.from = tier->id();
  load.estimated_us = estimate_us(bytes_of(request.nodes));
  backlog_of(load).add(load);
  backlog_of(load).set_bytes_left(load, bytes);
  LoadQueues::Domain& shared = queues_.domain(load.domain);
  ++shared.loads;
  shared.nodes += load.nodes.size();
  queues_.add(load);
  looks_.add(load);
  ++reads_.counters(load.from).started;
  loads_.emplace(load.tag, std::move(made));
  return {};
}

NodeId Loads::next_missing(uint64_t tag) const {
  const auto found = loads_.find(tag);
  if (found == loads_.end() || found->second->head == found->second->nodes.size()) return {};
  return found->second->nodes[found->second->head].node();
}

// True: a load got all it needs, so that the next one of its tenant may go on at once. Where the
// nodes of this step are spent it ends: the next one begins with the next tenant.
bool Loads::serve_tenants() {
  const size_t tenants = std::min(queues_.tenant_count(), kTenantsPerStep);
  const auto domains = static_cast<uint32_t>(queues_.domain_count());
  const uint32_t of_each = std::max<uint32_t>(1, kNodesPerStep / domains);
  uint32_t left = kNodesPerStep;
  bool started = false;
  size_t served = 0;
  for (; served < tenants && left > 0; ++served) {
    LoadQueues::Tenant& tenant = *queues_.next_tenant();
    if (LoadRecord* load = queues_.to_reserve(tenant); load != nullptr) {
      const size_t before = load->reserved;
      started = reserve_for(*load, std::min(left, of_each)) || started;
      const size_t spent = std::max(before, load->reserved) - std::min(before, load->reserved);
      left -= std::min(left, static_cast<uint32_t>(spent));
    }
  }
  // Where all were served another one is first in the next step.
  if (served == queues_.tenant_count()) queues_.next_tenant();
  return started;
}

// If it is its domain's turn to have what it lacks.
bool Loads::reserve_for(LoadRecord& load, uint32_t nodes) {
  using Reserved = LoadMemory::Reserved;
  LoadQueues::Domain& domain = queues_.domain(load.domain);
  if (domain.reserving != nullptr && domain.reserving != &load) return false;
  domain.reserving = &load;
  if (!load.gives_way) {
    uint64_t shared = 0;
    const Reserved reserved = memory_.reserve(load, nodes, shared);
    reads_.counters(load.from).shared += shared;
    if (reserved == Reserved::kNoRoom && !may_get_room(load)) {
      load.failure = Errc::kResourceExhausted;
      looks_.touch(load);
    }
    if (reserved == Reserved::kDone) queues_.note_reserved(load);
    if (reserved == Reserved::kDone || reserved == Reserved::kMore) {
      return reserved == Reserved::kDone;
    }
    load.gives_way = queues_.has_rival(load);
  }
  if (load.gives_way) give_way(load, nodes);
  return false;
}

// What it has goes back, in steps; then it is another's turn to reserve.
void Loads::give_way(LoadRecord& load, uint32_t nodes) {
  if (!memory_.give_back(load, nodes)) return;
  load.gives_way = false;
  queues_.give_way(load);
}

// What its domain's clients hold they may hold for ever: that is not waited for.
bool Loads::may_get_room(const LoadRecord& load) const {
  const LoadQueues::Domain& domain = *queues_.find_domain(load.domain);
  return domain.leaving > 0 || domain.reserved > 0 || reads_.moves_for(load.domain);
}

// True: there is more that tiers might take.
bool Loads::read_in_shares() {
  return queues_.read_by_share(kPiecesPerStep,
                               [this](LoadQueues::Tenant& tenant) { return read_for(tenant); });
}

// The next piece of the first of its loads that has one.
LoadQueues::Taken Loads::read_for(LoadQueues::Tenant& tenant) {
  LoadQueues::Taken taken;
  uint32_t offered = 0;
  queues_.for_each_to_read(tenant, [&](LoadRecord& load) {
    const LoadReads::Issued issued = reads_.issue(load);
    if (issued.bytes > 0) {
      taken = {.bytes = issued.bytes, .weight = cache_->quotas().weight(load.from, load.tenant)};
    }
    if (load.failure != Errc::kOk) looks_.touch(load);
    if (load.issued == load.nodes.size()) {
      queues_.note_issued(load);
      // Perhaps nothing of it had to be read.
      looks_.touch(load);
    }
    return taken.bytes == 0 && !issued.refused && ++offered < kReadsPerTenant;
  });
  return taken;
}

void Loads::take(Tier& tier, const TierEvent& event) {
  const LoadReads::Ended ended = reads_.take(tier, event);
  // Whoever shares the node learns it by being looked at, and so does who shares what is behind it.
  looks_.touch_all();
  if (!ended.job) return;
  const auto found = loads_.find(ended.load);
  if (found == loads_.end()) return;
  LoadRecord& load = *found->second;
  load.bytes_under_way -= ended.bytes;
  backlog_of(load).set_bytes_left(load, load.bytes_left - std::min(load.bytes_left, ended.bytes));
  looks_.touch(load);
}

std::optional<Errc> Loads::outcome(LoadRecord& load, int64_t now_ns) {
  const ObjectStore& store = cache_->store();
  const size_t head = load.head;
  while (load.head < load.nodes.size() &&
         store.tree().node(load.nodes[load.head].node()).is_in_ram()) {
    ++load.head;
  }
  if (load.head > head) advanced_.push_back(load.tag);
  if (load.head == load.nodes.size()) return Errc::kOk;
  const NodeId next = load.nodes[load.head].node();
  const cache::Node& link = store.tree().node(next);
  if (load.failure != Errc::kOk) return load.failure;
  if (link.is_quarantined()) {
    return reads_.is_unreadable(next) ? Errc::kIoError : Errc::kCorrupt;
  }
  if (load.head < load.issued && !link.is_moving()) return Errc::kIoError;
  if (now_ns >= load.deadline_ns) return Errc::kDeadlineExceeded;
  if (reads_.source_of(next) == nullptr) return Errc::kIoError;
  return std::nullopt;
}

// True: it ended.
bool Loads::look_at(LoadRecord& load, int64_t now_ns) {
  const std::optional<Errc> code = outcome(load, now_ns);
  if (!code) return false;
  finish(load, *code, now_ns);
  leave(load);
  return true;
}

// From here on nobody is told of it.
void Loads::leave(LoadRecord& load) {
  backlog_of(load).remove(load);
  queues_.remove(load);
  memory_.end_use(load);
  looks_.remove(load);
  --queues_.domain(load.domain).loads;
  const auto owned = loads_.find(load.tag);
  leaving_.add(std::move(owned->second));
  loads_.erase(owned);
}

// Pins and slots of loads that ended.
bool Loads::let_go() {
  const bool worked = leaving_.step(kLetGoPerStep);
  if (worked && idle()) reads_.forget_unreadable();
  return worked;
}

void Loads::finish(LoadRecord& load, Errc code, int64_t now_ns) {
  LoadCounters& counters = reads_.counters(load.from);
  ++counters.finished;
  if (code == Errc::kDeadlineExceeded) {
    ++counters.deadline_exceeded;
  } else if (code != Errc::kOk) {
    ++counters.failed;
  } else {
    reads_.tier(load.from)->estimator().judge(
        load.estimated_us, static_cast<uint64_t>(now_ns - load.started_ns) / 1000);
  }
  finished_.push_back({load.tag, code});
}

void Loads::cancel(uint64_t tag) {
  const auto found = loads_.find(tag);
  if (found != loads_.end()) leave(*found->second);
}

bool Loads::step(int64_t now_ns) {
  bool worked = let_go();
  if (reads_.step()) {
    looks_.touch_all();
    worked = true;
  }
  if (loads_.empty()) return worked;
  worked = serve_tenants() || worked;
  worked = read_in_shares() || worked;
  worked = looks_.step(now_ns, [&](LoadRecord& load) { return look_at(load, now_ns); }) || worked;
  if (worked) let_go();
  return worked;
}

void Loads::check_invariants() const {
  queues_.check_invariants();
  QUIRE_CHECK(looks_.is_consistent() && looks_.count() == loads_.size());
}

}  // namespace quire::tiering
