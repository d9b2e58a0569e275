// Copies on a tier that is shared with others: hints, which count as durable, take no room but
// their node's, and are forgotten when the table of nodes gets full.
#include <gtest/gtest.h>

#include <vector>

#include "tests/cache/store_rig.h"

namespace quire::cache::cluster_copy_test {
namespace {

using model::NodeId;

constexpr model::TierId kRam = model::TierId::kRam;
constexpr model::TierId kSsd = model::TierId::kSsd;
constexpr model::TierId kCluster = model::TierId::kCluster;

class ClusterCopy : public testing::Test {
 protected:
  explicit ClusterCopy(uint64_t max_nodes = StoreRig::kMaxNodes)
      : rig_(StoreRig::with_cluster(max_nodes)) {
    rig_.meddle().make_readable(kSsd);
    rig_.meddle().make_readable(kCluster);
  }
  Presence& presence() { return rig_.store().presence(); }
  const Node& node(NodeId id) { return rig_.store().tree().node(id); }
  // As a search that found it.
  NodeId join(NodeId parent, uint64_t number) {
    bool is_new = false;
    const auto joined = rig_.store().join({.parent = parent,
                                           .kind = NodeKind::kSpan,
                                           .key = StoreRig::key(number),
                                           .units = rig_.units(parent) + 2},
                                          is_new);
    return joined.value_or(NodeId{});
  }
  std::vector<NodeId> join_chain(uint32_t count, uint64_t first_number) {
    std::vector<NodeId> chain;
    NodeId parent = rig_.root().node;
    for (uint32_t i = 0; i < count; ++i) {
      parent = join(parent, first_number + i);
      chain.push_back(parent);
    }
    return chain;
  }
  bool is_known(uint64_t number) {
    return rig_.inspect().find(model::FillKind::kSpan, StoreRig::key(number)).has_value();
  }

