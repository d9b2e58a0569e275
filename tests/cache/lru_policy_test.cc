#include "cache/eviction/lru_policy.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <vector>

namespace quire::cache {
namespace {

using model::NodeId;

std::unique_ptr<LruPolicy> make_policy(uint64_t max_nodes = 1000) {
  return LruPolicy::create(max_nodes).value();
}

std::vector<uint32_t> drain(LruPolicy& policy) {
  std::vector<uint32_t> order;
  while (const auto victim = policy.take_victim()) order.push_back(victim->value);
  return order;
}

TEST(LruPolicy, OldestUseGoesFirst) {
  const auto policy = make_policy();
  for (const uint32_t node : {4, 2, 3}) policy->on_use(NodeId{node});
  for (const uint32_t node : {2, 3, 4}) policy->on_evictable(NodeId{node});
  EXPECT_EQ(drain(*policy), (std::vector<uint32_t>{4, 2, 3}));
}

TEST(LruPolicy, UseOfACandidateMovesItBehindTheOthers) {
  const auto policy = make_policy();
  for (const uint32_t node : {1, 2, 3}) {
    policy->on_use(NodeId{node});
    policy->on_evictable(NodeId{node});
  }
  policy->on_use(NodeId{1});
  EXPECT_EQ(drain(*policy), (std::vector<uint32_t>{2, 3, 1}));
}

TEST(LruPolicy, SpanInheritsTheUseOfItsLastChild) {
  const auto policy = make_policy();
  for (const uint32_t node : {1, 2, 3}) policy->on_use(NodeId{node});
  policy->on_evictable(NodeId{2});
  policy->on_child_removed(NodeId{1}, NodeId{3});  // 3 was used after 2
  policy->on_evictable(NodeId{1});
  EXPECT_EQ(drain(*policy), (std::vector<uint32_t>{2, 1}));
}

TEST(LruPolicy, DoneWithGoesFirstInTheOrderOfAdvice) {
  const auto policy = make_policy();
  for (const uint32_t node : {1, 2, 3, 4}) {
    policy->on_use(NodeId{node});
    policy->on_evictable(NodeId{node});
  }
  policy->on_done_with(NodeId{4});
  policy->on_done_with(NodeId{2});
  policy->check_invariants();
  EXPECT_EQ(drain(*policy), (std::vector<uint32_t>{4, 2, 1, 3}));
}

TEST(LruPolicy, UseAfterDoneWithTakesTheAdviceBack) {
  const auto policy = make_policy();
  for (const uint32_t node : {1, 2}) {
    policy->on_use(NodeId{node});
    policy->on_evictable(NodeId{node});
  }
  policy->on_done_with(NodeId{1});
  policy->on_use(NodeId{1});
  EXPECT_EQ(drain(*policy), (std::vector<uint32_t>{2, 1}));
}

TEST(LruPolicy, SecondOnEvictableIsHarmless) {
  const auto policy = make_policy();
  policy->on_use(NodeId{1});
  policy->on_evictable(NodeId{1});
  policy->on_evictable(NodeId{1});
  EXPECT_EQ(drain(*policy), (std::vector<uint32_t>{1}));
  policy->on_evictable(NodeId{1});
  EXPECT_EQ(drain(*policy), (std::vector<uint32_t>{1}));
}

TEST(LruPolicy, RemovedCandidateLeavesNothingToTheNextNodeWithItsId) {
  const auto policy = make_policy();
  for (const uint32_t node : {1, 2}) {
    policy->on_use(NodeId{node});
    policy->on_evictable(NodeId{node});
  }
  policy->on_removed(NodeId{1});
  policy->on_use(NodeId{1});  // a new node, not evictable
  policy->check_invariants();
  EXPECT_EQ(drain(*policy), (std::vector<uint32_t>{2}));
  policy->on_evictable(NodeId{1});
  EXPECT_EQ(drain(*policy), (std::vector<uint32_t>{1}));
}

// The plain statement of LRU: the candidate with the smallest stamp, found by looking at all.
class NaiveLru {
 public:
  void on_use(uint32_t node) { stamps_[node] = ++clock_; }
  void on_done_with(uint32_t node) { stamps_[node] = ++done_clock_ - (1ll << 40); }
  void on_child_removed(uint32_t node, uint32_t child) {
    stamps_[node] = std::max(stamps_[node], stamps_[child]);
  }
  void on_evictable(uint32_t node) { candidates_.insert(node); }
  void on_removed(uint32_t node) {
    candidates_.erase(node);
    stamps_.erase(node);
  }
  std::optional<NodeId> take_victim() {
    if (candidates_.empty()) return std::nullopt;
    const auto oldest =
        std::min_element(candidates_.begin(), candidates_.end(),
                         [&](uint32_t a, uint32_t b) { return stamps_.at(a) < stamps_.at(b); });
    const uint32_t node = *oldest;
    candidates_.erase(oldest);
    return NodeId{node};
  }

