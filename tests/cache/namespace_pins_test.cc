// What an operator keeps in RAM: the table of pins, and what becomes of objects on a cache at work.
#include "cache/accounts/namespace_pins.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/cache/store_rig.h"

namespace quire::cache::namespace_pins_test {
namespace {

using model::Errc;
using model::NodeId;
using model::TierId;

constexpr TierId kRam = TierId::kRam;
constexpr uint64_t kPage = 4096;

PinName name_of(const std::string& space, std::optional<std::string> tenant = std::nullopt) {
  return {.domain = "uid:1", .tenant = std::move(tenant), .namespace_name = space};
}

NamespacePin pin_of(const PinName& name, uint64_t budget) {
  return {.name = name, .budget_bytes = budget};
}

TEST(NamespacePins, BudgetsTogetherAreAtMostHalfOfRam) {
  NamespacePins pins;
  pins.set_capacity(1000);
  ASSERT_TRUE(pins.set(pin_of(name_of("a"), 300)).ok());
  EXPECT_EQ(pins.free_bytes(), 200u);
  const auto refused = pins.set(pin_of(name_of("b"), 201));
  EXPECT_EQ(refused.code(), Errc::kResourceExhausted);
  EXPECT_NE(refused.error().text.find("500 bytes"), std::string::npos) << refused.error().text;
  EXPECT_NE(refused.error().text.find("left 200"), std::string::npos) << refused.error().text;
  EXPECT_TRUE(pins.set(pin_of(name_of("b"), 200)).ok());
  EXPECT_TRUE(pins.set(pin_of(name_of("a"), 100)).ok()) << "its own budget is not in its way";
  EXPECT_TRUE(pins.set(pin_of(name_of("a"), 300)).ok());
  EXPECT_EQ(pins.free_bytes(), 0u);
}

TEST(NamespacePins, WhatMakesNoSenseIsRefused) {
  NamespacePins pins;
  EXPECT_EQ(pins.set(pin_of({.domain = "", .tenant = {}, .namespace_name = "a"}, 1)).code(),
            Errc::kInvalidArgument);
  EXPECT_EQ(pins.set(pin_of(name_of("a"), 0)).code(), Errc::kInvalidArgument);
  EXPECT_EQ(pins.clear(name_of("a")).code(), Errc::kNotFound);
  EXPECT_FALSE(pins.any_live());
  EXPECT_EQ(pins.version(), 0u) << "nothing has to be looked up";
}

TEST(NamespacePins, TableIsBoundedAndEndingOnesKeepTheirPlaces) {
  NamespacePins pins;
  for (size_t i = 0; i < kMaxPins; ++i) {
    ASSERT_TRUE(pins.set(pin_of(name_of(std::to_string(i)), 1)).ok());
  }
  EXPECT_EQ(pins.set(pin_of(name_of("one more"), 1)).code(), Errc::kResourceExhausted);
  EXPECT_TRUE(pins.set(pin_of(name_of("7"), 2)).ok()) << "it has a place";
  ASSERT_TRUE(pins.clear(name_of("7")).ok());
  EXPECT_EQ(pins.set(pin_of(name_of("one more"), 1)).code(), Errc::kResourceExhausted)
      << "objects may be known by its place still";
  pins.drop_ended();
  EXPECT_TRUE(pins.set(pin_of(name_of("one more"), 1)).ok());
}

TEST(NamespacePins, WhoNamesTheTenantGoesBeforeWhoNamesAll) {
  NamespacePins pins;
  ASSERT_TRUE(pins.set(pin_of(name_of("a"), 1)).ok());
  ASSERT_TRUE(pins.set(pin_of(name_of("a", "t"), 2)).ok());
  EXPECT_EQ(pins.at(pins.find("uid:1", "t", "a")).budget_bytes, 2u);
  EXPECT_EQ(pins.at(pins.find("uid:1", "", "a")).budget_bytes, 1u);
  EXPECT_EQ(pins.find("uid:2", "t", "a"), kNoPin) << "another user's is another one";
  EXPECT_EQ(pins.find("uid:1", "t", "b"), kNoPin);
  ASSERT_TRUE(pins.clear(name_of("a", "t")).ok());
  EXPECT_EQ(pins.at(pins.find("uid:1", "t", "a")).budget_bytes, 1u);
}

TEST(NamespacePins, EndsAtItsTimeAndNotBefore) {
  NamespacePins pins;
  NamespacePin pin = pin_of(name_of("a"), 1);
  pin.until_ns = 1000;
  ASSERT_TRUE(pins.set(pin).ok());
  ASSERT_TRUE(pins.set(pin_of(name_of("b"), 1)).ok());
  const uint32_t version = pins.version();
  pins.expire(999);
  EXPECT_EQ(pins.version(), version);
  pins.expire(1000);
  EXPECT_NE(pins.version(), version);
  EXPECT_EQ(pins.find("uid:1", "", "a"), kNoPin);
  EXPECT_NE(pins.find("uid:1", "", "b"), kNoPin) << "it has no end";
  EXPECT_EQ(pins.clear(name_of("a")).code(), Errc::kNotFound) << "it is over";
}

// Namespaces of one user's tenants over a pool of 1,024 pages.
class PinnedNamespaces : public testing::Test {
 protected:
  PinnedNamespaces() : maker_(rig_.cache()) {}
  ~PinnedNamespaces() override {
    rig_.cache().check_invariants();
    for (auto& [name, session] : sessions_) rig_.cache().close_session(*session);
  }

