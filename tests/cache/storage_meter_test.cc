// Storage over time: exact, of the right tenant, and each microsecond once.
#include "cache/accounts/storage_meter.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <chrono>
#include <utility>
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
  StorageMeter meter_{&tenants_};
  TenantId tenant_ = tenants_.hold(DomainId{1}, "a");
};

}  // namespace

TEST_F(StorageMeterTest, IntegratesAtEachChange) {
  meter_.add(tenant_, kRam, 100, 8);
  clock_.advance(3 * kSecond);
  meter_.add(tenant_, kRam, 50, 0);
  clock_.advance(2 * kSecond);
  meter_.remove(tenant_, kRam, 100, 8);
  clock_.advance(kSecond);
  const HeldStorage held = meter_.take(tenant_, kRam);
  EXPECT_EQ(low(held.byte_us), (3 * 100 + 2 * 150 + 50) * kSecondUs);
  EXPECT_EQ(low(held.token_us), 5 * 8 * kSecondUs);
  EXPECT_EQ(held.span_us, 6'000'000);
  EXPECT_EQ(held.most_bytes, 150u);
  EXPECT_EQ(held.most_tokens, 8u);
  EXPECT_EQ(meter_.take(tenant_, kRam).most_bytes, 50u) << "from now on";
}

TEST_F(StorageMeterTest, WhatWasTakenIsNotTakenAgain) {
  meter_.add(tenant_, kSsd, 10, 1);
  clock_.advance(kSecond);
  EXPECT_EQ(low(meter_.take(tenant_, kSsd).byte_us), 10 * kSecondUs);
  EXPECT_EQ(low(meter_.take(tenant_, kSsd).byte_us), 0u);
  clock_.advance(kSecond);
  EXPECT_EQ(low(meter_.take(tenant_, kSsd).byte_us), 10 * kSecondUs);
  EXPECT_EQ(low(meter_.take(tenant_, kRam).byte_us), 0u);
}

// A number goes to another tenant only when what its last one held was taken.
TEST_F(StorageMeterTest, ATenantThatIsForgottenIsNotMistakenForAnother) {
  meter_.add(tenant_, kRam, 100, 0);
  clock_.advance(kSecond);
  meter_.remove(tenant_, kRam, 100, 0);
  tenants_.release(tenant_);
  const TenantId other = tenants_.hold(DomainId{1}, "b");
  EXPECT_NE(other, tenant_);
  EXPECT_EQ(tenants_.name_of(tenant_), "a");
  EXPECT_EQ(low(meter_.take(tenant_, kRam).byte_us), 100 * kSecondUs);
  EXPECT_FALSE(meter_.holds(tenant_));
  EXPECT_EQ(tenants_.hold(DomainId{1}, "c"), tenant_) << "free again";
}

TEST_F(StorageMeterTest, WhatWasRestoredBeforeItBeganCountsFromThen) {
  StorageMeter meter(&tenants_);
  meter.add(tenant_, kSsd, 100, 0);
  clock_.advance(kSecond);
  meter.start(&clock_);
  clock_.advance(kSecond);
  EXPECT_EQ(low(meter.take(tenant_, kSsd).byte_us), 100 * kSecondUs);
}

TEST_F(StorageMeterTest, ALongTimeOfALargeTierIsNoOverflow) {
  constexpr uint64_t kTebibyte = 1ull << 40;
  meter_.add(tenant_, kSsd, 1000 * kTebibyte, 0);
  clock_.advance(400 * 24 * 3600 * kSecond);
  const WideUnsigned expected = WideUnsigned{1000 * kTebibyte} * (400ull * 24 * 3600 * kSecondUs);
  EXPECT_TRUE(meter_.take(tenant_, kSsd).byte_us == expected);
}

// Whatever happens in whatever order, and however often it is taken, the sum is that of a plain
// list of what was held when.
RC_GTEST_PROP(StorageMeterProperty, TheSumOfWhatIsTakenIsWhatWasHeld, ()) {
  ManualClock clock;
  TenantTable tenants;
  StorageMeter meter(&tenants);
  meter.start(&clock);
  const TenantId tenant = tenants.hold(DomainId{1}, "a");
  const auto steps = *rc::gen::container<std::vector<std::pair<uint8_t, uint32_t>>>(
      rc::gen::pair(rc::gen::inRange<uint8_t>(0, 4), rc::gen::inRange<uint32_t>(1, 1 << 20)));
  uint64_t bytes = 0;
  WideUnsigned expected = 0;
  WideUnsigned taken = 0;
  for (const auto& [what, amount] : steps) {
    if (what == 0) {
      meter.add(tenant, kRam, amount, 0);
      bytes += amount;
    } else if (what == 1) {
      const uint64_t gone = bytes < amount ? bytes : amount;
      meter.remove(tenant, kRam, gone, 0);
      bytes -= gone;
    } else if (what == 2) {
      clock.advance(std::chrono::microseconds(amount));
      expected += WideUnsigned{bytes} * amount;
    } else {
      taken += meter.take(tenant, kRam).byte_us;
    }
  }
  taken += meter.take(tenant, kRam).byte_us;
  RC_ASSERT(taken == expected);
}

}  // namespace quire::cache::storage_meter_test
