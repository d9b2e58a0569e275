#include "cache/tree/prefix_tree.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cstring>
#include <map>
#include <random>
#include <vector>

#include "tests/support/tree_inspector.h"

namespace quire::cache::prefix_tree_test {
namespace {

using model::Hash256;
using model::NodeId;
using model::RootId;
using tests::TreeInspector;

constexpr uint32_t kBlockUnits = 2;

std::unique_ptr<PrefixTree> make_tree(uint64_t max_nodes) {
  return PrefixTree::create(max_nodes, 11).value();
}

Hash256 numbered_key(uint64_t number) {
  Hash256 key;
  std::memcpy(key.bytes.data() + 24, &number, sizeof(number));
  return key;
}

std::vector<NodeId> children(const PrefixTree& tree, NodeId node) {
  std::vector<NodeId> found;
  tree.children(node).for_each([&](NodeId child) { found.push_back(child); });
  return found;
}

TEST(PrefixTree, ChainOfSpansLiesAdjacentInMemory) {
  const auto tree = make_tree(10'000);
  const NodeId root = *tree->add_root(RootId{0});
  NodeId tip = *tree->add(root, NodeKind::kSpan, numbered_key(0), kBlockUnits);
  uint32_t breaks = 0;
  for (uint32_t i = 1; i < 4096; ++i) {
    const NodeId next = *tree->add(tip, NodeKind::kSpan, numbered_key(i), (i + 1) * kBlockUnits);
    breaks += next.value == tip.value + 1 ? 0 : 1;
    tip = next;
  }
  EXPECT_EQ(breaks, 0u);
  tree->check_invariants();
}

TEST(PrefixTree, SessionsThatGrowInTurnKeepTheirRuns) {
  const auto tree = make_tree(10'000);
  const NodeId root = *tree->add_root(RootId{0});
  std::vector<NodeId> tips(4, root);
  uint32_t breaks = 0;
  for (uint32_t i = 0; i < 320; ++i) {
    for (size_t session = 0; session < tips.size(); ++session) {
      const Hash256 key = numbered_key(i * tips.size() + session);
      const NodeId next = *tree->add(tips[session], NodeKind::kSpan, key, (i + 1) * kBlockUnits);
      breaks += next.value == tips[session].value + 1 ? 0 : 1;
      tips[session] = next;
    }
  }
  EXPECT_LE(breaks, 4 * 320u / 16 + 4);  // one at the end of each run of 16
  tree->check_invariants();
}

TEST(PrefixTree, CheckpointLeavesThePlaceBehindItsSpanFree) {
  const auto tree = make_tree(100);
  const NodeId root = *tree->add_root(RootId{0});
  const NodeId span = *tree->add(root, NodeKind::kSpan, numbered_key(0), kBlockUnits);
  ASSERT_TRUE(tree->add(span, NodeKind::kCheckpoint, numbered_key(0), kBlockUnits));
  const NodeId next = *tree->add(span, NodeKind::kSpan, numbered_key(1), 2 * kBlockUnits);
  EXPECT_EQ(next.value, span.value + 1);
  EXPECT_TRUE(TreeInspector(*tree).object(span).may_have_checkpoints);
}

TEST(PrefixTree, Law01_RootKindAndKeyAreAllPartOfTheIdentity) {
  const auto tree = make_tree(100);
  const NodeId first = *tree->add_root(RootId{1});
  const NodeId second = *tree->add_root(RootId{2});
  const Hash256 key = numbered_key(5);
  Hash256 near = key;
  near.bytes[31] ^= 0x80;
  const NodeId span = *tree->add(first, NodeKind::kSpan, key, kBlockUnits);
  EXPECT_EQ(tree->find(RootId{1}, NodeKind::kSpan, key), span);
  EXPECT_FALSE(tree->find(RootId{2}, NodeKind::kSpan, key));
  EXPECT_FALSE(tree->find(RootId{1}, NodeKind::kCheckpoint, key));
  EXPECT_FALSE(tree->find(RootId{1}, NodeKind::kSpan, near));
  const NodeId other = *tree->add(second, NodeKind::kSpan, key, kBlockUnits);
  EXPECT_EQ(tree->find(RootId{2}, NodeKind::kSpan, key), other);
  EXPECT_EQ(tree->find(RootId{1}, NodeKind::kSpan, key), span);
  tree->check_invariants();
}

// Ids 2^30 apart have the same table hash for a key: only the comparison tells them apart.
TEST(PrefixTree, Law13_EqualTableHashOfAnotherRootIsNoHit) {
  const auto tree = make_tree(100);
  const RootId far{1 + (1u << 30)};
  const NodeId root = *tree->add_root(RootId{1});
  const NodeId span = *tree->add(root, NodeKind::kSpan, numbered_key(5), kBlockUnits);
  EXPECT_FALSE(tree->find(far, NodeKind::kSpan, numbered_key(5)));
  EXPECT_EQ(tree->find(RootId{1}, NodeKind::kSpan, numbered_key(5)), span);
  tree->check_invariants();
}

TEST(PrefixTree, BranchNeedsTwoSpansThatCanBeFound) {
  const auto tree = make_tree(100);
  const NodeId root = *tree->add_root(RootId{0});
  EXPECT_FALSE(tree->children(root).is_branch());
  const NodeId left = *tree->add(root, NodeKind::kSpan, numbered_key(0), kBlockUnits);
  ASSERT_TRUE(tree->add(root, NodeKind::kCheckpoint, numbered_key(1), 1));
  ASSERT_TRUE(tree->add(root, NodeKind::kCheckpoint, numbered_key(2), 1));
  EXPECT_FALSE(tree->children(root).is_branch());
  const NodeId right = *tree->add(root, NodeKind::kSpan, numbered_key(3), kBlockUnits);
  EXPECT_TRUE(tree->children(root).is_branch());
  tree->hide(left);
  EXPECT_FALSE(tree->children(root).is_branch());
  tree->check_invariants();
  ASSERT_TRUE(tree->add(root, NodeKind::kSpan, numbered_key(0), kBlockUnits));
  EXPECT_TRUE(tree->children(root).is_branch());
  tree->remove(right);
  EXPECT_FALSE(tree->children(root).is_branch());
  tree->check_invariants();
}

TEST(PrefixTree, HiddenNodeIsNotFoundButKeepsItsPlace) {
  const auto tree = make_tree(100);
  const NodeId root = *tree->add_root(RootId{0});
  const NodeId span = *tree->add(root, NodeKind::kSpan, numbered_key(0), kBlockUnits);
  tree->hide(span);
  EXPECT_FALSE(tree->find(RootId{0}, NodeKind::kSpan, numbered_key(0)));
  EXPECT_TRUE(TreeInspector(*tree).object(span).quarantined);
  EXPECT_FALSE(tree->is_leaf(root));
  const NodeId again = *tree->add(root, NodeKind::kSpan, numbered_key(0), kBlockUnits);
  tree->check_invariants();
  tree->remove(span);
  EXPECT_EQ(tree->find(RootId{0}, NodeKind::kSpan, numbered_key(0)), again);
  tree->check_invariants();
}

TEST(PrefixTree, CheckpointWithOwnerTagIsALeaf) {
  const auto tree = make_tree(100);
  const NodeId root = *tree->add_root(RootId{0});
  const NodeId span = *tree->add(root, NodeKind::kSpan, numbered_key(0), kBlockUnits);
  const NodeId checkpoint = *tree->add(span, NodeKind::kCheckpoint, numbered_key(0), 3);
  TreeInspector(*tree).set_owner_tag(checkpoint, 12345);
  EXPECT_TRUE(tree->is_leaf(checkpoint));
  EXPECT_FALSE(tree->children(checkpoint).is_branch());
  EXPECT_TRUE(children(*tree, checkpoint).empty());
  tree->check_invariants();
  tree->remove(checkpoint);
  EXPECT_TRUE(tree->is_leaf(span));
  tree->check_invariants();
}

TEST(PrefixTree, BoundOnNodesIsExact) {
  const auto tree = make_tree(20);
  const NodeId root = *tree->add_root(RootId{0});
  for (uint32_t i = 1; i < 20; ++i) {
    ASSERT_TRUE(tree->add(root, NodeKind::kSpan, numbered_key(i), kBlockUnits));
  }
  EXPECT_FALSE(tree->add(root, NodeKind::kSpan, numbered_key(99), kBlockUnits));
  EXPECT_FALSE(tree->add(root, NodeKind::kCheckpoint, numbered_key(99), 1));
  EXPECT_FALSE(tree->add_root(RootId{1}));
  EXPECT_EQ(tree->node_count(), 20u);
  tree->check_invariants();
}

TEST(PrefixTreeDeathTest, RemovingASpanThatHoldsOthersIsABug) {
  const auto tree = make_tree(100);
  const NodeId root = *tree->add_root(RootId{0});
  const NodeId span = *tree->add(root, NodeKind::kSpan, numbered_key(0), kBlockUnits);
  EXPECT_DEATH(tree->remove(root), "check failed");
  TreeInspector(*tree).pin(span);
  EXPECT_DEATH(tree->remove(span), "check failed");
}

// Random trees against a map from node to what it was added as.
class TreeModel {
 public:
  explicit TreeModel(uint64_t seed) : random_(seed) {
    for (uint32_t root = 0; root < 3; ++root) {
      const NodeId node = *tree_->add_root(RootId{root});
      nodes_[node.value] = Entry{.root = root, .kind = NodeKind::kRoot};
    }
  }

  void step() {
    const uint32_t node = any_node();
    const Entry entry = nodes_[node];
    const uint64_t choice = random_() % 10;
    if (choice < 5) {
      add_below(node, entry);
    } else if (choice < 9) {
      remove_leaf(node, entry);
    } else if (entry.kind != NodeKind::kRoot && !entry.hidden) {
      tree_->hide(NodeId{node});
      nodes_[node].hidden = true;
    }
  }

  void check() const {
    tree_->check_invariants();
    RC_ASSERT(tree_->node_count() == nodes_.size());
    for (const auto& [node, entry] : nodes_) {
      RC_ASSERT(tree_->is_leaf(NodeId{node}) == (entry.children == 0));
      RC_ASSERT(TreeInspector(*tree_).object(NodeId{node}).units == entry.units);
      RC_ASSERT(children(*tree_, NodeId{node}).size() == entry.children);
      RC_ASSERT(tree_->children(NodeId{node}).is_branch() == (visible_spans(node) >= 2));
      if (entry.kind == NodeKind::kRoot) continue;
      const auto found = tree_->find(RootId{entry.root}, entry.kind, numbered_key(entry.key));
      RC_ASSERT(found.has_value() == !entry.hidden);
      RC_ASSERT(entry.hidden || found->value == node);
    }
  }

 private:
  struct Entry {
    uint32_t root = 0;
    NodeKind kind = NodeKind::kSpan;
    uint64_t key = 0;
    uint32_t units = 0;
    uint32_t parent = 0;
    uint32_t children = 0;
    bool hidden = false;
  };

  uint32_t any_node() {
    return std::next(nodes_.begin(), static_cast<long>(random_() % nodes_.size()))->first;
  }

  void add_below(uint32_t parent, const Entry& above) {
    if (above.kind == NodeKind::kCheckpoint) return;
    const bool span = random_() % 3 != 0;
    const NodeKind kind = span ? NodeKind::kSpan : NodeKind::kCheckpoint;
    const uint32_t units = above.units + (span ? kBlockUnits : random_() % kBlockUnits);
    const auto node = tree_->add(NodeId{parent}, kind, numbered_key(++next_key_), units);
    RC_ASSERT(node.has_value() == (nodes_.size() < kMaxNodes));
    if (!node) return;
    if (!span) TreeInspector(*tree_).set_owner_tag(*node, static_cast<uint32_t>(random_()));
    nodes_[node->value] = Entry{above.root, kind, next_key_, units, parent, 0, false};
    ++nodes_[parent].children;
  }

  void remove_leaf(uint32_t node, const Entry& entry) {
    if (entry.children > 0 || entry.kind == NodeKind::kRoot) return;
    tree_->remove(NodeId{node});
    --nodes_[entry.parent].children;
    nodes_.erase(node);
    if (!entry.hidden) {
      RC_ASSERT(!tree_->find(RootId{entry.root}, entry.kind, numbered_key(entry.key)));
    }
  }

  uint32_t visible_spans(uint32_t parent) const {
    uint32_t count = 0;
    for (const auto& [node, entry] : nodes_) {
      const bool below = entry.parent == parent && entry.kind == NodeKind::kSpan;
      count += below && !entry.hidden ? 1 : 0;
    }
    return count;
  }

  static constexpr uint64_t kMaxNodes = 150;
  std::mt19937_64 random_;
  std::unique_ptr<PrefixTree> tree_ = make_tree(kMaxNodes);
  std::map<uint32_t, Entry> nodes_;
  uint64_t next_key_ = 0;
};

TEST(PrefixTree, BehavesLikeAMapOfParents) {
  rc::check([](uint64_t seed) {
    TreeModel model(seed);
    for (int i = 0; i < 1000; ++i) {
      model.step();
      if (i % 100 == 0) model.check();
    }
    model.check();
  });
}

}  // namespace
}  // namespace quire::cache::prefix_tree_test
