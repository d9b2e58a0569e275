#include "server/daemon.h"

#include <sys/random.h>

#include <algorithm>

#include "allocator/pool.h"
#include "cache/cache.h"
#include "server/control/config_verbs.h"
#include "server/control/kept_state.h"
#include "server/control/scope_file.h"
#include "server/control/state_keeper.h"
#include "server/core.h"
#include "server/http/http_server.h"
#include "server/http/saved_money.h"
#include "server/metering/ledger.h"
#include "server/metering/ledger_reader.h"
#include "server/runtime/ghost_feed.h"
#include "server/runtime/log.h"
#include "server/runtime/service_notifier.h"
#include "server/start/live_config.h"
#include "server/start/machine_check.h"
#include "server/start/table_caps.h"
#include "tiering/cluster/cluster_tier.h"
#include "tiering/io/copy_workers.h"
#include "tiering/io/thread_engine.h"
#include "tiering/io/uring_engine.h"
#include "tiering/ssd/ssd_tier.h"
#include "tiering/tier_set.h"

namespace quire::server {

namespace {

model::Result<uint64_t> random_number() {
  uint64_t number = 0;
  if (::getrandom(&number, sizeof(number), 0) != sizeof(number)) {
    return model::errno_error("getrandom");
  }
  return number;
}

}  // namespace

// What comes later uses what stands above it, and goes before it.
struct Daemon::Parts {
  Parts(const Options& given, Waker made) : options(given), waker(std::move(made)) {}

