#include "server/rings/turn_memory.h"

#include <gtest/gtest.h>

namespace quire::server::turn_memory_test {
namespace {

constexpr uint64_t kFour = 4 * sizeof(RememberedTurn);

TEST(TurnMemory, NewestTakesTheOldestOnesPlace) {
  TurnMemory memory(kFour);
  ASSERT_EQ(memory.capacity(), 4u);
  for (uint64_t request = 1; request <= 6; ++request) memory.add().request_id = request;
  EXPECT_EQ(memory.find(2), nullptr);
  ASSERT_NE(memory.find(3), nullptr);
  EXPECT_EQ(memory.find(3)->request_id, 3u);
  EXPECT_EQ(memory.find(0), nullptr);
  EXPECT_EQ(memory.find(7), nullptr);
}

TEST(TurnMemory, LooksFromTheNewestOn) {
  TurnMemory memory(kFour);
  EXPECT_EQ(memory.find_newest([](const RememberedTurn&) { return true; }), nullptr);
  for (uint64_t request = 1; request <= 6; ++request) memory.add().request_id = request;
  uint64_t expected = 6;
  const RememberedTurn* none = memory.find_newest([&](const RememberedTurn& turn) {
    EXPECT_EQ(turn.request_id, expected--);
    return false;
  });
  EXPECT_EQ(none, nullptr);
  EXPECT_EQ(expected, 2u) << "each once";
}

TEST(TurnMemory, KeepsAtLeastOneAndAtMostItsBound) {
  EXPECT_EQ(TurnMemory(1).capacity(), 1u);
  EXPECT_EQ(TurnMemory(1 << 30).capacity(), TurnMemory::kMostTurns);
  EXPECT_LE(TurnMemory(1 << 16).held_bytes(), 1u << 16);
}

}  // namespace
}  // namespace quire::server::turn_memory_test
