#include "cache/accounts/reservations.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "cache/accounts/path_hold.h"

namespace quire::cache::reservations_test {
namespace {

using model::DomainId;
using model::Errc;
using model::TenantId;
using model::TierId;

constexpr TierId kRam = TierId::kRam;
constexpr DomainId kUser{0};
constexpr DomainId kOther{1};
constexpr uint64_t kShare = 100;

struct Tables {
  Tables() {
    for (const DomainId domain : {kUser, kOther}) {
      quotas.open(kRam, {domain, {}});
    }
  }
  TenantId tenant(const std::string& name, DomainId domain = kUser) {
    return tenants.hold(domain, name);
  }
  TenantId with_quota(const std::string& name, Quota quota) {
    const TenantId id = tenant(name);
    quotas.open(kRam, {kUser, id});
    quotas.set(kRam, {kUser, id}, quota);
    return id;
  }

  TenantTable tenants;
  AccountTable accounts{&tenants};
  QuotaTable quotas{&accounts, &tenants};
  Reservations table{&accounts, &quotas};
};

class ReservationsTest : public testing::Test {
 protected:
  ~ReservationsTest() override { t_.table.check_invariants(); }

  Reservation admit(TenantId payer, uint64_t bytes) {
    return t_.table.try_admit({t_.tenants.domain_of(payer), payer, bytes}, kShare);
  }
  TicketId queue(TenantId payer, uint64_t bytes) {
    return t_.table.queue({t_.tenants.domain_of(payer), payer, bytes}).value();
  }
  Reservation take(TicketId ticket) { return t_.table.try_ticket(ticket, kShare); }
  QueuePlace place(TicketId ticket, int64_t now_ns = 0) {
    return t_.table.place_of(ticket, now_ns, kShare);
  }
  Errc check(TenantId payer, uint64_t bytes) {
    return t_.table.check({t_.tenants.domain_of(payer), payer, bytes}, kShare).code();
  }

