#include "tests/support/oracle.h"

#include <gtest/gtest.h>

#include <array>

namespace quire::tests::oracle_test {

TEST(Oracle, KnowsItsOwnPage) {
  std::array<std::byte, 1003> page;
  fill_page(page, 7, 1, 2);
  EXPECT_TRUE(check_page(page, 7, 1, 2));
}

TEST(Oracle, SeesOneFlippedBit) {
  std::array<std::byte, 1003> page;
  fill_page(page, 7, 1);
  page[1002] ^= std::byte{1};
  EXPECT_FALSE(check_page(page, 7, 1));
}

TEST(Oracle, OtherKeysGroupsAndVersionsDiffer) {
  std::array<std::byte, 64> page;
  fill_page(page, 7, 1, 2);
  EXPECT_FALSE(check_page(page, 8, 1, 2));
  EXPECT_FALSE(check_page(page, 7, 2, 2));
  EXPECT_FALSE(check_page(page, 7, 1, 3));
}

TEST(Oracle, ContentLikeBf16IsBoundToItsIdentityToo) {
  std::array<std::byte, 1003> page;
  fill_page(page, 7, 1, kLikeBf16);
  EXPECT_TRUE(check_page(page, 7, 1, kLikeBf16));
  EXPECT_FALSE(check_page(page, 7, 1));
  EXPECT_FALSE(check_page(page, 8, 1, kLikeBf16));
  EXPECT_FALSE(check_page(page, 7, 2, kLikeBf16));
  EXPECT_FALSE(check_page(page, 7, 1, kLikeBf16 | 1));
  for (size_t i = 3; i < 512; i += 2) ASSERT_EQ(page[i], page[1]);
  page[500] ^= std::byte{1};
  EXPECT_FALSE(check_page(page, 7, 1, kLikeBf16));
}

}  // namespace quire::tests::oracle_test
