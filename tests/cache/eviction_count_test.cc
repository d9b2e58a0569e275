// What makes room is counted, once each and by its kind, and one call makes a bounded amount.
#include <gtest/gtest.h>

#include "tests/cache/store_rig.h"

namespace quire::cache::eviction_count_test {
namespace {

using model::SlotId;

TEST(EvictionCount, TellsSpansCheckpointsAndWhatIsOnSsdApart) {
  StoreRig rig(true);
  const auto chain = rig.add_chain(2, 1);
  const uint32_t units = rig.units(chain[1]) + 1;
  ASSERT_TRUE(rig.add(model::FillKind::kCheckpoint, chain[1], 50, units).valid());
  rig.meddle().put_on_ssd(chain[0], 0);
  EXPECT_EQ(rig.inspect().counters().evictions, 0u);
  EXPECT_EQ(rig.meddle().evict(1), 1u);
  EXPECT_EQ(rig.inspect().counters().evicted_checkpoints, 1u);
  EXPECT_EQ(rig.meddle().evict(), 2u);
  EXPECT_EQ(rig.inspect().counters().evicted_checkpoints, 1u);
  EXPECT_EQ(rig.inspect().counters().evicted_spans, 1u);
  EXPECT_EQ(rig.inspect().counters().left_ram, 1u);
  EXPECT_EQ(rig.inspect().counters().evictions, 3u);
  EXPECT_EQ(rig.meddle().evict(), 0u);
  EXPECT_EQ(rig.inspect().counters().evictions, 3u) << "what is not there is not counted";
  rig.cache().check_invariants();
}

// Small pages all over the only segment, and one is asked for that is as large as half of it.
TEST(EvictionCount, OneAllocationEvictsABoundedNumber) {
  constexpr uint32_t kSpans = 1000;
  constexpr uint32_t kMostInACall = 256;
  StoreRig rig;
  ObjectStore& store = rig.store();
  rig.add_chain(kSpans, 1);
  const auto domain = rig.root().key.domain;
  const auto large = store.pool().size_class(domain, 2 << 20);
  ASSERT_TRUE(large.ok());
  SlotId slot;
  uint64_t evicted = 0;
  auto room = Room::kPending;
  for (uint32_t call = 0; call < kSpans && room == Room::kPending; ++call) {
    room = rig.cache().room().allocate({.size_class = *large, .tenant = rig.root().tenant}, slot);
    EXPECT_LE(rig.inspect().counters().evictions - evicted, kMostInACall);
    EXPECT_GT(rig.inspect().counters().evictions, evicted);
    evicted = rig.inspect().counters().evictions;
  }
  ASSERT_EQ(room, Room::kHave);
  EXPECT_GT(evicted, kMostInACall) << "or nothing was bounded";
  EXPECT_EQ(rig.inspect().counters().evicted_spans, evicted);
  EXPECT_EQ(rig.inspect().counters().spans, kSpans - evicted);
  store.pool().free(slot);
  rig.cache().check_invariants();
}

}  // namespace
}  // namespace quire::cache::eviction_count_test
