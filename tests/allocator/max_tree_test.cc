#include "allocator/max_tree.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <vector>

namespace quire::allocator::max_tree_test {
namespace {

TEST(MaxTree, EmptyFindsNothing) {
  const MaxTree tree;
  EXPECT_EQ(tree.max(), 0u);
  EXPECT_EQ(tree.find_at_least(1), std::nullopt);
}

TEST(MaxTree, KeepsValuesWhenItGrows) {
  MaxTree tree;
  tree.set(0, 5);
  tree.set(9, 7);
  EXPECT_EQ(tree.value(0), 5u);
  EXPECT_EQ(tree.find_at_least(5), 0u);
  EXPECT_EQ(tree.find_at_least(6), 9u);
  EXPECT_EQ(tree.max(), 7u);
}

RC_GTEST_PROP(MaxTree, AgreesWithAScan, (const std::vector<std::pair<uint8_t, uint16_t>>& sets)) {
  MaxTree tree;
  std::vector<uint32_t> plain(256, 0);
  for (const auto& [index, value] : sets) {
    tree.set(index, value);
    plain[index] = value;
    const uint32_t minimum = 1 + value / 2;
    std::optional<uint32_t> expected;
    for (uint32_t at = 0; at < plain.size() && !expected; ++at) {
      if (plain[at] >= minimum) expected = at;
    }
    RC_ASSERT(tree.find_at_least(minimum) == expected);
  }
}

}  // namespace
}  // namespace quire::allocator::max_tree_test
