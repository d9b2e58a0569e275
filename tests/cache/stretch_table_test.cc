// The tree of paths that ghosts share, by itself and against a plain map of paths.
#include "cache/ghosts/stretch_table.h"

#include <gtest/gtest.h>

#include <vector>

namespace quire::cache::stretch_table_test {
namespace {

constexpr BlockShape kShape{.tokens = 64, .bytes = 4096};

EntryId add(StretchTable& table, EntryId parent, const std::vector<uint32_t>& keys) {
  return table.add({.parent = parent, .keys = keys, .shape = kShape}).value();
}

TEST(StretchTable, FindsByItsBeginningBelowItsParentAndByItsEnd) {
  StretchTable table(8);
  const EntryId top = add(table, {}, {1, 2, 3});
  const EntryId below = add(table, top, {1, 9});
  EXPECT_EQ(table.find_child({}, 1), top);
  EXPECT_EQ(table.find_child(top, 1), below);
  EXPECT_EQ(table.find_child(below, 1), std::nullopt);
  EXPECT_EQ(table.find_end(3), top);
  EXPECT_EQ(table.find_end(2), std::nullopt) << "not an end";
  EXPECT_EQ(table.at(below).end_block, 5u);
  table.check_invariants();
}

TEST(StretchTable, SplitGivesTheHeadToANewOneAndKeepsChildren) {
  StretchTable table(8);
  const EntryId tail = add(table, {}, {1, 2, 3, 4});
  const EntryId child = add(table, tail, {5});
  const EntryId head = table.split(tail, 1).value();
  EXPECT_EQ(table.find_child({}, 1), head);
  EXPECT_EQ(table.find_child(head, 2), tail);
  EXPECT_EQ(table.at(tail).parent, head);
  EXPECT_EQ(table.at(tail).begin_block(), 1u);
  EXPECT_EQ(table.at(child).parent, tail);
  EXPECT_EQ(table.find_end(1), head);
  table.check_invariants();
}

TEST(StretchTable, GrowsAtItsEnd) {
  StretchTable table(8);
  const EntryId one = add(table, {}, {1});
  table.grow(one, 2);
  EXPECT_EQ(table.at(one).blocks, 2);
  EXPECT_EQ(table.find_end(2), one);
  EXPECT_EQ(table.find_end(1), std::nullopt);
  table.check_invariants();
}

TEST(StretchTable, CollectFreesWhatNobodyHoldsUpToWhatSomebodyDoes) {
  StretchTable table(8);
  const EntryId top = add(table, {}, {1});
  const EntryId middle = add(table, top, {2});
  const EntryId end = add(table, middle, {3});
  for (const EntryId id : {top, middle, end}) table.hold(id);
  table.collect();
  EXPECT_EQ(table.used_count(), 3u);
  table.release(middle);
  table.collect();
  EXPECT_EQ(table.used_count(), 3u) << "its child is held";
  table.release(end);
  table.collect();
  EXPECT_EQ(table.used_count(), 1u) << "with the child goes what was there for its sake";
  EXPECT_EQ(table.find_child({}, 1), top);
  EXPECT_EQ(table.find_child(top, 2), std::nullopt);
  table.check_invariants();
}

TEST(StretchTable, HeldAgainBeforeCollectStays) {
  StretchTable table(8);
  const EntryId one = add(table, {}, {1});
  table.hold(one);
  table.release(one);
  table.hold(one);
  table.collect();
  EXPECT_EQ(table.used_count(), 1u);
}

TEST(StretchTable, FullTableRefusesAndWhatIsFreedIsUsedAgain) {
  StretchTable table(2);
  add(table, {}, {1});
  const EntryId held = add(table, {}, {2, 3});
  table.hold(held);
  EXPECT_FALSE(table.add({.keys = std::vector<uint32_t>{4}, .shape = kShape}).has_value());
  EXPECT_FALSE(table.split(held, 1).has_value());
  table.collect();
  EXPECT_TRUE(table.add({.keys = std::vector<uint32_t>{4}, .shape = kShape}).has_value());
  table.check_invariants();
}

}  // namespace
}  // namespace quire::cache::stretch_table_test
