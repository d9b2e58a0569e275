// Names of roots in events: bounded, shared out by user, and freed in steps.
#include "server/events/event_roots.h"

#include <gtest/gtest.h>

namespace quire::server::event_roots_test {

using model::Hash256;

namespace {

constexpr uint32_t kFirstUser = 1000;
constexpr uint32_t kSecondUser = 1001;

NamedRoot root_of(uint32_t uid) { return {.number = 0, .uid = uid, .hash = {}, .root = {}}; }

}  // namespace

TEST(EventRoots, AreThoseOfOneUserInTheirOrder) {
  EventRoots roots;
  for (uint32_t i = 0; i < 3 * EventRoots::kLooksALock; ++i) {
    ASSERT_EQ(roots.add(root_of(i % 3 == 0 ? kFirstUser : kSecondUser)), i + 1);
  }
  const auto own = roots.between(0, 3 * EventRoots::kLooksALock, kFirstUser);
  ASSERT_EQ(own.size(), EventRoots::kLooksALock);
  for (size_t i = 0; i < own.size(); ++i) EXPECT_EQ(own[i].number, 3 * i + 1);
  EXPECT_EQ(roots.between(3, 7, std::nullopt).size(), 4u);
  EXPECT_TRUE(roots.between(7, 7, std::nullopt).empty());
}

TEST(EventRoots, OneUserLeavesRoomForOthers) {
  EventRoots roots;
  for (size_t i = 0; i < EventRoots::kMostOfOneUser; ++i) ASSERT_NE(roots.add(root_of(1)), 0u);
  EXPECT_EQ(roots.add(root_of(1)), 0u);
  const uint32_t others = roots.add(root_of(2));
  EXPECT_NE(others, 0u);
  roots.retire(1, 10);
  roots.forget_before(11);
  EXPECT_NE(roots.add(root_of(1)), 0u) << "one of its own has gone";
}

TEST(EventRoots, GoInSteps) {
  EventRoots roots;
  constexpr size_t kCount = 2 * EventRoots::kFreedAStep + 1;
  for (uint32_t i = 0; i < kCount; ++i) roots.retire(roots.add(root_of(1)), i);
  roots.forget_before(kCount);
  EXPECT_EQ(roots.size(), kCount - EventRoots::kFreedAStep);
  roots.forget_before(kCount);
  roots.forget_before(kCount);
  EXPECT_EQ(roots.size(), 0u);
}

}  // namespace quire::server::event_roots_test
