#include "server/rings/deadline_heap.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace quire::server::deadline_heap_test {
namespace {

constexpr uint32_t kIndexes = 100;

TEST(DeadlineHeap, EmptyHasNoDeadline) {
  DeadlineHeap heap = DeadlineHeap::create(kIndexes).value();
  EXPECT_EQ(heap.earliest_ns(), kNoDeadline);
  heap.remove(3);
  heap.add(3, 30);
  EXPECT_TRUE(heap.holds(3));
  EXPECT_EQ(heap.earliest(), 3u);
  heap.remove(3);
  EXPECT_FALSE(heap.holds(3));
  EXPECT_EQ(heap.earliest_ns(), kNoDeadline);
}

TEST(DeadlineHeap, AgreesWithASortedMap) {
  DeadlineHeap heap = DeadlineHeap::create(kIndexes).value();
  std::map<uint32_t, int64_t> model;
  std::mt19937 random(3);
  for (int step = 0; step < 20000; ++step) {
    const uint32_t index = random() % kIndexes;
    if (model.erase(index) > 0) {
      heap.remove(index);
    } else {
      model[index] = random() % 1000;  // many are equal
      heap.add(index, model[index]);
    }
    ASSERT_EQ(heap.size(), model.size());
    int64_t earliest = kNoDeadline;
    for (const auto& [known, deadline] : model) earliest = std::min(earliest, deadline);
    ASSERT_EQ(heap.earliest_ns(), earliest);
    if (!model.empty()) {
      ASSERT_EQ(model.at(heap.earliest()), earliest);
    }
    if (step % 100 == 0) heap.check_invariants();
  }
}

}  // namespace
}  // namespace quire::server::deadline_heap_test
