#include "server/daemon.h"

#include <sys/random.h>

#include "allocator/pool.h"
#include "cache/lru_policy.h"
#include "tiering/copy_workers.h"

namespace quire::server {

namespace {

// A chunk takes 16 slot ids whatever it holds; 2^31 of them are 32 GiB of reserved addresses.
constexpr uint64_t kMaxSlots = 1ull << 31;

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
  model::SystemClock clock;
  Waker waker;
  std::unique_ptr<allocator::SegmentSupply> supply;
  std::unique_ptr<allocator::Pool> pool;
  std::unique_ptr<cache::Cache> cache;
  std::unique_ptr<Core> core;
  // Goes first: it finishes what was submitted, and that reads memory of the core's sessions.
  std::unique_ptr<tiering::CopyWorkers> copies;
};

model::Result<std::unique_ptr<Daemon>> Daemon::create(const Options& options) {
  QUIRE_TRY(validate(options));
  Waker made = QUIRE_TRY(Waker::create());
  auto parts = std::make_unique<Parts>(options, std::move(made));
  Waker* waker = &parts->waker;
  parts->supply = std::make_unique<allocator::SegmentSupply>(
      allocator::SegmentSupplyOptions{.budget_bytes = options.ram_bytes,
                                      .segment_bytes = options.segment_bytes,
                                      .huge_pages = options.huge_pages,
                                      .population = options.population,
                                      .on_ready = [waker] { waker->wake(); }});
  parts->pool = QUIRE_TRY(allocator::Pool::create(parts->supply.get(), kMaxSlots));
  const uint64_t max_nodes = options.max_nodes;
  cache::CacheOptions cache_options;
  cache_options.max_nodes = max_nodes;
  cache_options.seed = QUIRE_TRY(random_number());
  cache_options.policy_factory =
      [max_nodes]() -> model::Result<std::unique_ptr<cache::EvictionPolicy>> {
    std::unique_ptr<cache::EvictionPolicy> policy = QUIRE_TRY(cache::LruPolicy::create(max_nodes));
    return policy;
  };
  parts->cache = QUIRE_TRY(cache::Cache::create(cache_options, parts->pool.get()));
  parts->copies = std::make_unique<tiering::CopyWorkers>(tiering::CopyWorkersOptions{
      .threads = options.copy_workers, .queue_entries = kMaxCopyJobs, .on_done = [waker] {
        waker->wake();
      }});
  const uint64_t daemon_epoch = QUIRE_TRY(random_number());
  parts->core = QUIRE_TRY(Core::create({.cache = parts->cache.get(),
                                        .supply = parts->supply.get(),
                                        .copies = parts->copies.get(),
                                        .clock = &parts->clock,
                                        .waker = waker,
                                        .options = &parts->options,
                                        .daemon_epoch = daemon_epoch}));
  return std::unique_ptr<Daemon>(new Daemon(std::move(parts)));
}

Daemon::Daemon(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Daemon::~Daemon() = default;

void Daemon::run() { parts_->core->run(); }
void Daemon::stop() { parts_->core->stop(); }
Core& Daemon::core() { return *parts_->core; }
cache::Cache& Daemon::cache() { return *parts_->cache; }
const allocator::SegmentSupply& Daemon::supply() const { return *parts_->supply; }

}  // namespace quire::server
