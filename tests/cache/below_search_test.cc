// What lies below RAM of a path, searched, against a walk over it (cache/serve/below_search.h).
#include "cache/serve/below_search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "tests/cache/store_rig.h"

namespace quire::cache::below_search_test {
namespace {

using model::NodeId;

constexpr uint32_t kBlockUnits = 2;

// Paths of one root, whose keys follow from their nodes' numbers.
class BelowSearchTest : public testing::Test {
 protected:
  struct Span {
    NodeId node;
    uint64_t number = 0;
    size_t parent = 0;  // in spans_; 0 is the root
  };

  BelowSearchTest() { spans_.push_back({rig_.root().node, 0, 0}); }

  size_t add_below(size_t parent) {
    const NodeId node = rig_.add_span(spans_[parent].node, ++numbers_);
    QUIRE_CHECK(node.valid());
    spans_.push_back({node, numbers_, parent});
    return spans_.size() - 1;
  }
  // A chain of so many spans below the root; the first one's index.
  size_t add_chain(uint32_t count) {
    const size_t first = add_below(0);
    for (uint32_t i = 1; i < count; ++i) add_below(spans_.size() - 1);
    return first;
  }
  void copy(size_t index) {
    const Node& node = rig_.store().tree().node(spans_[index].node);
    if (node.is_in_ram() && !node.has_copy_below(model::TierId::kRam)) {
      rig_.meddle().put_on_ssd(spans_[index].node, ++slots_);
    }
  }
  // As an eviction does, or, by force, as the taking of a segment does.
  void leave_ram(size_t index, bool force = false) {
    const NodeId node = spans_[index].node;
    copy(index);
    if (!rig_.inspect().in_ram(node)) return;
    force ? rig_.store().leave_ram(node, {DepartureCause::kPolicy})
          : static_cast<void>(rig_.meddle().leave_ram(node));
  }
  void put_on_cluster(size_t index) {
    bool is_new = false;
    const NodeId parent = spans_[spans_[index].parent].node;
    ASSERT_TRUE(rig_.store().join({.parent = parent,
                                   .kind = NodeKind::kSpan,
                                   .key = StoreRig::key(spans_[index].number),
                                   .units = rig_.units(spans_[index].node)},
                                  is_new));
    ASSERT_FALSE(is_new);
  }
  void copy_in_order() {
    const PrefixTree& tree = rig_.store().tree();
    for (size_t i = 1; i < spans_.size(); ++i) {
      const Node& above = tree.node(spans_[spans_[i].parent].node);
      const Node& node = tree.node(spans_[i].node);
      const bool in_order = above.is_root() || above.is_in(model::TierId::kSsd);
      if (!in_order || !node.is_in_ram() || node.is_in(model::TierId::kSsd)) continue;
      rig_.meddle().put_on_ssd(spans_[i].node, ++slots_);
    }
  }
  void leave_ssd_if_copied(size_t index) {
    constexpr model::TierId kSsd = model::TierId::kSsd;
    const NodeId node = spans_[index].node;
    const bool elsewhere = rig_.store().tree().node(node).has_copy_besides(kSsd);
    if (elsewhere && rig_.store().presence().may_leave(node, kSsd))
      rig_.meddle().take_off_ssd(node);
  }
  void leave_ram_if_copied(size_t index) { (void)rig_.meddle().leave_ram(spans_[index].node); }
  void come_back(size_t index) {
    const NodeId node = spans_[index].node;
    if (rig_.inspect().in_ram(node)) return;
    rig_.store().make_resident(node, rig_.slots(model::FillKind::kSpan, rig_.units(node)));
  }
  // What a client would claim of the path to a span: a hash for each unit.
  std::vector<model::Hash256> chain_to(size_t index) const {
    std::vector<model::Hash256> chain;
    for (; index != 0; index = spans_[index].parent) {
      chain.push_back(StoreRig::key(spans_[index].number));
      chain.push_back(StoreRig::key(1'000'000 + spans_[index].number));
    }
    std::reverse(chain.begin(), chain.end());
    return chain;
  }
  BelowRam search(size_t index, uint32_t have_units = 0) {
    const std::vector<model::Hash256> chain = chain_to(index);
    const ChainView view(chain.data(), static_cast<uint32_t>(chain.size()));
    return BelowSearch(rig_.store(), rig_.root(), view).count(spans_[index].node, have_units);
  }
  // The same by looking at each span.
  BelowRam walk(size_t index, uint32_t have_units) {
    BelowRam all;
    for (; index != 0; index = spans_[index].parent) {
      if (rig_.inspect().in_ram(spans_[index].node)) continue;
      ++all.blocks;
      const uint32_t wanted = rig_.units(spans_[index].node) > have_units ? 1 : 0;
      all.wanted_blocks += wanted;
      const Node& node = rig_.store().tree().node(spans_[index].node);
      if (node.is_in(model::TierId::kSsd)) continue;
      ++all.hint_blocks;
      all.wanted_hint_blocks += wanted;
    }
    return all;
  }
  void expect_as_walked(size_t index, uint32_t have_units) {
    const BelowRam searched = search(index, have_units);
    const BelowRam walked = walk(index, have_units);
    ASSERT_EQ(searched.blocks, walked.blocks) << "to span " << index;
    ASSERT_EQ(searched.wanted_blocks, walked.wanted_blocks) << "have " << have_units;
    if (!rig_.store().presence().is_readable(model::TierId::kSsd)) return;
    ASSERT_EQ(searched.hint_blocks, walked.hint_blocks) << "to span " << index;
    ASSERT_EQ(searched.wanted_hint_blocks, walked.wanted_hint_blocks) << "have " << have_units;
  }
  size_t random_span(std::mt19937& random) { return 1 + random() % (spans_.size() - 1); }

