#include "server/sessions/peer_uids.h"

#include <gtest/gtest.h>

namespace quire::server::peer_uids_test {
namespace {

TEST(PeerUids, InTheInitialNamespaceNobodyIsAUserLikeAnyOther) {
  const PeerUids uids = PeerUids::parse("         0          0 4294967295\n", "65534\n");
  EXPECT_TRUE(uids.is_one_user(0));
  EXPECT_TRUE(uids.is_one_user(65534));
}

TEST(PeerUids, ElsewhereTheOverflowUidStandsForMany) {
  const PeerUids uids = PeerUids::parse("0 1000 1\n1 100000 65535\n", "65534\n");
  EXPECT_TRUE(uids.is_one_user(0));
  EXPECT_TRUE(uids.is_one_user(1000));
  EXPECT_FALSE(uids.is_one_user(65534));
}

TEST(PeerUids, SeveralRangesMayMapAll) {
  EXPECT_TRUE(PeerUids::parse("0 0 1000\n1000 1000 4294966295\n", "65534").is_one_user(65534));
}

TEST(PeerUids, WhatCannotBeReadCountsAsNotMapped) {
  EXPECT_FALSE(PeerUids::parse("", "").is_one_user(65534));
  EXPECT_FALSE(PeerUids::parse("", "4000000").is_one_user(4000000));
}

}  // namespace
}  // namespace quire::server::peer_uids_test
