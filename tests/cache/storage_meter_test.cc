// Storage over time: exact, of the right tenant, and each microsecond once.
#include "cache/accounts/storage_meter.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <tuple>
#include <vector>

#include "tests/support/manual_clock.h"

namespace quire::cache::storage_meter_test {

using model::DomainId;
using model::TenantId;
using tests::ManualClock;

namespace {

constexpr size_t kRam = model::index_of(model::TierId::kRam);
constexpr size_t kSsd = model::index_of(model::TierId::kSsd);
constexpr std::chrono::seconds kSecond{1};
constexpr uint64_t kSecondUs = 1'000'000;

// GoogleTest prints no wider ones.
uint64_t low(WideUnsigned value) { return static_cast<uint64_t>(value); }

class StorageMeterTest : public testing::Test {
 protected:
  StorageMeterTest() { meter_.start(&clock_); }

  ManualClock clock_;
  TenantTable tenants_;
  RetentionTable retentions_{&tenants_};
  StorageMeter meter_{&tenants_, &retentions_};
  TenantId tenant_ = tenants_.hold(DomainId{1}, "a");
};

}  // namespace

TEST_F(StorageMeterTest, IntegratesAtEachChange) {
  meter_.add({tenant_}, kRam, {100, 8});
  clock_.advance(3 * kSecond);
  meter_.add({tenant_}, kRam, {50, 0});
  clock_.advance(2 * kSecond);
  meter_.remove({tenant_}, kRam, {100, 8});
  clock_.advance(kSecond);
  const HeldStorage held = meter_.take({tenant_}, kRam);
  EXPECT_EQ(low(held.byte_us), (3 * 100 + 2 * 150 + 50) * kSecondUs);
  EXPECT_EQ(low(held.token_us), 5 * 8 * kSecondUs);
  EXPECT_EQ(held.span_us, 6'000'000);
  EXPECT_EQ(held.most_bytes, 150u);
  EXPECT_EQ(held.most_tokens, 8u);
  EXPECT_EQ(meter_.take({tenant_}, kRam).most_bytes, 50u) << "from now on";
}

TEST_F(StorageMeterTest, WhatWasTakenIsNotTakenAgain) {
  meter_.add({tenant_}, kSsd, {10, 1});
  clock_.advance(kSecond);
  EXPECT_EQ(low(meter_.take({tenant_}, kSsd).byte_us), 10 * kSecondUs);
  EXPECT_EQ(low(meter_.take({tenant_}, kSsd).byte_us), 0u);
  clock_.advance(kSecond);
  EXPECT_EQ(low(meter_.take({tenant_}, kSsd).byte_us), 10 * kSecondUs);
  EXPECT_EQ(low(meter_.take({tenant_}, kRam).byte_us), 0u);
}

// A number goes to another tenant only when what its last one held was taken.
TEST_F(StorageMeterTest, ATenantThatIsForgottenIsNotMistakenForAnother) {
  meter_.add({tenant_}, kRam, {100, 0});
  clock_.advance(kSecond);
  meter_.remove({tenant_}, kRam, {100, 0});
  tenants_.release(tenant_);
  const TenantId other = tenants_.hold(DomainId{1}, "b");
  EXPECT_NE(other, tenant_);
  EXPECT_EQ(tenants_.name_of(tenant_), "a");
  EXPECT_EQ(low(meter_.take({tenant_}, kRam).byte_us), 100 * kSecondUs);
  EXPECT_FALSE(meter_.holds({tenant_}));
  EXPECT_EQ(tenants_.hold(DomainId{1}, "c"), tenant_) << "free again";
}

TEST_F(StorageMeterTest, WhatWasRestoredBeforeItBeganCountsFromThen) {
  StorageMeter meter(&tenants_, &retentions_);
  meter.add({tenant_}, kSsd, {100, 0});
  clock_.advance(kSecond);
  meter.start(&clock_);
  clock_.advance(kSecond);
  EXPECT_EQ(low(meter.take({tenant_}, kSsd).byte_us), 100 * kSecondUs);
}

TEST_F(StorageMeterTest, ALongTimeOfALargeTierIsNoOverflow) {
  constexpr uint64_t kTebibyte = 1ull << 40;
  meter_.add({tenant_}, kSsd, {1000 * kTebibyte, 0});
  clock_.advance(400 * 24 * 3600 * kSecond);
  const WideUnsigned expected = WideUnsigned{1000 * kTebibyte} * (400ull * 24 * 3600 * kSecondUs);
  EXPECT_TRUE(meter_.take({tenant_}, kSsd).byte_us == expected);
}

TEST_F(StorageMeterTest, ClassesOfRetentionAreToldApart) {
  const RetentionHold short_one = retentions_.hold(tenant_, "5m").value();
  const RetentionHold long_one = retentions_.hold(tenant_, "1h").value();
  meter_.add({tenant_, short_one.number()}, kRam, {100, 8});
  meter_.add({tenant_, long_one.number()}, kRam, {7, 1});
  clock_.advance(kSecond);
  EXPECT_EQ(low(meter_.take({tenant_, short_one.number()}, kRam).byte_us), 100 * kSecondUs);
  EXPECT_EQ(low(meter_.take({tenant_, long_one.number()}, kRam).token_us), kSecondUs);
  EXPECT_EQ(low(meter_.take({tenant_}, kRam).byte_us), 0u);
}

// A class is the one that its number was when it was held, until that was taken.
TEST_F(StorageMeterTest, AClassIsKeptUntilWhatItHeldWasTaken) {
  uint8_t number = 0;
  {
    const RetentionHold session = retentions_.hold(tenant_, "5m").value();
    number = session.number();
    meter_.add({tenant_, number}, kRam, {100, 0});
  }
  clock_.advance(kSecond);
  meter_.remove({tenant_, number}, kRam, {100, 0});
  EXPECT_EQ(retentions_.name_of(tenant_, number), "5m");
  EXPECT_NE(retentions_.hold(tenant_, "1h")->number(), number);
  EXPECT_EQ(low(meter_.take({tenant_, number}, kRam).byte_us), 100 * kSecondUs);
  EXPECT_EQ(retentions_.hold(tenant_, "24h")->number(), number) << "free again";
}

// Whatever happens in whatever order, and however often it is taken, the sum of each class is that
// of a plain list of what was held when.
RC_GTEST_PROP(StorageMeterProperty, TheSumOfWhatIsTakenIsWhatWasHeld, ()) {
  ManualClock clock;
  TenantTable tenants;
  RetentionTable retentions(&tenants);
  StorageMeter meter(&tenants, &retentions);
  meter.start(&clock);
  const TenantId tenant = tenants.hold(DomainId{1}, "a");
  const RetentionHold classed = retentions.hold(tenant, "5m").value();
  struct Expected {
    uint64_t bytes = 0;
    WideUnsigned held = 0;
    WideUnsigned taken = 0;
  };
  std::array<Expected, 2> all{};
  const auto owner = [&](size_t which) {
    return StorageOwner{tenant, which == 0 ? uint8_t{0} : classed.number()};
  };
  using Step = std::tuple<uint8_t, uint32_t, size_t>;
  const auto steps = *rc::gen::container<std::vector<Step>>(
      rc::gen::tuple(rc::gen::inRange<uint8_t>(0, 4), rc::gen::inRange<uint32_t>(1, 1 << 20),
                     rc::gen::inRange<size_t>(0, 2)));
  for (const auto& [what, amount, which] : steps) {
    Expected& one = all[which];
    if (what == 0) {
      meter.add(owner(which), kRam, {amount, 0});
      one.bytes += amount;
    } else if (what == 1) {
      const uint64_t gone = std::min<uint64_t>(one.bytes, amount);
      meter.remove(owner(which), kRam, {gone, 0});
      one.bytes -= gone;
    } else if (what == 2) {
      clock.advance(std::chrono::microseconds(amount));
      for (Expected& each : all) each.held += WideUnsigned{each.bytes} * amount;
    } else {
      one.taken += meter.take(owner(which), kRam).byte_us;
    }
  }
  for (size_t which = 0; which < all.size(); ++which) {
    all[which].taken += meter.take(owner(which), kRam).byte_us;
    RC_ASSERT(all[which].taken == all[which].held);
  }
}

}  // namespace quire::cache::storage_meter_test
