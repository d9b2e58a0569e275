// The simulated replay and its bound, against plain statements of both over small traces.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "bench/replay_bound.h"
#include "bench/replay_simulation.h"
#include "bench/replay_trace.h"
#include "cache/eviction/policy.h"

namespace quire::bench::replay_test {
namespace {

ReplayTrace trace_of(const std::vector<std::vector<uint32_t>>& requests) {
  ReplayTraceBuilder builder("test", 16);
  int64_t time = 0;
  for (const auto& ids : requests) EXPECT_TRUE(builder.add(time += 1'000'000, ids));
  return builder.finish();
}

uint32_t next_use(const ReplayTrace& trace, size_t from, uint32_t block) {
  std::vector<uint32_t> path;
  for (size_t i = from; i < trace.requests.size(); ++i) {
    trace.path(trace.requests[i], path);
    if (std::find(path.begin(), path.end(), block) != path.end()) return static_cast<uint32_t>(i);
  }
  return UINT32_MAX;
}

// LRU over leaves as a list of times: what a tier of so many blocks would do, slowly.
uint64_t naive_lru_hits(const ReplayTrace& trace, size_t capacity) {
  std::map<uint32_t, std::pair<uint64_t, uint32_t>> resident;  // block -> last use and depth
  std::vector<uint32_t> path;
  uint64_t hits = 0;
  for (size_t now = 0; now < trace.requests.size(); ++now) {
    trace.path(trace.requests[now], path);
    size_t found = 0;
    while (found < path.size() && resident.contains(path[found])) ++found;
    hits += found;
    for (size_t i = 0; i < found; ++i) resident[path[i]].first = now + 1;
    for (size_t i = found; i < path.size(); ++i) {
      if (resident.size() == capacity) {
        auto oldest = resident.end();
        for (auto one = resident.begin(); one != resident.end(); ++one) {
          if (one->second.first == now + 1) continue;  // of the path that is served
          const auto key = [](const auto& entry) {
            return std::pair(entry->second.first, ~entry->second.second);
          };
          if (oldest == resident.end() || key(one) < key(oldest)) oldest = one;
        }
        if (oldest == resident.end()) break;
        resident.erase(oldest);
      }
      resident[path[i]] = {now + 1, static_cast<uint32_t>(i)};
    }
  }
  return hits;
}

// Belady with bypass over sets: take all, then drop what is used latest, the deepest first.
BoundFigures naive_bound(const ReplayTrace& trace, size_t capacity) {
  std::map<uint32_t, uint32_t> resident;  // block -> depth
  std::vector<uint32_t> path;
  BoundFigures figures;
  for (size_t now = 0; now < trace.requests.size(); ++now) {
    trace.path(trace.requests[now], path);
    std::set<uint32_t> fresh;
    for (size_t i = 0; i < path.size(); ++i) {
      if (resident.contains(path[i])) {
        ++figures.hits;
      } else {
        fresh.insert(path[i]);
        resident[path[i]] = static_cast<uint32_t>(i);
      }
    }
    while (true) {
      auto last = resident.end();
      std::pair<uint32_t, uint32_t> last_key;
      for (auto one = resident.begin(); one != resident.end(); ++one) {
        const std::pair key(next_use(trace, now + 1, one->first), one->second);
        if (last != resident.end() && key <= last_key) continue;
        last = one;
        last_key = key;
      }
      if (last == resident.end()) break;
      if (last_key.first != UINT32_MAX && resident.size() <= capacity) break;
      fresh.erase(last->first);
      resident.erase(last);
    }
    figures.inserts += fresh.size();
  }
  return figures;
}

TEST(ReplayTrace, IdNamesItsWholePrefix) {
  ReplayTraceBuilder builder("test", 16);
  EXPECT_TRUE(builder.add(0, {7, 3, 9}));
  EXPECT_TRUE(builder.add(1, {7, 3, 4}));
  EXPECT_FALSE(builder.add(2, {7, 9})) << "9 came behind 3";
  builder.begin_scope();
  EXPECT_TRUE(builder.add(3, {7, 9})) << "ids of another scope";
  const ReplayTrace trace = builder.finish();
  EXPECT_EQ(trace.parents.size(), 6u);
  EXPECT_EQ(ceiling_hits(trace), trace.references - 6);
}

TEST(ReplayTrace, CutKeepsTheFirstRequestsAndTheirBlocks) {
  ReplayTrace trace = trace_of({{0, 1, 2}, {0, 1, 3}, {4, 5}, {0, 1, 2, 6}});
  trace.cut(2);
  EXPECT_EQ(trace.references, 6u);
  EXPECT_EQ(trace.parents.size(), 4u);
  EXPECT_EQ(ceiling_hits(trace), 2u);
}

TEST(ReplayTrace, MixedTraceIsTheSameEachTime) {
  const ReplayTrace once = mixed_trace(50, 3);
  const ReplayTrace again = mixed_trace(50, 3);
  EXPECT_EQ(once.parents, again.parents);
  EXPECT_GT(once.references, once.parents.size()) << "something comes again";
  EXPECT_NE(once.parents, mixed_trace(50, 4).parents);
}

TEST(ReplayBound, IsThatOfTheNaiveModel) {
  for (const uint64_t seed : {1, 2, 3}) {
    const ReplayTrace trace = mixed_trace(3, seed);
    for (const size_t part : {40, 10, 3}) {
      const size_t capacity = std::max<size_t>(1, trace.parents.size() / part);
      const BoundFigures naive = naive_bound(trace, capacity);
      const BoundFigures found = ReplayBound(trace).at(capacity);
      EXPECT_EQ(found.hits, naive.hits) << "seed " << seed << " capacity " << capacity;
      EXPECT_EQ(found.inserts, naive.inserts);
    }
  }
}

TEST(Replay, LruHitsWhatTheNaiveModelHits) {
  for (const uint64_t seed : {1, 2, 3}) {
    const ReplayTrace trace = mixed_trace(16, seed);
    for (const size_t part : {20, 8, 3}) {
      const size_t capacity = trace.parents.size() / part;
      const auto simulated = simulate(trace, {"lru", capacity});
      ASSERT_TRUE(simulated.ok());
      EXPECT_EQ(simulated->hits, naive_lru_hits(trace, capacity))
          << "seed " << seed << " capacity " << capacity;
    }
  }
}

TEST(Replay, NoPolicyPassesTheBoundAndAllReachTheCeilingWithRoom) {
  const ReplayTrace trace = mixed_trace(80, 5);
  const ReplayBound bound(trace);
  for (const cache::NamedPolicy& policy : cache::all_policies()) {
    const std::string name(policy.name);
    for (const size_t part : {50, 10, 4}) {
      const size_t capacity = trace.parents.size() / part;
      for (const bool admission : {false, true}) {
        EXPECT_LE(simulate(trace, {name, capacity, admission})->hits, bound.at(capacity).hits)
            << name;
      }
    }
    const auto infinite = simulate(trace, {name, trace.parents.size()});
    EXPECT_EQ(infinite->hits, ceiling_hits(trace)) << name;
    EXPECT_EQ(infinite->inserts, trace.parents.size()) << name;
  }
}

TEST(Replay, AutoIsNotFarBelowTheBest) {
  const ReplayTrace trace = mixed_trace(150, 4);
  const uint64_t capacity = trace.parents.size() / 20;
  uint64_t best = 0;
  for (const cache::NamedPolicy& policy : cache::all_policies()) {
    best = std::max(best, simulate(trace, {std::string(policy.name), capacity})->hits);
  }
  const uint64_t found = simulate(trace, {"auto", capacity})->hits;
  EXPECT_GE(found + trace.references / 50, best);
}

TEST(Replay, UnknownPolicyIsRefused) {
  EXPECT_FALSE(simulate(mixed_trace(2, 1), {"best", 10}).ok());
}

// Chats and agent loops among prompts that nobody asks for again: neither of the traces that the
// policy was compared on.
TEST(Replay, OwnPolicyIsNotBelowLruOnAMixture) {
  const ReplayTrace trace = mixed_trace(700, 11);
  for (const double share : {0.01, 0.05, 0.1, 0.25}) {
    const auto capacity = static_cast<uint64_t>(share * static_cast<double>(trace.parents.size()));
    const auto own = simulate(trace, {"gittins", capacity});
    const auto lru = simulate(trace, {"lru", capacity});
    EXPECT_GE(own->hits, lru->hits) << share;
    EXPECT_LE(own->inserts, lru->inserts) << share;
    const auto choosy = simulate(trace, {"gittins", capacity, true});
    EXPECT_GE(choosy->hits, lru->hits) << share;
    EXPECT_LE(choosy->inserts, own->inserts) << share;
  }
}

}  // namespace
}  // namespace quire::bench::replay_test
