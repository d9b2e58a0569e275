#include "bench/replay_ghosts.h"

#include <memory>

#include "bench/measure.h"
#include "bench/replay_simulation.h"

namespace quire::bench {

using cache::Ghosts;
using cache::HitWindow;

namespace {

constexpr double kReferencesPerSecond = 1e5;
// A trace of an hour is over in three seconds at that pace.
constexpr double kPeriodsPerTrace = 100;

// The words of the keys that a daemon would tell.
std::vector<uint64_t> key_words(const ReplayTrace& trace) {
  std::vector<uint64_t> words(trace.parents.size());
  for (uint32_t block = 0; block < words.size(); ++block) {
    words[block] = simulated_key(block).word(1);
  }
  return words;
}

model::Result<std::unique_ptr<Ghosts>> make_ghosts(const ReplayTrace& trace,
                                                   const GhostRunOptions& options) {
  const double seconds = static_cast<double>(trace.references) / kReferencesPerSecond;
  cache::GhostsOptions made{
      .memory_bytes = options.memory_bytes,
      .capacity_bytes = options.capacity_blocks * kSimulatedBytes,
      .asks_admission = options.admission,
      .pace_period_us = static_cast<int64_t>(seconds * 1e6 / kPeriodsPerTrace)};
  if (options.halvings >= 0) {
    made.halvings = static_cast<uint32_t>(options.halvings);
    made.paced = false;
  }
  return Ghosts::create(made);
}

}  // namespace

model::Result<GhostFigures> run_ghosts(const ReplayTrace& trace, const GhostRunOptions& options) {
  const std::unique_ptr<Ghosts> ghosts = QUIRE_TRY(make_ghosts(trace, options));
  const std::vector<uint64_t> words = key_words(trace);
  std::vector<uint32_t> path;
  std::vector<uint64_t> keys;
  double seconds = 0;
  const auto tell = [&](size_t index, uint64_t found) {
    const ReplayRequest& request = trace.requests[index];
    trace.path(request, path);
    keys.clear();
    for (const uint32_t block : path) keys.push_back(words[block]);
    const ThreadStopwatch watch;
    ghosts->matched({.time_us = request.time_us,
                     .keys = keys,
                     .shape = {.tokens = trace.block_tokens, .bytes = kSimulatedBytes},
                     .prompt_tokens = request.block_count * trace.block_tokens,
                     .found_blocks = static_cast<uint32_t>(found),
                     .known_blocks = request.block_count});
    ghosts->pace(static_cast<int64_t>(request.block_count / kReferencesPerSecond * 1e6));
    seconds += watch.seconds();
  };
  QUIRE_TRY(simulate(trace, {.policy = options.policy,
                             .capacity_blocks = options.capacity_blocks,
                             .admission = options.admission,
                             .served = tell}));
  const int64_t end = trace.requests.empty() ? 0 : trace.requests.back().time_us;
  const cache::WindowTotals totals = ghosts->totals(HitWindow::kSinceStart, end);
  ghosts->check_invariants();
  return GhostFigures{
      .rows = ghosts->rows(HitWindow::kSinceStart, end),
      .ceiling_percent = 100 * totals.ceiling_tokens / totals.prompt_tokens,
      .cpu_percent = 100 * seconds / static_cast<double>(trace.references) * kReferencesPerSecond,
      .bytes = ghosts->held_bytes(),
      .near_rate = ghosts->near_rate(),
      .far_rate = ghosts->far_rate(),
      .calls_per_reference =
          static_cast<double>(ghosts->calls()) / static_cast<double>(trace.references)};
}

}  // namespace quire::bench
