// What an operator evicts by name: exactly what is meant, deepest first, nothing that is held; and
// a dry run says beforehand what would go.
#include "cache/content/content_sweep.h"

#include <gtest/gtest.h>

#include "tests/cache/store_rig.h"

namespace quire::cache::content_sweep_test {
namespace {

using model::Errc;
using model::NodeId;
using model::TierId;

constexpr uint64_t kPageBytes = 4096;

class ContentSweepTest : public testing::Test {
 protected:
  void TearDown() override { rig_.cache().check_invariants(); }

  ContentSweep& sweep() { return rig_.cache().sweep(); }
  ContentCounts run(const ContentScope& scope, bool go) {
    EXPECT_TRUE(sweep().start(scope, go).ok());
    while (sweep().step(64)) {
    }
    return sweep().counts();
  }
  // As the dry run says, so it goes.
  ContentCounts plan_and_go(const ContentScope& scope) {
    const tests::CacheCounters before = rig_.inspect().counters();
    const ContentCounts planned = run(scope, false);
    EXPECT_EQ(rig_.inspect().counters().spans, before.spans) << "a dry run changes nothing";
    EXPECT_EQ(rig_.inspect().counters().ram_spans, before.ram_spans);
    EXPECT_EQ(rig_.inspect().counters().ssd_spans, before.ssd_spans);
    const ContentCounts gone = run(scope, true);
    EXPECT_EQ(planned.matching_objects + 0, gone.matching_objects + 0);
    EXPECT_EQ(planned.objects + 0, gone.objects + 0);
    EXPECT_EQ(planned.bytes + 0, gone.bytes + 0);
    EXPECT_EQ(planned.lost_objects + 0, gone.lost_objects + 0);
    EXPECT_EQ(planned.pinned_objects + 0, gone.pinned_objects + 0);
    EXPECT_EQ(planned.needed_objects + 0, gone.needed_objects + 0);
    return gone;
  }
  bool is_there(NodeId node) { return rig_.store().tree().node(node).is_object(); }
  void put_on_ssd(const std::vector<NodeId>& nodes) {
    for (const NodeId node : nodes) rig_.meddle().put_on_ssd(node, next_slot_++);
  }

