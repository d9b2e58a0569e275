// The tier through its own seam, without a daemon: runs of spans of V4-Flash's size are written and
// read as Demotion and Loads would have it, as many at a time as the tier takes. The bare loop has
// objects of the same bytes, as many in flight, from and to memory that it leaves alone: no copy,
// no checksum, no index. Rounds take turns, so that both see the same cluster; the median counts.
#include "bench/cluster_bench.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "bench/bench_daemon.h"
#include "bench/cluster_bench_hits.h"
#include "bench/cluster_bench_raw.h"
#include "bench/measure.h"
#include "bench/ssd_bench_work.h"
#include "tests/support/inspector.h"
#include "tests/support/meddler.h"
#include "tests/support/object_maker.h"
#include "tiering/cluster/cluster_tier.h"
#include "tiering/io/copy_workers.h"
#include "tiering/io/crc_copy.h"

namespace quire::bench {

namespace {

using model::NodeId;
using tiering::TierEvent;

constexpr int kClusterRounds = 5;
constexpr uint64_t kChainBytes = 384ull << 20;
constexpr uint32_t kSearchBlocks = 4096;  // 1M tokens in blocks of 256
constexpr uint64_t kRunBytes = 8ull << 20;
constexpr uint64_t kQueueBytes = 128ull << 20;
constexpr uint64_t kClusterRamBytes = 1ull << 30;

// A cache with the tier below it; the chain of one context in RAM.
class Host {
 public:
  Host(const CephPlace& place, const std::string& context, uint64_t page_bytes)
      : supply_({.budget_bytes = kClusterRamBytes,
                 .segment_bytes = 256ull << 20,
                 .huge_pages = allocator::HugePages::kAuto,
                 .population = allocator::Population::kEager}),
        pool_(or_exit(allocator::Pool::create(&supply_, 1 << 20), "make a pool")),
        cache_(tests::make_cache(*pool_, {.max_nodes = 1 << 16})),
        checked_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        checks_({.queue_entries = tiering::kClusterChecks, .spin_us = 0, .on_done = [this] {
                   const uint64_t one = 1;
                   QUIRE_CHECK(::write(checked_.get(), &one, sizeof(one)) == sizeof(one));
                 }}) {
    or_exit(cache_->attach_tier(model::TierId::kCluster, "lru"), "attach the tier");
    model::Layout layout{.name = "bench", .unit_tokens = 256, .block_tokens = 256};
    layout.groups.push_back(
        {.name = "global", .kind = model::GroupKind::kAppend, .page_bytes = page_bytes});
    const cache::RootKey key{.domain = or_exit(cache_->add_domain("uid:0"), "add a domain"),
                             .namespace_name = context,
                             .layout = or_exit(cache_->layouts().add(layout), "add a layout")};
    or_exit(cache_->open_session(key, 1, session_), "open a session");
    tiering::ClusterTierOptions options;
    options.rados = {.conf = place.conf, .pool = place.pool, .user = place.pool};
    options.run_bytes = kRunBytes;
    options.queue_bytes = kQueueBytes;
    options.sweep.period_ns = INT64_MAX / 4;
    tier_ = or_exit(tiering::ClusterTier::open(
                        {.cache = cache_.get(), .checks = &checks_, .clock = &clock_}, options),
                    "open the tier");
    while (tier_->mode() != tiering::TierMode::kOk) step();
  }
  ~Host() {
    tier_.reset();
    cache_->close_session(session_);
  }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  static model::Hash256 hash_of(uint32_t unit) {
    model::Hash256 hash;
    for (size_t byte = 0; byte < 4; ++byte)
      hash.bytes[byte] = static_cast<uint8_t>(unit >> 8 * byte);
    hash.bytes[4] = 1;
    return hash;
  }
  void fill(uint32_t spans) {
    tests::ObjectMaker maker(*cache_);
    tests::NewObject span{.root = session_.root};
    span.parent = cache_->names().root(span.root).node;
    for (span.units = 1; span.units <= spans; ++span.units) {
      span.hash = hash_of(span.units);
      chain_.push_back(span.parent = maker.make_now(span));
      const auto page = tests::Inspector(*cache_).pages(chain_.back()).front().bytes;
      tests::Meddler(*cache_).set_checksum(chain_.back(),
                                           tiering::crc32c(page.data(), page.size()));
    }
  }
  // Seconds, and the bytes of each run.
  double write(std::vector<uint64_t>& runs) {
    const Stopwatch watch;
    size_t next = 0;
    size_t done = 0;
    while (done < chain_.size()) {
      while (next < chain_.size()) {
        const auto rest = std::span<const NodeId>(chain_).subspan(next);
        tiering::WriteOffer offer = tier_->reserve(rest);
        if (offer.fit != tiering::Fit::kFits) break;
        const auto nodes = rest.first(offer.room.objects());
        runs.push_back(offer.room.bytes());
        tier_->write(std::move(offer.room), nodes, ++job_);
        next += nodes.size();
      }
      done += step();
    }
    return watch.seconds();
  }
  // Into slots of their own, each used for one run after the other.
  double read() {
    take_slots();
    const Stopwatch watch;
    size_t next = 0;
    size_t done = 0;
    std::vector<tiering::ReadObject> run;
    while (done < chain_.size()) {
      while (next < chain_.size()) {
        run.clear();
        for (size_t i = next; i < std::min<size_t>(chain_.size(), next + tiering::kMaxJobObjects);
             ++i) {
          run.push_back({chain_[i], {&slots_[i], 1}});
        }
        const uint32_t taken = or_exit(tier_->read({.job = ++job_, .objects = run}), "read");
        if (taken == 0) break;
        next += taken;
      }
      done += step();
    }
    return watch.seconds();
  }
  void give_slots_back() {
    for (const model::SlotId slot : slots_) pool_->free(slot);
    slots_.clear();
  }
  tiering::FoundChain search(uint32_t blocks, double& seconds) {
    std::vector<model::Hash256> chain;
    for (uint32_t unit = 1; unit <= blocks; ++unit) chain.push_back(hash_of(unit));
    const Stopwatch watch;
    or_exit(
        tier_->search()->ask({.job = 1, .root = session_.root, .chain = {chain.data(), blocks}}),
        "search");
    found_ = false;
    while (!found_) step();
    seconds = watch.seconds();
    return tier_->search()->take_found(1);
  }

