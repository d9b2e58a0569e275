#include "tiering/io/buffer_table.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

namespace quire::tiering::buffer_table_test {
namespace {

class BufferTableTest : public testing::Test {
 protected:
  std::span<const std::byte> bytes(size_t offset, size_t count) const {
    return std::span<const std::byte>(memory_).subspan(offset, count);
  }
  void add(size_t offset, size_t count, size_t range_offset) {
    table_.add(bytes(offset, count), memory_.data() + range_offset);
  }

  std::array<std::byte, 1000> memory_{};
  BufferTable table_{3};
};

TEST_F(BufferTableTest, BytesAreFoundInThePieceThatHasThemAll) {
  add(500, 100, 500);
  const uint16_t later = *table_.find(bytes(500, 100));
  add(100, 100, 100);
  const uint16_t earlier = *table_.find(bytes(199, 1));
  EXPECT_NE(later, earlier);
  EXPECT_EQ(table_.find(bytes(550, 50)), later);
  EXPECT_FALSE(table_.find(bytes(550, 51))) << "past its end";
  EXPECT_FALSE(table_.find(bytes(99, 2))) << "before its start";
  EXPECT_FALSE(table_.find(bytes(300, 1)));
  EXPECT_FALSE(table_.find(bytes(0, 1)));
  EXPECT_EQ(table_.bytes(), 200u);
}

// The kernel transfers into one entry of its table.
TEST_F(BufferTableTest, BytesOfTwoPiecesAreInNeither) {
  add(0, 100, 0);
  add(100, 100, 0);
  EXPECT_FALSE(table_.find(bytes(90, 20)));
}

TEST_F(BufferTableTest, ARangeGoesWithAllItsPieces) {
  add(0, 100, 0);
  add(100, 100, 0);
  add(300, 100, 300);
  EXPECT_FALSE(table_.free_index());
  const std::vector<uint16_t> gone = table_.remove(memory_.data());
  EXPECT_EQ(std::set<uint16_t>(gone.begin(), gone.end()).size(), 2u);
  EXPECT_FALSE(table_.find(bytes(100, 1)));
  EXPECT_TRUE(table_.find(bytes(300, 1)));
  EXPECT_EQ(table_.bytes(), 100u);
  EXPECT_TRUE(table_.remove(memory_.data() + 301).empty()) << "nobody's start";
  add(0, 200, 0);
  add(200, 100, 200);
  EXPECT_FALSE(table_.free_index());
}

TEST_F(BufferTableTest, PiecesDoNotOverlap) {
  add(100, 100, 100);
  EXPECT_DEATH(add(199, 10, 199), "check failed");
  EXPECT_DEATH(add(50, 51, 50), "check failed");
  add(200, 10, 200);
}

}  // namespace
}  // namespace quire::tiering::buffer_table_test
