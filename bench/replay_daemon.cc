#include "bench/replay_daemon.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <vector>

#include "bench/bench_daemon.h"
#include "bench/measure.h"

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
        client_(daemon_.connect(50)) {
    // Segments are whole: without it the RAM would hold some blocks more.
    or_exit(client_->set_quota(model::TierId::kRam,
                               {.domain = std::string(client_->domain()), .tenant = {}},
                               {.guaranteed = 0, .burst = capacity * page_bytes(capacity)}),
            "set a quota");
    layout_.name = "replay";
    layout_.unit_tokens = trace.block_tokens;
    layout_.block_tokens = trace.block_tokens;
    const uint64_t bytes = page_bytes(capacity);
    model::Group group;
    group.name = "append";
    group.kind = model::GroupKind::kAppend;
    group.page_bytes = bytes;
    group.layers = {{.layer = 0, .offset = 0, .bytes = bytes}};
    layout_.groups.push_back(group);
  }
  void serve(const ReplayRequest& request);
  const SimulationFigures& figures() const { return figures_; }

 private:
  const ReplayTrace& trace_;
  model::Layout layout_;
  ReplayClock clock_;
  BenchDaemon daemon_;
  std::unique_ptr<client::Client> client_;
  std::vector<uint32_t> path_;
  SimulationFigures figures_;
};

void DaemonReplay::serve(const ReplayRequest& request) {
  clock_.advance_to(request.time_us);
  trace_.path(request, path_);
  std::vector<model::Hash256> hashes(path_.size());
  for (size_t i = 0; i < path_.size(); ++i) {
    std::memcpy(hashes[i].bytes.data(), &path_[i], sizeof(path_[i]));
  }
  const uint32_t block = trace_.block_tokens;
  const auto known = static_cast<uint32_t>(hashes.size()) * block;
  client::SessionOptions options;
  options.layout = layout_;
  options.namespace_name = "replay";
  options.max_tokens = known + block;
  options.max_load_pages = 1;
  options.staging_bytes = std::max<uint64_t>(64 << 10, 2 * layout_.groups[0].page_bytes);
  const auto session = or_exit(client_->open_session(options), "open a session");
  or_exit(session->append_unit_hashes(hashes), "append hashes");
  // A token more than the last block, which could not be a hit else: its last token is computed.
  const model::MatchResult hit = or_exit(session->match(known + 1), "match");
  figures_.hits += hit.span_tokens / block;
  for (uint32_t end = hit.span_tokens + block; end <= known; end += block) {
    const client::Fill fill =
        or_exit(session->begin_fill(model::FillKind::kSpan, end), "begin a fill");
    if (fill.duplicate) continue;
    or_exit(session->commit(fill), "commit");
    ++figures_.inserts;
  }
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