  StoreRig rig_;
  uint32_t next_slot_ = 1;
};

TEST_F(ContentSweepTest, EverythingOfATierGoesInOnePassWhateverTheOrderOfIds) {
  const auto path = rig_.add_chain(100, 1000);
  for (uint32_t i = 0; i < 100; i += 7) rig_.add_span(path[i], 5000 + i);
  const ContentCounts gone = plan_and_go({});
  EXPECT_EQ(gone.objects, 115u);
  EXPECT_EQ(gone.bytes, 115 * kPageBytes);
  EXPECT_EQ(gone.lost_objects, 115u) << "there was no copy";
  EXPECT_EQ(rig_.inspect().counters().spans, 0u);
}

TEST_F(ContentSweepTest, WhatIsPinnedStaysAndWhatItNeeds) {
  const auto path = rig_.add_chain(10, 1000);
  const NodeId branch = rig_.add_span(path[2], 5000);
  rig_.meddle().pin(path[5]);
  const ContentCounts gone = plan_and_go({});
  EXPECT_EQ(gone.matching_objects, 11u);
  EXPECT_EQ(gone.objects, 5u) << "four below it, and the branch";
  EXPECT_EQ(gone.pinned_objects, 1u);
  EXPECT_EQ(gone.needed_objects, 5u);
  EXPECT_TRUE(is_there(path[5]));
  EXPECT_FALSE(is_there(path[6]));
  EXPECT_FALSE(is_there(branch));
  rig_.meddle().unpin(path[5]);
}

TEST_F(ContentSweepTest, FromRamWhatHasACopyStaysBelow) {
  const auto path = rig_.add_chain(10, 1000);
  put_on_ssd({path.begin(), path.begin() + 6});
  const ContentCounts gone = plan_and_go({});
  EXPECT_EQ(gone.objects, 10u);
  EXPECT_EQ(gone.lost_objects, 4u);
  EXPECT_EQ(gone.lost_bytes, 4 * kPageBytes);
  for (uint32_t i = 0; i < 6; ++i) {
    EXPECT_TRUE(is_there(path[i]));
    EXPECT_FALSE(rig_.inspect().in_ram(path[i]));
  }
}

TEST_F(ContentSweepTest, FromTheSsdGoCopiesAndWhatIsInRamStays) {
  const auto path = rig_.add_chain(10, 1000);
  put_on_ssd(path);
  for (uint32_t i = 10; i > 6; --i) ASSERT_TRUE(rig_.meddle().leave_ram(path[i - 1]));
  const ContentCounts gone = plan_and_go({.tier = TierId::kSsd});
  EXPECT_EQ(gone.objects, 10u);
  EXPECT_EQ(gone.lost_objects, 4u) << "what was there only";
  EXPECT_EQ(rig_.inspect().counters().ssd_spans, 0u);
  for (uint32_t i = 0; i < 6; ++i) EXPECT_TRUE(rig_.inspect().in_ram(path[i]));
}

// A hole: its end is in RAM alone, so what is only below has to stay.
TEST_F(ContentSweepTest, FromTheSsdNothingGoesThatRamNeeds) {
  const auto path = rig_.add_chain(3, 1000);
  put_on_ssd({path.begin(), path.begin() + 2});
  ASSERT_TRUE(rig_.meddle().drop(path[2]));
  ASSERT_TRUE(rig_.meddle().leave_ram(path[1]));
  const NodeId end = rig_.add_span(path[1], 7000);
  const ContentCounts gone = plan_and_go({.tier = TierId::kSsd});
  EXPECT_EQ(gone.objects, 0u);
  EXPECT_EQ(gone.needed_objects, 2u);
  EXPECT_TRUE(rig_.inspect().in_ram(end));
}

TEST_F(ContentSweepTest, OnlyWhoIsNamedLosesSomething) {
  CacheSession other;
  RootKey key = rig_.root().key;
  key.tenant = "acme";
  key.namespace_name = "second";
  ASSERT_TRUE(rig_.cache().open_session(key, 1, other).ok());
  tests::ObjectMaker maker(rig_.cache());
  const NodeId theirs = maker.make_now({.root = other.root,
                                        .parent = rig_.cache().names().root(other.root).node,
                                        .kind = model::FillKind::kSpan,
                                        .hash = StoreRig::key(1),
                                        .units = 2});
  ASSERT_TRUE(theirs.valid());
  const auto path = rig_.add_chain(3, 1000);
  const auto objects = [&](const ContentScope& scope) { return run(scope, false).objects + 0; };
  EXPECT_EQ(objects({}), 4u);
  EXPECT_EQ(objects({.domain = "uid:1"}), 4u);
  EXPECT_EQ(objects({.domain = "uid:2"}), 0u);
  EXPECT_EQ(objects({.domain = "uid:1", .tenant = ""}), 3u);
  EXPECT_EQ(objects({.domain = "uid:1", .tenant = "acme"}), 1u);
  EXPECT_EQ(objects({.namespace_name = "model"}), 3u);
  EXPECT_EQ(objects({.namespace_name = "none"}), 0u);
  EXPECT_EQ(run({.domain = "uid:1", .tenant = "acme", .namespace_name = "second"}, true).objects,
            1u);
  EXPECT_FALSE(is_there(theirs));
  EXPECT_TRUE(is_there(path.back()));
  rig_.cache().close_session(other);
}

// A use of a path is one of its end, which keeps what stands before it.
TEST_F(ContentSweepTest, WhatWasUsedSinceStaysWithItsPath) {
  rig_.cache().board().set_now(1'000'000);
  const auto path = rig_.add_chain(6, 1000);
  const auto other = rig_.add_chain(3, 2000);
  rig_.cache().board().set_now(61'000'000);
  rig_.meddle().use(path[3]);
  const ContentCounts gone = plan_and_go({.unused_us = 30'000'000});
  EXPECT_EQ(gone.matching_objects, 8u) << "all but the one that was used";
  EXPECT_EQ(gone.objects, 5u);
  EXPECT_EQ(gone.needed_objects, 3u);
  EXPECT_TRUE(is_there(path[3]));
  EXPECT_FALSE(is_there(path[4]));
  EXPECT_FALSE(is_there(other[0]));
  EXPECT_EQ(run({.unused_us = 3600'000'000}, true).objects, 0u) << "nothing is so old";
}

TEST_F(ContentSweepTest, GoesInBoundedStepsOneAtATime) {
  const auto path = rig_.add_chain(300, 1000);
  ASSERT_TRUE(sweep().start({}, true).ok());
  EXPECT_EQ(sweep().start({}, false).code(), Errc::kBusy);
  uint32_t steps = 0;
  for (bool more = true; more; ++steps) {
    const uint64_t before = rig_.inspect().steps();
    more = sweep().step(64);
    EXPECT_LE(rig_.inspect().steps() - before, 64 + 1 + ContentSweep::kGoCost + 2)
        << "one object more than the budget";
    ASSERT_LT(steps, 10'000u);
  }
  EXPECT_GT(steps, 300 * ContentSweep::kGoCost / 64);
  EXPECT_FALSE(is_there(path.front()));
  EXPECT_EQ(sweep().start({.tier = TierId::kCluster}, true).code(), Errc::kInvalidArgument);
}

// Between two steps paths go and come: what the sweep has in hand may be gone, or another's.
TEST_F(ContentSweepTest, TheTreeMayChangeBetweenTwoSteps) {
  uint64_t number = 1000;
  for (uint32_t round = 0; round < 60; ++round) {
    rig_.add_chain(20, number += 100);
    rig_.add_chain(20, number += 100);
    ASSERT_TRUE(sweep().start({}, round % 2 == 1).ok());
    for (uint32_t i = 0; sweep().step(1 + (round * 31 + i * 7) % 40); ++i) {
      if (i % 3 == 0) rig_.meddle().evict(1);
      if (i % 4 == 0 && i < 40) rig_.add_chain(2, number += 100);
    }
    rig_.cache().check_invariants();
  }
}

}  // namespace
}  // namespace quire::cache::content_sweep_test
