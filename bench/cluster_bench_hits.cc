#include "bench/cluster_bench_hits.h"

#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <optional>
#include <vector>

#include "bench/bench_daemon.h"
#include "bench/measure.h"
#include "bench/repeated.h"
#include "bench/ssd_bench_work.h"
#include "server/core.h"
#include "tiering/cluster/cluster_tier.h"

namespace quire::bench {

namespace {

constexpr int kHitTurns = 3;
constexpr uint64_t kSamples = 1500;  // of a turn
constexpr uint32_t kHitTokens = 8192;
constexpr uint64_t kHitContext = 1;
constexpr uint64_t kReadContext = 10;    // of kReadContexts
constexpr uint64_t kWriteContext = 100;  // and behind it, each once
constexpr uint32_t kReadContexts = 3;
constexpr uint32_t kHitContextTokens = 65'536;  // 256 spans; the ones that are read do not fit RAM
constexpr uint64_t kHitRamBytes = 768ull << 20;
constexpr uint64_t kRawBytes = 8ull << 20;
constexpr size_t kRawDepth = 16;
constexpr int kOsds = 3;

std::vector<double> time_hits(client::Session& session) {
  std::vector<double> times;
  for (uint64_t i = 0; i < kSamples; ++i) {
    const Stopwatch watch;
    const auto match = or_exit(session.match(kHitTokens + 1), "match");
    const auto loaded = or_exit(session.load(match.lease), "load");
    times.push_back(watch.us());
    QUIRE_CHECK(match.exact_tokens == kHitTokens &&
                match.tokens[model::TierId::kRam] == kHitTokens);
    QUIRE_CHECK(loaded.limited_by == model::Errc::kOk);
    or_exit(session.release(match.lease), "release");
    if (i % 8 == 7) ::usleep(1000);  // over a while, not in one burst
  }
  return times;
}

// Stopped for as long as this stands.
class StoppedOsds {
 public:
  explicit StoppedOsds(const std::string& ceph) {
    for (int osd = 0; osd < kOsds; ++osd) {
      std::ifstream file(ceph + "/run/osd." + std::to_string(osd) + ".pid");
      pid_t pid = 0;
      QUIRE_CHECK(static_cast<bool>(file >> pid) && ::kill(pid, SIGSTOP) == 0);
      pids_.push_back(pid);
    }
  }
  ~StoppedOsds() {
    for (const pid_t pid : pids_) ::kill(pid, SIGCONT);
  }
  StoppedOsds(const StoppedOsds&) = delete;
  StoppedOsds& operator=(const StoppedOsds&) = delete;

 private:
  std::vector<pid_t> pids_;
};

class HitBench {
 public:
  HitBench(const CephPlace& place, const std::string& ceph)
      : ceph_(ceph), daemon_(options_of(place)), raw_(place, kRawBytes) {
    wait_until([](server::Daemon& d) {
      return d.tiers()->members().front().tier->mode() == tiering::TierMode::kOk;
    });
    commit_context(*open(*client_, kHitContext, kHitTokens), kHitTokens);
    for (uint32_t i = 0; i < kReadContexts; ++i) {
      commit_context(*open(*client_, kReadContext + i, kHitContextTokens), kHitContextTokens);
    }
    session_ = open(*client_, kHitContext, kHitTokens);
    holder_ = open(*client_, kHitContext, kHitTokens);
    held_ = or_exit(holder_->match(kHitTokens + 1), "match").lease;
    or_exit(holder_->load(held_), "load");  // what is loaded stays in RAM
  }
  ~HitBench() { or_exit(holder_->release(held_), "release"); }

  ClusterHitFigures measure() {
    std::vector<double> idle, saturated, beside_raw, hanging, gib_s;
    for (int turn = 0; turn < kHitTurns; ++turn) {
      const double quiet = idle_p50();
      idle.push_back(quiet);
      saturated.push_back(saturated_p50(gib_s) / quiet);
      beside_raw.push_back(beside_raw_p50(turn) / idle_p50());
      const double before = idle_p50();
      hanging.push_back(hanging_p50() / before);
    }
    const auto median = [](const std::vector<double>& samples) { return percentile(samples, 0.5); };
    return {.idle_p50_us = median(idle),
            .saturated_ratio = median(saturated),
            .beside_raw_ratio = median(beside_raw),
            .hanging_ratio = median(hanging),
            .saturated_gib_s = median(gib_s)};
  }