  Tables t_;
  const TenantId a_ = t_.tenant("a");
  const TenantId b_ = t_.tenant("b");
};

TEST_F(ReservationsTest, IsChargedToWhoPaysAndGoesWithItsHolder) {
  {
    Reservation first = admit(a_, 60);
    ASSERT_TRUE(first.valid());
    Reservation moved(std::move(first));
    EXPECT_FALSE(first.valid());
    EXPECT_EQ(moved.bytes(), 60u);
    EXPECT_EQ(t_.accounts.of(a_, kRam).admitted_bytes, 60u);
    EXPECT_EQ(t_.table.admitted_bytes(kUser), 60u);
    EXPECT_EQ(t_.table.unspent_bytes(kUser), 60u);
    EXPECT_EQ(t_.table.admitted_bytes(kOther), 0u);
    moved = admit(b_, 40);
    EXPECT_EQ(t_.table.admitted_bytes(kUser), 40u) << "what stood there before is gone";
  }
  EXPECT_EQ(t_.accounts.of(a_, kRam).admitted_bytes, 0u);
  EXPECT_EQ(t_.table.unspent_bytes(kUser), 0u);
}

TEST_F(ReservationsTest, IsAdmittedWholeOrNotAtAll) {
  const Reservation first = admit(a_, 60);
  EXPECT_FALSE(admit(b_, 41).valid());
  EXPECT_EQ(t_.table.admitted_bytes(kUser), 60u);
  EXPECT_TRUE(admit(b_, 40).valid());
}

TEST_F(ReservationsTest, WhatIsUsedIsNotPromisedTwice) {
  Reservation held = admit(a_, 60);
  const ReservationRef one = held.ref();
  one.use(50);
  EXPECT_EQ(one.unspent(), 10u);
  EXPECT_EQ(t_.table.unspent_bytes(kUser), 10u);
  one.use(50);
  EXPECT_EQ(one.unspent(), 0u) << "what is beyond it counts, and is promised by nobody";
  one.unuse(50);
  EXPECT_EQ(one.unspent(), 10u);
  held = {};
  one.unuse(50);
  EXPECT_EQ(one.unspent(), 0u) << "what used it may go later than it";
  const ReservationRef none = held.ref();
  none.use(5);
  none.unuse(5);
  EXPECT_EQ(none.unspent(), 0u);
}

TEST_F(ReservationsTest, ARefusalNamesTheBound) {
  EXPECT_EQ(check(a_, kShare), Errc::kOk);
  EXPECT_EQ(check(a_, kShare + 1), Errc::kResourceExhausted);
  EXPECT_EQ(check(a_, UINT64_MAX), Errc::kResourceExhausted);
  const TenantId bounded = t_.with_quota("bounded", {.guaranteed_bytes = 0, .burst_bytes = 30});
  EXPECT_EQ(check(bounded, 30), Errc::kOk);
  const auto refused = t_.table.check({kUser, bounded, 31}, kShare);
  EXPECT_EQ(refused.code(), Errc::kResourceExhausted);
  EXPECT_NE(refused.error().text.find("tenant may hold 30"), std::string::npos);
}

// Who is guaranteed something is never refused it while others reserve.
TEST_F(ReservationsTest, WhatOthersAreGuaranteedIsNotToBeReserved) {
  const TenantId sure = t_.with_quota("sure", {.guaranteed_bytes = 40});
  EXPECT_EQ(check(a_, 61), Errc::kResourceExhausted);
  const Reservation most = admit(a_, 60);
  ASSERT_TRUE(most.valid());
  EXPECT_FALSE(admit(b_, 1).valid());
  EXPECT_TRUE(admit(sure, 40).valid());
}

TEST_F(ReservationsTest, ATenantIsAdmittedUpToItsBurst) {
  const TenantId bounded = t_.with_quota("bounded", {.guaranteed_bytes = 0, .burst_bytes = 30});
  const Reservation first = admit(bounded, 20);
  EXPECT_FALSE(admit(bounded, 11).valid());
  EXPECT_TRUE(admit(bounded, 10).valid());
}

TEST_F(ReservationsTest, WhoComesLaterStandsBehindWhoWaits) {
  Reservation all = admit(a_, 90);
  const TicketId large = queue(a_, 50);
  EXPECT_FALSE(admit(b_, 1).valid()) << "small ones would keep the large one waiting for ever";
  const TicketId small = queue(b_, 1);
  EXPECT_FALSE(take(small).valid());
  all = {};
  EXPECT_FALSE(take(small).valid()) << "it is not its turn";
  const Reservation got = take(large);
  EXPECT_EQ(got.bytes(), 50u);
  EXPECT_TRUE(take(small).valid());
  EXPECT_EQ(t_.table.queued_count(kUser), 0u);
}

TEST_F(ReservationsTest, TenantsTakeTurns) {
  Reservation all = admit(a_, kShare);
  const TicketId a1 = queue(a_, 10);
  const TicketId a2 = queue(a_, 10);
  const TicketId a3 = queue(a_, 10);
  const TicketId b1 = queue(b_, 10);
  EXPECT_EQ(place(a1).position, 1u);
  EXPECT_EQ(place(b1).position, 2u) << "whatever the other tenant has waiting";
  EXPECT_EQ(place(a2).position, 3u);
  EXPECT_EQ(place(a3).position, 4u);
  all = {};
  const Reservation first = take(a1);
  ASSERT_TRUE(first.valid());
  EXPECT_FALSE(take(a2).valid());
  EXPECT_EQ(place(b1).position, 1u);
  EXPECT_TRUE(take(b1).valid());
  t_.table.leave(a2);
  EXPECT_EQ(place(a3).position, 1u);
  EXPECT_TRUE(take(a3).valid());
}

TEST_F(ReservationsTest, WhoIsAtItsOwnBurstKeepsNobodyElseWaiting) {
  const TenantId bounded = t_.with_quota("bounded", {.guaranteed_bytes = 0, .burst_bytes = 30});
  Reservation first = admit(bounded, 30);
  const TicketId waits = queue(bounded, 30);
  EXPECT_TRUE(admit(a_, 70).valid());
  EXPECT_FALSE(take(waits).valid());
  first = {};
  EXPECT_TRUE(take(waits).valid());
}

TEST_F(ReservationsTest, ADomainWaitsOnlyForItself) {
  const Reservation all = admit(a_, kShare);
  queue(a_, 10);
  const TenantId foreign = t_.tenant("a", kOther);
  EXPECT_TRUE(admit(foreign, kShare).valid());
  for (const auto& ticket : {queue(foreign, 1)}) t_.table.leave(ticket);
  t_.table.leave(1);
}

TEST_F(ReservationsTest, AnEstimateIsMeasuredOrNotGiven) {
  t_.table.set_now(1'000'000'000);
  Reservation all = admit(a_, kShare);
  const TicketId waits = queue(b_, 40);
  EXPECT_FALSE(place(waits, 1'000'000'000).estimate_ms.has_value()) << "nothing ever came free";
  t_.table.leave(waits);
  // 50 bytes a second come free.
  for (int64_t second = 1; second <= 4; ++second) {
    all = {};
    t_.table.set_now(second * 1'000'000'000);
    const Reservation some = admit(a_, 50);
    ASSERT_TRUE(some.valid());
  }
  t_.table.set_now(5'000'000'000);
  all = admit(a_, kShare);
  const TicketId again = queue(b_, 40);
  const auto estimate = place(again, 5'000'000'000).estimate_ms;
  ASSERT_TRUE(estimate.has_value());
  EXPECT_GE(*estimate, 400u);
  EXPECT_LE(*estimate, 1200u);
  EXPECT_FALSE(place(again, 5'000'000'000 + 2 * FreeRate::kWindowNs).estimate_ms.has_value())
      << "what happened so long ago says nothing";
  t_.table.leave(again);
}

// Law 10.
TEST_F(ReservationsTest, SoManyOfADomainWait) {
  for (size_t i = 0; i < kMaxAdmissions; ++i) queue(a_, 1);
  EXPECT_EQ(t_.table.queue({kUser, a_, 1}).code(), Errc::kBusy);
  const TenantId foreign = t_.tenant("a", kOther);
  EXPECT_TRUE(t_.table.queue({kOther, foreign, 1}).ok());
}

TEST_F(ReservationsTest, APathIsHeldOnceByEachHold) {
  {
    PathHold one(&t_.accounts, kUser, 10);
    PathHold moved(std::move(one));
    const PathHold other(&t_.accounts, kUser, 5);
    EXPECT_FALSE(one.valid());
    EXPECT_EQ(t_.accounts.path_bytes(kUser), 15u);
    moved = PathHold(&t_.accounts, kUser, 1);
    EXPECT_EQ(t_.accounts.path_bytes(kUser), 6u);
  }
  EXPECT_EQ(t_.accounts.path_bytes(kUser), 0u);
}

// Random schedules of sessions that come, wait, give up, use and end: the bounds hold at every
// step, and once those who hold end, all who wait are admitted, whatever came before.
TEST(ReservationsProperty, NoOrderOfArrivalsLocksUp) {
  rc::check([] {
    Tables t;
    const uint64_t burst = *rc::gen::inRange<uint64_t>(10, 120);
    const std::vector<TenantId> tenants{
        t.tenant("a"), t.with_quota("b", {.guaranteed_bytes = 10, .burst_bytes = UINT64_MAX}),
        t.with_quota("c", {.guaranteed_bytes = 0, .burst_bytes = burst}), t.tenant("x", kOther)};
    std::vector<Reservation> held;
    std::vector<TicketId> waiting;
    const auto poll = [&] {
      std::erase_if(waiting, [&](TicketId ticket) {
        Reservation got = t.table.try_ticket(ticket, kShare);
        const bool admitted = got.valid();
        if (admitted) held.push_back(std::move(got));
        return admitted;
      });
    };
    const auto events = *rc::gen::container<std::vector<uint32_t>>(rc::gen::arbitrary<uint32_t>());
    for (const uint32_t event : events) {
      const TenantId payer = tenants[event / 8 % tenants.size()];
      const uint64_t bytes = 1 + event / 64 % 110;
      const size_t which = event / 8;
      switch (event % 8) {
        case 0:  // a session ends
          if (!held.empty()) held.erase(held.begin() + static_cast<ptrdiff_t>(which % held.size()));
          break;
        case 1:  // one that waits dies
          if (waiting.empty()) break;
          t.table.leave(waiting[which % waiting.size()]);
          waiting.erase(waiting.begin() + static_cast<ptrdiff_t>(which % waiting.size()));
          break;
        case 2:
          if (!held.empty()) held[which % held.size()].ref().use(bytes);
          break;
        case 3:
          poll();
          break;
        default: {
          const Admission admission{t.tenants.domain_of(payer), payer, bytes};
          if (!t.table.check(admission, kShare).ok()) break;
          Reservation got = t.table.try_admit(admission, kShare);
          if (got.valid()) {
            held.push_back(std::move(got));
          } else {
            waiting.push_back(t.table.queue(admission).value());
          }
        }
      }
      t.table.check_invariants();
      RC_ASSERT(t.table.admitted_bytes(kUser) <= kShare);
      RC_ASSERT(t.accounts.of(tenants[2], kRam).admitted_bytes <= burst);
      std::set<uint32_t> positions;
      for (const TicketId ticket : waiting)
        positions.insert(t.table.place_of(ticket, 0, kShare).position);
      RC_ASSERT(positions.empty() || *positions.begin() == 1);
    }
    // Each admitted one ends some time; nobody needs more than that.
    for (size_t round = 0; !waiting.empty(); ++round) {
      RC_ASSERT(round <= events.size());
      held.clear();
      poll();
    }
  });
}

}  // namespace
}  // namespace quire::cache::reservations_test
