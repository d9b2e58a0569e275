// What a reservation promises: bytes that nobody else is given, whatever comes in between.
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "cache/objects/path.h"
#include "tests/cache/store_rig.h"

namespace quire::cache::reserved_room_test {
namespace {

using model::NodeId;
using model::SlotId;

constexpr uint64_t kPage = 4096;
constexpr uint64_t kShare = 4 << 20;
constexpr uint64_t kPages = kShare / kPage;  // of all RAM

class ReservedRoomTest : public testing::Test {
 protected:
  ~ReservedRoomTest() override {
    for (const SlotId slot : held_) rig_.store().pool().free(slot);
    reservation_ = {};
    rig_.cache().check_invariants();
  }

  model::TenantId tenant() { return rig_.root().tenant; }
  model::DomainId domain() { return rig_.root().key.domain; }
  Reservation reserve(uint64_t pages) {
    return rig_.cache().reservations().try_admit({domain(), tenant(), pages * kPage}, kShare);
  }
  // A slot that its holder keeps; none when it is refused.
  bool take(const ReservationRef& under = {}) {
    SlotId slot;
    Room room = Room::kPending;
    while (room == Room::kPending) {  // the first segment is made by another thread
      room = rig_.cache().room().allocate({.size_class = rig_.root().classes[0],
                                           .tenant = tenant(),
                                           .after = {},
                                           .reservation = under},
                                          slot);
      if (room == Room::kPending) std::this_thread::yield();
    }
    if (room == Room::kNone) return false;
    under.use(kPage);
    held_.push_back(slot);
    return true;
  }
  uint64_t take_all(const ReservationRef& under = {}) {
    uint64_t taken = 0;
    while (take(under)) ++taken;
    return taken;
  }
  // Spans that may be evicted, a chain each.
  void fill_with_content(uint64_t spans) {
    for (uint64_t i = 0; i < spans; ++i) rig_.add_span(rig_.root().node, 1000 + i);
  }

  StoreRig rig_;
  Reservation reservation_;
  std::vector<SlotId> held_;
};

TEST_F(ReservedRoomTest, WhatIsUnspentIsNobodyElses) {
  reservation_ = reserve(100);
  EXPECT_EQ(take_all(), kPages - 100);
  EXPECT_EQ(take_all(reservation_.ref()), 100u);
  EXPECT_FALSE(take());
}

TEST_F(ReservedRoomTest, BeyondItsReservationASessionIsOneOfTheOthers) {
  reservation_ = reserve(100);
  Reservation other = reserve(200);
  EXPECT_EQ(take_all(reservation_.ref()), kPages - 200);
  EXPECT_EQ(take_all(other.ref()), 200u);
}

TEST_F(ReservedRoomTest, ItsEndFreesWhatItHadNotSpent) {
  reservation_ = reserve(100);
  EXPECT_EQ(take_all(), kPages - 100);
  reservation_ = {};
  EXPECT_EQ(take_all(), 100u);
}

// It costs nothing until it is used.
TEST_F(ReservedRoomTest, CachedContentCountsAsRoom) {
  fill_with_content(kPages);
  reservation_ = reserve(kPages / 2);
  EXPECT_EQ(rig_.inspect().ram_page_count(), kPages);
  ASSERT_TRUE(take());
  EXPECT_EQ(rig_.inspect().ram_page_count(), kPages - 1) << "one made way for one";
  EXPECT_EQ(take_all() + 1, kPages / 2);
  EXPECT_EQ(rig_.inspect().ram_page_count(), kPages / 2) << "what is promised is still cached";
  EXPECT_EQ(take_all(reservation_.ref()), kPages / 2);
  EXPECT_EQ(rig_.inspect().ram_page_count(), 0u);
}

// As if its bytes were pinned: nothing goes for a request that could not have the room.
TEST_F(ReservedRoomTest, ARefusalEvictsNothing) {
  fill_with_content(kPages);
  reservation_ = reserve(kPages);
  EXPECT_FALSE(take());
  EXPECT_EQ(rig_.inspect().ram_page_count(), kPages);
}

// What paths keep counts several times where they overlap: then content goes until so much is
// really free, and the promise is kept all the same.
TEST_F(ReservedRoomTest, WherePathsMayKeepAllRoomIsMadeBeforehand) {
  fill_with_content(kPages);
  const PathHold bound(&rig_.store().presence().accounts(), domain(), kShare);
  reservation_ = reserve(10);
  ASSERT_TRUE(take());
  EXPECT_EQ(rig_.inspect().ram_page_count(), kPages - 11);
  EXPECT_EQ(take_all(reservation_.ref()), kPages - 1);
}

TEST_F(ReservedRoomTest, APathThatASessionHoldsIsBoundFromAbove) {
  const NodeId first = rig_.add_span(rig_.root().node, 1);
  const PathHold hold = hold_path(rig_.store(), rig_.root(), first);
  EXPECT_EQ(rig_.inspect().path_bytes(domain()), kPage);
}

TEST_F(ReservedRoomTest, SlotsOfAFillUseItUpUntilTheyAreSeen) {
  reservation_ = reserve(10);
  SlotSet slots(&rig_.store().pool(), &rig_.store().presence().accounts(), tenant(),
                reservation_.ref());
  for (const SlotId slot : rig_.slots(model::FillKind::kSpan, 2)) slots.add(slot);
  EXPECT_EQ(reservation_.ref().unspent(), 9 * kPage);
  SlotSet moved(std::move(slots));
  moved.give_back();
  EXPECT_EQ(reservation_.ref().unspent(), 10 * kPage);
  for (const SlotId slot : rig_.slots(model::FillKind::kSpan, 2)) moved.add(slot);
  reservation_ = {};
  moved.give_back();  // later than its session
}

}  // namespace
}  // namespace quire::cache::reserved_room_test
