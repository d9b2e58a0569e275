#include "bench/attach_busy.h"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "bench/bench_daemon.h"
#include "bench/filler.h"
#include "bench/measure.h"
#include "bench/ssd_bench_work.h"
#include "tests/support/inspector.h"
#include "tests/support/meddler.h"
#include "tests/support/ssd_status.h"

namespace quire::bench {

namespace {

constexpr uint32_t kBusyBlockTokens = 256;
constexpr uint32_t kBusyTokens = 1 << 20;  // 4,096 spans, as a V4-Flash session has
constexpr uint32_t kPageBytes = 16 << 10;
constexpr uint64_t kBusyRamBytes = 512ull << 20;  // 32,768 spans
constexpr uint64_t kBusySsdBytes = 4ull << 30;
constexpr uint32_t kWrittenTokens = 64 * kBusyBlockTokens;  // of one context of the writer's
constexpr uint32_t kSecondFlood = 1 << 24;                  // its first context
constexpr int kBusyAttaches = 2000;
constexpr useconds_t kBetweenAttachesUs = 500;
constexpr uint32_t kBusySpinUs = 50;
constexpr uint64_t kFewSpans = 100'000;
constexpr uint64_t kManySpans = 10'000'000;
constexpr uint64_t kEvictedABatch = 64;  // as a turn of the core evicts
constexpr int kEvictBatches = 500;

model::Layout busy_layout() {
  model::Layout layout;
  layout.name = "attach-busy";
  layout.unit_tokens = layout.block_tokens = kBusyBlockTokens;
  layout.groups.push_back({.name = "kv", .page_bytes = kPageBytes});
  return layout;
}

std::unique_ptr<client::Session> open_busy(client::Client& client, uint32_t tokens,
                                           uint32_t which) {
  client::SessionOptions options;
  options.layout = busy_layout();
  options.namespace_name = "busy";
  options.max_tokens = tokens + 1;
  options.staging_bytes = 8ull << 20;
  auto session = or_exit(client.open_session(options), "open a session");
  std::vector<uint32_t> prompt(tokens + 1);
  for (uint32_t i = 0; i <= tokens; ++i) prompt[i] = which * 2654435761u + i;
  or_exit(session->append_tokens(prompt), "append tokens");
  return session;
}

void commit_busy(client::Session& session, uint32_t tokens) {
  for (uint32_t end = kBusyBlockTokens; end <= tokens; end += kBusyBlockTokens) {
    const auto fill = or_exit(session.begin_fill(model::FillKind::kSpan, end), "begin_fill");
    std::memset(fill.staging, static_cast<int>(end / kBusyBlockTokens), kPageBytes);
    or_exit(session.commit(fill), "commit");
  }
}

// What made room and went down so far.
struct Flow {
  uint64_t evicted = 0;
  uint64_t written_bytes = 0;
};

struct BusyFigures {
  double idle_p50_us = 0;
  double idle_p99_us = 0;
  double busy_p50_us = 0;
  double busy_p99_us = 0;
  double evicted_per_second = 0;
  double written_per_second = 0;
  double few_ns = 0;  // of evicting a span
  double many_ns = 0;
};

std::vector<double> time_attaches(client::Session& session) {
  std::vector<double> samples;
  for (int i = 0; i < kBusyAttaches; ++i) {
    const Stopwatch watch;
    const auto match = or_exit(session.match(kBusyTokens + 1), "match");
    const auto pages = or_exit(session.load(match.lease), "load");
    samples.push_back(watch.us());
    QUIRE_CHECK(pages.block_count == kBusyTokens / kBusyBlockTokens);
    or_exit(session.release(match.lease), "release");
    // Time for who stores: a machine of two cores has none for three that spin.
    ::usleep(kBetweenAttachesUs);
  }
  return samples;
}

// Stores contexts that nobody asks for, as fast as one client can, until its end.
class Flood {
 public:
  // Contexts are numbered from `first` on: those of an earlier flood would be duplicates.
  Flood(BenchDaemon& daemon, uint32_t first)
      : contexts_(first), client_(daemon.connect(kBusySpinUs)), thread_([this] {
          for (uint32_t which = contexts_ + 1; !stopping_.load(); ++which) {
            commit_busy(*open_busy(*client_, kWrittenTokens, which), kWrittenTokens);
            contexts_.store(which);
          }
        }) {}
  ~Flood() {
    stopping_.store(true);
    thread_.join();
  }
  // So many contexts more.
  void wait_for(uint32_t more) const {
    for (const uint32_t end = contexts_.load() + more; contexts_.load() < end;) ::usleep(1'000);
  }

 private:
  std::atomic<bool> stopping_{false};
  std::atomic<uint32_t> contexts_;  // the last one that is whole
  std::unique_ptr<client::Client> client_;
  std::thread thread_;
};

Flow flow_of(BenchDaemon& daemon) {
  Flow flow;
  daemon.on_core([&](server::Daemon& d) {
    const tests::CacheCounters counters = tests::Inspector(d.cache()).counters();
    flow.evicted = counters.evicted_spans + counters.left_ram;
    flow.written_bytes = tests::ssd_status(d).mover.written_bytes;
  });
  return flow;
}

void measure_busy(BusyFigures& figures) {
  std::string directory = "/tmp/quire-busy-XXXXXX";
  QUIRE_CHECK(::mkdtemp(directory.data()) != nullptr);
  server::Options options;
  options.ram_bytes = kBusyRamBytes;
  options.segment_bytes = 64ull << 20;
  options.ssd_path = directory + "/ssd";
  options.ssd_bytes = kBusySsdBytes;
  options.ssd_write_delay_ms = 0;
  options.spin_us = kBusySpinUs;
  {
    BenchDaemon daemon(options);
    const auto client = daemon.connect(kBusySpinUs);
    const auto session = open_busy(*client, kBusyTokens, 0);
    commit_busy(*session, kBusyTokens);
    {
      // RAM is full in both halves: what differs is that somebody stores.
      const Flood flood(daemon, 0);
      flood.wait_for(2 * kBusyRamBytes / (64 * kPageBytes));
      time_attaches(*session);
    }
    settle(daemon, 1'000);
    const std::vector<double> idle = time_attaches(*session);
    figures.idle_p50_us = percentile(idle, 0.50);
    figures.idle_p99_us = percentile(idle, 0.99);
    const Flood flood(daemon, kSecondFlood);
    flood.wait_for(64);
    const Flow before = flow_of(daemon);
    const Stopwatch watch;
    const std::vector<double> busy = time_attaches(*session);
    const double seconds = watch.seconds();
    const Flow after = flow_of(daemon);
    figures.busy_p50_us = percentile(busy, 0.50);
    figures.busy_p99_us = percentile(busy, 0.99);
    figures.evicted_per_second = static_cast<double>(after.evicted - before.evicted) / seconds;
    figures.written_per_second =
        static_cast<double>(after.written_bytes - before.written_bytes) / seconds;
  }
  std::filesystem::remove_all(directory);
}

// Processor time of the core a span, in batches as a turn has them; the median of the batches.
double evict_ns(uint64_t spans) {
  server::Options options;
  options.ram_bytes = 64ull << 30;  // address space: filler pages are never touched
  options.segment_bytes = 1ull << 30;
  options.huge_pages = allocator::HugePages::kOff;
  options.population = allocator::Population::kLazy;
  BenchDaemon daemon(options);
  const auto client = daemon.connect(50);  // whose domain it is
  std::vector<double> batches;
  daemon.on_core([&](server::Daemon& d) { add_filler(d.cache(), spans, 1); });
  for (int i = 0; i < kEvictBatches; ++i) {
    daemon.on_core([&](server::Daemon& d) {
      const ThreadStopwatch watch;
      const uint64_t gone = tests::Meddler(d.cache()).evict(kEvictedABatch);
      batches.push_back(watch.us() * 1000 / static_cast<double>(kEvictedABatch));
      QUIRE_CHECK(gone == kEvictedABatch);
    });
  }
  return percentile(batches, 0.5);
}

void print_busy_json(const BusyFigures& f) {
  const auto quantiles = [](double p50, double p99) {
    return JsonObject().add("p50", p50).add("p99", p99).str();
  };
  std::puts(JsonObject()
                .add("bench", std::string("attach --busy"))
                .add_raw("match_load_us", quantiles(f.busy_p50_us, f.busy_p99_us))
                .add_raw("idle_match_load_us", quantiles(f.idle_p50_us, f.idle_p99_us))
                .add("p99_of_idle", f.busy_p99_us / f.idle_p99_us)
                .add("evicted_per_second", f.evicted_per_second)
                .add("written_bytes_per_second", f.written_per_second)
                .add("evict_ns_100_thousand", f.few_ns)
                .add("evict_ns_10_million", f.many_ns)
                .add("evict_many_of_few", f.many_ns / f.few_ns)
                .str()
                .c_str());
}

void print_busy_table(const BusyFigures& f) {
  std::puts("attach a 1M-token session of 4,096 spans while another client stores at full rate");
  std::printf("  idle   match + load   p50 %8.1f us   p99 %8.1f us\n", f.idle_p50_us,
              f.idle_p99_us);
  std::printf("  busy   match + load   p50 %8.1f us   p99 %8.1f us, %.2f of idle\n", f.busy_p50_us,
              f.busy_p99_us, f.busy_p99_us / f.idle_p99_us);
  std::printf("  meanwhile %.0f spans/s evicted, %.0f MB/s written to the SSD\n",
              f.evicted_per_second, f.written_per_second / 1e6);
  std::printf("evicting a span among 10^5 %.0f ns, among 10^7 %.0f ns: %.2f\n", f.few_ns, f.many_ns,
              f.many_ns / f.few_ns);
}

}  // namespace

int run_attach_busy_bench(bool json) {
  BusyFigures figures;
  measure_busy(figures);
  figures.few_ns = evict_ns(kFewSpans);
  figures.many_ns = evict_ns(kManySpans);
  json ? print_busy_json(figures) : print_busy_table(figures);
  return 0;
}

}  // namespace quire::bench
