// Candidates by tier, and the switch of a policy on a cache at work.
#include "cache/eviction/eviction_board.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "tests/cache/store_rig.h"

namespace quire::cache::eviction_board_test {
namespace {

using model::DomainId;
using model::NodeId;
using model::TierId;

constexpr TierId kRam = TierId::kRam;
constexpr TierId kSsd = TierId::kSsd;

Owner own(StoreRig& rig) { return {.domain = rig.root().key.domain, .tenant = {}}; }

std::vector<NodeId> add_roots(StoreRig& rig, uint32_t count) {
  std::vector<NodeId> nodes;
  for (uint32_t i = 0; i < count; ++i) nodes.push_back(rig.add_span(rig.root().node, 100 + i));
  return nodes;
}

// In the order in which they go.
std::vector<NodeId> drain(StoreRig& rig) {
  std::vector<NodeId> order;
  for (;;) {
    const NodeId next = rig.cache().board().choose(kRam, own(rig));
    if (!next.valid()) return order;
    order.push_back(next);
    EXPECT_TRUE(rig.store().drop(next, {DepartureCause::kPolicy}));
  }
}

void finish_switch(StoreRig& rig, uint32_t at_once) {
  while (rig.cache().board().step(at_once)) rig.cache().check_invariants();
}

TEST(EvictionBoard, ChoiceOnlyLooks) {
  StoreRig rig;
  const auto nodes = add_roots(rig, 3);
  EvictionBoard& board = rig.cache().board();
  EXPECT_EQ(board.choose(kRam, own(rig)), nodes[0]);
  EXPECT_EQ(board.choose(kRam, own(rig)), nodes[0]);
  EXPECT_FALSE(board.choose(kRam, Owner{.domain = DomainId{7}}).valid())
      << "a domain that is not known";
  EXPECT_FALSE(board.choose(TierId::kCluster, Owner{.domain = DomainId{0}}).valid())
      << "a tier that is not there";
}

TEST(EvictionBoard, PinnedSinceItWasOfferedIsPassedOverAndOfferedAgain) {
  StoreRig rig;
  const auto nodes = add_roots(rig, 2);
  EvictionBoard& board = rig.cache().board();
  Pin pin(&rig.store(), nodes[0], PinKind::kPresence);
  EXPECT_EQ(board.choose(kRam, own(rig)), nodes[1]);
  pin.reset();
  EXPECT_EQ(board.choose(kRam, own(rig)), nodes[0]) << "with its old time of use";
}

TEST(EvictionBoard, RunsOfATierGoByTheirLatestUseDeepestFirst) {
  StoreRig rig;
  const auto first = rig.add_chain(16, 1);
  const auto second = rig.add_chain(16, 100);
  uint32_t slot = 0;
  for (const auto& chain : {second, first}) {
    for (const NodeId node : chain) {
      rig.store().gain_copy(node, kSsd, {.slot = slot++, .generation = 0});
    }
  }
  rig.meddle().use(first.back());
  EvictionBoard& board = rig.cache().board();
  for (size_t i = 16; i > 0; --i) {
    ASSERT_EQ(board.choose(kSsd, {}), second[i - 1]);
    ASSERT_TRUE(rig.meddle().evict_from_ssd());
  }
  EXPECT_EQ(board.choose(kSsd, {}), first[15]);
}

// A policy by frequency would else take the trunk of many conversations for something that nobody
// uses.
TEST(EvictionBoard, TrunkWasUsedAsOftenAsItsBranchesTogether) {
  StoreRig rig;
  ASSERT_TRUE(rig.cache().board().set_policy(kRam, own(rig), "lfuda").ok());
  finish_switch(rig, 7);
  const NodeId trunk = rig.add_span(rig.root().node, 1);
  const NodeId other = rig.add_span(rig.root().node, 2);
  for (int i = 0; i < 3; ++i) rig.meddle().use(other);
  for (uint64_t branch = 10; branch < 12; ++branch) {
    const NodeId child = rig.add_span(trunk, branch);
    rig.cache().board().used_path(child);
    rig.cache().board().used_path(child);
    ASSERT_TRUE(rig.meddle().drop(child));
  }
  const std::vector<NodeId> order = drain(rig);
  EXPECT_EQ(order, (std::vector<NodeId>{other, trunk})) << "three uses, and four";
}

// Of a path longer than what a match notes: its beginning hears of it, block by block.
TEST(EvictionBoard, StartOfALongPathWasUsedAsOftenAsItsEnd) {
  StoreRig rig;
  ASSERT_TRUE(rig.cache().board().set_policy(kRam, own(rig), "lfuda").ok());
  finish_switch(rig, 7);
  const std::vector<NodeId> path = rig.add_chain(100, 1);
  for (int i = 0; i < 3; ++i) rig.cache().board().used_path(path.back());
  for (size_t i = path.size(); i > 1; --i) ASSERT_TRUE(rig.meddle().drop(path[i - 1]));
  const NodeId other = rig.add_span(rig.root().node, 500);
  rig.meddle().use(other);
  EXPECT_EQ(rig.cache().board().choose(kRam, own(rig)), other) << "one use, and three";
}

TEST(EvictionBoard, CopyIsAsOldAsTheUseOfItsPagesInRam) {
  StoreRig rig;
  const auto old_node = rig.add_chain(16, 1);
  const auto new_node = rig.add_chain(16, 100);
  for (const NodeId node : new_node) rig.store().gain_copy(node, kSsd, {.slot = node.value});
  for (const NodeId node : old_node) rig.store().gain_copy(node, kSsd, {.slot = node.value});
  EXPECT_EQ(rig.cache().board().choose(kSsd, {}), old_node.back());
}

TEST(EvictionBoard, PausedPathLeavesRamFirstAndKeepsItsCopies) {
  StoreRig rig;
  const auto old_chain = rig.add_chain(16, 1);
  const auto new_chain = rig.add_chain(16, 100);
  for (const auto& chain : {old_chain, new_chain}) {
    for (const NodeId node : chain) rig.store().gain_copy(node, kSsd, {.slot = node.value});
  }
  rig.cache().board().pause_path(new_chain.back());
  EXPECT_EQ(rig.cache().board().choose(kRam, own(rig)), new_chain.back());
  EXPECT_EQ(rig.cache().board().choose(kSsd, {}), old_chain.back());
  rig.cache().board().done_with(new_chain.back());
  EXPECT_EQ(rig.cache().board().choose(kSsd, {}), new_chain.back());
}

TEST(EvictionBoard, UnknownPolicyIsRefusedWithTheNamesThatThereAre) {
  StoreRig rig;
  const auto refused = rig.cache().board().set_policy(kRam, own(rig), "best");
  EXPECT_EQ(refused.code(), model::Errc::kInvalidArgument);
  EXPECT_NE(refused.error().text.find("s3fifo"), std::string::npos);
  EXPECT_EQ(rig.cache().board().policy_of(kRam, own(rig)), "lru");
}

TEST(EvictionBoard, OneSwitchAtATime) {
  StoreRig rig;
  add_roots(rig, 3);
  EvictionBoard& board = rig.cache().board();
  const DomainId domain = rig.root().key.domain;
  ASSERT_TRUE(board.set_policy(kRam, {domain, {}}, "arc").ok());
  EXPECT_EQ(board.set_policy(kRam, {domain, {}}, "lru").code(), model::Errc::kBusy);
  finish_switch(rig, 1);
  EXPECT_TRUE(board.set_policy(kRam, {domain, {}}, "lru").ok());
}

// A user's id is given to the next one when nothing is left of it; its policy is not.
TEST(EvictionBoard, WhoIsInChargeOfNothingIsHandedOutToBeFreed) {
  StoreRig rig;
  add_roots(rig, 10);
  EvictionBoard& board = rig.cache().board();
  ASSERT_TRUE(board.set_policy(kRam, own(rig), "arc").ok());
  EXPECT_TRUE(board.step(5));
  EXPECT_TRUE(board.take_retired().empty()) << "it orders those that have not moved";
  finish_switch(rig, 5);
  EXPECT_EQ(board.take_retired().size(), 1u);
  EXPECT_TRUE(board.take_retired().empty());
}

TEST(EvictionBoard, DomainThatTakesAnIdOverBeginsWithTheTiersPolicy) {
  StoreRig rig;
  EvictionBoard& board = rig.cache().board();
  DomainId last;
  while (rig.cache().names().domain_count() < kMaxDomains) {
    last = rig.cache()
               .add_domain("user:" + std::to_string(rig.cache().names().domain_count()))
               .value();
    ASSERT_TRUE(board.set_policy(kRam, {last, {}}, "arc").ok());
  }
  finish_switch(rig, 1);
  ASSERT_EQ(board.policy_of(kRam, {last, {}}), "arc");
  const DomainId taken = rig.cache().add_domain("uid:1000").value();
  EXPECT_EQ(rig.cache().names().domain_name(taken), "uid:1000");
  EXPECT_EQ(board.policy_of(kRam, {taken, {}}), "lru");
}

// From LRU to LRU by way of the others: nothing of the order is lost, however small the steps.
TEST(EvictionBoard, SwitchCarriesTheOrderOver) {
  for (const NamedPolicy& between : all_policies()) {
    StoreRig rig;
    const auto nodes = add_roots(rig, 100);
    std::vector<NodeId> expected;
    for (size_t i = 0; i < nodes.size(); i += 2) rig.meddle().use(nodes[nodes.size() - 1 - i]);
    for (size_t i = 0; i < nodes.size(); i += 2) expected.push_back(nodes[i]);
    for (size_t i = 0; i < nodes.size(); i += 2) {
      expected.push_back(nodes[nodes.size() - 1 - i]);
    }
    EvictionBoard& board = rig.cache().board();
    ASSERT_TRUE(board.set_policy(kRam, own(rig), between.name).ok());
    finish_switch(rig, 7);
    EXPECT_EQ(board.policy_of(kRam, own(rig)), between.name);
    ASSERT_TRUE(board.set_policy(kRam, own(rig), "lru").ok());
    finish_switch(rig, 7);
    EXPECT_EQ(drain(rig), expected) << between.name;
  }
}

// Commits, uses, pins, evictions and copies between the steps of switch after switch: whatever may
// leave can always be chosen, by the old policy or by the new one.
TEST(EvictionBoard, CandidatesSurviveSwitchesUnderWork) {
  std::mt19937_64 random(11);
  StoreRig rig;
  EvictionBoard& board = rig.cache().board();
  std::vector<NodeId> tips{rig.root().node};
  uint32_t slot = 0;
  size_t switches = 0;
  for (uint64_t i = 0; i < 6000; ++i) {
    const auto present = rig.inspect().objects();
    const NodeId node = present.empty() ? NodeId{} : present[random() % present.size()];
    switch (random() % 6) {
      case 0:
      case 1:
        if (present.size() < 200) {
          rig.add_span(node.valid() && random() % 3 != 0 ? node : rig.root().node, 1000 + i);
        }
        break;
      case 2:
        if (node.valid()) rig.meddle().use(node);
        break;
      case 3:
        if (node.valid() && rig.inspect().in_ram(node) && !rig.inspect().ssd_copy(node)) {
          rig.store().gain_copy(node, kSsd, {.slot = ++slot, .generation = 0});
        }
        break;
      case 4:
        rig.meddle().evict(1);
        break;
      default:
        rig.meddle().evict_from_ssd();
    }
    if (!board.step(3)) {
      const auto& names = all_policies();
      const TierId tier = random() % 2 == 0 ? kRam : kSsd;
      switches += board.set_policy(tier, tier == kRam ? own(rig) : Owner{},
                                   names[random() % names.size()].name)
                          .ok()
                      ? 1
                      : 0;
    }
    if (i % 50 == 0) rig.cache().check_invariants();
  }
  EXPECT_GT(switches, 20u);
  while (rig.meddle().evict() > 0 || rig.meddle().evict_from_ssd()) {
  }
  EXPECT_EQ(rig.inspect().counters().spans, 0u);
}

}  // namespace
}  // namespace quire::cache::eviction_board_test
