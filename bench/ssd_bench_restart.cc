#include "bench/ssd_bench_restart.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "model/fd_guard.h"
#include "tests/support/inspector.h"
#include "tiering/rebuild/ssd_rebuild.h"

namespace quire::bench {

namespace {

constexpr uint32_t kRestartContextSpans = 4096;
constexpr uint32_t kBatch = 512;
constexpr uint64_t kMaxQueued = 16384;  // the tier sets what is beyond 65,536 aside
constexpr uint64_t kRestartRamBytes = 1ull << 30;
constexpr int kRestarts = 3;

server::Options small_page_options(const std::string& path, uint64_t spans) {
  server::Options options = ssd_options(path, kRestartRamBytes);
  options.ssd_bytes = std::max<uint64_t>(spans * 3 * 4096, 1ull << 30);
  options.ssd_write_delay_ms = 20;
  return options;
}

// Batches, because a span here is four microseconds of copying and fifty of a wake-up.
void commit_small(client::Session& session, uint32_t spans) {
  const uint32_t block = session.layout().block_tokens;
  std::vector<client::Fill> fills;
  std::array<model::Completion, 64> done;
  for (uint32_t first = 1; first <= spans; first += kBatch) {
    fills.clear();
    const uint32_t end = std::min(first + kBatch, spans + 1);
    for (uint32_t i = first; i < end; ++i) {
      fills.push_back(or_exit(session.begin_fill(model::FillKind::kSpan, i * block), "begin_fill"));
      std::memcpy(fills.back().staging, &i, sizeof(i));
    }
    for (const client::Fill& fill : fills) or_exit(session.submit_commit(fill), "commit");
    session.flush();
    for (size_t completed = 0; completed < fills.size();) {
      or_exit(session.wait(60'000), "wait");
      const size_t got = or_exit(session.poll_completions(done), "poll");
      for (size_t i = 0; i < got; ++i) QUIRE_CHECK(done[i].code == 0);
      completed += got;
    }
  }
}

void commit_all(BenchDaemon& daemon, const BenchModel& model, uint64_t spans) {
  const auto client = daemon.connect(200);
  for (uint64_t done = 0; done < spans; done += kRestartContextSpans) {
    const auto count =
        static_cast<uint32_t>(std::min<uint64_t>(kRestartContextSpans, spans - done));
    const auto session = open_context(*client, model, done / kRestartContextSpans,
                                      count * model.layout.block_tokens);
    commit_small(*session, count);
    while (tier_status(daemon).queued > kMaxQueued) ::usleep(1000);
  }
  settle(daemon);
  QUIRE_CHECK(tier_status(daemon).demoter.set_aside == 0);
  uint64_t durable = 0;
  daemon.on_core(
      [&](server::Daemon& d) { durable = tests::Inspector(d.cache()).counters().ssd_spans; });
  QUIRE_CHECK(durable == spans);
}

uint64_t table_bytes(BenchDaemon& daemon) {
  uint64_t bytes = 0;
  daemon.on_core([&](server::Daemon& d) {
    bytes = tests::Inspector(d.cache()).table_bytes() + tests::ssd_status(d).table_bytes;
  });
  return bytes;
}

void leave_page_cache(const std::string& directory) {
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const model::FdGuard file(::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC));
    ::fdatasync(file.get());
    ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
  }
}

void first_hit(BenchDaemon& daemon, const BenchModel& model) {
  const auto client = daemon.connect(50);
  const uint32_t tokens = kRestartContextSpans * model.layout.block_tokens;
  const auto session = open_context(*client, model, 0, tokens);
  const auto match = or_exit(session->match(tokens + 1), "match");
  const auto loaded = or_exit(session->load(match.lease, {.block_count = 1}), "first hit");
  QUIRE_CHECK(match.exact_tokens == tokens && loaded.block_count == 1);
}

// Both in milliseconds.
struct Restarted {
  double open_ms = 0;
  double hit_ms = 0;
};

Restarted restart(const server::Options& options, const BenchModel& model, uint64_t spans) {
  const Stopwatch watch;
  BenchDaemon daemon(options);
  Restarted times{.open_ms = watch.us() / 1000};
  first_hit(daemon, model);
  times.hit_ms = watch.us() / 1000;
  QUIRE_CHECK(tier_status(daemon).restored.spans == spans);
  return times;
}

double rebuild(const std::string& path, uint64_t spans) {
  const Stopwatch watch;
  const auto report = or_exit(tiering::rebuild_manifest({.directory = {.path = path}}), "rebuild");
  const double ms = watch.us() / 1000;
  QUIRE_CHECK(report.spans == spans);
  return ms;
}

}  // namespace

RestartFigures measure_restart(const std::string& directory, uint64_t spans) {
  const std::string path = directory + "/restart";
  const BenchModel model = small_page_model();
  const double million = static_cast<double>(spans) / 1e6;
  server::Options options = small_page_options(path, spans);
  RestartFigures figures{.spans = spans};
  uint64_t empty_bytes = 0;
  {
    const Stopwatch watch;
    BenchDaemon daemon(options);
    empty_bytes = table_bytes(daemon);
    commit_all(daemon, model, spans);
    figures.commit_seconds = watch.seconds();
  }
  // What is measured is not the making of a pool.
  options.ram_bytes = options.segment_bytes = 64ull << 20;
  options.population = allocator::Population::kLazy;
  std::vector<double> open_ms;
  std::vector<double> hit_ms;
  for (int i = 0; i < kRestarts; ++i) {
    const Restarted times = restart(options, model, spans);
    open_ms.push_back(times.open_ms);
    hit_ms.push_back(times.hit_ms);
  }
  figures.restart_ms_per_million = percentile(open_ms, 0.5) / million;
  figures.first_hit_ms = percentile(hit_ms, 0.5);
  leave_page_cache(path + "/manifest");
  figures.restart_cold_ms_per_million = restart(options, model, spans).open_ms / million;
  {
    BenchDaemon daemon(options);
    figures.bytes_per_span =
        static_cast<double>(table_bytes(daemon) - empty_bytes) / static_cast<double>(spans);
  }
  figures.rebuild_ms_per_million = rebuild(path, spans) / million;
  restart(options, model, spans);  // what was rebuilt is all there
  std::filesystem::remove_all(path);
  ::sync();
  return figures;
}

}  // namespace quire::bench