  CacheSession& session(const std::string& space, const std::string& tenant) {
    std::unique_ptr<CacheSession>& session = sessions_[{space, tenant}];
    if (session == nullptr) {
      session = std::make_unique<CacheSession>();
      RootKey key = rig_.root().key;
      key.namespace_name = space;
      key.tenant = tenant;
      QUIRE_CHECK(rig_.cache().open_session(key, 1, *session).ok());
    }
    return *session;
  }
  // A span of its own, so that every one may go; invalid: no room.
  NodeId add(const std::string& space, const std::string& tenant = "") {
    const model::RootId root = session(space, tenant).root;
    return maker_.make_now({.root = root,
                            .parent = rig_.cache().names().root(root).node,
                            .kind = model::FillKind::kSpan,
                            .hash = StoreRig::key(++number_),
                            .units = 2});
  }
  std::vector<NodeId> fill(const std::string& space, int count, const std::string& tenant = "") {
    std::vector<NodeId> nodes;
    for (int i = 0; i < count; ++i) {
      nodes.push_back(add(space, tenant));
      EXPECT_TRUE(nodes.back().valid()) << space << ' ' << i;
    }
    return nodes;
  }
  // Objects of it in RAM.
  uint64_t held(const std::string& space, const std::string& tenant = "") {
    const model::RootId root = session(space, tenant).root;
    const PrefixTree& tree = rig_.store().tree();
    uint64_t count = 0;
    for (uint32_t i = 0; i < tree.end_of_nodes(); ++i) {
      const Node& node = tree.node(NodeId{i});
      count += node.is_object() && node.is_in_ram() && node.root() == root ? 1 : 0;
    }
    return count;
  }
  void pin(const PinName& name, uint64_t objects) {
    ASSERT_TRUE(pins().set(pin_of(name, objects * kPage)).ok());
    settle();
  }
  void settle(uint32_t at_once = 1 << 20) {
    while (rig_.cache().board().step(at_once)) rig_.cache().check_invariants();
    EXPECT_FALSE(rig_.cache().board().moves_pins());
  }
  NamespacePins& pins() { return rig_.cache().pins(); }
  ScopeRules& rules() { return rig_.cache().rules(); }

