#include "allocator/memory_events.h"

#include <gtest/gtest.h>

#include "tests/allocator/pool_fixture.h"

namespace quire::allocator::memory_events_test {
namespace {

using model::DomainId;
using model::SlotId;

constexpr DomainId kOne{1};
constexpr DomainId kTwo{2};

TEST(MemoryEvents, OfWatchedDomainsAreKeptOnceUntilTaken) {
  MemoryEvents events;
  events.watch(kOne);
  events.watch(kTwo);
  events.raise(kTwo);
  events.raise(kOne);
  events.raise(kTwo);
  EXPECT_EQ(events.take(), kTwo) << "the one that was first";
  events.raise(kTwo);
  EXPECT_EQ(events.take(), kOne);
  EXPECT_EQ(events.take(), kTwo);
  EXPECT_FALSE(events.take().valid());
}

TEST(MemoryEvents, NothingIsKeptOfWhoIsNotWatched) {
  MemoryEvents events;
  events.raise(kOne);
  events.raise_all();
  events.watch(kTwo);
  events.raise(kOne);
  EXPECT_FALSE(events.any_raised());
  events.raise_all();
  events.unwatch(kTwo);
  EXPECT_FALSE(events.any_raised());
  EXPECT_FALSE(events.any_watched());
  events.unwatch(kTwo);
  events.watch(kTwo);
  EXPECT_FALSE(events.take().valid()) << "a new watch begins anew";
}

TEST(PoolEvents, SlotThatIsFreedIsAnEventOfItsDomain) {
  PoolFixture fixture(2 << 20, 1);
  Pool& pool = fixture.pool();
  const ClassId mine = fixture.size_class(kOne, 4096);
  fixture.size_class(kTwo, 4096);
  ASSERT_EQ(fixture.grow(kOne), Pool::Growth::kGrew);
  const SlotId slot = *pool.allocate(mine);
  pool.events().watch(kOne);
  pool.events().watch(kTwo);
  pool.free(slot);
  EXPECT_EQ(pool.events().take(), kOne);
  EXPECT_FALSE(pool.events().any_raised());
}

TEST(PoolEvents, SegmentThatCameIsToldOnce) {
  PoolFixture fixture(2 << 20, 2);
  Pool& pool = fixture.pool();
  ASSERT_EQ(fixture.grow(kOne), Pool::Growth::kGrew);
  ASSERT_EQ(fixture.grow(kOne), Pool::Growth::kGrew);
  pool.note_supply();
  pool.events().watch(kTwo);
  pool.note_supply();
  EXPECT_FALSE(pool.events().any_raised()) << "nothing came since";
  auto retired = pool.retire(kOne, pool.segments(kOne)[0].id);
  ASSERT_TRUE(retired);
  pool.give_back(kOne, std::move(retired->segment));
  ASSERT_EQ(fixture.grow(kTwo), Pool::Growth::kGrew);
  EXPECT_EQ(pool.events().take(), kTwo);
}

}  // namespace
}  // namespace quire::allocator::memory_events_test
