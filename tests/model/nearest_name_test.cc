#include "model/nearest_name.h"

#include <gtest/gtest.h>

#include <string>

namespace quire::model::nearest_name_test {
namespace {

constexpr std::string_view kKnown[] = {"page_bytes", "window_tokens", "shard"};

TEST(NearestName, FindsTheOneWithFewestEdits) {
  EXPECT_EQ(nearest_name("pagebytes", kKnown), "page_bytes");
  EXPECT_EQ(nearest_name("window_token", kKnown), "window_tokens");
  EXPECT_EQ(nearest_name("shrad", kKnown), "shard");
}

TEST(NearestName, TakesTheFirstOfEquals) {
  constexpr std::string_view kPair[] = {"ab", "ac"};
  EXPECT_EQ(nearest_name("ad", kPair), "ab");
}

TEST(NearestName, TakesEmptyAndVeryLongNames) {
  EXPECT_EQ(nearest_name("", kKnown), "shard");
  EXPECT_EQ(nearest_name(std::string(10'000, 'x'), kKnown).empty(), false);
}

}  // namespace
}  // namespace quire::model::nearest_name_test
