// The order of candidates, against a set (cache/eviction/candidate_heap.h).
#include "cache/eviction/candidate_heap.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <utility>
#include <vector>

namespace quire::cache::candidate_heap_test {
namespace {

constexpr uint32_t kEntries = 2000;

// A heap and what it should be.
class CandidateHeapTest : public testing::Test {
 protected:
  void insert(uint32_t entry, uint64_t key) {
    heap_.insert(EntryId{entry}, key);
    expected_.insert({key, entry});
    keys_[entry] = key;
  }
  void erase(uint32_t entry) {
    heap_.erase(EntryId{entry});
    expected_.erase({keys_[entry], entry});
  }
  void set_key(uint32_t entry, uint64_t key) {
    heap_.set_key(EntryId{entry}, key);
    expected_.erase({keys_[entry], entry});
    expected_.insert({key, entry});
    keys_[entry] = key;
  }
  bool has(uint32_t entry) const { return entries_.place(EntryId{entry}) != 0; }
  // Takes the least out, as an eviction does.
  uint32_t pop() {
    const uint32_t entry = heap_.least()->value;
    erase(entry);
    return entry;
  }
  void check() {
    ASSERT_EQ(heap_.size(), expected_.size());
    ASSERT_EQ(heap_.least().has_value(), !expected_.empty());
    if (expected_.empty()) return;
    ASSERT_EQ(heap_.least()->value, expected_.begin()->second);
    ASSERT_EQ(heap_.least_key(), expected_.begin()->first);
  }

  EntryTable entries_ = EntryTable::create(kEntries).value();
  CandidateHeap heap_ = CandidateHeap::create(&entries_, kEntries).value();
  std::set<std::pair<uint64_t, uint32_t>> expected_;
  std::vector<uint64_t> keys_ = std::vector<uint64_t>(kEntries);
};

TEST_F(CandidateHeapTest, IsInOrderWhateverIsDone) {
  std::mt19937_64 random(11);
  for (int i = 0; i < 60'000; ++i) {
    const auto entry = static_cast<uint32_t>(random() % kEntries);
    // Waves: it grows to a thousand, and shrinks to nothing.
    const bool growing = (i / 6'000) % 2 == 0;
    if (growing || random() % 4 == 0) {
      has(entry) ? set_key(entry, random() % 500) : insert(entry, random() % 500);
    } else if (random() % 2 == 0 && heap_.size() > 0) {
      pop();
    } else if (has(entry)) {
      erase(entry);
    }
    ASSERT_NO_FATAL_FAILURE(check());
    if (i % 100 == 0) heap_.check_invariants(false);
  }
}

// A leaf goes, and its parent is as old as it was: the victim's place is taken at once.
TEST_F(CandidateHeapTest, WhatFollowsTheTopTakesItsPlace) {
  for (uint32_t i = 0; i < 100; ++i) insert(i, i * 10);
  for (uint32_t i = 0; i < 50; ++i) {
    ASSERT_EQ(pop(), i == 0 ? 0 : 99 + i);
    insert(100 + i, 5);
    ASSERT_NO_FATAL_FAILURE(check());
    heap_.check_invariants(false);
  }
}

TEST_F(CandidateHeapTest, WhatFollowsTheTopMayBelongElsewhere) {
  for (uint32_t i = 0; i < 100; ++i) insert(i, i * 10);
  ASSERT_EQ(pop(), 0u);
  insert(100, 995);
  EXPECT_EQ(heap_.least()->value, 1u);
  ASSERT_EQ(pop(), 1u);
  set_key(50, 1);
  EXPECT_EQ(heap_.least()->value, 50u);
  ASSERT_EQ(pop(), 50u);
  erase(2);
  ASSERT_NO_FATAL_FAILURE(check());
  heap_.check_invariants(false);
}

// Policies that sample draw each candidate, and nothing else.
TEST_F(CandidateHeapTest, NoPlaceIsDrawnThatIsVacant) {
  for (uint32_t i = 0; i < 20; ++i) insert(i, i);
  pop();
  std::set<uint32_t> drawn;
  for (uint32_t i = 0; i < heap_.size(); ++i) drawn.insert(heap_.entry_at(i).value);
  EXPECT_EQ(drawn.size(), 19u);
  EXPECT_FALSE(drawn.contains(0));
}

TEST_F(CandidateHeapTest, TheLastOneLeavesNothing) {
  insert(7, 1);
  pop();
  EXPECT_EQ(heap_.size(), 0u);
  EXPECT_FALSE(heap_.least().has_value());
  EXPECT_FALSE(heap_.least_recent().has_value());
  insert(8, 2);
  EXPECT_EQ(heap_.least()->value, 8u);
  heap_.check_invariants(false);
}

}  // namespace
}  // namespace quire::cache::candidate_heap_test