 private:
  static server::Options options_of(const CephPlace& place) {
    server::Options options;
    options.ram_bytes = kHitRamBytes;
    options.segment_bytes = 256ull << 20;
    options.cluster_conf = place.conf;
    options.cluster_pool = options.cluster_user = place.pool;
    options.cluster_admission = "all";
    options.cluster_write_delay_ms = 0;
    options.search_ms = 0;  // all is known
    options.default_deadline_ms = 60'000;
    return options;
  }
  std::unique_ptr<client::Session> open(client::Client& client, uint64_t number, uint32_t tokens) {
    const uint64_t run = static_cast<uint64_t>(::getpid()) << 20;
    return open_context(client, model_, run + number, tokens);
  }
  void wait_until(const std::function<bool(server::Daemon&)>& condition) {
    for (bool reached = false; !reached; ::usleep(5000)) {
      daemon_.on_core([&](server::Daemon& d) { reached = condition(d); });
    }
  }
  uint64_t moved_bytes() {
    uint64_t bytes = 0;
    daemon_.on_core([&](server::Daemon& d) {
      const auto& tier =
          static_cast<const tiering::ClusterTier&>(*d.tiers()->members().front().tier);
      bytes = tier.write_counters().bytes + tier.read_counters().bytes;
    });
    return bytes;
  }
  double idle_p50() {
    wait_until([](server::Daemon& d) { return d.tiers()->idle(); });
    return percentile(time_hits(*session_), 0.5);
  }
  // New contexts without end, and those that do not fit RAM, over and over; by clients that leave
  // the processors to whoever else wants them, or two of these would be all that is measured.
  struct Load {
    explicit Load(HitBench& bench)
        : reading([&bench, reader = std::shared_ptr(bench.daemon_.connect(50))] {
            run_when_idle();
            bench.read_one(*reader);
          }),
          writing([&bench, writer = std::shared_ptr(bench.daemon_.connect(50))] {
            run_when_idle();
            bench.write_one(*writer);
          }) {}
    Repeated reading;
    Repeated writing;
  };
  void read_one(client::Client& client) {
    const auto session = open(client, kReadContext + reads_++ % kReadContexts, kHitContextTokens);
    const auto match = or_exit(session->match(kHitContextTokens + 1), "match");
    if (match.lease == 0) return;
    const auto loaded =
        session->load(match.lease, {.include_checkpoint = false, .deadline_ms = 120'000});
    // While the cluster hangs a load may fail, and be had again afterwards.
    if (!loaded.ok()) ::usleep(1000);
    or_exit(session->release(match.lease), "release");
  }
  void write_one(client::Client& client) {
    commit_context(*open(client, kWriteContext + writes_++, kHitContextTokens), kHitContextTokens);
  }
  double saturated_p50(std::vector<double>& gib_s) {
    const Load load(*this);
    ::usleep(500'000);
    const uint64_t before = moved_bytes();
    const Stopwatch watch;
    const double p50 = percentile(time_hits(*session_), 0.5);
    gib_s.push_back(static_cast<double>(moved_bytes() - before) / kGiB / watch.seconds());
    return p50;
  }
  double beside_raw_p50(int turn) {
    const std::vector<uint64_t> objects(kRawDepth, kRawBytes);
    const std::string prefix = "hits-" + std::to_string(::getpid()) + "-" + std::to_string(turn);
    const Repeated writing([&] { raw_.run(true, prefix, objects, kRawDepth); });
    ::usleep(500'000);
    return percentile(time_hits(*session_), 0.5);
  }
  // Below the time limit of an operation: the tier has not noticed, and all it can hold waits.
  double hanging_p50() {
    const Load load(*this);
    ::usleep(300'000);
    const StoppedOsds stopped(ceph_);
    ::usleep(500'000);
    return percentile(time_hits(*session_), 0.5);
  }

  const std::string ceph_;
  const BenchModel model_ = load_bench_model("deepseek-v4-flash-fp4", "flash");
  BenchDaemon daemon_;
  RawLoop raw_;
  std::unique_ptr<client::Client> client_ = daemon_.connect(50);
  std::unique_ptr<client::Session> session_;
  std::unique_ptr<client::Session> holder_;
  uint64_t held_ = 0;
  uint64_t reads_ = 0;
  uint64_t writes_ = 0;
};

}  // namespace

ClusterHitFigures measure_hits_beside_cluster(const CephPlace& place, const std::string& ceph) {
  return HitBench(place, ceph).measure();
}

}  // namespace quire::bench
