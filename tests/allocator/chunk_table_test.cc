#include "allocator/chunk_table.h"

#include <gtest/gtest.h>

#include <vector>

namespace quire::allocator::chunk_table_test {
namespace {

using List = ChunkList<&ChunkRecord::partial>;

ChunkTable make_table(uint32_t max_chunks) {
  auto table = ChunkTable::reserve(max_chunks);
  QUIRE_CHECK(table.ok());
  return std::move(table).value();
}

ChunkId acquire(ChunkTable& table) {
  const std::optional<ChunkId> id = table.acquire();
  QUIRE_CHECK(id.has_value());
  table[*id].slot_count = 1;
  return *id;
}

std::vector<uint32_t> members(const ChunkTable& table, const List& list) {
  std::vector<uint32_t> values;
  for (ChunkId id = list.front(); id.valid(); id = List::next(table, id)) {
    values.push_back(id.value);
  }
  return values;
}

TEST(ChunkTable, ReusesFreedIdsBeforeNewOnes) {
  ChunkTable table = make_table(10);
  const ChunkId first = acquire(table);
  const ChunkId second = acquire(table);
  table.release(first);
  EXPECT_FALSE(table.is_live(first));
  EXPECT_EQ(acquire(table), first);
  EXPECT_TRUE(table.is_live(second));
  EXPECT_EQ(table.high_water(), 2u);
}

TEST(ChunkTable, StopsAtItsBound) {
  ChunkTable table = make_table(2);
  acquire(table);
  const ChunkId last = acquire(table);
  EXPECT_EQ(table.acquire(), std::nullopt);
  table.release(last);
  EXPECT_EQ(table.acquire(), last);
}

TEST(ChunkTable, ReusedRecordIsEmpty) {
  ChunkTable table = make_table(2);
  const ChunkId id = acquire(table);
  table[id].used_slots = 1;
  table[id].first_granule = 9;
  table.release(id);
  acquire(table);
  EXPECT_EQ(table[id].used_slots, 0);
  EXPECT_EQ(table[id].first_granule, 0u);
}

TEST(ChunkList, IsFirstInFirstOutAndAnyMemberCanLeave) {
  ChunkTable table = make_table(4);
  List list;
  for (int count = 0; count < 4; ++count) list.push_back(table, acquire(table));
  EXPECT_EQ(members(table, list), (std::vector<uint32_t>{0, 1, 2, 3}));
  list.remove(table, ChunkId{2});
  list.remove(table, ChunkId{0});
  EXPECT_EQ(members(table, list), (std::vector<uint32_t>{1, 3}));
  list.remove(table, ChunkId{3});
  list.push_back(table, ChunkId{0});
  EXPECT_EQ(members(table, list), (std::vector<uint32_t>{1, 0}));
  list.remove(table, ChunkId{1});
  list.remove(table, ChunkId{0});
  EXPECT_TRUE(list.empty());
}

}  // namespace
}  // namespace quire::allocator::chunk_table_test
