// What every policy owes the board, and what makes each of them itself.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/cache/policy_rig.h"

namespace quire::cache::policies_test {
namespace {

class EveryPolicy : public testing::TestWithParam<NamedPolicy> {};

INSTANTIATE_TEST_SUITE_P(Policies, EveryPolicy,
                         testing::ValuesIn(all_policies().begin(), all_policies().end()),
                         [](const auto& entry) { return std::string(entry.param.name); });

TEST_P(EveryPolicy, ChoiceOnlyLooks) {
  PolicyRig rig(GetParam().name);
  for (const uint32_t entry : {1, 2, 3}) rig.insert_and_offer(entry);
  const auto first = rig.policy().choose();
  ASSERT_TRUE(first);
  EXPECT_EQ(rig.policy().choose(), first);
  rig.policy().gone(*first);
  EXPECT_NE(rig.policy().choose(), first);
}

TEST_P(EveryPolicy, OfferTwiceIsOneCandidate) {
  PolicyRig rig(GetParam().name);
  rig.insert_and_offer(1);
  rig.offer(1);
  EXPECT_EQ(rig.drain(), (std::vector<uint32_t>{1}));
}

TEST_P(EveryPolicy, WithdrawnIsNoCandidateUntilOfferedAgain) {
  PolicyRig rig(GetParam().name);
  rig.insert_and_offer(1);
  rig.policy().withdrawn(EntryId{1});
  EXPECT_FALSE(rig.policy().choose());
  rig.offer(1);
  EXPECT_EQ(rig.policy().choose(), EntryId{1});
}

TEST_P(EveryPolicy, DoneWithGoesBeforeAllThatWasUsed) {
  PolicyRig rig(GetParam().name);
  for (const uint32_t entry : {1, 2, 3, 4}) {
    rig.insert_and_offer(entry);
    rig.use(entry);
    rig.use(entry);
  }
  rig.done_with(4);
  rig.done_with(2);
  const auto order = rig.drain();
  ASSERT_EQ(order.size(), 4u);
  EXPECT_EQ(order[0], 4u);
  EXPECT_EQ(order[1], 2u);
}

TEST_P(EveryPolicy, IdOfOneThatWentStartsAnew) {
  PolicyRig rig(GetParam().name);
  rig.insert_and_offer(1);
  rig.insert_and_offer(2);
  rig.remove(1, false);
  rig.insert(1);  // not offered
  EXPECT_EQ(rig.drain(), (std::vector<uint32_t>{2}));
  rig.offer(1);
  EXPECT_EQ(rig.drain(), (std::vector<uint32_t>{1}));
}

// Whatever happens to entries, the policy names exactly those that were offered and not taken back.
TEST_P(EveryPolicy, RandomCallsKeepExactlyTheCandidates) {
  std::mt19937_64 random(3);
  PolicyRig rig(GetParam().name, 400);
  std::set<uint32_t> present;
  std::set<uint32_t> candidates;
  for (int i = 0; i < 40'000; ++i) {
    const auto entry = static_cast<uint32_t>(random() % 400);
    const uint64_t choice = random() % 8;
    if (!present.contains(entry)) {
      rig.insert(entry);
      present.insert(entry);
    } else if (choice < 3) {
      rig.offer(entry);
      candidates.insert(entry);
    } else if (choice == 3) {
      rig.use(entry);
    } else if (choice == 4) {
      rig.done_with(entry);
    } else if (choice == 5) {
      rig.policy().withdrawn(EntryId{entry});
      candidates.erase(entry);
    } else if (choice == 6) {
      rig.remove(entry, random() % 2 == 0);
      present.erase(entry);
      candidates.erase(entry);
    } else {
      const auto gone = rig.evict();
      ASSERT_EQ(gone.has_value(), !candidates.empty());
      if (!gone) continue;
      ASSERT_EQ(candidates.erase(*gone), 1u);
      present.erase(*gone);
    }
    if (i % 500 == 0) rig.policy().check_invariants();
  }
  const auto rest = rig.drain();
  EXPECT_EQ(std::set<uint32_t>(rest.begin(), rest.end()), candidates);
}

TEST(Policies, AreListedByName) {
  for (const char* name : {"lru", "s3fifo", "arc"}) EXPECT_NE(find_policy(name), nullptr) << name;
  EXPECT_EQ(find_policy("LRU"), nullptr);
  EXPECT_EQ(find_policy(""), nullptr);
}

TEST(Policies, NamesForHelpTextsAreThoseOfTheTable) {
  const std::string names = policy_names();
  for (const NamedPolicy& policy : all_policies()) {
    EXPECT_NE((", " + names + ",").find(", " + std::string(policy.name) + ","), std::string::npos);
  }
}

TEST(Lru, OldestUseGoesFirstAndAUseMovesItBack) {
  PolicyRig rig("lru");
  for (const uint32_t entry : {4, 2, 3}) rig.insert_and_offer(entry);
  rig.use(2);
  EXPECT_EQ(rig.drain(), (std::vector<uint32_t>{4, 3, 2}));
}

TEST(Lru, UseAfterDoneWithTakesTheAdviceBack) {
  PolicyRig rig("lru");
  for (const uint32_t entry : {1, 2}) rig.insert_and_offer(entry);
  rig.done_with(1);
  rig.use(1);
  EXPECT_EQ(rig.drain(), (std::vector<uint32_t>{2, 1}));
}

TEST(Lru, ParentInheritsTheUseOfItsChild) {
  PolicyRig rig("lru");
  for (const uint32_t entry : {1, 2, 3}) rig.insert(entry);
  rig.offer(2);
  rig.entries().inherit(EntryId{1}, EntryId{3});  // 3 was used after 2
  rig.offer(1);
  EXPECT_EQ(rig.drain(), (std::vector<uint32_t>{2, 1}));
}

// The plain statement of LRU beside the heap, over a tree that goes leaf first.
TEST(Lru, IsExactOverRandomTrees) {
  rc::check([](uint64_t seed) {
    constexpr uint32_t kEntries = 60;
    std::mt19937_64 random(seed);
    PolicyRig rig("lru", kEntries);
    std::map<uint32_t, uint32_t> parents;  // its own id: none
    const auto is_leaf = [&](uint32_t entry) {
      return std::none_of(parents.begin(), parents.end(), [&](const auto& one) {
        return one.second == entry && one.first != entry;
      });
    };
    for (int i = 0; i < 1000; ++i) {
      const auto entry = static_cast<uint32_t>(random() % kEntries);
      const uint64_t choice = random() % 20;
      if (!parents.contains(entry)) {
        uint32_t parent = entry;
        if (!parents.empty() && random() % 8 != 0) {
          const auto at = static_cast<long>(random() % parents.size());
          parent = std::next(parents.begin(), at)->first;
          rig.policy().withdrawn(EntryId{parent});
        }
        parents[entry] = parent;
        rig.insert_and_offer(entry);
      } else if (choice < 10) {
        rig.use(entry);
      } else if (choice < 12) {
        rig.done_with(entry);
      } else {
        uint32_t oldest = kEntries;
        for (const auto& [one, parent] : parents) {
          if (!is_leaf(one)) continue;
          const bool older = oldest == kEntries || rig.entries().last_use(EntryId{one}) <
                                                       rig.entries().last_use(EntryId{oldest});
          if (older) oldest = one;
        }
        const auto chosen = rig.policy().choose();
        RC_ASSERT(chosen.has_value() == (oldest != kEntries));
        if (!chosen) continue;
        RC_ASSERT(chosen->value == oldest);
        const uint32_t parent = parents[oldest];
        if (parent != oldest) rig.entries().inherit(EntryId{parent}, EntryId{oldest});
        rig.remove(oldest, true);
        parents.erase(oldest);
        if (parent != oldest && is_leaf(parent)) rig.offer(parent);
      }
      rig.policy().check_invariants();
    }
  });
}

// What a scan reads once does not push out what is used again and again: LRU's failure.
uint32_t survivors_of_a_scan(std::string_view name) {
  constexpr uint32_t kHot = 50;
  constexpr uint32_t kScanned = 400;
  PolicyRig rig(name, kHot + kScanned);
  for (uint32_t entry = 0; entry < kHot; ++entry) {
    rig.insert_and_offer(entry);
    for (int use = 0; use < 3; ++use) rig.use(entry);
  }
  std::set<uint32_t> gone;
  for (uint32_t entry = kHot; entry < kHot + kScanned; ++entry) {
    rig.insert_and_offer(entry);
    if (entry >= 2 * kHot) gone.insert(*rig.evict());  // room for as many again
  }
  uint32_t left = 0;
  for (uint32_t entry = 0; entry < kHot; ++entry) left += gone.contains(entry) ? 0 : 1;
  return left;
}

TEST(S3Fifo, ScanLeavesWhatIsUsedAgain) {
  EXPECT_EQ(survivors_of_a_scan("lru"), 0u);
  EXPECT_EQ(survivors_of_a_scan("s3fifo"), 50u);
}

TEST(Arc, ScanLeavesWhatIsUsedAgain) { EXPECT_EQ(survivors_of_a_scan("arc"), 50u); }

TEST(S3Fifo, WhatComesBackSoonIsKeptBeforeWhatIsNew) {
  PolicyRig rig("s3fifo");
  rig.insert_and_offer(1);
  ASSERT_EQ(rig.evict(), 1u);
  rig.insert_and_offer(1);  // remembered
  for (uint32_t entry = 2; entry < 6; ++entry) rig.insert_and_offer(entry);
  EXPECT_EQ(rig.drain(), (std::vector<uint32_t>{2, 3, 4, 5, 1}));
}

TEST(S3Fifo, SecondUseInMainIsASecondRound) {
  PolicyRig rig("s3fifo");
  for (const uint32_t entry : {1, 2}) {
    rig.insert_and_offer(entry);
    ASSERT_EQ(rig.evict(), entry);
  }
  for (const uint32_t entry : {1, 2}) rig.insert_and_offer(entry);  // both in main
  rig.use(1);
  EXPECT_EQ(rig.drain(), (std::vector<uint32_t>{2, 1}));
}

// Returns of what was used once make room for more of that kind, and the other way round.
TEST(Arc, TargetFollowsWhatComesBack) {
  PolicyRig rig("arc");
  for (uint32_t entry = 1; entry <= 4; ++entry) rig.insert_and_offer(entry);
  for (const uint32_t entry : {3, 4}) rig.use(entry);
  ASSERT_EQ(rig.evict(), 1u) << "what was used once goes while the target is 0";
  rig.insert_and_offer(5);
  rig.insert_and_offer(1);  // came back: the target is 1 now, and it counts as used again
  rig.policy().gone(EntryId{2});
  ASSERT_EQ(rig.policy().choose(), EntryId{3}) << "one of those used once may stay";
  rig.insert_and_offer(6);
  EXPECT_EQ(rig.policy().choose(), EntryId{5}) << "two are more than the target";
}

}  // namespace
}  // namespace quire::cache::policies_test