  StoreRig rig_;
  tests::ObjectMaker maker_;
  std::map<std::pair<std::string, std::string>, std::unique_ptr<CacheSession>> sessions_;
  uint64_t number_ = 0;
};

TEST_F(PinnedNamespaces, FloodTakesNothingWithinTheBudget) {
  pin(name_of("kept"), 200);
  fill("kept", 150);
  fill("flood", 3000);
  EXPECT_EQ(held("kept"), 150u);
  EXPECT_EQ(pins().at(pins().find("uid:1", "", "kept")).held_bytes, 150 * kPage);
}

// The same without a pin: the test above would pass whatever the code does, otherwise.
TEST_F(PinnedNamespaces, WithoutAPinTheFloodTakesIt) {
  fill("kept", 150);
  fill("flood", 3000);
  EXPECT_EQ(held("kept"), 0u);
}

TEST_F(PinnedNamespaces, WhatIsThereAlreadyIsPinnedInSteps) {
  fill("kept", 150);
  fill("flood", 800);
  ASSERT_TRUE(pins().set(pin_of(name_of("kept"), 200 * kPage)).ok());
  EXPECT_TRUE(rig_.cache().board().moves_pins());
  settle(100);
  fill("flood", 3000);
  EXPECT_EQ(held("kept"), 150u);
}

TEST_F(PinnedNamespaces, AboveItsBudgetItGivesInProportionAndKeepsTheBudget) {
  pin(name_of("kept"), 100);
  fill("kept", 500);
  fill("flood", 524);
  ASSERT_EQ(held("kept"), 500u) << "the pool is just full";
  fill("flood", 100);
  // 400 above the budget beside 524: of a hundred that go it gives some 43, and less as it shrinks.
  EXPECT_GE(held("kept"), 500u - 50);
  EXPECT_LE(held("kept"), 500u - 35);
  fill("flood", 10000);
  EXPECT_GE(held("kept"), 100u);
  EXPECT_LE(held("kept"), 110u);
}

TEST_F(PinnedNamespaces, NothingElseLeftItGoesLeastRecentlyUsedFirst) {
  pin(name_of("a"), 1 << 20);
  pin(name_of("b"), 1 << 20);
  const std::vector<NodeId> first = fill("a", 2);
  fill("b", 500);
  fill("a", 522);
  rig_.meddle().use(first[0]);
  std::vector<Pin> held_by_clients;
  for (int i = 0; i < 10; ++i) {
    held_by_clients.emplace_back(&rig_.store(), fill("other", 1).front(), PinKind::kPresence);
  }
  EXPECT_EQ(held("other"), 10u) << "nobody is refused";
  EXPECT_EQ(held("a"), 523u) << "the second of the first two was the oldest";
  EXPECT_EQ(held("b"), 491u);
  held_by_clients.clear();
  fill("other", 2000);
  EXPECT_EQ(held("a") + held("b"), 1014u) << "there was something else again";
}

TEST_F(PinnedNamespaces, OverAndClearedItIsAsOthersAre) {
  NamespacePin timed = pin_of(name_of("timed"), 100 * kPage);
  timed.until_ns = 5000;
  ASSERT_TRUE(pins().set(timed).ok());
  pin(name_of("cleared"), 100);
  pin(name_of("stays"), 100);
  for (const char* space : {"timed", "cleared", "stays"}) fill(space, 100);
  pins().expire(5000);
  ASSERT_TRUE(pins().clear(name_of("cleared")).ok());
  settle(130);
  fill("flood", 3000);
  EXPECT_EQ(held("timed"), 0u);
  EXPECT_EQ(held("cleared"), 0u);
  EXPECT_EQ(held("stays"), 100u);
}

// Its objects give in their turn from the first moment on, before they have been moved.
TEST_F(PinnedNamespaces, EndingOneGivesBeforeItsObjectsAreMoved) {
  pin(name_of("kept"), 1 << 20);
  fill("kept", 1024);
  ASSERT_TRUE(pins().clear(name_of("kept")).ok());
  fill("flood", 1024);
  EXPECT_LT(held("kept"), 512u);
  settle();
  fill("flood", 1024);
  EXPECT_EQ(held("kept"), 0u);
}

TEST_F(PinnedNamespaces, PinOfATenantIsNobodyElses) {
  pin(name_of("m", "a"), 100);
  fill("m", 100, "a");
  fill("m", 100, "b");
  fill("flood", 3000);
  EXPECT_EQ(held("m", "a"), 100u);
  EXPECT_EQ(held("m", "b"), 0u);
}

// One budget for all of them; a tenant with a quota has a part of the pin of its own.
TEST_F(PinnedNamespaces, PinOfAllTenantsSurvivesQuotasThatComeAndGo) {
  pin(name_of("m"), 200);
  fill("m", 90, "a");
  fill("m", 90, "b");
  const ScopeName tenant{.tier = kRam, .domain = "uid:1", .tenant = "a"};
  ASSERT_TRUE(rules().set_quota(tenant, Quota{.guaranteed_bytes = 10 * kPage}).ok());
  settle(110);
  fill("flood", 2000);
  EXPECT_EQ(held("m", "a") + held("m", "b"), 180u);
  ASSERT_TRUE(rules().set_quota(tenant, std::nullopt).ok());
  settle(110);
  fill("flood", 2000);
  EXPECT_EQ(held("m", "a") + held("m", "b"), 180u);
}

TEST_F(PinnedNamespaces, PolicySwitchCarriesThePinOver) {
  pin(name_of("kept"), 200);
  fill("kept", 150);
  for (const char* policy : {"s3fifo", "gittins", "arc"}) {
    ASSERT_TRUE(rules().set_policy({.tier = kRam, .domain = "uid:1", .tenant = {}}, policy).ok());
    fill("flood", 100);
    settle(170);
    fill("flood", 1000);
    EXPECT_EQ(held("kept"), 150u) << policy;
    uint32_t scopes = 0;
    rig_.cache().board().for_each_scope(
        [&](const ScopeOrder& scope) { scopes += scope.tier == kRam ? 1 : 0; });
    EXPECT_EQ(scopes, 1u) << "a pinned part is nobody's owner";
  }
}

TEST_F(PinnedNamespaces, WhoIsAtItsBurstGivesWhatItPinnedToo) {
  const ScopeName tenant{.tier = kRam, .domain = "uid:1", .tenant = "a"};
  ASSERT_TRUE(rules().set_quota(tenant, Quota{.burst_bytes = 50 * kPage}).ok());
  pin(name_of("m", "a"), 100);
  fill("m", 80, "a");
  EXPECT_EQ(held("m", "a"), 50u);
}

// Any order of changes: what a pin holds is what its objects come to, and nothing is lost.
TEST_F(PinnedNamespaces, RandomChangesKeepTheSums) {
  std::mt19937 random(7);
  const std::array<const char*, 3> spaces{"x", "y", "z"};
  const std::array<const char*, 2> tenants{"", "t"};
  const ScopeName tenant{.tier = kRam, .domain = "uid:1", .tenant = "t"};
  for (int i = 0; i < 3000; ++i) {
    const std::string space = spaces[random() % 3];
    const std::string of = tenants[random() % 2];
    switch (random() % 40) {
      case 0:
        (void)pins().set(pin_of(name_of(space), (random() % 600 + 1) * kPage));
        break;
      case 1:
        (void)pins().set(pin_of(name_of(space, of), (random() % 600 + 1) * kPage));
        break;
      case 2:
        (void)pins().clear(name_of(space));
        break;
      case 3:
        (void)pins().clear(name_of(space, of));
        break;
      case 4:
        (void)rules().set_quota(tenant, random() % 2 ? std::optional(Quota{}) : std::nullopt);
        break;
      case 5:
        (void)rules().set_policy({.tier = kRam, .domain = "uid:1", .tenant = {}},
                                 random() % 2 ? "arc" : "lru");
        break;
      case 6:
        rig_.meddle().evict(random() % 20 + 1);
        break;
      case 7:
        rig_.cache().check_invariants();
        break;
      default:
        EXPECT_TRUE(add(space, of).valid());
        rig_.cache().board().step(random() % 64);
    }
  }
  pins().clear_all();
  settle();
  rig_.meddle().evict();
  for (const char* space : spaces) EXPECT_EQ(held(space, "") + held(space, "t"), 0u);
}

}  // namespace
}  // namespace quire::cache::namespace_pins_test
