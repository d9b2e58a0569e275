#include "tiering/io/spsc_queue.h"

#include <gtest/gtest.h>

#include <thread>

namespace quire::tiering::spsc_queue_test {
namespace {

TEST(SpscQueue, FirstInFirstOutAndBounded) {
  SpscQueue<int> queue(4);
  int value = 0;
  EXPECT_FALSE(queue.pop(&value));
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(queue.push(i));
    EXPECT_FALSE(queue.push(9));
    EXPECT_EQ(queue.size(), 4u);
    for (int i = 0; i < 4; ++i) {
      EXPECT_TRUE(queue.pop(&value));
      EXPECT_EQ(value, i);
    }
    EXPECT_FALSE(queue.pop(&value));
  }
}

TEST(SpscQueue, OfALargeValueItsFrontIsEnough) {
  struct Large {
    uint32_t front[2];
    uint32_t rest[100];
  };
  SpscQueue<Large> queue(1);
  Large value{{1, 2}, {3}};
  EXPECT_TRUE(queue.push(value));
  EXPECT_TRUE(queue.pop(&value));
  value = {{4, 5}, {6}};
  EXPECT_TRUE(queue.push(value, sizeof(value.front)));
  EXPECT_TRUE(queue.pop(&value));
  EXPECT_EQ(value.front[0] + value.front[1], 9u);
  EXPECT_EQ(value.rest[0], 3u) << "what was there";
}

TEST(SpscQueue, NothingIsLostBetweenTwoThreads) {
  constexpr uint64_t kCount = 200'000;
  SpscQueue<uint64_t> queue(16);
  std::thread producer([&] {
    for (uint64_t i = 0; i < kCount; ++i) {
      while (!queue.push(i)) std::this_thread::yield();
    }
  });
  uint64_t value = 0;
  for (uint64_t i = 0; i < kCount; ++i) {
    while (!queue.pop(&value)) std::this_thread::yield();
    ASSERT_EQ(value, i);
  }
  producer.join();
}

}  // namespace
}  // namespace quire::tiering::spsc_queue_test
