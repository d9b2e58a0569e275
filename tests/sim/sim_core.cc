#include "tests/sim/sim_core.h"

#include <algorithm>

#include "model/check.h"
#include "model/page_plan.h"
#include "tests/sim/sim_shape.h"

namespace quire::tests {

using model::FillKind;
using server::Attachment;

namespace {

constexpr uint64_t kSegmentBytes = 2 << 20;
constexpr uint64_t kRegionBytes = 1 << 20;
constexpr uint64_t kMaxSlots = 1 << 14;
constexpr uint64_t kMaxNodes = 1 << 14;
constexpr uint32_t kTurnsBetweenBackground = 4;
constexpr uint32_t kTurnsBetweenIdle = 16;
constexpr uint32_t kTurnsOfAStop = 20'000;

template <typename T>
T must(model::Result<T> result) {
  if (!result.ok()) std::fprintf(stderr, "simulator: %s\n", result.error().text.c_str());
  QUIRE_CHECK(result.ok());
  return std::move(result).value();
}

constexpr std::array kPolicies{"lru", "s3fifo", "arc"};

SimDiskFaults sim_faults(SimRandom& random) {
  SimDiskFaults faults;
  if (random.one_in(2)) return faults;  // half of the runs have a disk that works
  const auto some = [&] { return random.one_in(2) ? 20 + random.below(200) : 0; };
  faults.fail = some();
  faults.shorten = some();
  faults.flip = some();
  faults.rot = some();
  faults.hang = some();
  faults.fail_sync = random.one_in(4) ? 50 : 0;
  faults.full = some();
  return faults;
}

}  // namespace

SimConfig::SimConfig(SimRandom& random, SimRandom& late, SimRandom& clusters) {
  has_tier = !random.one_in(3);
  verify_hits = random.one_in(4);
  write_through = random.one_in(2);
  segments = 2 + random.below(2);
  ssd_bytes = (3 + random.below(6)) * kRegionBytes;
  ram_policy = kPolicies[random.below(kPolicies.size())];
  ssd_policy = kPolicies[random.below(kPolicies.size())];
  faults = sim_faults(random);
  in_memory = has_tier && late.one_in(3);
  memory_fails = in_memory && late.one_in(2);
  memory = {.seed = late.number(),
            .most_steps = 1 + late.below(30),
            .max_jobs = 1 + late.below(4),
            .job_objects = 1 + late.below(4),
            .capacity_bytes = ssd_bytes / 2};
  // The first number says whether there is one.
  has_cluster = clusters.one_in(2) && has_tier;
  cluster_fails = has_cluster && clusters.one_in(2);
  cluster = {.id = model::TierId::kCluster,
             .seed = clusters.number(),
             .most_steps = 1 + clusters.below(30),
             .max_jobs = 1 + clusters.below(4),
             .job_objects = 1 + clusters.below(4)};
  search_ms = clusters.one_in(4) ? 0 : 1 + clusters.below(20);
}

void SimProcess::tell(model::FrameType type, std::string_view payload) {
  if (type == model::FrameType::kSegmentRetired) {
    retired.push_back(model::read_struct<model::SegmentRetiredEvent>(payload)->segment);
  } else if (type == model::FrameType::kSessionEnded) {
    faulty.push_back(model::read_struct<model::SessionEndedEvent>(payload)->session);
  }
}

SimCore::SimCore(const SimParts& parts)
    : parts_(parts),
      copies_(parts.random, server::kMaxCopyJobs),
      checks_(parts.random, tiering::kMaxTransfers * tiering::kMaxRunObjects),
      shares_({1024, 1024, 1ull << 40, 1 << 20, 64}, 100),
      closer_(must(server::OffCoreCloser::create())) {
  const SimConfig& config = *parts.config;
  supply_ = std::make_unique<allocator::SegmentSupply>(
      allocator::SegmentSupplyOptions{.budget_bytes = config.segments * kSegmentBytes,
                                      .segment_bytes = kSegmentBytes,
                                      .huge_pages = allocator::HugePages::kOff,
                                      .population = allocator::Population::kLazy,
                                      .on_caller = true});
  pool_ = must(allocator::Pool::create(supply_.get(), kMaxSlots));
  cache_ = must(cache::Cache::create(
      {.max_nodes = kMaxNodes, .seed = parts.random->number(), .ram_policy = config.ram_policy},
      pool_.get()));
  if (config.has_tier) open_tier();
  if (config.has_cluster) open_cluster();
  open_roots();
  events_ = std::make_unique<SimEvents>(cache_.get(), parts.clock);
  turn_ = must(server::CoreTurn::create(
      {.cache = cache_.get(),
       .copies = &copies_,
       .tiers = tiers_.get(),
       .clock = parts.clock,
       .dispatcher = {.verify_hits = config.verify_hits,
                      .default_deadline_ms = kSimDeadlineMs,
                      .search = {.budget_ms = config.search_ms, .min_tokens = 1},
                      .turn_sink = parts.turn_sink},
       .registry = {.shares = &shares_, .closer = &closer_},
       .counters = &counters_,
       .unwatch = [](Attachment&) {}}));
  queue_ = std::make_unique<server::SessionQueue>(
      server::SessionQueue::Parts{.cache = cache_.get(), .shares = &shares_, .clock = parts.clock});
}

// What crashed is not drained: what was in flight is forgotten with its engines.
SimCore::~SimCore() {
  queue_.reset();
  turn_.reset();
  roots_.clear();
  tiers_.reset();
}

void SimCore::open_tier() {
  const SimConfig& config = *parts_.config;
  QUIRE_CHECK(cache_->attach_tier(model::TierId::kSsd, config.ssd_policy).ok());
  tiers_ = std::make_unique<tiering::TierSet>(cache_.get(), parts_.clock);
  std::unique_ptr<tiering::Tier> tier;
  if (config.in_memory) {
    auto made = std::make_unique<MemoryTier>(cache_.get(), config.memory);
    memory_tier_ = made.get();
    tier = std::move(made);
  } else {
    tier = make_ssd_tier();
  }
  tiers_->add(std::move(tier), {.policy = config.write_through ? tiering::WritePolicy::kThrough
                                                               : tiering::WritePolicy::kBack,
                                .delay_ms = 5,
                                .ram_bytes = config.segments * kSegmentBytes});
}

void SimCore::open_cluster() {
  const SimConfig& config = *parts_.config;
  QUIRE_CHECK(cache_->attach_tier(model::TierId::kCluster, "lru").ok());
  auto cluster = std::make_unique<MemoryTier>(cache_.get(), config.cluster);
  cluster_ = cluster.get();
  tiers_->add(std::move(cluster), {.policy = tiering::WritePolicy::kThrough,
                                   .delay_ms = 10,
                                   .ram_bytes = config.segments * kSegmentBytes});
}

std::unique_ptr<tiering::Tier> SimCore::make_ssd_tier() {
  const SimConfig& config = *parts_.config;
  tiering::SsdTierOptions options;
  options.directory = {.path = parts_.ssd_path,
                       .region_bytes = kRegionBytes,
                       .regions_per_file = 2,
                       .direct_io = false};
  options.capacity_bytes = config.ssd_bytes;
  options.evict_to_capacity = true;
  options.mover.bounce_bytes = 1 << 20;
  options.health.hang_ns = 1'000 * model::kNsPerMs;
  options.health.first_probe_ns = 100 * model::kNsPerMs;
  options.health.last_probe_ns = 500 * model::kNsPerMs;
  options.manifest_env = parts_.manifest_env;
  options.manifest_on_caller = true;
  options.on_wake = [] {};
  auto opened = must(tiering::SsdTier::open(
      {.cache = cache_.get(), .engine = parts_.disk, .checks = &checks_, .clock = parts_.clock},
      options));
  tier_ = opened.get();
  return opened;
}

void SimCore::open_roots() {
  const SimWorld& world = *parts_.world;
  std::vector<model::LayoutId> layouts;
  for (const model::Layout& layout : world.layouts) {
    layouts.push_back(must(cache_->layouts().add(layout)));
    cache_->layouts().hold(layouts.back());
  }
  for (const std::string& name : world.domains) {
    domains_.push_back(must(cache_->add_domain(name)));
    cache_->names().hold_domain(domains_.back());
  }
  roots_.resize(world.roots.size());
  for (size_t r = 0; r < roots_.size(); ++r) {
    const SimRoot& root = world.roots[r];
    const cache::RootKey key{.domain = domains_[root.domain],
                             .tenant = root.tenant,
                             .namespace_name = root.namespace_name,
                             .layout = layouts[root.layout]};
    const auto opened = cache_->open_session(key, static_cast<uint32_t>(1 + r), roots_[r]);
    QUIRE_CHECK(opened.ok());
  }
}

std::unique_ptr<SimProcess> SimCore::connect(uint32_t domain) {
  auto process = std::make_unique<SimProcess>(kSimFirstUid + domain);
  process->domain = domains_[domain];
  cache_->names().hold_domain(process->domain);
  for (const model::Layout& layout : parts_.world->layouts) {
    process->area_bytes = std::max(process->area_bytes, model::staging_bytes_for(layout));
  }
  const auto made =
      turn_->registry().areas().make(*process, kSimStagingAreas * process->area_bytes);
  QUIRE_CHECK(made.ok());
  ++process_count_;
  return process;
}

void SimCore::disconnect(std::unique_ptr<SimProcess> process) {
  process->has_ended = true;
  // Of a client with many sessions the rest follows in steps.
  uint32_t budget = 1 + parts_.random->below(256);
  turn_->end_attachments(*process, budget);
  turn_->segments().forget(*process);
  queue_->forget(*process);
  cache_->names().release_domain(process->domain);
  dying_.push_back(std::move(process));
}

void SimCore::let_dying_go() {
  std::erase_if(dying_, [&](const auto& process) {
    uint32_t budget = server::CoreTurn::kEndStepsPerTurn;
    turn_->end_attachments(*process, budget);
    if (!process->attachments.empty()) return false;
    turn_->registry().forget(*process);
    --process_count_;
    return true;
  });
}

Attachment* SimCore::watched(model::Result<Attachment*> attached) {
  if (!attached.ok()) return nullptr;
  (void)(*attached)->lane().memory().take_unallocated();  // memory files need none to be written to
  turn_->watch(**attached);
  return *attached;
}

SimCore::Opened SimCore::open(SimProcess& process, const server::LaneShape& shape,
                              const Asked& asked) {
  const cache::Root& known = cache_->names().root(roots_[asked.root].root);
  server::AdmissionAnswer answer;
  if (asked.ticket != 0 || asked.reserve_bytes > 0) {
    auto got = asked.ticket != 0 ? queue_->ask_again(process, asked.ticket, known.key.tenant)
                                 : queue_->ask(process, {.payer = known.key.tenant,
                                                         .bytes = asked.reserve_bytes,
                                                         .wait_ms = asked.wait_ms});
    if (!got.ok()) return {.code = got.code()};
    if (!got->reservation.valid()) return {.ticket = got->ticket};
    answer = std::move(got).value();
  }
  Attachment* attachment = watched(turn_->registry().open(
      process,
      {.domain = process.domain,
       .root = known.key,
       .billing = {.payer = known.key.tenant, .conversation = asked.conversation}},
      {.shape = shape, .staging = kSimStaging}, std::move(answer.reservation)));
  if (attachment == nullptr) return {.code = model::Errc::kInternal};
  attachment->session().cached.tail_tokens = parts_.random->one_in(2) ? 0 : 8;
  attachment->session().cached.batch_class = parts_.random->one_in(4);
  return {.attachment = attachment, .token = attachment->session().token};
}

Attachment* SimCore::join(SimProcess& process, const std::array<uint8_t, 16>& token,
                          const server::LaneShape& shape) {
  const model::JoinSessionRequest request{.token = token,
                                          .ring_entries = shape.ring_entries,
                                          .max_load_pages = shape.max_load_pages,
                                          .staging = kSimStaging};
  return watched(turn_->registry().join(process, request));
}

void SimCore::close(Attachment& attachment) {
  uint32_t budget = server::CoreTurn::kEndStepsPerTurn;
  turn_->end_attachment(attachment, budget);
}

void SimCore::turn() {
  const int64_t now_ns = parts_.clock->now_ns();
  turn_->step(now_ns);
  ++turns_;
  if (turns_ % kTurnsBetweenBackground == 0) {
    turn_->background(now_ns);
    queue_->step();
    let_dying_go();
    supply_->tick(now_ns);
  }
  events_->turn(turns_);
  if (turns_ % kTurnsBetweenIdle == 0) turn_->arm_idle(now_ns, model::kNsPerMs);
}

void SimCore::stop() {
  copies_.hurry();
  checks_.hurry();
  if (tiers_ != nullptr) tiers_->hurry();
  const auto busy = [&] {
    return process_count_ > 0 || turn_->registry().draining_count() > 0 ||
           copies_.in_flight() > 0 || (tiers_ != nullptr && !tiers_->idle());
  };
  for (uint32_t i = 0; i < kTurnsOfAStop && busy(); ++i) {
    parts_.clock->advance(std::chrono::microseconds(200));
    turn();
  }
}

bool SimCore::is_present(const SimKey& key) {
  return inspector().find(root(key.root), key.kind, key.hash).has_value();
}

bool SimCore::is_durable(const SimKey& key) {
  const auto node = inspector().find(root(key.root), key.kind, key.hash);
  return node && inspector().object(*node).on_ssd;
}

bool SimCore::is_in_ram(const SimKey& key) {
  const auto node = inspector().find(root(key.root), key.kind, key.hash);
  return node && inspector().in_ram(*node);
}

void SimCore::check_invariants() {
  cache_->check_invariants();
  pool_->check_invariants();
  if (tier_ != nullptr) tier_->check_invariants();
}

}  // namespace quire::tests