 private:
  // Returns how many objects ended; each must have ended well.
  size_t step() {
    if (!tier_->step({})) {
      std::array<pollfd, 2> ready{
          {{.fd = tier_->wake_fd(), .events = POLLIN}, {.fd = checked_.get(), .events = POLLIN}}};
      ::poll(ready.data(), ready.size(), 1);
      uint64_t count = 0;
      if (::read(checked_.get(), &count, sizeof(count)) < 0) count = 0;
      tier_->step({});
    }
    size_t ended = 0;
    for (const TierEvent& event : tier_->events()) {
      QUIRE_CHECK(event.code == model::Errc::kOk);
      found_ = found_ || event.kind == TierEvent::Kind::kFound;
      const bool object =
          event.kind == TierEvent::Kind::kWritten || event.kind == TierEvent::Kind::kRead;
      ended += object ? event.count : 0;
    }
    tier_->events().clear();
    return ended;
  }
  void take_slots() {
    tests::ObjectMaker maker(*cache_);
    std::vector<model::SlotId> of_one;
    for (uint32_t unit = 1; unit <= chain_.size(); ++unit) {
      while (maker.take_slots(session_.root, model::FillKind::kSpan, unit, of_one) !=
             cache::Room::kHave) {
      }
      slots_.push_back(of_one.front());
      of_one.clear();
    }
  }

