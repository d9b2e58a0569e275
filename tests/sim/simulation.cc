#include "tests/sim/simulation.h"

#include <rocksdb/env.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <utility>

#include "tests/support/meddler.h"

namespace quire::tests {

namespace {

constexpr size_t kMaxClients = 5;
constexpr size_t kMaxSessions = 3;  // of a client
constexpr uint32_t kTurnsBetweenLooks = 16;
constexpr uint32_t kTurnsBetweenInvariants = 128;
constexpr uint32_t kTurnsOfAnEnd = 6000;
constexpr uint64_t kLate = 0x6c617465;
constexpr uint64_t kPins = 0x70696e73;
constexpr uint64_t kReserve = 0x72657376;
constexpr uint64_t kClusters = 0x72616473;

std::chrono::microseconds random_time(SimRandom& random) {
  // Now and then longer than a client's patience for segments, and than every deadline.
  if (random.one_in(400)) return std::chrono::milliseconds(1200);
  if (random.one_in(16)) return std::chrono::milliseconds(5);
  return std::chrono::microseconds(random.below(400));
}

}  // namespace

Simulation::Simulation(uint64_t seed)
    : random_(seed),
      late_(seed ^ kLate),
      pins_(seed ^ kPins),
      reserves_(seed ^ kReserve),
      clusters_(seed ^ kClusters),
      may_reserve_(!reserves_.one_in(2)),
      world_(random_, late_.one_in(4) ? 1 : 3),
      config_(random_, late_, clusters_),
      disk_(&random_, &clock_, config_.faults),
      manifest_env_(rocksdb::NewMemEnv(rocksdb::Env::Default())),
      directory_(memory_directory()),
      judge_(&world_, &config_) {
  stage_ = {.random = &random_,
            .clock = &clock_,
            .judge = &judge_,
            .sums = &sums_,
            .turns = &turns_,
            .world = &world_};
  begin_life();
}

Simulation::~Simulation() = default;

void Simulation::begin_life() {
  core_ = std::make_unique<SimCore>(SimParts{.random = &random_,
                                             .clock = &clock_,
                                             .disk = &disk_,
                                             .world = &world_,
                                             .config = &config_,
                                             .manifest_env = manifest_env_.get(),
                                             .turn_sink = &turns_,
                                             .ssd_path = directory_ / "ssd"});
  // The manifest's files are in memory of their own; the next tier looks for this one by its name.
  std::filesystem::create_directories(directory_ / "ssd/manifest");
  write_bytes(directory_ / "ssd/manifest/CURRENT", "in memory\n");
  if (cluster_contents_ != nullptr) {
    core_->cluster()->put_contents(std::move(cluster_contents_));
  }
  stage_.core = core_.get();
  turns_.begin_life();
  judge_.begin_life(*core_);
}

// Law 7: what clients mapped stays; their sessions are gone, and they come back as others.
void Simulation::end_life(bool cleanly) {
  judge_.observe();
  if (cleanly) {
    while (!clients_.empty()) kill(clients_.size() - 1);
    if (core_->memory_tier() != nullptr) core_->memory_tier()->hold(false);
    mend_cluster();
    core_->stop();
    judge_nobody_left();
    ++judge_.coverage().stops;
  } else {
    ++judge_.coverage().crashes;
  }
  judge_.end_life();
  disk_.crash();
  clients_.clear();
  if (core_->cluster() != nullptr) {
    judge_.coverage().found += core_->tiers()->searches().counters().found_tokens;
    cluster_contents_ = core_->cluster()->take_contents();
  }
  core_.reset();
  begin_life();
}

void Simulation::connect() {
  const uint32_t domain = random_.below(static_cast<uint32_t>(world_.domains.size()));
  Client& client = clients_.emplace_back();
  client.domain = domain;
  client.process = core_->connect(domain);
  (void)core_->core().segments().tell_all(*client.process);
  open_session(client);
}

void Simulation::open_session(Client& client) {
  if (client.sessions.size() + client.queued.size() >= kMaxSessions) return;
  // Each domain has three roots.
  const uint32_t root = client.domain * 3 + random_.below(3);
  SimCore::Asked asked{.root = root, .conversation = random_.one_in(2) ? 1 + random_.below(2) : 0};
  if (may_reserve_ && reserves_.one_in(3)) {
    // Up to more than all there is.
    const uint64_t segment = core_->pool().supply().segment_bytes();
    asked.reserve_bytes = 1 + reserves_.number() % (config_.segments * segment * 9 / 8);
    asked.wait_ms = reserves_.below(4) * 500;
  }
  ask(client, asked);
}

void Simulation::ask_again(Client& client) {
  const size_t index = reserves_.below(static_cast<uint32_t>(client.queued.size()));
  const SimCore::Asked asked = client.queued[index];
  client.queued.erase(client.queued.begin() + static_cast<ptrdiff_t>(index));
  if (reserves_.one_in(20)) return core_->queue().leave(*client.process, asked.ticket);
  ask(client, asked);
}

void Simulation::ask(Client& client, const SimCore::Asked& asked) {
  const uint32_t root = asked.root;
  const model::Layout& layout = world_.layout_of(root);
  const SimCore::Opened opened = core_->open(*client.process, SimSession::shape(), asked);
  if (opened.ticket != 0) {
    client.queued.push_back(asked);
    client.queued.back().ticket = opened.ticket;
    ++judge_.coverage().queued;
    return;
  }
  const bool may_be_refused = opened.code == model::Errc::kResourceExhausted ||
                              opened.code == model::Errc::kDeadlineExceeded ||
                              // Nobody asked for the ticket for long.
                              (asked.ticket != 0 && opened.code == model::Errc::kNotFound);
  if (opened.attachment == nullptr && asked.reserve_bytes > 0 && may_be_refused) return;
  if (opened.attachment == nullptr)
    return judge_.fail("a session is refused: " + std::string(model::errc_name(opened.code)));
  if (asked.reserve_bytes > 0) ++judge_.coverage().admitted;
  const bool is_sharded = layout.groups.back().shard_count > 1;
  client.sessions.push_back(std::make_unique<SimSession>(
      &stage_, *opened.attachment,
      SimSession::Identity{.root = root,
                           .domain = client.process->domain,
                           .groups = is_sharded && random_.one_in(2) ? model::GroupMask{1} : 0,
                           .chain = sim_chain(random_, 2 + random_.below(kSimMaxUnits - 1)),
                           .token = opened.token}));
}

// Another process of the domain, or the same: a rank with groups of its own, or one with equal
// bytes.
void Simulation::join_session(Client& client) {
  if (client.sessions.size() >= kMaxSessions) return;
  Client& other = clients_[random_.below(static_cast<uint32_t>(clients_.size()))];
  if (other.sessions.empty()) return;
  SimSession& session =
      *other.sessions[random_.below(static_cast<uint32_t>(other.sessions.size()))];
  if (session.is_closed()) return;
  SimSession::Identity identity = session.identity();
  server::Attachment* attachment =
      core_->join(*client.process, identity.token, SimSession::shape());
  // Law 13: a token is good in its own domain only.
  if (other.domain != client.domain) {
    if (attachment != nullptr) judge_.fail("a session of another domain was joined");
    return;
  }
  if (attachment == nullptr) return judge_.fail("a session cannot be joined");
  session.join();
  identity.is_joint = true;
  if (identity.groups != 0) identity.groups ^= 3;
  client.sessions.push_back(std::make_unique<SimSession>(&stage_, *attachment, identity));
}

void Simulation::close_session(Client& client) {
  if (client.sessions.empty()) return;
  SimSession& session =
      *client.sessions[random_.below(static_cast<uint32_t>(client.sessions.size()))];
  if (session.is_closed()) return;
  session.let_go();
  core_->close(*session.attachment());
  session.give_staging_back();
  if (!session.is_closed()) judge_.fail("a closed session does not know it");
}

void Simulation::drop_closed(Client& client) {
  judge_.coverage().scribbles += client.process->faulty.size();
  client.process->faulty.clear();
  std::erase_if(client.sessions, [](const auto& session) {
    if (!session->is_closed()) return false;
    session->let_go();  // whoever ended it
    session->give_staging_back();
    return true;
  });
}

void Simulation::kill(size_t index) {
  Client& client = clients_[index];
  // Of several sessions some are served for some turns more, and nobody sees what they are told.
  const bool at_once = client.sessions.size() == 1;
  for (const auto& session : client.sessions) {
    if (!at_once) session->count_no_more();
    session->let_go();
  }
  core_->disconnect(std::move(client.process));
  clients_.erase(clients_.begin() + static_cast<ptrdiff_t>(index));
  ++judge_.coverage().deaths;
}

// It maps segments that it sees pages in, and gives back what it is asked for, in its own time.
void Simulation::map_and_unmap(Client& client) {
  server::SegmentShare& segments = core_->core().segments();
  if (random_.one_in(8)) (void)segments.tell_all(*client.process);
  if (client.process->retired.empty() || !random_.one_in(2)) return;
  const uint32_t segment = client.process->retired.back();
  client.process->retired.pop_back();
  segments.acknowledged(*client.process, model::SegmentId{segment});
  ++judge_.coverage().retired;
}

void Simulation::take(Client& client) {
  for (const auto& session : client.sessions) {
    if (session->take(1 + random_.below(8))) {
      fingerprint_ = fingerprint_ * 0x9e3779b97f4a7c15ull + judge_.coverage().pages +
                     core_->turn_count() + session->waiting_count();
    }
  }
}

void Simulation::misbehave(Client& client) {
  if (client.sessions.empty()) return;
  SimSession& session =
      *client.sessions[random_.below(static_cast<uint32_t>(client.sessions.size()))];
  switch (random_.below(8)) {
    case 0:
      return session.scribble();
    case 1:
    case 2:
      return session.flood();
    default:
      client.stalled_until = core_->turn_count() + random_.below(200);
  }
}

void Simulation::act(Client& client) {
  take(client);
  drop_closed(client);
  map_and_unmap(client);
  if (!client.queued.empty() && reserves_.one_in(4)) return ask_again(client);
  if (client.sessions.empty()) return open_session(client);
  const uint32_t choice = random_.below(150);
  if (choice == 0) return open_session(client);
  if (choice == 1) return join_session(client);
  if (choice == 2) return close_session(client);
  if (choice == 3) return misbehave(client);
  const uint32_t requests = 1 + random_.below(3);
  SimSession& session =
      *client.sessions[random_.below(static_cast<uint32_t>(client.sessions.size()))];
  for (uint32_t i = 0; i < requests; ++i) session.act();
}

void Simulation::clients_act() {
  if (clients_.empty() || (clients_.size() < kMaxClients && random_.one_in(60))) return connect();
  const size_t index = random_.below(static_cast<uint32_t>(clients_.size()));
  if (clients_[index].stalled_until > core_->turn_count()) {
    if (random_.one_in(20)) kill(index);  // what stalled may have died
    return;
  }
  if (random_.one_in(150)) return kill(index);
  act(clients_[index]);
}

// Of a user, or of one tenant; also of one that is not there yet.
void Simulation::change_rules() {
  static constexpr std::array kPolicies{"lru", "s3fifo", "arc"};
  const SimRoot& root = world_.roots[random_.below(static_cast<uint32_t>(world_.roots.size()))];
  const bool ram = !config_.has_tier || random_.one_in(2);
  const cache::ScopeName name{
      .tier = ram ? model::TierId::kRam : model::TierId::kSsd,
      .domain = core_->cache().names().domain_name(core_->domain(root.domain)),
      .tenant = random_.one_in(2) ? std::optional(root.tenant) : std::nullopt};
  cache::ScopeRules& rules = core_->cache().rules();
  const uint64_t segment = core_->pool().supply().segment_bytes();
  switch (random_.below(4)) {
    case 0:
      (void)rules.set_quota(name, std::nullopt);
      return;
    case 1: {
      const uint64_t guaranteed = segment * random_.below(8) / 8;
      const uint64_t burst = random_.one_in(2) ? UINT64_MAX : guaranteed + segment / 4;
      const uint32_t weight = 1 + guaranteed % 7;
      (void)rules.set_quota(name, cache::Quota{guaranteed, burst, weight});
      return;
    }
    default:
      // kBusy: a switch is under way.
      (void)rules.set_policy(name, kPolicies[random_.below(kPolicies.size())]);
  }
}

// Of a namespace, of all its tenants or one; sometimes of more than there is room for beside it.
void Simulation::change_pins() {
  const SimRoot& root = world_.roots[pins_.below(static_cast<uint32_t>(world_.roots.size()))];
  cache::NamespacePins& pins = core_->cache().pins();
  const cache::PinName name{
      .domain = core_->cache().names().domain_name(core_->domain(root.domain)),
      .tenant = pins_.one_in(2) ? std::optional(root.tenant) : std::nullopt,
      .namespace_name = root.namespace_name};
  const uint64_t segment = core_->pool().supply().segment_bytes();
  switch (pins_.below(6)) {
    case 0:
      (void)pins.clear(name);
      return;
    case 1:
      pins.clear_all();
      return;
    default:
      // An error: too many, or more than there may be.
      (void)pins.set({.name = name,
                      .budget_bytes = segment * (1 + pins_.below(12)) / 8,
                      .until_ns = pins_.one_in(2)
                                      ? cache::NamespacePin::kForever
                                      : clock_.now_ns() + pins_.below(200) * model::kNsPerMs});
  }
}

// It delays in any case; what it loses, a run that expects that must stand.
void Simulation::meddle_with_memory_tier() {
  MemoryTier& tier = *core_->memory_tier();
  const uint32_t choice = late_.below(config_.memory_fails ? 6 : 2);
  switch (choice) {
    case 0:
      return tier.hold(true);
    case 1:
      return tier.hold(false);
    case 2:
      return tier.fail_write(late_.below(4));
    case 3:
      return tier.fail_read(late_.below(4), TierFault::kFail);
    case 4:
      return tier.fail_read(late_.below(4), TierFault::kDamage);
    default:
      return tier.fail_read(late_.below(4), TierFault::kForget);
  }
}

// A partition, also one amid everything; what other hosts remove; and what is forgotten here.
void Simulation::meddle_with_cluster() {
  MemoryTier& cluster = *core_->cluster();
  switch (clusters_.below(config_.cluster_fails ? 10 : 4)) {
    case 0:
      return cluster.hold(true);
    case 1:
    case 2:
      return cluster.hold(false);
    case 3:
      for (uint32_t i = 1 + clusters_.below(20); i > 0; --i) {
        if (!Meddler(core_->cache()).forget_from_cluster()) return;
      }
      return;
    case 4:
      return cluster.set_mode(tiering::TierMode::kOff);
    case 5:
    case 6:
      return cluster.set_mode(clusters_.one_in(4) ? tiering::TierMode::kReadOnly
                                                  : tiering::TierMode::kOk);
    case 7:
      return clusters_.one_in(8) ? cluster.wipe() : cluster.fail_write(clusters_.below(4));
    case 8:
      return cluster.fail_read(clusters_.below(4), TierFault::kDamage);
    default:
      return cluster.fail_read(clusters_.below(4), TierFault::kForget);
  }
}

// From here on it ends what it has begun.
void Simulation::mend_cluster() {
  MemoryTier* cluster = core_->cluster();
  if (cluster == nullptr) return;
  cluster->clear_faults();
  cluster->hold(false);
  cluster->set_mode(tiering::TierMode::kOk);
}

// What a router has heard is what is there.
void Simulation::judge_events() {
  if (const std::string wrong = core_->events().judge(); !wrong.empty()) judge_.fail(wrong);
}

void Simulation::look() {
  const uint64_t turns = core_->turn_count();
  if (turns % kTurnsBetweenLooks == 0) {
    judge_.observe();
    sums_.judge_memory();
    look_for_starving();
  }
  if (turns % kTurnsBetweenInvariants == 0) {
    core_->check_invariants();
    sums_.judge_bounds();
    judge_events();
  }
}

// Of each tenant it is asked once.
void Simulation::look_for_starving() {
  std::map<model::TenantId, bool> can_evict;
  for (Client& client : clients_) {
    for (const auto& session : client.sessions) {
      if (session->is_closed()) continue;
      const auto [can, asked] = can_evict.try_emplace(session->tenant());
      // What may go may be promised to others.
      const bool promised =
          core_->cache().reservations().unspent_bytes(core_->domain(client.domain)) > 0;
      if (asked) {
        can->second = !promised && core_->inspector().has_evictable_for(session->tenant());
      }
      session->judge_starving(can->second);
    }
  }
}

void Simulation::judge_nobody_left() {
  sums_.judge_nobody_left();
  turns_.judge_end();
}

void Simulation::turn() {
  if (core_->memory_tier() != nullptr && late_.one_in(40)) meddle_with_memory_tier();
  if (core_->cluster() != nullptr && clusters_.one_in(40)) meddle_with_cluster();
  if (pins_.one_in(60)) change_pins();
  clock_.advance(random_time(random_));
  sums_.begin_turn();
  core_->turn();
  for (Client& client : clients_) {
    for (const auto& session : client.sessions) session->watch();
  }
  look();
}

bool Simulation::step() {
  if (random_.one_in(3)) {
    turn();
  } else if (random_.one_in(900)) {
    end_life(random_.one_in(3));
  } else if (random_.one_in(200)) {
    change_rules();
  } else {
    clients_act();
  }
  return failure().empty();
}

// More of the tier in memory is guaranteed than it has, which only a daemon's commands refuse: all
// may be within their guarantee, and a newcomer waits for ever.
bool Simulation::is_over_promised() const {
  uint64_t promised = 0;
  for (const auto& [name, rule] : core_->cache().rules().all()) {
    if (name.tier == model::TierId::kSsd && rule.quota())
      promised += rule.quota()->guaranteed_bytes;
  }
  return promised > config_.memory.capacity_bytes;
}

// What is still held, or under way, for nobody.
std::string Simulation::what_is_left() {
  if (core_->dying_count() > 0) return "attachments of dead clients";
  if (core_->core().registry().draining_count() > 0) return "what attachments held";
  if (core_->copies_in_flight() > 0) return "copies";
  if (core_->core().dispatcher().waiting_loads() > 0) return "loads";
  tiering::TierSet* tiers = core_->tiers();
  // Before the tier's own work, which may be excused: what the cluster is given is pinned
  // meanwhile.
  if (core_->cluster() != nullptr) {
    const bool written = tiers->members().back().demotion->idle();
    if (!core_->cluster()->idle() || !written) return "work of the cluster";
  }
  if (core_->memory_tier() != nullptr && !tiers->idle()) {
    const bool waits_for_room = core_->memory_tier()->job_count() + tiers->loads().count() == 0;
    if (waits_for_room && is_over_promised()) return {};
    return "work of the tier in memory: " + std::to_string(core_->memory_tier()->job_count()) +
           " jobs, " + std::to_string(tiers->loads().count()) + " loads, " +
           std::to_string(tiers->queued()) + " queued";
  }
  if (tiers != nullptr && !tiers->idle()) {
    const tiering::SsdTierStatus status = core_->tier()->status();
    // What waits for room on a full device waits for nobody who died.
    if (status.transfers + tiers->loads().count() == 0 && !status.blocked_by.empty()) return {};
    return "work of the tier, which is " + std::string(tiering::tier_mode_name(status.state)) +
           ": " + std::to_string(status.transfers) + " transfers, " +
           std::to_string(tiers->loads().count()) + " loads, " + std::to_string(tiers->queued()) +
           " queued, blocked by '" + status.blocked_by + "'";
  }
  return {};
}

// What everybody left is no reason to refuse anything to who comes now.
void Simulation::press() {
  // Each domain has three roots.
  const uint32_t root = late_.below(static_cast<uint32_t>(world_.roots.size()));
  // Where there are fewer segments than domains, somebody has none.
  const model::DomainId domain = core_->domain(world_.roots[root].domain);
  const bool has_memory = core_->pool().usage(domain).segment_bytes > 0;
  if (!has_memory && config_.segments < world_.domains.size()) return;
  SimPressure(&stage_, root).run();
}

// Everybody died: what that leaves to do is done in some turns.
void Simulation::wait_for_rest() {
  for (uint32_t i = 0; i < kTurnsOfAnEnd && !what_is_left().empty() && failure().empty(); ++i) {
    clock_.advance(std::chrono::microseconds(500));
    core_->turn();
  }
  const std::string left = what_is_left();
  if (!left.empty()) judge_.fail("everybody died, and there is left: " + left);
}

bool Simulation::finish() {
  disk_.set_faults({});
  if (core_->memory_tier() != nullptr) {
    core_->memory_tier()->clear_faults();
    core_->memory_tier()->hold(false);
  }
  mend_cluster();
  while (!clients_.empty()) kill(clients_.size() - 1);
  wait_for_rest();
  core_->check_invariants();
  judge_events();
  judge_.observe();
  judge_nobody_left();
  const bool presses = late_.one_in(config_.has_tier ? 4 : 2);
  if (failure().empty() && presses) {
    press();
    wait_for_rest();
  }
  if (!config_.may_lose()) sums_.judge_empty();
  return failure().empty();
}

SimCoverage Simulation::coverage() {
  SimCoverage coverage = judge_.coverage();
  if (core_->cluster() != nullptr) {
    coverage.found += core_->tiers()->searches().counters().found_tokens;
  }
  coverage.faults = disk_.fault_count();
  return coverage;
}

}  // namespace quire::tests
