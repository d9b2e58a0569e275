// What is in RAM, on SSD, or both (cache/objects/presence.h, object_store.h).
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "tests/cache/store_rig.h"

namespace quire::cache::presence_test {
namespace {

using model::NodeId;

constexpr model::TierId kSsd = model::TierId::kSsd;

TEST(Presence, CopyKeepsItsPlaceInRamAndOnSsd) {
  StoreRig rig;
  const auto chain = rig.add_chain(2, 1);
  ObjectStore& store = rig.store();
  EXPECT_FALSE(rig.inspect().ssd_copy(chain[1]));
  store.gain_copy(chain[1], kSsd, {.slot = 0x3fff'fffd, .generation = 77});
  EXPECT_EQ(rig.inspect().ssd_copy(chain[1])->slot, 0x3fff'fffdu);
  ASSERT_TRUE(rig.meddle().leave_ram(chain[1]));
  EXPECT_FALSE(rig.inspect().in_ram(chain[1]));
  EXPECT_TRUE(rig.inspect().pages(chain[1]).empty());
  EXPECT_EQ(rig.inspect().ssd_copy(chain[1])->slot, 0x3fff'fffdu);
  EXPECT_EQ(rig.inspect().ssd_copy(chain[1])->generation, 77);
  EXPECT_EQ(rig.inspect().counters().ssd_only, 1u);
  EXPECT_EQ(rig.slot_count(), 1u);

  store.make_resident(chain[1], rig.slots(model::FillKind::kSpan, 4));
  EXPECT_TRUE(rig.inspect().in_ram(chain[1]));
  EXPECT_EQ(rig.inspect().ssd_copy(chain[1])->slot, 0x3fff'fffdu);
  rig.cache().check_invariants();
}

TEST(Presence, WhatHasNoCopyOrAPinOrAChildInRamStays) {
  StoreRig rig;
  const auto chain = rig.add_chain(3, 1);
  ObjectStore& store = rig.store();
  EXPECT_FALSE(rig.meddle().leave_ram(chain[2])) << "no copy";
  for (uint32_t i = 0; i < 3; ++i) store.gain_copy(chain[i], kSsd, {.slot = i, .generation = 0});
  EXPECT_FALSE(rig.meddle().leave_ram(chain[1])) << "a child in RAM";
  rig.meddle().pin(chain[2]);
  EXPECT_FALSE(rig.meddle().leave_ram(chain[2])) << "pinned";
  rig.meddle().unpin(chain[2]);
  EXPECT_TRUE(rig.meddle().leave_ram(chain[2]));
  EXPECT_TRUE(rig.meddle().leave_ram(chain[1]));
  EXPECT_TRUE(rig.meddle().leave_ram(chain[0]));
  rig.cache().check_invariants();
}

// Memory is made without losing what the SSD holds, deepest first.
TEST(Presence, EvictionLeavesWhatIsOnSsdPresent) {
  StoreRig rig;
  const auto chain = rig.add_chain(4, 1);
  ObjectStore& store = rig.store();
  for (uint32_t i = 0; i < 2; ++i) store.gain_copy(chain[i], kSsd, {.slot = i, .generation = 0});
  EXPECT_EQ(rig.meddle().evict(), 4u);
  EXPECT_EQ(rig.inspect().counters().spans, 2u) << "the head stays, on SSD";
  EXPECT_EQ(rig.inspect().counters().ram_spans, 0u);
  EXPECT_EQ(rig.inspect().counters().evicted_spans, 2u);
  EXPECT_EQ(rig.inspect().counters().left_ram, 2u);
  EXPECT_TRUE(store.given_up().empty());
  rig.cache().check_invariants();
}

TEST(Presence, DropReportsTheCopyOnce) {
  StoreRig rig;
  const auto chain = rig.add_chain(2, 1);
  ObjectStore& store = rig.store();
  store.gain_copy(chain[0], kSsd, {.slot = 5, .generation = 1});
  store.gain_copy(chain[1], kSsd, {.slot = 6, .generation = 2});
  ASSERT_TRUE(rig.meddle().leave_ram(chain[1]));
  ASSERT_TRUE(store.drop(chain[1], {DepartureCause::kPolicy}));
  ASSERT_EQ(store.given_up().size(), 1u);
  EXPECT_EQ(store.given_up()[0].slot, 6u);
  EXPECT_EQ(store.given_up()[0].units, 4u);
  EXPECT_EQ(store.given_up()[0].unit_step, 2u);
  EXPECT_EQ(rig.inspect().counters().ssd_spans, 1u);
  rig.cache().check_invariants();
}

TEST(Presence, SsdEvictionTakesTheLeastRecentlyUsedLeaf) {
  StoreRig rig;
  ObjectStore& store = rig.store();
  const auto old_chain = rig.add_chain(40, 1);
  const auto new_chain = rig.add_chain(40, 100);
  uint32_t slot = 0;
  for (const auto& chain : {new_chain, old_chain}) {
    for (const NodeId node : chain) store.gain_copy(node, kSsd, {.slot = slot++, .generation = 0});
  }
  rig.meddle().evict();
  rig.meddle().use(old_chain.front());
  rig.meddle().use(new_chain.back());
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(rig.meddle().evict_from_ssd());
  EXPECT_EQ(rig.inspect().counters().spans, 40u);
  EXPECT_TRUE(rig.inspect().find(model::FillKind::kSpan, rig.key(139)));
  EXPECT_FALSE(rig.inspect().find(model::FillKind::kSpan, rig.key(1)));
  rig.cache().check_invariants();
}

TEST(Presence, CopyOfWhatIsInRamIsGivenUpAndTheNodeStays) {
  StoreRig rig;
  const auto chain = rig.add_chain(1, 1);
  ObjectStore& store = rig.store();
  store.gain_copy(chain[0], kSsd, {.slot = 9, .generation = 0});
  ASSERT_TRUE(rig.meddle().evict_from_ssd());
  EXPECT_EQ(rig.inspect().counters().spans, 1u);
  EXPECT_TRUE(rig.inspect().in_ram(chain[0]));
  EXPECT_FALSE(rig.inspect().ssd_copy(chain[0]));
  EXPECT_EQ(store.given_up().size(), 1u);
  rig.cache().check_invariants();
}

// A full SSD takes room from contexts that are wholly in RAM, too.
TEST(Presence, CopiesOfAChainInRamGoDeepestFirst) {
  StoreRig rig;
  const auto chain = rig.add_chain(5, 1);
  ObjectStore& store = rig.store();
  for (uint32_t i = 0; i < 5; ++i) store.gain_copy(chain[i], kSsd, {.slot = i, .generation = 0});
  for (uint32_t i = 5; i > 0; --i) {
    store.given_up().clear();
    ASSERT_TRUE(rig.meddle().evict_from_ssd());
    EXPECT_EQ(store.given_up().at(0).slot, i - 1);
    rig.cache().check_invariants();
  }
  EXPECT_FALSE(rig.meddle().evict_from_ssd());
  EXPECT_EQ(rig.inspect().counters().ram_spans, 5u);
}

// Who pins a node's presence does not care where it is: a session's end keeps no path in RAM.
TEST(Presence, PathOfAPinnedEndLeavesRamFromItsEndOn) {
  StoreRig rig;
  ObjectStore& store = rig.store();
  const auto chain = rig.add_chain(40, 1);
  const Pin tip(&store, chain.back(), PinKind::kPresence);
  EXPECT_EQ(rig.meddle().evict(), 0u) << "no copy, and it must stay present";
  for (uint32_t i = 0; i < 40; ++i) {
    if (i != 20) store.gain_copy(chain[i], kSsd, {.slot = i, .generation = 0});
  }
  Pin resident(&store, chain[30], PinKind::kResidency);
  EXPECT_EQ(rig.meddle().evict(), 9u) << "down to what somebody reads";
  EXPECT_TRUE(rig.inspect().in_ram(chain[30]));
  resident.reset();
  EXPECT_EQ(rig.meddle().evict(), 10u) << "down to what has no copy";
  EXPECT_TRUE(rig.inspect().in_ram(chain[20]));
  EXPECT_TRUE(rig.inspect().in_ram(chain[0]));
  EXPECT_EQ(rig.inspect().counters().spans, 40u);
  rig.cache().check_invariants();
}

// More than the bits of a node hold.
TEST(Presence, ManyPinsAreCountedExactly) {
  StoreRig rig;
  const auto chain = rig.add_chain(1, 1);
  std::vector<Pin> pins;
  for (int i = 0; i < 300; ++i) {
    pins.emplace_back(&rig.store(), chain[0],
                      i % 2 == 0 ? PinKind::kPresence : PinKind::kResidency);
    ASSERT_EQ(rig.inspect().object(chain[0]).pins, pins.size());
  }
  while (!pins.empty()) {
    EXPECT_EQ(rig.meddle().evict(), 0u);
    pins.pop_back();
    ASSERT_EQ(rig.inspect().object(chain[0]).pins, pins.size());
  }
  EXPECT_EQ(rig.meddle().evict(), 1u);
}

TEST(Presence, ManyChildrenInRamAreCountedExactly) {
  StoreRig rig;
  const auto head = rig.add_chain(1, 1);
  ObjectStore& store = rig.store();
  store.gain_copy(head[0], kSsd, {.slot = 0, .generation = 0});
  std::vector<NodeId> children;
  for (uint32_t i = 0; i < 130; ++i) {
    children.push_back(rig.add_span(head[0], 10 + i));
    store.gain_copy(children.back(), kSsd, {.slot = 1 + i, .generation = 0});
  }
  rig.cache().check_invariants();
  for (const NodeId child : children) {
    EXPECT_FALSE(rig.meddle().leave_ram(head[0]));
    ASSERT_TRUE(rig.meddle().leave_ram(child));
    rig.cache().check_invariants();
  }
  EXPECT_TRUE(rig.meddle().leave_ram(head[0]));
}

// Every node a plain record; every call that may move one is compared with it.
class Model {
 public:
  explicit Model(uint64_t seed) : random_(seed) {}

  void step() {
    switch (random_() % 9) {
      case 0:
      case 1:
        return add();
      case 2:
        return copy();
      case 3:
        return leave();
      case 4:
        return bring_back();
      case 5:
        return forget();
      case 6:
        return drop();
      case 7:
        return pin();
      default:
        return give_up_copy();
    }
  }

  void check() {
    rig_.cache().check_invariants();
    uint64_t resident = 0;
    uint64_t copies = 0;
    for (const auto& [id, state] : nodes_) {
      const NodeId node{id};
      resident += state.resident;
      copies += state.slot != 0;
      ASSERT_EQ(rig_.inspect().in_ram(node), state.resident);
      ASSERT_EQ(rig_.inspect().ssd_copy(node).has_value(), state.slot != 0);
      if (state.slot != 0) {
        ASSERT_EQ(rig_.inspect().ssd_copy(node)->slot, state.slot);
      }
    }
    ASSERT_EQ(rig_.inspect().counters().spans, nodes_.size());
    ASSERT_EQ(rig_.inspect().counters().ram_spans, resident);
    ASSERT_EQ(rig_.inspect().counters().ssd_spans, copies);
    ASSERT_EQ(rig_.slot_count(), resident);
  }

  void finish() {
    for (const auto& [id, state] : nodes_) {
      for (uint32_t i = 0; i < state.pins; ++i) rig_.meddle().unpin(NodeId{id});
    }
    // A node without a copy goes when what the SSD holds below it has gone.
    while (rig_.meddle().evict() > 0 || rig_.meddle().evict_from_ssd()) {
    }
    EXPECT_EQ(rig_.inspect().counters().spans, 0u);
    rig_.cache().check_invariants();
  }

 private:
  struct State {
    uint32_t parent = 0;  // node id + 1; 0 = the root
    uint32_t slot = 0;    // of its copy; 0 = none
    uint32_t children = 0;
    uint32_t pins = 0;
    bool resident = true;
  };

  NodeId any() {
    if (nodes_.empty()) return {};
    auto at = nodes_.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(random_() % nodes_.size()));
    return NodeId{at->first};
  }
  bool has_child_in_ram(NodeId node) const {
    for (const auto& [id, state] : nodes_) {
      if (state.parent == node.value + 1 && state.resident) return true;
    }
    return false;
  }
  bool has_child_copy(NodeId node) const {
    for (const auto& [id, state] : nodes_) {
      if (state.parent == node.value + 1 && state.slot != 0) return true;
    }
    return false;
  }
  void erase(NodeId node) {
    const State state = nodes_.at(node.value);
    if (state.parent != 0) --nodes_.at(state.parent - 1).children;
    nodes_.erase(node.value);
  }

  void add() {
    if (nodes_.size() >= 300) return;
    const NodeId parent = random_() % 4 == 0 ? NodeId{} : any();
    const NodeId node = rig_.add_span(parent.valid() ? parent : rig_.root().node, next_number_++);
    ASSERT_TRUE(node.valid());
    nodes_[node.value] = {.parent = parent.valid() ? parent.value + 1 : 0};
    if (parent.valid()) ++nodes_.at(parent.value).children;
  }
  void copy() {
    const NodeId node = any();
    if (!node.valid()) return;
    State& state = nodes_.at(node.value);
    if (!state.resident || state.slot != 0) return;
    state.slot = next_slot_++;
    rig_.store().gain_copy(node, kSsd, {.slot = state.slot, .generation = 0});
  }
  void leave() {
    const NodeId node = any();
    if (!node.valid()) return;
    State& state = nodes_.at(node.value);
    const bool may =
        state.resident && state.slot != 0 && state.pins == 0 && !has_child_in_ram(node);
    ASSERT_EQ(rig_.meddle().leave_ram(node), may);
    if (may) state.resident = false;
  }
  void bring_back() {
    const NodeId node = any();
    if (!node.valid() || nodes_.at(node.value).resident) return;
    const auto slots = rig_.slots(model::FillKind::kSpan, rig_.units(node));
    ASSERT_FALSE(slots.empty());
    rig_.store().make_resident(node, slots);
    nodes_.at(node.value).resident = true;
  }
  void forget() {
    const NodeId node = any();
    if (!node.valid()) return;
    State& state = nodes_.at(node.value);
    if (!state.resident || state.slot == 0) return;
    rig_.store().lose_copy(node, kSsd, {DepartureCause::kRenewed});
    state.slot = 0;
  }
  void drop() {
    const NodeId node = any();
    if (!node.valid()) return;
    const State& state = nodes_.at(node.value);
    const bool may = state.children == 0 && state.pins == 0;
    ASSERT_EQ(rig_.store().drop(node, {DepartureCause::kPolicy}), may);
    if (may) erase(node);
  }
  void pin() {
    const NodeId node = any();
    if (!node.valid()) return;
    State& state = nodes_.at(node.value);
    if (state.pins > 0 && random_() % 2 == 0) {
      --state.pins;
      rig_.meddle().unpin(node);
    } else {
      ++state.pins;
      rig_.meddle().pin(node);
    }
  }
  void give_up_copy() {
    rig_.store().given_up().clear();
    const bool gone = rig_.meddle().evict_from_ssd();
    ASSERT_EQ(rig_.store().given_up().size(), gone ? 1u : 0u);
    if (!gone) return;
    const uint32_t slot = rig_.store().given_up()[0].slot;
    for (auto& [id, state] : nodes_) {
      if (state.slot != slot) continue;
      ASSERT_EQ(state.pins, 0u);
      ASSERT_FALSE(has_child_copy(NodeId{id})) << "deepest first";
      ASSERT_TRUE(state.resident || state.children == 0) << "something depends on it";
      state.slot = 0;
      if (!state.resident) erase(NodeId{id});
      return;
    }
    FAIL() << "a copy nobody knows";
  }

  StoreRig rig_;
  std::mt19937_64 random_;
  std::map<uint32_t, State> nodes_;
  uint64_t next_number_ = 1;
  uint32_t next_slot_ = 1;
};

TEST(Presence, RandomMovesAgreeWithPlainRecords) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    Model model(seed);
    for (int i = 0; i < 1200; ++i) {
      model.step();
      if (i % 20 == 0) model.check();
      ASSERT_FALSE(testing::Test::HasFatalFailure()) << "seed " << seed << " step " << i;
    }
    model.check();
    model.finish();
  }
}

}  // namespace
}  // namespace quire::cache::presence_test
