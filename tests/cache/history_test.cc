#include "cache/eviction/history.h"

#include <gtest/gtest.h>

#include "tests/cache/policy_rig.h"

namespace quire::cache::history_test {
namespace {

model::Hash256 key(uint32_t number) { return PolicyRig::key(number); }

TEST(History, TellsOnceHowAnEntryWent) {
  History history;
  history.add(key(1), false, 0);
  history.add(key(2), true, 0);
  EXPECT_EQ(history.count(Seen::kOnce), 1u);
  EXPECT_EQ(history.count(Seen::kOften), 1u);
  EXPECT_EQ(history.take(key(1)), Seen::kOnce);
  EXPECT_EQ(history.take(key(2)), Seen::kOften);
  EXPECT_EQ(history.take(key(1)), Seen::kNever);
  EXPECT_EQ(history.take(key(3)), Seen::kNever);
  EXPECT_EQ(history.count(Seen::kOnce) + history.count(Seen::kOften), 0u);
}

TEST(History, LastWayOfGoingCounts) {
  History history;
  history.add(key(1), false, 0);
  history.add(key(1), true, 0);
  EXPECT_EQ(history.count(Seen::kOnce), 0u);
  EXPECT_EQ(history.take(key(1)), Seen::kOften);
}

// Between one and two times the capacity, of the latest.
TEST(History, ForgetsTheOldest) {
  History history;
  constexpr uint32_t kAdded = 10 * History::kMinCapacity;
  for (uint32_t i = 0; i < kAdded; ++i) history.add(key(i), false, 0);
  uint32_t known = 0;
  for (uint32_t i = 0; i < kAdded; ++i) {
    const bool is_known = history.take(key(i)) != Seen::kNever;
    if (i + History::kMinCapacity >= kAdded) {
      EXPECT_TRUE(is_known) << i;
    }
    known += is_known ? 1 : 0;
  }
  EXPECT_LE(known, 2 * History::kMinCapacity + 2);
  EXPECT_EQ(history.count(Seen::kOnce), 0u);
}

TEST(History, RemembersMoreOfALargerTier) {
  constexpr uint32_t kHeld = 100'000;
  History history;
  for (uint32_t i = 0; i < 3 * kHeld; ++i) history.add(key(i), false, kHeld);
  EXPECT_EQ(history.take(key(3 * kHeld - kHeld / 5)), Seen::kOnce);
  EXPECT_LT(history.held_bytes(), 8 * kHeld);
}

}  // namespace
}  // namespace quire::cache::history_test
