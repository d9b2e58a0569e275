#include "cache/eviction/coarse_lru_policy.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

namespace quire::cache {
namespace {

using model::NodeId;

constexpr uint32_t kRun = 16;  // nodes that share a stamp

std::unique_ptr<CoarseLruPolicy> make_policy() { return CoarseLruPolicy::create(10'000).value(); }

std::vector<uint32_t> drain(CoarseLruPolicy& policy) {
  std::vector<uint32_t> order;
  while (const auto victim = policy.take_victim()) order.push_back(victim->value);
  return order;
}

TEST(CoarseLruPolicy, OldestRunGoesFirst) {
  const auto policy = make_policy();
  for (const uint32_t node : {4 * kRun, 2 * kRun, 3 * kRun}) policy->on_use(NodeId{node});
  for (const uint32_t node : {2 * kRun, 3 * kRun, 4 * kRun}) policy->on_evictable(NodeId{node});
  EXPECT_EQ(drain(*policy), (std::vector<uint32_t>{4 * kRun, 2 * kRun, 3 * kRun}));
}

TEST(CoarseLruPolicy, UseOfANeighbourCountsForTheRun) {
  const auto policy = make_policy();
  for (const uint32_t node : {0u, kRun}) {
    policy->on_use(NodeId{node});
    policy->on_evictable(NodeId{node});
  }
  policy->on_use(NodeId{7});
  EXPECT_EQ(drain(*policy), (std::vector<uint32_t>{kRun, 0}));
}

TEST(CoarseLruPolicy, SpanInheritsTheUseOfItsLastChild) {
  const auto policy = make_policy();
  for (const uint32_t node : {1 * kRun, 2 * kRun, 3 * kRun}) policy->on_use(NodeId{node});
  policy->on_evictable(NodeId{2 * kRun});
  policy->on_child_removed(NodeId{1 * kRun}, NodeId{3 * kRun});
  policy->on_evictable(NodeId{1 * kRun});
  EXPECT_EQ(drain(*policy), (std::vector<uint32_t>{2 * kRun, 1 * kRun}));
}

TEST(CoarseLruPolicy, DoneWithGoesFirst) {
  const auto policy = make_policy();
  for (const uint32_t node : {1 * kRun, 2 * kRun, 3 * kRun}) {
    policy->on_use(NodeId{node});
    policy->on_evictable(NodeId{node});
  }
  policy->on_done_with(NodeId{3 * kRun});
  EXPECT_EQ(drain(*policy), (std::vector<uint32_t>{3 * kRun, 1 * kRun, 2 * kRun}));
}

TEST(CoarseLruPolicy, RemovedNodesAreNeverVictims) {
  const auto policy = make_policy();
  for (uint32_t node = 0; node < 100; ++node) policy->on_evictable(NodeId{node});
  for (uint32_t node = 0; node < 100; node += 2) policy->on_removed(NodeId{node});
  const auto order = drain(*policy);
  EXPECT_EQ(order.size(), 50u);
  for (const uint32_t node : order) EXPECT_EQ(node % 2, 1u);
}

// Entries of removed nodes are swept out: memory follows the candidates, not the history.
TEST(CoarseLruPolicy, MemoryDoesNotGrowWithRemovedCandidates) {
  const auto policy = make_policy();
  for (uint32_t i = 0; i < 200'000; ++i) {
    policy->on_evictable(NodeId{i % 50});
    policy->on_removed(NodeId{i % 50});
  }
  EXPECT_LT(policy->resident_bytes(), 200'000u);
  EXPECT_TRUE(drain(*policy).empty());
}

TEST(CoarseLruPolicy, RandomCallsKeepExactlyTheCandidates) {
  std::mt19937_64 random(3);
  const auto policy = make_policy();
  std::set<uint32_t> candidates;
  for (int i = 0; i < 60'000; ++i) {
    const auto node = static_cast<uint32_t>(random() % 2000);
    switch (random() % 6) {
      case 0:
      case 1:
        policy->on_evictable(NodeId{node});
        candidates.insert(node);
        break;
      case 2:
        policy->on_removed(NodeId{node});
        candidates.erase(node);
        break;
      case 3:
        policy->on_use(NodeId{node});
        break;
      case 4:
        policy->on_done_with(NodeId{node});
        break;
      default:
        const auto victim = policy->take_victim();
        ASSERT_EQ(victim.has_value(), !candidates.empty());
        if (victim) {
          ASSERT_EQ(candidates.erase(victim->value), 1u);
        }
    }
    if (i % 1000 == 0) policy->check_invariants();
  }
  const auto rest = drain(*policy);
  EXPECT_EQ(std::set<uint32_t>(rest.begin(), rest.end()), candidates);
  EXPECT_EQ(rest.size(), candidates.size());
}

}  // namespace
}  // namespace quire::cache
