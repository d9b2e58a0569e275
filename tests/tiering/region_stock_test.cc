#include "tiering/space/region_stock.h"

#include <gtest/gtest.h>

#include <vector>

namespace quire::tiering::region_stock_test {
namespace {

using Regions = std::vector<uint32_t>;

void take_all(RegionStock& stock, const Regions& regions) {
  for (const uint32_t region : regions) stock.take(region);
}

TEST(RegionStock, ARegionWithBlocksGoesBeforeOneWithout) {
  RegionStock stock(4);
  take_all(stock, {0, 1, 2});
  stock.put_back(0);
  stock.note_absent(0);
  stock.put_back(2);
  EXPECT_EQ(stock.find_free(1, true), Regions{2});
  EXPECT_EQ(stock.find_free(2, true), (Regions{0, 2})) << "ascending";
  EXPECT_FALSE(stock.take(2));
  EXPECT_TRUE(stock.take(0)) << "its blocks are to be made";
  stock.check_invariants();
}

TEST(RegionStock, WithoutGrowingOnlyBlocksThatAreThereAreFound) {
  RegionStock stock(4);
  EXPECT_TRUE(stock.find_free(1, false).empty());
  stock.note_blocks(3);
  EXPECT_EQ(stock.find_free(1, false), Regions{3});
  EXPECT_TRUE(stock.find_free(2, false).empty()) << "all or none";
}

TEST(RegionStock, TheCapacityIsANumberOfRegionsWhereverTheyLie) {
  RegionStock stock(2);
  EXPECT_TRUE(stock.take(9)) << "claimed at open";
  EXPECT_EQ(stock.find_free(1, true).size(), 1u);
  EXPECT_TRUE(stock.find_free(2, true).empty());
  take_all(stock, {7, 8});
  EXPECT_TRUE(stock.find_free(1, true).empty()) << "three have blocks";
  stock.put_back(8);
  EXPECT_TRUE(stock.find_free(1, false).empty()) << "its blocks are beyond the capacity";
}

TEST(RegionStock, WhatIsHeldTwiceIsLetGoTwice) {
  RegionStock stock(4);
  stock.hold(1, false);
  stock.hold(1, true);
  stock.hold(2, false);
  EXPECT_EQ(stock.held_count(), 2u);
  EXPECT_EQ(stock.held_with_blocks(), 1u) << "the second one knew of them";
  EXPECT_EQ(stock.allocated_count(), 1u);
  stock.let_go(1);
  EXPECT_TRUE(stock.is_held(1));
  EXPECT_EQ(stock.find_free(2, true), (Regions{0, 3}));
  stock.let_go(1);
  stock.let_go(2);
  EXPECT_FALSE(stock.is_held(1));
  EXPECT_EQ(stock.held_count() + stock.held_with_blocks(), 0u);
  EXPECT_EQ(stock.find_free(1, true), Regions{1});
  stock.check_invariants();
}

TEST(RegionStock, NoBlocksAreNotedOfARegionThatSomebodyHas) {
  RegionStock stock(4);
  stock.hold(0, false);
  stock.note_blocks(0);
  EXPECT_EQ(stock.allocated_count(), 0u);
  stock.let_go(0);
  stock.note_blocks(0);
  EXPECT_EQ(stock.allocated_count(), 1u);
  stock.check_invariants();
}

TEST(RegionStock, ASurplusRegionIsNobodysUntilItsBlocksAreGone) {
  RegionStock stock(1);
  take_all(stock, {0, 1, 2});
  EXPECT_FALSE(stock.take_surplus()) << "all are in use";
  stock.put_back(1);
  EXPECT_EQ(stock.take_surplus(), 1u);
  stock.check_invariants();
  stock.given_back(false);
  EXPECT_EQ(stock.take_surplus(), 1u) << "still there";
  stock.given_back(true);
  EXPECT_EQ(stock.allocated_count(), 2u);
  EXPECT_FALSE(stock.take_surplus());
  stock.put_back(2);
  EXPECT_EQ(stock.take_surplus(), 2u);
  stock.given_back(true);
  stock.put_back(0);
  EXPECT_FALSE(stock.take_surplus()) << "within the capacity";
  stock.check_invariants();
}

TEST(RegionStock, ARegionHasOneOwner) {
  RegionStock stock(2);
  stock.take(0);
  EXPECT_DEATH(stock.take(0), "check failed");
  EXPECT_DEATH(stock.hold(0, true), "check failed");
  EXPECT_DEATH(stock.put_back(1), "check failed");
}

}  // namespace
}  // namespace quire::tiering::region_stock_test
