// Ghosts beside simulated tiers, against full simulations of what they stand for.
#include "bench/replay_ghosts.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "bench/replay_bound.h"
#include "bench/replay_simulation.h"

namespace quire::bench::replay_ghosts_test {
namespace {

double simulated_percent(const ReplayTrace& trace, std::string_view policy, uint64_t capacity) {
  const auto figures = simulate(trace, {std::string(policy), capacity});
  return 100 * static_cast<double>(figures->hits) / static_cast<double>(trace.references);
}

// Stretches go at once that a tier loses block by block: policies that order by time and worth lose
// little by that; those that sift newcomers, or pass a hand over the entries, see other newcomers.
double tolerance(std::string_view policy) {
  if (policy == "sieve" || policy == "s3fifo" || policy == "wtinylfu") return 25;
  return policy == "lru" || policy == "lfuda" ? 1 : 4;
}

TEST(ReplayGhosts, UnsampledOnesHitWhatFullSimulationsHit) {
  const ReplayTrace trace = mixed_trace(120, 5);
  const uint64_t capacity = trace.parents.size() / 10;
  const auto found = run_ghosts(trace, {.capacity_blocks = capacity, .halvings = 0});
  ASSERT_TRUE(found.ok());
  for (const cache::GhostRow& row : found->rows) {
    if (row.size_percent > 100) continue;
    const uint64_t size = capacity * static_cast<uint64_t>(100 + row.size_percent) / 100;
    const double full = simulated_percent(trace, row.policy, size);
    EXPECT_NEAR(row.hits.percent, full, tolerance(row.policy)) << row.policy << row.size_percent;
  }
  EXPECT_NEAR(
      found->ceiling_percent,
      100.0 * static_cast<double>(ceiling_hits(trace)) / static_cast<double>(trace.references),
      1e-6)
      << "so few keys are counted exactly";
  EXPECT_EQ(found->near_rate, 1);
}

TEST(ReplayGhosts, SampledOnesStayNearThem) {
  const ReplayTrace trace = mixed_trace(600, 6);
  const uint64_t capacity = trace.parents.size() / 10;
  const auto found = run_ghosts(trace, {.capacity_blocks = capacity, .halvings = 2});
  for (const cache::GhostRow& row : found->rows) {
    if (row.size_percent != 0 || row.policy != "lru") continue;
    EXPECT_NEAR(row.hits.percent, simulated_percent(trace, row.policy, capacity), 2);
    EXPECT_GT(row.hits.error_points, 0);
  }
}

}  // namespace
}  // namespace quire::bench::replay_ghosts_test
