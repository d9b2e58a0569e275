#include "bench/replay_daemon.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "bench/bench_daemon.h"
#include "bench/measure.h"
#include "client/quirectl/trace/replay_driver.h"

namespace quire::bench {

namespace {

constexpr uint64_t kLeastRam = 64ull << 20;  // a segment
constexpr uint64_t kPageStep = 4096;
constexpr uint64_t kSegmentStep = 2ull << 20;

uint64_t round_up(uint64_t value, uint64_t step) { return (value + step - 1) / step * step; }

// Pages as small as lets so many fill a segment.
uint64_t page_bytes(uint64_t capacity) {
  return round_up(std::max<uint64_t>(kPageStep, kLeastRam / capacity), kPageStep);
}

server::Options options_for(const std::string& policy, uint64_t capacity) {
  const uint64_t bytes = round_up(capacity * page_bytes(capacity), kSegmentStep);
  server::Options options;
  options.ram_bytes = std::max(kLeastRam, bytes);
  options.segment_bytes = options.ram_bytes <= 1ull << 30 ? options.ram_bytes : kLeastRam;
  options.huge_pages = allocator::HugePages::kOff;
  options.ram_policy = policy;
  options.spin_us = 50;
  return options;
}

// The trace's time, and from one request to the next as much as passes here: so policies see the
// pauses that there were.
class ReplayClock final : public model::Clock {
 public:
  int64_t now_ns() const override { return system_.now_ns() + ahead_ns_.load(); }
  // Never goes back: where the replay is behind the trace's time it stays so.
  void advance_to(int64_t time_us) {
    const int64_t missing_ns = start_ns_ + time_us * 1000 - now_ns();
    if (missing_ns > 0) ahead_ns_ += missing_ns;
  }

 private:
  model::SystemClock system_;
  const int64_t start_ns_ = system_.now_ns();
  std::atomic<int64_t> ahead_ns_{0};
};

class DaemonReplay {
 public:
  DaemonReplay(const ReplayTrace& trace, const std::string& policy, uint64_t capacity)
      : trace_(trace),
        daemon_(options_for(policy, capacity), {.clock = &clock_}),
        client_(daemon_.connect(50)),
        driver_(client_.get(),
                {.layout = client::small_replay_layout(trace.block_tokens, page_bytes(capacity)),
                 .moves_bytes = false}) {
    // Segments are whole: without it the RAM would hold some blocks more.
    or_exit(client_->set_quota(model::TierId::kRam,
                               {.domain = std::string(client_->domain()), .tenant = {}},
                               {.guaranteed = 0, .burst = capacity * page_bytes(capacity)}),
            "set a quota");
  }
  void serve(const ReplayRequest& request);
  const SimulationFigures& figures() const { return figures_; }

 private:
  const ReplayTrace& trace_;
  ReplayClock clock_;
  BenchDaemon daemon_;
  std::unique_ptr<client::Client> client_;
  client::ReplayDriver driver_;
  std::vector<uint32_t> path_;
  SimulationFigures figures_;
};

void DaemonReplay::serve(const ReplayRequest& request) {
  clock_.advance_to(request.time_us);
  trace_.path(request, path_);
  const client::ReplayedResult served = or_exit(
      driver_.serve({.block_tokens = trace_.block_tokens, .ids = path_}), "serve a request");
  figures_.hits += served.hit_tokens / trace_.block_tokens;
  figures_.inserts += served.committed_spans;
}

}  // namespace

SimulationFigures replay_through_daemon(const ReplayTrace& trace, const std::string& policy,
                                        uint64_t capacity_blocks) {
  DaemonReplay replay(trace, policy, capacity_blocks);
  const Stopwatch watch;
  for (const ReplayRequest& request : trace.requests) replay.serve(request);
  SimulationFigures figures = replay.figures();
  figures.seconds = watch.seconds();
  return figures;
}

}  // namespace quire::bench