  model::SystemClock clock_;
  allocator::SegmentSupply supply_;
  std::unique_ptr<allocator::Pool> pool_;
  std::unique_ptr<cache::Cache> cache_;
  cache::CacheSession session_;
  model::FdGuard checked_;
  std::vector<NodeId> chain_;
  std::vector<model::SlotId> slots_;
  std::unique_ptr<tiering::ClusterTier> tier_;
  tiering::CopyWorkers checks_;  // ends before the tier, whose buffers it reads
  uint32_t job_ = 0;
  bool found_ = false;
};

struct ClusterFigures {
  std::vector<double> write_gib, raw_write_gib, write_of_raw;
  std::vector<double> read_gib, raw_read_gib, promote_of_raw;
  uint64_t round_trips = 0;
  double search_ms = 0;
};

void measure_transfers(const CephPlace& place, RawLoop& raw, ClusterFigures& figures, int round) {
  const std::string context = "bench-" + std::to_string(::getpid()) + "-" + std::to_string(round);
  const uint64_t span_bytes = load_bench_model("deepseek-v4-flash-fp4", "flash").page_bytes;
  Host host(place, context, span_bytes);
  host.fill(static_cast<uint32_t>(kChainBytes / span_bytes));
  std::vector<uint64_t> runs;
  const double written = host.write(runs);
  uint64_t bytes = 0;
  for (const uint64_t run : runs) bytes += run;
  const size_t depth = kQueueBytes / kRunBytes;
  const double raw_written = raw.run(true, context + "/", runs, depth);
  const double read = host.read();
  const double raw_read = raw.run(false, context + "/", runs, depth);
  host.give_slots_back();
  raw.remove(context + "/", runs.size());
  const double gib = static_cast<double>(bytes) / kGiB;
  figures.write_gib.push_back(gib / written);
  figures.raw_write_gib.push_back(gib / raw_written);
  figures.write_of_raw.push_back(raw_written / written);
  figures.read_gib.push_back(gib / read);
  figures.raw_read_gib.push_back(gib / raw_read);
  figures.promote_of_raw.push_back(raw_read / read);
}

void measure_search(const CephPlace& place, ClusterFigures& figures) {
  const std::string context = "search-" + std::to_string(::getpid());
  {
    Host first(place, context, 4096);
    first.fill(kSearchBlocks);
    std::vector<uint64_t> runs;
    first.write(runs);
  }
  Host second(place, context, 4096);
  double seconds = 0;
  const tiering::FoundChain found = second.search(kSearchBlocks, seconds);
  QUIRE_CHECK(found.objects.size() == kSearchBlocks);
  figures.round_trips = found.round_trips;
  figures.search_ms = seconds * 1e3;
}

}  // namespace

int run_cluster_bench(bool json) {
  const char* directory = ::getenv("QUIRE_SCRATCH_CEPH");
  if (directory == nullptr) {
    std::fputs("bench: no Ceph cluster: ./dev bench cluster starts one\n", stderr);
    return 1;
  }
  const CephPlace place{.conf = std::string(directory) + "/client.quire.conf"};
  ClusterFigures figures;
  {
    RawLoop raw(place, kRunBytes);
    for (int round = 0; round < kClusterRounds; ++round)
      measure_transfers(place, raw, figures, round);
  }
  measure_search(place, figures);
  const ClusterHitFigures hits = measure_hits_beside_cluster(place, directory);
  const auto median = [](const std::vector<double>& samples) { return percentile(samples, 0.5); };
  JsonObject result;
  result.add("bench", "cluster")
      .add("promote_gib_s", median(figures.read_gib))
      .add("raw_read_gib_s", median(figures.raw_read_gib))
      .add("promote_of_raw", median(figures.promote_of_raw))
      .add("write_gib_s", median(figures.write_gib))
      .add("raw_write_gib_s", median(figures.raw_write_gib))
      .add("write_of_raw", median(figures.write_of_raw))
      .add("search_round_trips", static_cast<double>(figures.round_trips))
      .add("search_ms", figures.search_ms)
      .add("ram_hit_p50_us", hits.idle_p50_us)
      .add("ram_hit_ratio", hits.saturated_ratio)
      .add("ram_hit_ratio_beside_raw", hits.beside_raw_ratio)
      .add("ram_hit_ratio_while_it_hangs", hits.hanging_ratio)
      .add("saturated_gib_s", hits.saturated_gib_s);
  if (json) {
    std::printf("%s\n", result.str().c_str());
    return 0;
  }
  std::printf("promote  %.2f GiB/s, bare librados %.2f: %.2f of it\n", median(figures.read_gib),
              median(figures.raw_read_gib), median(figures.promote_of_raw));
  std::printf("write    %.2f GiB/s, bare librados %.2f: %.2f of it\n", median(figures.write_gib),
              median(figures.raw_write_gib), median(figures.write_of_raw));
  std::printf("search   1M tokens in %llu round trips, %.1f ms\n",
              static_cast<unsigned long long>(figures.round_trips), figures.search_ms);
  std::printf(
      "RAM hit  p50 %.1f us; %.2f times that while the tier is saturated (%.2f GiB/s), %.2f beside "
      "a "
      "bare loop, %.2f while the cluster hangs\n",
      hits.idle_p50_us, hits.saturated_ratio, hits.saturated_gib_s, hits.beside_raw_ratio,
      hits.hanging_ratio);
  return 0;
}

}  // namespace quire::bench