  Options options;
  TableCaps caps = table_caps(options);
  model::SystemClock system_clock;
  const model::Clock* clock = &system_clock;
  Waker waker;
  std::unique_ptr<allocator::SegmentSupply> supply;
  std::unique_ptr<allocator::Pool> pool;
  std::unique_ptr<cache::Cache> cache;
  std::unique_ptr<tiering::IoEngine> engine;
  std::unique_ptr<tiering::TierSet> tiers;  // null: none below RAM
  tiering::SsdTier* ssd_tier = nullptr;     // among them
  // Of what crosses to and from the SSD. Goes before the tiers: it finishes what was submitted, and
  // that uses memory of a tier's transfers.
  std::unique_ptr<tiering::CopyWorkers> checks;
  std::unique_ptr<tiering::CopyWorkers> cluster_checks;  // likewise, to and from the cluster
  std::vector<MissingTier> missing_tiers;
  std::unique_ptr<StateKeeper> keeper;
  std::unique_ptr<GhostFeed> ghosts;  // null: none
  std::unique_ptr<Ledger> ledger;     // null: no receipts are kept
  std::unique_ptr<StatusFeed> feed;   // null: no HTTP
  std::unique_ptr<Core> core;
  std::unique_ptr<HttpServer> http;  // reads the feed, which the core fills
  // Goes first: it finishes what was submitted, and that reads memory of the core's sessions.
  std::unique_ptr<tiering::CopyWorkers> copies;
};

namespace {

// Data files that are there or will be, as the directory has them; the probe's, and files in the
// place of missing ones.
uint32_t engine_files(const Options& options) {
  constexpr uint64_t kSpare = 16;
  const auto geometry = tiering::SsdDirectory::look(
      {.path = options.ssd_path, .region_bytes = options.ssd_region_bytes});
  if (!geometry.ok()) return 1;  // it does not open either
  const uint64_t file_bytes = geometry->region_bytes * geometry->regions_per_file;
  const uint64_t files = options.ssd_bytes / file_bytes + 1 + geometry->file_count + kSpare;
  return static_cast<uint32_t>(std::min<uint64_t>(files, tiering::kMaxRegions));
}

model::Result<std::unique_ptr<tiering::IoEngine>> make_engine(const Options& options) {
  const uint32_t files = engine_files(options);
  if (options.ssd_engine != "pread") {
    auto made =
        tiering::UringEngine::create({.queue_depth = options.ssd_queue_depth, .max_files = files});
    if (made.ok() || options.ssd_engine == "io_uring") return made;
    log(LogLevel::kWarning, "the SSD tier goes on with pread: " + made.error().text);
  }
  return tiering::ThreadEngine::create(
      {.queue_depth = options.ssd_queue_depth, .max_files = files});
}

tiering::SsdTierOptions tier_options(const Options& options) {
  tiering::SsdTierOptions tier;
  tier.directory = {.path = options.ssd_path, .region_bytes = options.ssd_region_bytes};
  tier.capacity_bytes = options.ssd_bytes;
  tier.evict_to_capacity = options.ssd_shrink == "evict";
  tier.codec.enabled = options.ssd_codec == "auto";
  tier.mover.bounce_bytes = options.ssd_codec_bytes;
  tier.mover.max_bytes = options.ssd_queue_bytes;
  tier.health.hang_ns = int64_t{options.ssd_hang_ms} * 1'000'000;
  tier.scrub_bytes_per_second = options.ssd_scrub_bytes_per_second;
  return tier;
}

tiering::DemotionOptions demotion_options(const Options& options) {
  tiering::DemotionOptions demotion;
  demotion.policy =
      options.ssd_write == "back" ? tiering::WritePolicy::kBack : tiering::WritePolicy::kThrough;
  demotion.delay_ms = options.ssd_write_delay_ms;
  demotion.ram_bytes = options.ram_bytes;
  demotion.admission = {.rule = *tiering::parse_admission_rule(options.ssd_admission),
                        .bytes_per_day = options.ssd_write_bytes_per_day};
  return demotion;
}

tiering::ClusterTierOptions cluster_options(const Options& options) {
  tiering::ClusterTierOptions tier;
  tier.rados = {.conf = options.cluster_conf,
                .pool = options.cluster_pool,
                .user = options.cluster_user,
                .operation_ms = options.cluster_timeout_ms};
  tier.sweep.capacity_bytes = options.cluster_bytes;
  tier.sweep.max_age_s = uint64_t{options.cluster_max_age_hours} * 3600;
  tier.run_bytes = options.cluster_run_bytes;
  tier.queue_bytes = options.cluster_queue_bytes;
  return tier;
}

// Nothing of it hurries: RAM is what makes room, and the SSD what is read first.
tiering::DemotionOptions cluster_demotion(const Options& options) {
  tiering::DemotionOptions demotion;
  demotion.delay_ms = options.cluster_write_delay_ms;
  demotion.ram_bytes = options.ram_bytes;
  demotion.admission = {.rule = *tiering::parse_admission_rule(options.cluster_admission),
                        .bytes_per_day = options.cluster_write_bytes_per_day,
                        .tenant_bytes_per_day = options.cluster_tenant_write_bytes_per_day};
  return demotion;
}

void log_opened(const tiering::SsdTier& tier, const std::string& path) {
  const tiering::SsdTierStatus status = tier.status();
  log(LogLevel::kInfo, "ssd tier at " + path + ": engine=" + status.engine +
                           " direct_io=" + (status.direct_io ? "yes" : "no") +
                           " spans=" + std::to_string(status.restored.spans) + " checkpoints=" +
                           std::to_string(status.restored.checkpoints) + " restored");
  if (const tiering::TierState state = tier.state(); !state.whole) {
    log(LogLevel::kWarning, "ssd tier: " + state.reason + "; " + state.action);
  }
  if (status.repaired.empty()) return;
  log(LogLevel::kWarning,
      "ssd tier: a copy of the superblock was bad and has been replaced by the other: " +
          status.repaired);
}

constexpr int64_t kDayUs = 24 * kHourUs;
constexpr int64_t kMinuteSumDays = 30;  // sums by hour stay

// `auto` begins with one that exists, and follows its ghosts from there.
std::string first_policy(const std::string& policy) {
  return policy == cache::kAutoName ? std::string(cache::AutoPolicy::kFirst) : policy;
}

// Law 9: these degrade the tier; every other failure to open is the operator's to solve first.
bool may_go_on_without_tier(model::Errc code) {
  return code == model::Errc::kCorrupt || code == model::Errc::kIoError ||
         code == model::Errc::kResourceExhausted;
}

}  // namespace

model::Result<void> Daemon::make_ghosts(Parts& parts) {
  const Options& options = parts.options;
  if (options.ghost_bytes == 0) return {};
  const uint64_t ssd_bytes = options.ssd_path.empty() ? 0 : options.ssd_bytes;
  parts.ghosts = QUIRE_TRY(GhostFeed::create({.memory_bytes = options.ghost_bytes,
                                              .ram_bytes = options.ram_bytes,
                                              .ssd_bytes = ssd_bytes,
                                              .clock = parts.clock},
                                             true));
  return {};
}

void Daemon::add_tier(Parts& parts, std::unique_ptr<tiering::Tier> tier,
                      const tiering::DemotionOptions& demotion) {
  if (parts.tiers == nullptr) {
    parts.tiers = std::make_unique<tiering::TierSet>(parts.cache.get(), parts.clock);
  }
  parts.tiers->add(std::move(tier), demotion);
}

model::Result<void> Daemon::open_ssd(Parts& parts, const DaemonSeams& seams) {
  const Options& options = parts.options;
  if (options.ssd_path.empty()) return {};
  Waker* waker = &parts.waker;
  parts.engine = QUIRE_TRY(make_engine(options));
  if (seams.wrap_engine) parts.engine = seams.wrap_engine(std::move(parts.engine));
  // Apart from the commits' workers: a device's burst of checks must not delay commits.
  parts.checks = std::make_unique<tiering::CopyWorkers>(
      tiering::CopyWorkersOptions{.threads = 1,
                                  .queue_entries = tiering::kMaxTransfers * tiering::kMaxRunObjects,
                                  .spin_us = 0,  // a device's pace leaves nothing to spin for
                                  .background = true,
                                  .on_done = [waker] { waker->wake(); }});
  // Before the tier opens: restoring adds nodes, whose entries need the tier's table.
  QUIRE_TRY(parts.cache->attach_tier(model::TierId::kSsd, first_policy(options.ssd_policy)));
  tiering::SsdTierOptions tier = tier_options(options);
  tier.manifest_env = seams.manifest_env;
  tier.on_wake = [waker] { waker->wake(); };
  auto opened = tiering::SsdTier::open({.cache = parts.cache.get(),
                                        .engine = parts.engine.get(),
                                        .checks = parts.checks.get(),
                                        .clock = parts.clock},
                                       tier);
  if (opened.ok()) {
    tiering::DemotionOptions demotion = demotion_options(options);
    if (seams.adjust_demotion) seams.adjust_demotion(demotion);
    parts.ssd_tier = opened->get();
    log_opened(*parts.ssd_tier, options.ssd_path);
    add_tier(parts, std::move(opened).value(), demotion);
    return {};
  }
  if (!may_go_on_without_tier(opened.code())) return std::move(opened).error();
  parts.missing_tiers.push_back({.name = "ssd", .reason = opened.error().text});
  log(LogLevel::kError, "the SSD tier is off: " + opened.error().text);
  return {};
}

// A cluster that cannot be reached is one that is off: the tier connects by itself.
model::Result<void> Daemon::open_cluster(Parts& parts) {
  const Options& options = parts.options;
  if (options.cluster_conf.empty()) return {};
  Waker* waker = &parts.waker;
  parts.cluster_checks = std::make_unique<tiering::CopyWorkers>(
      tiering::CopyWorkersOptions{.threads = 1,
                                  .queue_entries = tiering::kClusterChecks,
                                  .spin_us = 0,
                                  .background = true,
                                  .on_done = [waker] { waker->wake(); }});
  QUIRE_TRY(parts.cache->attach_tier(model::TierId::kCluster, "lru"));
  auto opened = QUIRE_TRY(tiering::ClusterTier::open(
      {.cache = parts.cache.get(), .checks = parts.cluster_checks.get(), .clock = parts.clock},
      cluster_options(options)));
  log(LogLevel::kInfo, "cluster tier: pool " + options.cluster_pool + " by " +
                           options.cluster_conf + ", as client." + options.cluster_user);
  add_tier(parts, std::move(opened), cluster_demotion(options));
  return {};
}

model::Result<void> Daemon::open_ledger(Parts& parts) {
  const std::string path = ledger_path(parts.options);
  if (path.empty()) return {};
  const bool in_ssd_path = parts.options.ledger_path.empty();
  if (in_ssd_path && (parts.ssd_tier == nullptr || !parts.ssd_tier->may_change_directory())) {
    log(LogLevel::kWarning, "no receipts are kept: " + parts.options.ssd_path +
                                " may not be written to; name a place with --ledger_path");
    return {};
  }
  LedgerOptions ledger;
  ledger.writer.database = ledger_database(path);
  ledger.writer.most_bytes = parts.options.ledger_bytes;
  ledger.writer.retention_us = int64_t{parts.options.ledger_days} * kDayUs;
  ledger.writer.minutes_us = kMinuteSumDays * kDayUs;
  parts.ledger = QUIRE_TRY(Ledger::open(ledger));
  return {};
}

// It listens from here on; /readyz says when the core serves.
model::Result<void> Daemon::open_http(Parts& parts, const DaemonSeams& seams) {
  const Options& options = parts.options;
  if (parts.feed == nullptr) return {};
  HttpSiteParts site{.feed = parts.feed.get(), .ghosts = parts.ghosts.get(), .clock = parts.clock};
  if (!options.http_token_file.empty()) {
    site.tokens = QUIRE_TRY(HttpTokens::read(options.http_token_file));
  }
  if (!options.http_price_book.empty()) {
    site.money = QUIRE_TRY(
        SavedMoney::create(options.http_price_book, options.http_price_model, wall_clock_us()));
  }
  HttpLimits limits;
  if (seams.adjust_http) seams.adjust_http(limits);
  const HttpAddress address = QUIRE_TRY(HttpAddress::parse(options.http_address));
  parts.http = QUIRE_TRY(HttpServer::create(address, std::move(site), limits));
  log(LogLevel::kInfo,
      "http on " + options.http_address +
          (options.http_token_file.empty() ? ", open to this machine" : ", with tokens"));
  return {};
}

// What commands set in an earlier life, then what the quota file says now.
model::Result<void> Daemon::restore_rules(Parts& parts) {
  const Options& options = parts.options;
  cache::ScopeRules& rules = parts.cache->rules();
  parts.cache->checkpoint_rules().set_default(
      QUIRE_TRY(model::parse_checkpoint_policy(options.checkpoints)));
  if (options.ram_policy == cache::kAutoName) rules.set_auto_by_default(model::TierId::kRam);
  if (options.ssd_policy == cache::kAutoName) rules.set_auto_by_default(model::TierId::kSsd);
  rules.set_capacity(model::TierId::kRam, options.ram_bytes);
  parts.cache->pins().set_capacity(options.ram_bytes);
  if (!options.ssd_path.empty()) rules.set_capacity(model::TierId::kSsd, options.ssd_bytes);
  if (const std::string path = state_path(options); !path.empty()) {
    QUIRE_TRY(restore_state(*parts.cache, *parts.clock, path));
  }
  if (options.quota_file.empty()) return {};
  return rules.set_file_quotas(QUIRE_TRY(read_quota_file(options.quota_file)));
}

model::Result<std::unique_ptr<Daemon>> Daemon::create(const Options& options,
                                                      const DaemonSeams& seams) {
  QUIRE_TRY(validate(options));
  QUIRE_TRY(check_start(options));
  Waker made = QUIRE_TRY(Waker::create());
  auto parts = std::make_unique<Parts>(options, std::move(made));
  if (seams.clock != nullptr) parts->clock = seams.clock;
  Waker* waker = &parts->waker;
  // First of all: it faults memory in on its thread while the SSD is opened and restored.
  parts->supply = std::make_unique<allocator::SegmentSupply>(
      allocator::SegmentSupplyOptions{.budget_bytes = options.ram_bytes,
                                      .segment_bytes = options.segment_bytes,
                                      .huge_pages = options.huge_pages,
                                      .population = options.population,
                                      .memory_limit_bytes = options.memory_limit_bytes,
                                      .on_ready = [waker] { waker->wake(); }});
  parts->pool = QUIRE_TRY(allocator::Pool::create(parts->supply.get(), parts->caps.slots));
  cache::CacheOptions cache_options;
  cache_options.max_nodes = parts->caps.nodes;
  QUIRE_TRY(make_ghosts(*parts));
  cache_options.ram_policy = first_policy(options.ram_policy);
  cache_options.departure_bytes = why_bytes(options).departures;
  cache_options.seed = QUIRE_TRY(random_number());
  parts->cache = QUIRE_TRY(cache::Cache::create(cache_options, parts->pool.get()));
  parts->copies = std::make_unique<tiering::CopyWorkers>(tiering::CopyWorkersOptions{
      .threads = options.copy_workers, .queue_entries = kMaxCopyJobs, .on_done = [waker] {
        waker->wake();
      }});
  if (seams.service != nullptr) seams.service->status("starting: what the SSD holds is restored");
  // Before the core, which listens: no client connects until what was durable can be hit.
  QUIRE_TRY(open_ssd(*parts, seams));
  QUIRE_TRY(open_cluster(*parts));
  QUIRE_TRY(restore_rules(*parts));
  QUIRE_TRY(open_ledger(*parts));
  parts->keeper = QUIRE_TRY(StateKeeper::create(state_path(options)));
  const uint64_t daemon_epoch = QUIRE_TRY(random_number());
  if (!options.http_address.empty()) parts->feed = QUIRE_TRY(StatusFeed::create(waker));
  TurnSink* turn_sink = parts->ledger.get();
  if (seams.turn_sink != nullptr) turn_sink = seams.turn_sink;
  parts->core =
      QUIRE_TRY(Core::create({.cache = parts->cache.get(),
                              .supply = parts->supply.get(),
                              .copies = parts->copies.get(),
                              .tiers = parts->tiers.get(),
                              .missing_tiers = parts->missing_tiers,
                              .clock = parts->clock,
                              .waker = waker,
                              .options = &parts->options,
                              .daemon_epoch = daemon_epoch,
                              .turn_sink = turn_sink,
                              .keeper = parts->keeper.get(),
                              .ghosts = parts->ghosts.get(),
                              .ledger = parts->ledger.get(),
                              .feed = parts->feed.get(),
                              .listen_fd = seams.listen_fd,
                              .service = seams.service,
                              .config = seams.config,
                              .take_over = [its = parts.get()](const FreshOptions& fresh) {
                                return take_over(*its, fresh);
                              }}));
  QUIRE_TRY(open_http(*parts, seams));
  return std::unique_ptr<Daemon>(new Daemon(std::move(parts)));
}

Daemon::Daemon(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Daemon::~Daemon() {
  std::unique_ptr<Ledger> ledger = std::move(parts_->ledger);
  // The core first: it tells the ledger until it is gone.
  parts_.reset();
  Ledger::end(std::move(ledger));
}

void Daemon::run() { parts_->core->run(); }
void Daemon::stop() { parts_->core->stop(); }
const std::string& Daemon::listening_on() const { return parts_->core->listening_on(); }

// On the core thread: options are read there without a lock.
model::Result<void> Daemon::take_over(Parts& parts, const FreshOptions& fresh) {
  if (fresh.quotas) QUIRE_TRY(parts.cache->rules().set_file_quotas(*fresh.quotas));
  for (const std::string& key : fresh.keys)
    find_live_option(key)->copy(fresh.options, parts.options);
  set_log_level(parts.options.log_level);
  set_log_format(parts.options.log_format);
  parts.cache->checkpoint_rules().set_default(
      QUIRE_TRY(model::parse_checkpoint_policy(parts.options.checkpoints)));
  parts.core->options_changed();
  return {};
}

void Daemon::reload(const Options& fresh, const std::vector<std::string>& keys) {
  // Read here: a file may be slow.
  auto quotas = quotas_of(fresh);
  parts_->core->call([this, fresh, keys, quotas = std::move(quotas)] {
    model::Result<void> set =
        quotas.ok() ? take_over(*parts_, {.keys = {}, .options = fresh, .quotas = *quotas})
                    : model::Result<void>(quotas.error());
    if (!set.ok()) {
      log(LogLevel::kError, "SIGHUP: quotas stay as they are: " + set.error().text);
    }
    parts_->options.roles = fresh.roles;  // the same names may stand for other numbers now
    if (auto taken = take_over(*parts_, {.keys = keys, .options = fresh}); !taken.ok()) {
      log(LogLevel::kError, "SIGHUP: " + taken.error().text);
    }
  });
}
uint16_t Daemon::http_port() const {
  return parts_->http == nullptr ? uint16_t{0} : parts_->http->port();
}
Core& Daemon::core() { return *parts_->core; }
cache::Cache& Daemon::cache() { return *parts_->cache; }
tiering::TierSet* Daemon::tiers() { return parts_->tiers.get(); }
tiering::SsdTier* Daemon::ssd_tier() { return parts_->ssd_tier; }
const allocator::SegmentSupply& Daemon::supply() const { return *parts_->supply; }

}  // namespace quire::server
