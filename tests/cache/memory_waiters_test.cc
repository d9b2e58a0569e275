#include "cache/accounts/memory_waiters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>

#include "tests/cache/store_rig.h"

namespace quire::cache::memory_waiters_test {
namespace {

using allocator::MemoryEvents;
using model::DomainId;
using model::FillKind;
using model::TenantId;

constexpr DomainId kOne{1};
constexpr DomainId kTwo{2};
constexpr uint32_t kMaxWaiters = 64;

class MemoryWaitersTest : public testing::Test {
 protected:
  ~MemoryWaitersTest() override { waiters_.check_invariants(); }
  // Of the domain's only tenant; or of another one.
  void add(DomainId domain, WaiterId waiter, uint32_t tenant = 0) {
    waiters_.add(domain, TenantId{domain.value * 10u + tenant}, waiter, &sets_[waiter]);
  }
  // Everyone who is told now.
  std::vector<WaiterId> woken() {
    std::vector<WaiterId> told;
    while (const auto waiter = waiters_.next_woken()) {
      told.push_back(*waiter);
      waiters_.pass_on(*waiter);
    }
    return told;
  }

  MemoryEvents events_;
  MemoryWaiters waiters_ = MemoryWaiters::create(&events_, kMaxWaiters).value();
  std::array<SlotSet, kMaxWaiters> sets_;
};

using Waiters = std::vector<WaiterId>;

TEST_F(MemoryWaitersTest, EventWakesTheHeadOnceAndNobodyElse) {
  add(kOne, 5);
  add(kOne, 3);
  add(kTwo, 9);
  EXPECT_EQ(woken(), Waiters()) << "nothing happened yet";
  events_.raise(kOne);
  events_.raise(kOne);
  EXPECT_EQ(woken(), Waiters({5}));
  EXPECT_EQ(woken(), Waiters());
  events_.raise_all();
  EXPECT_EQ(woken(), Waiters({5, 9}));
}

TEST_F(MemoryWaitersTest, WhatHappenedBeforeSomebodyWaitedIsNotKept) {
  events_.raise(kOne);
  events_.raise_all();
  EXPECT_FALSE(events_.any_raised());
  add(kOne, 1);
  EXPECT_EQ(woken(), Waiters());
  events_.raise(kOne);
  waiters_.remove(1);
  EXPECT_FALSE(events_.any_watched());
  add(kOne, 2);
  EXPECT_EQ(woken(), Waiters()) << "what the one before left over is nobody's";
}

TEST_F(MemoryWaitersTest, NextOneIsWokenWhenTheHeadGoes) {
  add(kOne, 1);
  add(kOne, 2);
  add(kOne, 3);
  waiters_.remove(2);
  EXPECT_EQ(woken(), Waiters()) << "the head did not change";
  waiters_.remove(1);
  EXPECT_EQ(woken(), Waiters({3}));
  waiters_.remove(3);
  EXPECT_FALSE(waiters_.any());
  EXPECT_EQ(woken(), Waiters());
}

TEST_F(MemoryWaitersTest, HeadsSlotsCanBeTakenBackAndOthersHaveNone) {
  StoreRig rig;
  TenantTable tenants;
  AccountTable accounts(&tenants);
  sets_[1] = SlotSet(&rig.store().pool(), &accounts, tenants.hold(kOne, "payer"));
  EXPECT_FALSE(waiters_.take_back(kOne)) << "nobody waits";
  add(kOne, 1);
  EXPECT_FALSE(waiters_.take_back(kOne)) << "it has nothing yet";
  sets_[1].add(rig.slots(FillKind::kSpan, 2).at(0));
  add(kOne, 2);
  EXPECT_TRUE(waiters_.take_back(kOne));
  EXPECT_EQ(rig.slot_count(), 0u);
  events_.raise(kOne);
  EXPECT_EQ(woken(), Waiters({1})) << "it keeps its place";
}

TEST_F(MemoryWaitersTest, EachTenantsHeadIsToldOnceAnEvent) {
  add(kOne, 1, 0);
  add(kOne, 2, 0);
  add(kOne, 3, 1);
  events_.raise(kOne);
  ASSERT_EQ(waiters_.next_woken(), WaiterId{1});
  waiters_.pass_on(1);
  ASSERT_EQ(waiters_.next_woken(), WaiterId{3}) << "it does not wait for the other tenant";
  waiters_.pass_on(3);
  EXPECT_EQ(waiters_.next_woken(), std::nullopt) << "until something happens";
  events_.raise(kOne);
  ASSERT_EQ(waiters_.next_woken(), WaiterId{1});
  waiters_.remove(1);
  EXPECT_EQ(woken(), Waiters({2, 3, 2})) << "what the old head left over may do for anybody";
}

// Two tenants would else hold half of each other's memory.
TEST_F(MemoryWaitersTest, WhoPassesOnHoldsNothing) {
  StoreRig rig;
  TenantTable tenants;
  AccountTable accounts(&tenants);
  sets_[1] = SlotSet(&rig.store().pool(), &accounts, tenants.hold(kOne, "payer"));
  add(kOne, 1, 0);
  sets_[1].add(rig.slots(FillKind::kSpan, 2).at(0));
  waiters_.pass_on(1);
  EXPECT_EQ(rig.slot_count(), 1u) << "nobody else waits: it keeps what it has";
  add(kOne, 2, 1);
  waiters_.pass_on(1);
  EXPECT_EQ(rig.slot_count(), 0u);
  waiters_.check_invariants();
}

TEST_F(MemoryWaitersTest, WhoHoldsSomethingStandsFirst) {
  StoreRig rig;
  TenantTable tenants;
  AccountTable accounts(&tenants);
  sets_[2] = SlotSet(&rig.store().pool(), &accounts, tenants.hold(kOne, "payer"));
  sets_[2].add(rig.slots(FillKind::kSpan, 2).at(0));
  add(kOne, 1);
  add(kOne, 2);
  EXPECT_EQ(rig.slot_count(), 0u);
}

// Random comings, goings and events against queues that are plainly kept.
TEST_F(MemoryWaitersTest, AgreesWithAPlainModel) {
  std::mt19937 random(7);
  std::array<std::deque<WaiterId>, 4> queues;
  std::array<bool, 4> raised{};
  for (int step = 0; step < 20000; ++step) {
    const auto d = static_cast<uint16_t>(random() % queues.size());
    const WaiterId waiter = random() % kMaxWaiters;
    switch (random() % 4) {
      case 0:
        if (waiters_.waits(waiter)) break;
        add(DomainId{d}, waiter);
        if (queues[d].empty()) raised[d] = false;
        queues[d].push_back(waiter);
        break;
      case 1:
        if (!waiters_.waits(waiter)) break;
        waiters_.remove(waiter);
        for (size_t q = 0; q < queues.size(); ++q) {
          const bool head = !queues[q].empty() && queues[q].front() == waiter;
          std::erase(queues[q], waiter);
          if (head) raised[q] = !queues[q].empty();
        }
        break;
      case 2:
        events_.raise(DomainId{d});
        if (!queues[d].empty()) raised[d] = true;
        break;
      default: {
        Waiters expected;
        for (size_t q = 0; q < queues.size(); ++q) {
          if (raised[q]) expected.push_back(queues[q].front());
        }
        Waiters told = woken();
        std::sort(told.begin(), told.end());
        std::sort(expected.begin(), expected.end());
        ASSERT_EQ(told, expected) << "step " << step;
        raised = {};
      }
    }
    if (step % 100 == 0) waiters_.check_invariants();
  }
}

}  // namespace
}  // namespace quire::cache::memory_waiters_test
