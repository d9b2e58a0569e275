// Positions and locate against the one rule: what match() answers for every shorter prompt.
#include "cache/serve/positions.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "tests/cache/store_rig.h"

namespace quire::cache::positions_test {
namespace {

using model::NodeId;
using model::ResumedHow;
using model::TierId;

constexpr uint32_t kUnit = 4;
constexpr uint32_t kUnitsPerBlock = 2;

// Spans and checkpoints of one chain in a store, some of them on the SSD only.
class PositionsTest : public testing::TestWithParam<bool> {
 protected:
  void build(uint32_t seed) {
    random_.seed(seed);
    rig_ = std::make_unique<StoreRig>(GetParam());
    set_readable(true);
    rig_->cache().reader().set_load_time([](const TierBytes& bytes) { return bytes.sum(); });
    const uint32_t blocks = random_() % 12;
    hashes_.clear();
    for (uint32_t u = 1; u <= kUnitsPerBlock * 14; ++u) hashes_.push_back(StoreRig::key(u));
    NodeId parent = rig_->root().node;
    nodes_.clear();
    for (uint32_t block = 0; block <= blocks; ++block) {
      if (GetParam()) add_checkpoints(parent, block * kUnitsPerBlock);
      if (block == blocks) break;
      parent = add(parent, model::FillKind::kSpan, (block + 1) * kUnitsPerBlock);
    }
    leave_ram();
  }
  void set_readable(bool readable) {
    rig_->store().presence().set_state(TierId::kSsd, {.readable = readable});
  }
  NodeId add(NodeId parent, model::FillKind kind, uint32_t units) {
    nodes_.push_back(rig_->add(kind, parent, units, units));
    QUIRE_CHECK(nodes_.back().valid());
    return nodes_.back();
  }
  void add_checkpoints(NodeId span, uint32_t units) {
    for (uint32_t u = std::max(units, 1u); u < units + kUnitsPerBlock; ++u) {
      if (random_() % 3 == 0) add(span, model::FillKind::kCheckpoint, u);
      if (random_() % 2 != 0) continue;  // another prompt's, at the same place
      foreign_ += 1;
      rig_->add(model::FillKind::kCheckpoint, span, 1'000'000 + foreign_, u);
    }
  }
  // Children first, as far as chance goes.
  void leave_ram() {
    uint32_t slot = 1;
    for (auto node = nodes_.rbegin(); node != nodes_.rend(); ++node) {
      if (random_() % 2 == 0) continue;
      rig_->meddle().put_on_ssd(*node, slot++);
      rig_->meddle().leave_ram(*node);
    }
  }
  ChainView chain() const { return {hashes_.data(), static_cast<uint32_t>(hashes_.size())}; }
  model::MatchResult match(uint32_t prompt_tokens) {
    LeaseHolder holder;
    const auto found =
        rig_->cache().reader().match(rig_->session(), holder, chain(), prompt_tokens);
    QUIRE_CHECK(found.ok());
    if (found->lease != 0) {
      QUIRE_CHECK(rig_->cache().loader().release(holder, model::LeaseId{found->lease}).ok());
    }
    return *found;
  }
  std::vector<model::ResumePosition> positions(uint32_t prompt_tokens, uint32_t most = 100) {
    std::vector<model::ResumePosition> out(most);
    const auto found = rig_->cache().reader().positions(rig_->session(), chain(),
                                                        {.prompt_tokens = prompt_tokens}, out);
    QUIRE_CHECK(found.ok());
    complete_ = found->complete != 0;
    out.resize(found->count);
    return out;
  }

  std::mt19937 random_;
  std::unique_ptr<StoreRig> rig_;
  std::vector<model::Hash256> hashes_;
  std::vector<NodeId> nodes_;
  uint64_t foreign_ = 0;
  bool complete_ = false;
};

TEST_P(PositionsTest, AreWhatSomeShorterPromptWouldMatch) {
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    build(seed);
    const uint32_t prompt = 1 + random_() % (14 * kUnitsPerBlock * kUnit);
    std::map<uint32_t, model::MatchResult> expected;  // by position
    for (uint32_t p = 1; p <= prompt; ++p) {
      const model::MatchResult found = match(p);
      if (found.exact_tokens > 0) expected[found.exact_tokens] = found;
    }
    const auto listed = positions(prompt);
    EXPECT_TRUE(complete_);
    ASSERT_EQ(listed.size(), expected.size());
    auto wanted = expected.rbegin();
    for (const model::ResumePosition& one : listed) {
      EXPECT_EQ(one.tokens, wanted->first) << "the deepest first";
      EXPECT_EQ(one.how, static_cast<uint8_t>(ResumedHow::kExact));
      EXPECT_EQ(one.tier_tokens[TierId::kRam] + one.tier_tokens[TierId::kSsd], one.tokens);
      EXPECT_GE(one.tier_tokens[TierId::kSsd], wanted->second.tokens[TierId::kSsd])
          << "a match does not count the tail that comes with its checkpoint";
      EXPECT_LT(one.tier_tokens[TierId::kSsd],
                wanted->second.tokens[TierId::kSsd] + kUnit * kUnitsPerBlock);
      EXPECT_EQ(one.load_estimate_us, wanted->second.load_estimate_us);
      ++wanted;
    }
    rig_->cache().check_invariants();
  }
}

TEST_P(PositionsTest, ABoundGivesTheDeepestOnes) {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    build(seed);
    const auto all = positions(14 * kUnitsPerBlock * kUnit);
    for (uint32_t most = 0; most <= all.size(); ++most) {
      const auto some = positions(14 * kUnitsPerBlock * kUnit, most);
      ASSERT_EQ(some.size(), most);
      EXPECT_EQ(complete_, most == all.size());
      for (uint32_t i = 0; i < most; ++i) {
        EXPECT_EQ(some[i].tokens, all[i].tokens);
        EXPECT_EQ(some[i].tier_tokens[TierId::kSsd], all[i].tier_tokens[TierId::kSsd]);
      }
    }
  }
}