  StoreRig rig_ = StoreRig::with_cluster();
  std::vector<Span> spans_;
  uint64_t numbers_ = 0;
  uint32_t slots_ = 0;
};

TEST_F(BelowSearchTest, AgreesWithAWalkOnTreesThatGrowLeaveAndComeBack) {
  for (uint32_t seed = 1; seed <= 6; ++seed) {
    std::mt19937 random(seed);
    for (int step = 0; step < 400; ++step) {
      const size_t any = spans_.size() == 1 ? 0 : random_span(random);
      switch (random() % 8) {
        case 0:
        case 1:  // grows at its end, so that paths get long
          if (rig_.slot_count() < 900) add_below(spans_.size() - 1);
          break;
        case 2:  // a branch, behind what may be below RAM
          if (rig_.slot_count() < 900 && random() % 4 == 0) add_below(any);
          break;
        case 3:
        case 4:
          for (size_t i = spans_.size() - 1; i > any; --i) leave_ram(i);
          break;
        case 5:
          if (any != 0 && random() % 4 == 0) leave_ram(any, true);
          break;
        case 6:
          if (any != 0) come_back(any);
          break;
        default:  // all of a path, the head first
          for (size_t i = 1; i <= any; ++i) come_back(i);
      }
      if (spans_.size() == 1) continue;
      const size_t end = random() % 2 == 0 ? spans_.size() - 1 : random_span(random);
      const uint32_t units = rig_.units(spans_[end].node);
      ASSERT_NO_FATAL_FAILURE(expect_as_walked(end, random() % (units + 1)));
      if (step % 40 == 0) rig_.cache().check_invariants();
    }
  }
  EXPECT_GT(spans_.size(), 200u);
}

// The SSD holds the heads of some paths, the cluster any part of them.
TEST_F(BelowSearchTest, TellsWhatOnlyTheClusterHas) {
  rig_.meddle().make_readable(model::TierId::kSsd);
  rig_.meddle().make_readable(model::TierId::kCluster);
  uint64_t told = 0;
  for (uint32_t seed = 1; seed <= 6; ++seed) {
    std::mt19937 random(seed);
    for (int step = 0; step < 400; ++step) {
      const size_t any = spans_.size() == 1 ? 0 : random_span(random);
      switch (random() % 6) {
        case 0:
        case 1:
          if (rig_.slot_count() < 900) add_below(random() % 8 == 0 ? any : spans_.size() - 1);
          break;
        case 2:  // everything of a path is found on the cluster
          for (size_t i = any; i != 0; i = spans_[i].parent) put_on_cluster(i);
          break;
        case 3:  // as far as its parent has one, the SSD gets a copy
          copy_in_order();
          break;
        case 4:
          for (size_t i = spans_.size() - 1; i > any; --i) leave_ram_if_copied(i);
          for (size_t i = spans_.size() - 1; i > any; --i) leave_ssd_if_copied(i);
          break;
        default:
          if (any != 0) come_back(any);
      }
      if (spans_.size() == 1) continue;
      const size_t end = random() % 2 == 0 ? spans_.size() - 1 : random_span(random);
      const uint32_t units = rig_.units(spans_[end].node);
      ASSERT_NO_FATAL_FAILURE(expect_as_walked(end, random() % (units + 1)));
      told += search(end).hint_blocks;
      if (step % 40 == 0) rig_.cache().check_invariants();
    }
  }
  EXPECT_GT(told, 1000u);
}

// What the SSD has is read from the cluster while it is off.
TEST_F(BelowSearchTest, CountsForTheClusterWhatTheSsdCannotDeliver) {
  rig_.meddle().make_readable(model::TierId::kSsd);
  rig_.meddle().make_readable(model::TierId::kCluster);
  const size_t first = add_chain(40);
  for (size_t i = first; i < first + 40; ++i) put_on_cluster(i);
  for (size_t i = first; i < first + 30; ++i) {
    rig_.meddle().put_on_ssd(spans_[i].node, ++slots_);
  }
  for (size_t i = first + 39; i >= first + 10; --i) rig_.meddle().leave_ram(spans_[i].node);
  EXPECT_EQ(search(first + 39).blocks, 30u);
  EXPECT_EQ(search(first + 39).hint_blocks, 10u);
  rig_.store().presence().set_state(model::TierId::kSsd, {});
  EXPECT_EQ(search(first + 39).blocks, 30u);
  EXPECT_EQ(search(first + 39).hint_blocks, 30u);
  EXPECT_EQ(search(first + 39, 35 * kBlockUnits).wanted_hint_blocks, 5u);
}

// What the whole is for: ten times the path, a few probes more.
TEST_F(BelowSearchTest, CostsTheLogarithmOfThePath) {
  const size_t first = add_chain(800);
  for (size_t i = spans_.size() - 1; i >= first + 333; --i) leave_ram(i);
  const BelowRam below = search(spans_.size() - 1);
  EXPECT_EQ(below.blocks, 800u - 333);
  EXPECT_LE(below.steps, 16u);
  EXPECT_LE(search(first + 332).steps, 2u) << "all in RAM";
}

// An engine that still holds a prefix goes on behind it.
TEST_F(BelowSearchTest, FindsHolesInTheMiddleOfAPath) {
  const size_t first = add_chain(100);
  for (size_t i = spans_.size() - 1; i >= first + 20; --i) leave_ram(i);
  EXPECT_TRUE(rig_.store().presence().holes(model::TierId::kRam).empty());
  const size_t behind = add_below(spans_.size() - 1);
  EXPECT_EQ(rig_.store().presence().holes(model::TierId::kRam).depth_count(), 1u);
  EXPECT_EQ(search(behind).blocks, 80u);
  EXPECT_LE(search(behind).steps, 32u);
  come_back(behind - 1);
  leave_ram(first + 10, true);
  EXPECT_EQ(search(behind).blocks, 80u);
  expect_as_walked(behind, 30 * kBlockUnits);
  rig_.cache().check_invariants();
}

TEST_F(BelowSearchTest, WalksWhereThereAreHolesAtManyDepths) {
  const size_t first = add_chain(300);
  for (size_t i = first; i < first + 300; i += 2) leave_ram(i, true);
  EXPECT_EQ(rig_.store().presence().holes(model::TierId::kRam).depth_count(), 150u);
  const BelowRam below = search(spans_.size() - 1);
  EXPECT_EQ(below.blocks, 150u);
  EXPECT_GE(below.steps, 300u);
}

// The end was found by its key; then the client's memory changes.
TEST_F(BelowSearchTest, Law06_AChainThatChangesMeanwhileIsWalked) {
  const size_t first = add_chain(60);
  for (size_t i = spans_.size() - 1; i >= first + 17; --i) leave_ram(i);
  std::vector<model::Hash256> chain = chain_to(spans_.size() - 1);
  for (size_t i = 0; i + 1 < chain.size(); ++i) chain[i].bytes[31] ^= 1;
  const ChainView view(chain.data(), static_cast<uint32_t>(chain.size()));
  const NodeId end = spans_.back().node;
  EXPECT_EQ(BelowSearch(rig_.store(), rig_.root(), view).count(end, 0).blocks, 43u);
  EXPECT_EQ(BelowSearch(rig_.store(), rig_.root(), view.first(20)).count(end, 0).blocks, 43u);
}

// A quarantined span keeps its key while the next one with it is already there.
TEST_F(BelowSearchTest, LooksForSpansThatCanBeFound) {
  const size_t first = add_chain(40);
  const size_t held = first + 20;
  rig_.meddle().pin(spans_.back().node);
  rig_.meddle().quarantine(spans_[held].node);
  for (size_t i = held; i < first + 40; ++i) {
    const NodeId again = rig_.add_span(spans_[spans_[i].parent].node, spans_[i].number);
    spans_[i].node = again;
  }
  for (size_t i = spans_.size() - 1; i >= first + 30; --i) leave_ram(i);
  ASSERT_NO_FATAL_FAILURE(expect_as_walked(spans_.size() - 1, 0));
  EXPECT_EQ(search(spans_.size() - 1).blocks, 10u);
}

TEST(HoleTable, TellsTheDepthsOfOneRootDeepestFirst) {
  HoleTable holes;
  for (const uint32_t units : {4u, 10u, 10u, 20u}) holes.add(model::RootId{1}, units);
  holes.add(model::RootId{0}, 30);
  holes.add(model::RootId{2}, 2);
  const auto depths = [&](uint32_t deepest) {
    std::vector<uint32_t> found;
    holes.for_each_depth(model::RootId{1}, deepest, [&](uint32_t units) {
      found.push_back(units);
      return true;
    });
    return found;
  };
  EXPECT_EQ(depths(100), (std::vector<uint32_t>{20, 10, 4}));
  EXPECT_EQ(depths(10), (std::vector<uint32_t>{10, 4}));
  EXPECT_EQ(depths(3), (std::vector<uint32_t>{}));
  holes.remove(model::RootId{1}, 10);
  EXPECT_EQ(holes.count(model::RootId{1}, 10), 1u);
  holes.remove(model::RootId{1}, 10);
  EXPECT_EQ(depths(100), (std::vector<uint32_t>{20, 4}));
}

}  // namespace
}  // namespace quire::cache::below_search_test