 private:
  int64_t clock_ = 0;
  int64_t done_clock_ = 0;
  std::map<uint32_t, int64_t> stamps_;
  std::set<uint32_t> candidates_;
};

// Drives both through the life of a random tree: nodes come, are used and pinned, and go leaf
// first.
class LruRace {
 public:
  explicit LruRace(uint64_t seed) : random_(seed) {}

  void step() {
    const uint32_t node = static_cast<uint32_t>(random_() % kNodes);
    const uint64_t choice = random_() % 20;
    if (!parents_.contains(node)) {
      add(node);
    } else if (choice < 10) {
      both([&](auto& policy, auto id) { policy.on_use(id); }, node);
    } else if (choice < 12) {
      both([&](auto& policy, auto id) { policy.on_done_with(id); }, node);
    } else if (choice < 13) {
      if (is_leaf(node)) remove(node);
    } else {
      evict();
    }
    policy_->check_invariants();
  }

 private:
  static constexpr uint32_t kNodes = 60;
  static constexpr uint32_t kNoParent = ~0u;

  template <typename Call>
  void both(Call call, uint32_t node) {
    call(*policy_, NodeId{node});
    call(naive_, node);
  }

  bool is_leaf(uint32_t node) const {
    return std::none_of(parents_.begin(), parents_.end(),
                        [&](const auto& entry) { return entry.second == node; });
  }

  void add(uint32_t node) {
    uint32_t parent = kNoParent;
    if (!parents_.empty() && random_() % 8 != 0) {
      const auto at = static_cast<long>(random_() % parents_.size());
      parent = std::next(parents_.begin(), at)->first;
    }
    parents_[node] = parent;
    both([](auto& policy, auto id) { policy.on_use(id); }, node);
    both([](auto& policy, auto id) { policy.on_evictable(id); }, node);
  }

  void remove(uint32_t node) {
    const uint32_t parent = parents_[node];
    parents_.erase(node);
    if (parent != kNoParent && is_leaf(parent)) {
      policy_->on_child_removed(NodeId{parent}, NodeId{node});
      naive_.on_child_removed(parent, node);
      both([](auto& policy, auto id) { policy.on_evictable(id); }, parent);
    }
    both([](auto& policy, auto id) { policy.on_removed(id); }, node);
  }

  // A victim that got a child meanwhile is skipped, as the contract allows.
  void evict() {
    const std::optional<NodeId> victim = policy_->take_victim();
    RC_ASSERT(victim == naive_.take_victim());
    if (victim && is_leaf(victim->value)) remove(victim->value);
  }

  std::mt19937_64 random_;
  std::unique_ptr<LruPolicy> policy_ = make_policy(kNodes);
  NaiveLru naive_;
  std::map<uint32_t, uint32_t> parents_;
};

TEST(LruPolicy, IsExactLruOverRandomTrees) {
  rc::check([](uint64_t seed) {
    LruRace race(seed);
    for (int i = 0; i < 2000; ++i) race.step();
  });
}

}  // namespace
}  // namespace quire::cache
