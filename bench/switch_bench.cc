#include "bench/switch_bench.h"

#include <atomic>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "bench/bench_daemon.h"
#include "bench/filler.h"
#include "bench/measure.h"
#include "cache/eviction/policy.h"

namespace quire::bench {

namespace {

constexpr uint64_t kSpans = 1'000'000;
constexpr uint32_t kStepEntries = 128;  // as a turn of the core has
constexpr uint32_t kBlock = 256;
constexpr uint32_t kTokens = 16 * kBlock;
constexpr int kSwitchRounds = 3;

struct SwitchFigures {
  std::vector<double> pauses_us;     // of the core: to make a policy, and each step
  std::vector<double> pause_cpu_us;  // the same, without what others took from the core
  std::vector<double> passes_us;     // the machine's limit: as many table entries read and written
  std::vector<double> idle_us;       // a match and a load
  std::vector<double> switched_us;   // the same while policies are switched
  uint64_t switches = 0;
  double switch_ms = 0;  // of one, under these requests
};

model::Layout layout() {
  model::Layout layout{.name = "switch", .unit_tokens = kBlock, .block_tokens = kBlock};
  layout.groups.push_back(
      {.name = "global", .kind = model::GroupKind::kAppend, .page_bytes = 4096});
  return layout;
}

server::Options options() {
  server::Options options;
  options.ram_bytes = 16ull << 30;  // address space: filler pages are never touched
  options.segment_bytes = 1ull << 30;
  options.huge_pages = allocator::HugePages::kThp;
  options.population = allocator::Population::kLazy;
  options.spin_us = 50;
  return options;
}

std::unique_ptr<client::Session> open_context(client::Client& client) {
  client::SessionOptions options;
  options.layout = layout();
  options.namespace_name = "switch";
  options.max_tokens = kTokens + kBlock;
  auto session = or_exit(client.open_session(options), "open a session");
  std::vector<uint32_t> tokens(kTokens + 1);
  for (uint32_t i = 0; i < tokens.size(); ++i) tokens[i] = i;
  or_exit(session->append_tokens(tokens), "append tokens");
  for (uint32_t end = kBlock; end <= kTokens; end += kBlock) {
    const auto fill = or_exit(session->begin_fill(model::FillKind::kSpan, end), "begin_fill");
    std::memset(fill.staging, 1, 4096);
    or_exit(session->commit(fill), "commit");
  }
  return session;
}

// On the core thread, which serves nobody meanwhile.
void measure_core(BenchDaemon& daemon, SwitchFigures& figures) {
  struct Entry {
    uint64_t words[2];
  };
  std::vector<Entry> table(kSpans);
  daemon.on_core([&](server::Daemon& d) {
    cache::EvictionBoard& board = d.cache().board();
    const auto timed = [&](auto&& call) {
      const Stopwatch watch;
      const ThreadStopwatch cpu;
      call();
      figures.pause_cpu_us.push_back(cpu.us());
      figures.pauses_us.push_back(watch.us());
    };
    for (const cache::NamedPolicy& policy : cache::all_policies()) {
      timed([&] { or_exit(board.set_policy(model::TierId::kRam, policy.name), "set_policy"); });
      for (bool more = true; more;) {
        timed([&] { more = board.step(kStepEntries); });
      }
      board.take_retired();  // freed beside the core
    }
  });
  for (size_t first = 0; first + kStepEntries <= kSpans; first += kStepEntries) {
    const Stopwatch watch;
    for (size_t i = first; i < first + kStepEntries; ++i) ++table[i].words[i & 1];
    figures.passes_us.push_back(watch.us());
  }
}

std::vector<double> measure_requests(client::Session& session, const std::atomic<bool>& stop) {
  std::vector<double> samples;
  while (!stop || samples.size() < 1000) {
    const Stopwatch watch;
    const auto match = or_exit(session.match(kTokens + 1), "match");
    or_exit(session.load(match.lease), "load");
    or_exit(session.release(match.lease), "release");
    samples.push_back(watch.us());
    QUIRE_CHECK(match.exact_tokens == kTokens);
  }
  samples.erase(samples.begin(), samples.begin() + 10);  // the first ones wake both sides
  return samples;
}

// By the verb, as an operator does it.
void switch_policies(client::Client& client, SwitchFigures& figures) {
  const Stopwatch watch;
  for (int round = 0; round < kSwitchRounds; ++round) {
    for (const cache::NamedPolicy& policy : cache::all_policies()) {
      std::string text = or_exit(client.set_policy(model::TierId::kRam, policy.name), "set_policy");
      while (text.find("\"switching\":true") != std::string::npos) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        text = or_exit(client.policy_json(), "policy_json");
      }
      ++figures.switches;
    }
  }
  figures.switch_ms = watch.us() / 1000 / static_cast<double>(figures.switches);
}

SwitchFigures measure() {
  SwitchFigures figures;
  BenchDaemon daemon(options());
  const auto client = daemon.connect(50);
  const auto session = open_context(*client);
  daemon.on_core([&](server::Daemon& d) { add_filler(d.cache(), kSpans, 1); });
  measure_core(daemon, figures);
  std::atomic<bool> stop = true;
  figures.idle_us = measure_requests(*session, stop);
  stop = false;
  std::thread operating([&] {
    switch_policies(*daemon.connect(50), figures);
    stop = true;
  });
  figures.switched_us = measure_requests(*session, stop);
  operating.join();
  return figures;
}

}  // namespace

int run_switch_bench(bool json) {
  const SwitchFigures figures = measure();
  if (json) {
    std::puts(JsonObject()
                  .add("bench", std::string("switch"))
                  .add("entries", static_cast<double>(kSpans))
                  .add_raw("pause_us", percentiles_json(figures.pauses_us))
                  .add_raw("pause_cpu_us", percentiles_json(figures.pause_cpu_us))
                  .add_raw("table_pass_us", percentiles_json(figures.passes_us))
                  .add("pause_of_pass",
                       percentile(figures.pauses_us, 0.5) / percentile(figures.passes_us, 0.5))
                  .add_raw("request_idle_us", percentiles_json(figures.idle_us))
                  .add_raw("request_switching_us", percentiles_json(figures.switched_us))
                  .add("switches", static_cast<double>(figures.switches))
                  .add("switch_ms", figures.switch_ms)
                  .str()
                  .c_str());
    return 0;
  }
  std::printf("switches of the eviction policy of %lu spans, %zu policies in turn\n", kSpans,
              cache::all_policies().size());
  print_percentiles("core: a policy made, or 128 entries moved", figures.pauses_us);
  print_percentiles("the same, processor time", figures.pause_cpu_us);
  print_percentiles("limit: 128 entries of a table touched", figures.passes_us);
  print_percentiles("match, load, release without switches", figures.idle_us);
  print_percentiles("the same while policies are switched", figures.switched_us);
  std::printf("  a switch under these requests takes %.1f ms\n", figures.switch_ms);
  return 0;
}

}  // namespace quire::bench
