// The ring of events: what is written over is noticed, and never half read.
#include "server/events/event_ring.h"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>
#include <vector>

namespace quire::server::event_ring_test {
namespace {

using model::EventRecord;

constexpr uint64_t kBytes = 1024 * sizeof(EventRecord);

// Each word of it says which one it is.
EventRecord numbered(uint64_t number) {
  EventRecord record;
  record.sequence = record.last = record.groups = record.count = number;
  for (size_t i = 0; i < 4; ++i) {
    std::memcpy(record.hash.bytes.data() + 8 * i, &number, 8);
    std::memcpy(record.parent.bytes.data() + 8 * i, &number, 8);
  }
  return record;
}

bool is_whole(const EventRecord& record) {
  const EventRecord wanted = numbered(record.sequence);
  return std::memcmp(&record, &wanted, sizeof(record)) == 0;
}

TEST(EventRing, GivesWhatWasWrittenInItsOrder) {
  const auto ring = EventRing::create(kBytes).value();
  for (uint64_t i = 0; i < 100; ++i) ring->push(numbered(i));
  uint64_t position = 0;
  std::vector<EventRecord> out(64);
  for (uint64_t expected = 0; expected < 100;) {
    const EventRing::Read read = ring->read(position, out);
    EXPECT_FALSE(read.lapped);
    ASSERT_GT(read.count, 0u);
    for (size_t i = 0; i < read.count; ++i) EXPECT_EQ(out[i].sequence, expected++);
  }
  EXPECT_EQ(ring->read(position, out).count, 0u);
  EXPECT_EQ(position, 100u);
}

TEST(EventRing, KeepsTheLastAndSaysThatMoreWereThere) {
  const auto ring = EventRing::create(kBytes).value();
  for (uint64_t i = 0; i < 1500; ++i) ring->push(numbered(i));
  uint64_t position = 10;
  std::vector<EventRecord> out(2000);
  const EventRing::Read read = ring->read(position, out);
  EXPECT_TRUE(read.lapped);
  EXPECT_EQ(read.count, 1024u);
  EXPECT_EQ(out[0].sequence, 1500u - 1024);
  EXPECT_EQ(position, 1500u);
}

TEST(EventRing, ForgetsWhatWasBeforeARestart) {
  const auto ring = EventRing::create(kBytes).value();
  for (uint64_t i = 0; i < 5; ++i) ring->push(numbered(i));
  ring->restart();
  ring->push(numbered(5));
  uint64_t position = 0;
  std::vector<EventRecord> out(8);
  const EventRing::Read read = ring->read(position, out);
  EXPECT_TRUE(read.lapped);
  ASSERT_EQ(read.count, 1u);
  EXPECT_EQ(out[0].sequence, 5u);
}

TEST(EventRing, RefusesAMemoryThatHoldsNearlyNothing) {
  EXPECT_EQ(EventRing::create(kBytes - 1).code(), model::Errc::kInvalidArgument);
  EXPECT_EQ(EventRing::create(2 * kBytes - 1).value()->capacity(), 1024u);
}

// A reader that always begins where the writer is about to write: what it gets is whole and in
// order.
TEST(EventRing, ReaderThatIsOvertakenSeesNoTornRecord) {
  constexpr uint64_t kRecords = 500'000;
  const auto ring = EventRing::create(kBytes).value();
  const std::jthread writer([&] {
    for (uint64_t i = 0; i < kRecords; ++i) ring->push(numbered(i));
  });
  std::vector<EventRecord> out(ring->capacity());
  for (uint64_t head = 0; head < kRecords;) {
    uint64_t position = ring->oldest();
    const EventRing::Read read = ring->read(position, out);
    head = position;
    for (size_t i = 0; i < read.count; ++i) {
      ASSERT_TRUE(is_whole(out[i])) << out[i].sequence;
      ASSERT_EQ(out[i].sequence, position - read.count + i);
    }
  }
}

}  // namespace
}  // namespace quire::server::event_ring_test
