// What a match costs, counted, whatever the layout and whatever others left below its spans.
#include "cache/objects/checkpoint_search.h"

#include <gtest/gtest.h>

#include <vector>

#include "cache/serve/match.h"
#include "cache/tree/layout_table.h"
#include "tests/cache/store_rig.h"
#include "tests/support/tree_inspector.h"

namespace quire::cache::checkpoint_search_test {
namespace {

using model::NodeId;
using model::RootId;

// A tree without pages, under a layout of one-token units.
class CheckpointSearchTest : public testing::Test {
 protected:
  void build(uint32_t block_tokens, uint32_t blocks) {
    model::Layout layout = rig_layout(true);
    layout.unit_tokens = 1;
    layout.block_tokens = block_tokens;
    tree_ = PrefixTree::create(1 << 17, 7).value();
    presence_ = std::make_unique<Presence>(tree_.get(), nullptr, &names_, &work_);
    root_.layout = layouts_.find(*layouts_.add(layout));
    root_.node = *tree_->add_root(kRoot);
    // A unit more than the spans hold: one token is always left to compute.
    for (uint64_t u = 1; u <= uint64_t{block_tokens} * blocks + 1; ++u) {
      hashes_.push_back(StoreRig::key(u));
    }
    NodeId parent = root_.node;
    for (uint32_t b = 1; b <= blocks; ++b) {
      parent = add(parent, NodeKind::kSpan, b * block_tokens, b * block_tokens);
      spans_.push_back(parent);
    }
  }
  NodeId add(NodeId parent, NodeKind kind, uint64_t key, uint32_t units) {
    return *tree_->add(parent, kind, StoreRig::key(key), units);
  }
  // Checkpoints of other prompts, one at each of the first `count` positions behind the span.
  void add_foreign(NodeId span, uint32_t count) {
    for (uint32_t i = 1; i <= count; ++i) {
      add(span, NodeKind::kCheckpoint, next_foreign_++,
          tests::TreeInspector(*tree_).object(span).units + i);
    }
  }
  PrefixMatch match() const {
    const ChainView chain(hashes_.data(), static_cast<uint32_t>(hashes_.size()));
    return find_prefix(*presence_, *tree_, kRoot, root_, chain, chain.count());
  }

  static constexpr RootId kRoot{0};
  LayoutTable layouts_;
  std::unique_ptr<PrefixTree> tree_;
  NamespaceTable names_{&layouts_};
  WorkMeter work_;
  std::unique_ptr<Presence> presence_;
  Root root_;
  std::vector<model::Hash256> hashes_;
  std::vector<NodeId> spans_;
  uint64_t next_foreign_ = uint64_t{1} << 40;
};

TEST_F(CheckpointSearchTest, CostsWhatIsThereAndNotThePositionsOfTheLayout) {
  build(65'536, 4);
  for (const NodeId span : spans_) add_foreign(span, 3);
  add(root_.node, NodeKind::kCheckpoint, 5, 5);
  const PrefixMatch found = match();
  EXPECT_EQ(found.span_units, 4u * 65'536);
  EXPECT_EQ(found.exact_units, 5u) << "the prompt's own, four spans up";
  EXPECT_LT(found.steps, 50u);
}

TEST_F(CheckpointSearchTest, FindsTheDeepestOfThePrompt) {
  build(65'536, 2);
  for (const uint32_t units : {70'000u, 90'000u, 80'000u}) {
    add(spans_[0], NodeKind::kCheckpoint, units, units);
  }
  add_foreign(spans_[0], 100);
  EXPECT_EQ(match().exact_units, 90'000u);
}

TEST_F(CheckpointSearchTest, ProbesPositionsWhereFewerThanCheckpoints) {
  build(4, 2);
  add(spans_[1], NodeKind::kCheckpoint, 8, 8);
  for (int i = 0; i < 10'000; ++i) add_foreign(spans_[1], 1);
  for (int i = 0; i < 10'000; ++i) add_foreign(spans_[0], 1);
  const PrefixMatch found = match();
  EXPECT_EQ(found.exact_units, 8u);
  EXPECT_LT(found.steps, 50u);
}

// Where both are many the search gives up: the hit is shorter, the core is not held up.
TEST_F(CheckpointSearchTest, EndsAtItsBound) {
  build(65'536, 2);
  for (const NodeId span : spans_) add_foreign(span, 30'000);
  const PrefixMatch found = match();
  EXPECT_EQ(found.exact_units, 0u);
  EXPECT_EQ(found.limit, model::MatchLimit::kNoCheckpoint);
  EXPECT_LE(found.steps, CheckpointSearch::kMaxSteps + 50u);
}

TEST_F(CheckpointSearchTest, BranchIsSeenAtOnceAmongManyCheckpoints) {
  build(4, 3);
  tree_->remove(spans_[2]);
  add(spans_[1], NodeKind::kSpan, next_foreign_++, 12);
  for (int i = 0; i < 10'000; ++i) add_foreign(spans_[1], 1);
  const PrefixMatch found = match();
  EXPECT_EQ(found.branch_units, 8u);
  EXPECT_LT(found.steps, 50u);
}

// The other prompt ended inside the block in which both part: no span tells of it, its checkpoint
// does.
TEST_F(CheckpointSearchTest, APromptThatEndedBehindTheSpansPartsThereWithoutASpan) {
  build(4, 3);
  tree_->remove(spans_[2]);
  const NodeId end = add(spans_[1], NodeKind::kCheckpoint, next_foreign_++, 10);
  tree_->marks().set_owner_tag(end, 7);
  const PrefixMatch found = match();
  EXPECT_FALSE(found.diverged) << "what policies are compared by does not depend on checkpoints";
  ASSERT_TRUE(found.lacks_branch);
  EXPECT_TRUE(ended_behind(*tree_, found, 8).found);
  EXPECT_FALSE(ended_behind(*tree_, found, 7).found) << "a conversation's own last turn";
}

TEST_F(CheckpointSearchTest, ATurnEndAtASpansEndIsNoPartingBehindIt) {
  build(4, 3);
  tree_->remove(spans_[2]);
  const NodeId end = add(spans_[1], NodeKind::kCheckpoint, next_foreign_++, 8);
  tree_->marks().set_owner_tag(end, 7);
  EXPECT_FALSE(ended_behind(*tree_, match(), 8).found);
}

TEST_F(CheckpointSearchTest, PartingsAreLookedForWithinABound) {
  build(65'536, 1);
  for (uint32_t i = 0; i < 3 * kMaxEndsLookedAt; ++i) {
    add(root_.node, NodeKind::kCheckpoint, next_foreign_++, 1);
  }
  PrefixMatch found = match();
  found.span_node = root_.node;
  found.span_units = 1;
  EXPECT_EQ(ended_behind(*tree_, found, 8).steps, kMaxEndsLookedAt);
}

}  // namespace
}  // namespace quire::cache::checkpoint_search_test
