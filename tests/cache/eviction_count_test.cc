// What makes room is counted, once each and by its kind, and one call makes a bounded amount.
#include <gtest/gtest.h>

#include "tests/cache/store_rig.h"

namespace quire::cache {
namespace {

using model::SlotId;

TEST(EvictionCount, TellsSpansCheckpointsAndWhatIsOnSsdApart) {
  StoreRig rig(true);
  NodeStore& store = rig.store();
  const auto chain = rig.add_chain(2, 1);
  const uint32_t units = rig.link(chain[1]).units + 1;
  const auto pages = rig.slots(NodeKind::kCheckpoint, units);
  ASSERT_TRUE(
      store.add(chain[1], NodeKind::kCheckpoint, StoreRig::key(50), units, pages).has_value());
  store.set_on_ssd(chain[0], {.slot = 0, .generation = 0});
  EXPECT_EQ(store.evictions(), 0u);
  EXPECT_EQ(store.evict(1), 1u);
  EXPECT_EQ(store.counters().evicted_checkpoints, 1u);
  EXPECT_EQ(store.evict(0), 2u);
  EXPECT_EQ(store.counters().evicted_checkpoints, 1u);
  EXPECT_EQ(store.counters().evicted_spans, 1u);
  EXPECT_EQ(store.counters().left_ram, 1u);
  EXPECT_EQ(store.evictions(), 3u);
  EXPECT_EQ(store.evict(0), 0u);
  EXPECT_EQ(store.evictions(), 3u) << "what is not there is not counted";
  store.check_invariants();
}

// Small pages all over the only segment, and one is asked for that is as large as half of it.
TEST(EvictionCount, OneAllocationEvictsABoundedNumber) {
  constexpr uint32_t kSpans = 1000;
  constexpr uint32_t kMostInACall = 256;
  StoreRig rig;
  NodeStore& store = rig.store();
  rig.add_chain(kSpans, 1);
  const auto domain = rig.root().key.domain;
  const auto large = store.pool().size_class(domain, 2 << 20);
  ASSERT_TRUE(large.ok());
  SlotId slot;
  uint64_t evicted = 0;
  auto room = NodeStore::Room::kPending;
  for (uint32_t call = 0; call < kSpans && room == NodeStore::Room::kPending; ++call) {
    room = store.allocate(*large, domain, {}, slot);
    EXPECT_LE(store.evictions() - evicted, kMostInACall);
    EXPECT_GT(store.evictions(), evicted);
    evicted = store.evictions();
  }
  ASSERT_EQ(room, NodeStore::Room::kHave);
  EXPECT_GT(evicted, kMostInACall) << "or nothing was bounded";
  EXPECT_EQ(store.counters().evicted_spans, evicted);
  EXPECT_EQ(store.counters().spans, kSpans - evicted);
  store.pool().free(slot);
  store.check_invariants();
}

}  // namespace
}  // namespace quire::cache
