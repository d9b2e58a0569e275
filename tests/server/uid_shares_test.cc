#include "server/sessions/uid_shares.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "cache/serve/lease_table.h"

namespace quire::server::uid_shares_test {
namespace {

using model::Errc;

constexpr uint32_t kUser = 4001;
constexpr uint32_t kOther = 4002;
constexpr UidShares::Amounts kTotals{160, 1600, 1 << 30, 1000, 512};

TEST(UidShares, OneUidGetsItsShareAndNoMore) {
  UidShares shares(kTotals, 75);
  EXPECT_EQ(shares.largest(kUser, Shared::kConnections), 120u);
  for (int i = 0; i < 120; ++i) {
    ASSERT_TRUE(shares.check(kUser, Shared::kConnections, 1).ok());
    shares.take(kUser, Shared::kConnections, 1);
  }
  const auto refused = shares.check(kUser, Shared::kConnections, 1);
  EXPECT_EQ(refused.code(), Errc::kBusy);
  EXPECT_EQ(refused.error().text,
            "uid 4001 has its share of connections (--max_connections, --uid_share_percent); close "
            "some");
  EXPECT_TRUE(shares.check(kOther, Shared::kConnections, 1).ok());
  shares.give_back(kUser, Shared::kConnections, 1);
  EXPECT_TRUE(shares.check(kUser, Shared::kConnections, 1).ok());
}

TEST(UidShares, ASixteenthIsKeptForAdministrators) {
  UidShares shares(kTotals, 75);
  shares.take(kUser, Shared::kConnections, 120);
  shares.take(kOther, Shared::kConnections, 30);
  EXPECT_EQ(shares.check(kOther, Shared::kConnections, 1).code(), Errc::kBusy);
  EXPECT_TRUE(shares.check(0, Shared::kConnections, 10).ok());
  EXPECT_TRUE(shares.check(::geteuid(), Shared::kConnections, 10).ok());
  EXPECT_EQ(shares.check(0, Shared::kConnections, 11).code(), Errc::kBusy);
}

TEST(UidShares, NewBoundsHoldForWhatIsAskedFromThenOn) {
  UidShares shares(kTotals, 75);
  shares.take(kUser, Shared::kConnections, 100);
  shares.set_bounds(80, 50);
  EXPECT_EQ(shares.largest(kUser, Shared::kConnections), 40u);
  EXPECT_EQ(shares.check(kUser, Shared::kConnections, 1).code(), Errc::kBusy);
  EXPECT_EQ(shares.used(Shared::kConnections), 100u) << "nobody is let go";
  shares.set_bounds(400, 50);
  EXPECT_TRUE(shares.check(kUser, Shared::kConnections, 100).ok());
  EXPECT_EQ(shares.check(kUser, Shared::kConnections, 101).code(), Errc::kBusy);
}

TEST(UidShares, AmountsAreBytesTooAndNeverOverflow) {
  UidShares shares({1, 1, ~uint64_t{0}, 1, 1}, 75);
  shares.take(kUser, Shared::kSessionBytes, 1ull << 62);
  EXPECT_EQ(shares.check(kUser, Shared::kSessionBytes, ~uint64_t{0}).code(), Errc::kBusy);
  EXPECT_TRUE(shares.check(kUser, Shared::kSessionBytes, 1ull << 62).ok());
}

TEST(UidShares, NothingIsKeptOfAUidThatHoldsNothing) {
  UidShares shares(kTotals, 75);
  shares.take(kUser, Shared::kSessions, 2);
  shares.holders(kUser)->leases = 1;
  shares.give_back(kUser, Shared::kSessions, 2);
  EXPECT_NE(shares.find(kUser), nullptr) << "a lease is left";
  shares.take(kUser, Shared::kSessions, 1);
  shares.holders(kUser)->leases = 0;
  shares.give_back(kUser, Shared::kSessions, 1);
  EXPECT_EQ(shares.find(kUser), nullptr);
  EXPECT_EQ(shares.uid_count(), 0u);
}

TEST(UidShares, LeasesAreCountedForAllSessionsOfAUid) {
  cache::LeaseTable table;
  cache::HolderShare share{.max_leases = 3};
  cache::LeaseHolder first{.share = &share};
  cache::LeaseHolder second{.share = &share};
  ASSERT_TRUE(table.add(first).ok());
  ASSERT_TRUE(table.add(first).ok());
  const auto third = table.add(second);
  ASSERT_TRUE(third.ok());
  EXPECT_EQ(table.add(second).code(), Errc::kBusy);
  table.remove(*third);
  EXPECT_EQ(share.leases, 2u);
  EXPECT_TRUE(table.add(second).ok());
}

}  // namespace
}  // namespace quire::server::uid_shares_test