TEST_P(PositionsTest, WhatTheSsdCannotDeliverIsNoPosition) {
  for (uint32_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    build(seed);
    set_readable(false);
    std::set<uint32_t> expected;
    const uint32_t prompt = 14 * kUnitsPerBlock * kUnit;
    for (uint32_t p = 1; p <= prompt; ++p) expected.insert(match(p).exact_tokens);
    expected.erase(0);
    const auto listed = positions(prompt);
    ASSERT_EQ(listed.size(), expected.size());
    for (const model::ResumePosition& one : listed) {
      EXPECT_TRUE(expected.contains(one.tokens));
      EXPECT_EQ(one.tier_tokens[TierId::kSsd], 0u);
    }
  }
}

TEST_P(PositionsTest, LocateCountsSpansByTheirTier) {
  for (uint32_t seed = 1; seed <= 40; ++seed) {
    build(seed);
    uint32_t spans = 0;
    uint32_t on_ssd = 0;
    for (const NodeId node : nodes_) {
      if (!rig_->store().tree().node(node).is_span()) continue;
      ++spans;
      on_ssd += rig_->inspect().in_ram(node) ? 0 : 1;
    }
    const auto located = rig_->cache().reader().locate(rig_->session().root, chain());
    ASSERT_TRUE(located.ok());
    EXPECT_EQ(located->span_tokens, spans * kUnitsPerBlock * kUnit);
    EXPECT_EQ(located->tokens[TierId::kSsd], on_ssd * kUnitsPerBlock * kUnit);
    EXPECT_EQ(located->tokens[TierId::kRam], located->span_tokens - located->tokens[TierId::kSsd]);
    const auto deepest = positions(14 * kUnitsPerBlock * kUnit + 1);
    EXPECT_EQ(located->exact_tokens, deepest.empty() ? 0 : deepest[0].tokens);
  }
}

INSTANTIATE_TEST_SUITE_P(, PositionsTest, testing::Bool(), [](const auto& with_checkpoints) {
  return with_checkpoints.param ? "Checkpoints" : "AppendOnly";
});

// Many checkpoints of one path: the search is bounded, and says when it stopped.
TEST(Positions, Law10_ASearchThatIsSpentSaysSo) {
  const model::Layout layout = rig_layout(true);
  const auto tree = PrefixTree::create(1 << 16, 7).value();
  LayoutTable layouts;
  Root root;
  root.layout = layouts.find(*layouts.add(layout));
  root.node = *tree->add_root(model::RootId{0});
  std::vector<model::Hash256> hashes;
  for (uint32_t u = 1; u <= 20'000; ++u) hashes.push_back(StoreRig::key(u));
  const ChainView chain(hashes.data(), static_cast<uint32_t>(hashes.size()));
  NodeId parent = root.node;
  for (uint32_t u = 2; u <= 20'000; u += 2) {
    parent = *tree->add(parent, NodeKind::kSpan, StoreRig::key(u), u);
    ASSERT_TRUE(tree->add(parent, NodeKind::kCheckpoint, StoreRig::key(u), u));
  }
  NamespaceTable names(&layouts);
  WorkMeter work;
  const Presence presence(tree.get(), nullptr, &names, &work);
  CheckpointSearch search(presence, *tree, chain, 100);
  uint32_t found = 0;
  for (NodeId node = parent; node != root.node; node = tree->parent(node)) {
    found += search.below(node, 20'000).valid() ? 1 : 0;
  }
  EXPECT_TRUE(search.is_spent());
  EXPECT_EQ(search.steps(), 100u);
  EXPECT_LE(found, 100u);
  EXPECT_GE(found, 50u);
}

}  // namespace
}  // namespace quire::cache::positions_test
