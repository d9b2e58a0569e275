#include "model/ring.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <thread>
#include <vector>

namespace quire::model::ring_test {
namespace {

struct Entry {
  uint64_t value = 0;
  uint64_t check = 0;  // ~value: a torn or stale copy shows
  std::array<uint64_t, 6> rest{};
};

struct Shared {
  RingWord head;
  RingWord tail;
  std::vector<Entry> slots;

  explicit Shared(uint32_t entries) : slots(entries) {}
  RingProducer<Entry> producer() {
    return {&tail, &head, slots.data(), static_cast<uint32_t>(slots.size())};
  }
  RingConsumer<Entry> consumer() {
    return {&head, &tail, slots.data(), static_cast<uint32_t>(slots.size())};
  }
};

TEST(Ring, EntriesComeOutInOrder) {
  Shared shared(8);
  RingProducer<Entry> producer = shared.producer();
  RingConsumer<Entry> consumer = shared.consumer();
  for (uint64_t value = 0; value < 5; ++value) producer.put({value, ~value, {}});
  producer.publish();
  ASSERT_EQ(consumer.readable(), 5u);
  for (uint64_t value = 0; value < 5; ++value) EXPECT_EQ(consumer.take().value, value);
  EXPECT_EQ(consumer.readable(), 0u);
}

TEST(Ring, NothingIsVisibleBeforePublish) {
  Shared shared(8);
  RingProducer<Entry> producer = shared.producer();
  const RingConsumer<Entry> consumer = shared.consumer();
  producer.put({1, ~uint64_t{1}, {}});
  EXPECT_EQ(consumer.readable(), 0u);
  producer.publish();
  EXPECT_EQ(consumer.readable(), 1u);
}

TEST(Ring, FullUntilTheConsumerPublishes) {
  Shared shared(4);
  RingProducer<Entry> producer = shared.producer();
  RingConsumer<Entry> consumer = shared.consumer();
  for (uint64_t value = 0; value < 4; ++value) producer.put({value, ~value, {}});
  producer.publish();
  EXPECT_EQ(producer.writable(), 0u);
  (void)consumer.take();
  EXPECT_EQ(producer.writable(), 0u);
  consumer.publish();
  EXPECT_EQ(producer.writable(), 1u);
}

TEST(Ring, WrapsManyTimes) {
  Shared shared(8);
  RingProducer<Entry> producer = shared.producer();
  RingConsumer<Entry> consumer = shared.consumer();
  for (uint64_t value = 0; value < 1000; ++value) {
    producer.put({value, ~value, {}});
    producer.publish();
    ASSERT_EQ(consumer.readable(), 1u);
    ASSERT_EQ(consumer.take().value, value);
    consumer.publish();
  }
}

TEST(Ring, Law06_ScribbledTailIsRefusedByTheConsumer) {
  Shared shared(8);
  const RingConsumer<Entry> consumer = shared.consumer();
  shared.tail.value = 9;
  EXPECT_EQ(consumer.readable(), std::nullopt);
  shared.tail.value = 0xffffffff;  // behind the head
  EXPECT_EQ(consumer.readable(), std::nullopt);
  shared.tail.value = 8;
  EXPECT_EQ(consumer.readable(), 8u);
}

TEST(Ring, Law06_ScribbledHeadIsRefusedByTheProducer) {
  Shared shared(8);
  const RingProducer<Entry> producer = shared.producer();
  shared.head.value = 1;  // ahead of what was written
  EXPECT_EQ(producer.writable(), std::nullopt);
  shared.head.value = 0xfffffff8;
  EXPECT_EQ(producer.writable(), 0u);
  shared.head.value = 0xfffffff7;
  EXPECT_EQ(producer.writable(), std::nullopt);
}

TEST(Ring, Law06_OwnIndexIsNeverReadBack) {
  Shared shared(8);
  RingProducer<Entry> producer = shared.producer();
  producer.put({7, ~uint64_t{7}, {}});
  shared.tail.value = 0xdeadbeef;
  producer.publish();
  EXPECT_EQ(shared.tail.value, 1u);
  EXPECT_EQ(shared.slots[0].value, 7u);
}

TEST(Ring, PowersOfTwo) {
  EXPECT_FALSE(is_power_of_two(0));
  EXPECT_TRUE(is_power_of_two(1));
  EXPECT_TRUE(is_power_of_two(4096));
  EXPECT_FALSE(is_power_of_two(4095));
}

// Any missing barrier shows as a torn or repeated entry (or under TSan). The ring is not smaller
// because each time it runs full costs a time slice on a machine that has other work.
TEST(Ring, TwoThreadsLoseAndTearNothing) {
  constexpr uint64_t kCount = 100'000;
  const auto shared = std::make_unique<Shared>(256);
  std::thread producing([&] {
    RingProducer<Entry> producer = shared->producer();
    for (uint64_t value = 0; value < kCount;) {
      uint32_t free = producer.writable().value_or(0);
      if (free == 0) std::this_thread::yield();
      for (; free > 0 && value < kCount; --free, ++value) producer.put({value, ~value, {}});
      producer.publish();
    }
  });
  RingConsumer<Entry> consumer = shared->consumer();
  uint64_t expected = 0;
  uint64_t wrong_count = 0;
  while (expected < kCount) {
    const uint32_t ready = consumer.readable().value_or(0);
    if (ready == 0) std::this_thread::yield();
    for (uint32_t i = 0; i < ready; ++i, ++expected) {
      const Entry entry = consumer.take();
      if (entry.value != expected || entry.check != ~expected) ++wrong_count;
    }
    consumer.publish();
  }
  producing.join();
  EXPECT_EQ(wrong_count, 0u);
}

}  // namespace
}  // namespace quire::model::ring_test
