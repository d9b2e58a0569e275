#include "cache/accounts/slot_set.h"

#include <gtest/gtest.h>

#include "tests/cache/store_rig.h"

namespace quire::cache::slot_set_test {
namespace {

using model::FillKind;
using model::SlotId;
using model::TenantId;
using model::TierId;

class SlotSetTest : public testing::Test {
 protected:
  SlotSet make() { return SlotSet(&rig_.store().pool(), &accounts_, payer_); }
  SlotId slot() { return rig_.slots(FillKind::kSpan, 2).at(0); }
  SlotSet make(uint32_t count) {
    SlotSet set = make();
    for (uint32_t i = 0; i < count; ++i) set.add(slot());
    return set;
  }
  uint64_t reserved_pages() const {
    return accounts_.of(payer_, TierId::kRam).reserved_bytes / 4096;
  }

  StoreRig rig_;
  TenantTable tenants_;
  const TenantId payer_ = tenants_.hold(model::DomainId{0}, "payer");
  AccountTable accounts_{&tenants_};
};

TEST_F(SlotSetTest, WhatIsLeftGoesBackWithIt) {
  {
    const SlotSet set = make(3);
    EXPECT_EQ(set.count(), 3u);
    EXPECT_EQ(rig_.slot_count(), 3u);
    EXPECT_EQ(reserved_pages(), 3u);
  }
  EXPECT_EQ(rig_.slot_count(), 0u);
  EXPECT_EQ(reserved_pages(), 0u);
  EXPECT_EQ(accounts_.of(payer_, TierId::kRam).used_bytes, 0u) << "used is not its to charge";
}

TEST_F(SlotSetTest, MovesOnceAndGoesBackOnce) {
  SlotSet first = make(2);
  const SlotId kept = first[1];
  SlotSet second(std::move(first));
  EXPECT_EQ(first.count(), 0u);  // NOLINT(bugprone-use-after-move): what a move leaves is empty
  EXPECT_EQ(second[1], kept);
  SlotSet third = make(1);
  third = std::move(second);
  EXPECT_EQ(third.count(), 2u);
  EXPECT_EQ(rig_.slot_count(), 2u) << "what was assigned over went back";
  EXPECT_EQ(reserved_pages(), 2u);
}

TEST_F(SlotSetTest, SpentInOrderOneByOne) {
  SlotSet set = make(3);
  const std::vector<SlotId> all(set.slots().begin(), set.slots().end());
  set.spend(1);
  ASSERT_EQ(set.count(), 2u);
  EXPECT_EQ(set[0], all[1]);
  EXPECT_EQ(reserved_pages(), 2u);
  EXPECT_EQ(set.give_back(), 2u);
  EXPECT_EQ(rig_.slot_count(), 1u) << "the spent one is somebody else's";
  EXPECT_EQ(reserved_pages(), 0u);
  rig_.store().pool().free(all[0]);
}

TEST_F(SlotSetTest, PlacesAreUsedAgain) {
  SlotSet set = make();
  for (int round = 0; round < 3; ++round) {
    for (uint32_t i = 0; i < SlotSet::kMaxSlots; ++i) set.add(slot());
    EXPECT_EQ(set.count(), SlotSet::kMaxSlots);
    EXPECT_EQ(set.give_back(), SlotSet::kMaxSlots);
  }
  set.add(slot());
  const SlotId spent = set[0];
  set.spend(1);
  for (uint32_t i = 0; i < SlotSet::kMaxSlots; ++i) set.add(slot());
  EXPECT_EQ(set.give_back(), SlotSet::kMaxSlots);
  rig_.store().pool().free(spent);
}

TEST_F(SlotSetTest, MoreThanThereAreIsABug) {
  SlotSet set = make(1);
  EXPECT_DEATH(set.spend(2), "check failed");
}

// What a record in a FlatArray starts as.
TEST_F(SlotSetTest, ZeroBytesAreAnEmptyOne) {
  alignas(SlotSet) std::array<std::byte, sizeof(SlotSet)> bytes{};
  SlotSet& set = *reinterpret_cast<SlotSet*>(bytes.data());
  EXPECT_EQ(set.count(), 0u);
  EXPECT_EQ(set.give_back(), 0u);
  set = make(1);
  EXPECT_EQ(set.count(), 1u);
  set.give_back();
}

}  // namespace
}  // namespace quire::cache::slot_set_test