  StoreRig rig_;
};

TEST_F(ClusterCopy, IsDurableBelowRam) {
  const auto chain = rig_.add_chain(2, 1);
  ASSERT_EQ(join(rig_.root().node, 1), chain[0]);
  ASSERT_EQ(join(chain[0], 2), chain[1]);
  EXPECT_TRUE(presence().may_leave(chain[1], kRam));
  EXPECT_TRUE(rig_.meddle().leave_ram(chain[1]));
  EXPECT_TRUE(rig_.meddle().leave_ram(chain[0]));
  EXPECT_EQ(rig_.inspect().counters().spans, 2u);
  EXPECT_EQ(presence().count_fastest(kCluster), 2u);
  EXPECT_EQ(presence().source_of(chain[1]), kCluster);
  rig_.cache().check_invariants();
}

TEST_F(ClusterCopy, LetsACopyLeaveTheSsd) {
  const auto chain = rig_.add_chain(1, 1);
  rig_.meddle().put_on_ssd(chain[0], 7);
  join(rig_.root().node, 1);
  ASSERT_TRUE(rig_.meddle().leave_ram(chain[0]));
  EXPECT_EQ(presence().count_fastest(kSsd), 1u);
  ASSERT_TRUE(rig_.meddle().evict_from_ssd());
  ASSERT_EQ(rig_.store().given_up().size(), 1u);
  EXPECT_EQ(rig_.store().given_up()[0].slot, 7u);
  EXPECT_TRUE(is_known(1));
  EXPECT_EQ(presence().count_fastest(kCluster), 1u);
  rig_.cache().check_invariants();
}

TEST_F(ClusterCopy, LeavesWithItsNodeAlone) {
  const auto chain = rig_.add_chain(1, 1);
  join(rig_.root().node, 1);
  EXPECT_FALSE(presence().may_leave(chain[0], kCluster)) << "RAM has it";
  EXPECT_FALSE(rig_.meddle().forget_from_cluster());
  rig_.meddle().put_on_ssd(chain[0], 7);
  ASSERT_TRUE(rig_.meddle().leave_ram(chain[0]));
  EXPECT_FALSE(presence().may_leave(chain[0], kCluster)) << "the SSD has it";
  ASSERT_TRUE(rig_.meddle().evict_from_ssd());
  rig_.cache().check_invariants();
  rig_.store().given_up().clear();
  EXPECT_TRUE(rig_.meddle().forget_from_cluster());
  EXPECT_FALSE(is_known(1));
  EXPECT_TRUE(rig_.store().given_up().empty()) << "nothing is erased";
  rig_.cache().check_invariants();
}

// Some were known, some not; a transfer tells of its copies itself.
TEST_F(ClusterCopy, WhatIsFoundJoinsThePathThatIsKnown) {
  const auto chain = rig_.add_chain(2, 1);
  rig_.store().tree().marks().set_moving(chain[1], true);
  const auto joined = join_chain(4, 1);
  EXPECT_EQ(joined[0], chain[0]);
  EXPECT_TRUE(node(chain[0]).is_in(kCluster));
  EXPECT_EQ(joined[1], chain[1]);
  EXPECT_FALSE(node(chain[1]).is_in(kCluster));
  EXPECT_EQ(node(joined[3]).fastest_tier(), kCluster);
  EXPECT_EQ(rig_.inspect().counters().spans, 4u);
  rig_.store().tree().marks().set_moving(chain[1], false);
  rig_.cache().check_invariants();
  join_chain(4, 1);
  EXPECT_EQ(presence().counts(kCluster).spans, 4u) << "once each, and the one that moved";
  rig_.cache().check_invariants();
}

class FullTable : public ClusterCopy {
 protected:
  static constexpr uint64_t kNodes = 128;
  FullTable() : ClusterCopy(kNodes) {}
  NodeRoom& room() { return rig_.cache().node_room(); }
  uint64_t free_places() { return rig_.store().tree().free_count(); }
};

TEST_F(FullTable, ForgetsTheLeastRecentlyUsedFirst) {
  join_chain(40, 1);
  const auto used = join_chain(40, 100);
  join_chain(40, 200);
  rig_.meddle().use(used.back());
  join_chain(1, 1);
  EXPECT_LT(free_places(), room().spare_count());
  while (room().step(4)) {
  }
  EXPECT_EQ(free_places(), room().spare_count());
  EXPECT_GT(room().forgotten(), 0u);
  EXPECT_FALSE(is_known(40)) << "the end of the one that was used the longest ago";
  EXPECT_TRUE(is_known(1)) << "whole subtrees go, deepest first";
  EXPECT_TRUE(is_known(139));
  EXPECT_TRUE(is_known(239));
  rig_.cache().check_invariants();
}

TEST_F(FullTable, AStepForgetsSoManyAtMost) {
  join_chain(127, 1);
  const uint64_t before = free_places();
  EXPECT_TRUE(room().step(3));
  EXPECT_EQ(free_places(), before + 3);
}

TEST_F(FullTable, WhatIsPinnedOrElsewhereStays) {
  const auto chain = rig_.add_chain(60, 1);
  const auto pinned = join_chain(60, 100);
  rig_.meddle().pin(pinned.back());
  EXPECT_FALSE(room().step(1000));
  EXPECT_LT(free_places(), room().spare_count());
  EXPECT_EQ(room().forgotten(), 0u);
  EXPECT_TRUE(is_known(60));
  EXPECT_TRUE(is_known(159));
  rig_.meddle().unpin(pinned.back());
  rig_.cache().check_invariants();
}

TEST_F(FullTable, WhatIsFoundTakesNotTheLastPlaces) {
  join_chain(127 - 8, 1);
  EXPECT_EQ(free_places(), 8u);
  EXPECT_TRUE(room().make_one());
  EXPECT_EQ(free_places(), 9u);
  EXPECT_TRUE(room().make_one());
  EXPECT_EQ(free_places(), 9u) << "more than half of what is spare is free";
}

}  // namespace
}  // namespace quire::cache::cluster_copy_test
