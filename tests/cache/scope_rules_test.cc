// Tenants that an operator told apart, on a cache at work: whose objects go, and what becomes of
// them when rules change.
#include "cache/eviction/scope_rules.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/cache/store_rig.h"

namespace quire::cache::scope_rules_test {
namespace {

using model::DomainId;
using model::Errc;
using model::NodeId;
using model::TierId;

constexpr TierId kRam = TierId::kRam;
constexpr TierId kSsd = TierId::kSsd;

// One user with some tenants, over a pool of 1,024 pages.
class ScopeRulesTest : public testing::Test {
 protected:
  ScopeRulesTest() : maker_(rig_.cache()) {}
  ~ScopeRulesTest() override {
    rig_.cache().check_invariants();
    for (auto& [name, session] : sessions_) rig_.cache().close_session(*session);
  }

  static ScopeName of(TierId tier, const std::string& tenant) {
    return {.tier = tier, .domain = "uid:1", .tenant = tenant};
  }
  ScopeRules& rules() { return rig_.cache().rules(); }
  const Root& root(const std::string& tenant) {
    std::unique_ptr<CacheSession>& session = sessions_[tenant];
    if (session == nullptr) {
      session = std::make_unique<CacheSession>();
      RootKey key = rig_.root().key;
      key.tenant = tenant;
      QUIRE_CHECK(rig_.cache().open_session(key, 1, *session).ok());
    }
    return rig_.cache().names().root(session->root);
  }
  // A span of its own, so that every one may go; invalid: no room.
  NodeId add(const std::string& tenant) {
    const Root& where = root(tenant);
    return maker_.make_now({.root = sessions_[tenant]->root,
                            .parent = where.node,
                            .kind = model::FillKind::kSpan,
                            .hash = StoreRig::key(++number_),
                            .units = 2});
  }
  void fill(const std::string& tenant, int count) {
    for (int i = 0; i < count; ++i) ASSERT_TRUE(add(tenant).valid()) << tenant << ' ' << i;
  }
  uint64_t held(const std::string& tenant, TierId tier = kRam) {
    return rig_.store().presence().accounts().of(root(tenant).tenant, tier).used_bytes;
  }
  void settle(uint32_t at_once = 1 << 20) {
    while (rig_.cache().board().step(at_once)) rig_.cache().check_invariants();
  }
  // Of everything that may go, in order: whose it was.
  std::string drain(TierId tier) {
    std::string order;
    for (;;) {
      std::map<std::string, uint64_t> before;
      for (auto& [name, session] : sessions_) before[name] = held(name, tier);
      const bool went = tier == kRam ? rig_.meddle().evict(1) > 0 : rig_.meddle().evict_from_ssd();
      if (!went) return order;
      for (auto& [name, bytes] : before) {
        if (held(name, tier) < bytes) order += name;
      }
    }
  }

  StoreRig rig_;
  tests::ObjectMaker maker_;
  std::map<std::string, std::unique_ptr<CacheSession>> sessions_;
  uint64_t number_ = 0;
};

TEST_F(ScopeRulesTest, FloodTakesNothingOfAGuarantee) {
  constexpr uint64_t kKept = 100 * 4096;
  ASSERT_TRUE(rules().set_quota(of(kRam, "a"), Quota{.guaranteed_bytes = kKept}).ok());
  fill("a", 120);
  fill("b", 5000);
  EXPECT_GE(held("a"), kKept);
  EXPECT_LE(held("a"), kKept + 4096) << "and what is above it went in turn";
  EXPECT_GT(held("b"), 800u * 4096);
}

// It is served although it holds nothing, and of whoever is above its guarantee.
TEST_F(ScopeRulesTest, WhoIsUnderItsGuaranteeIsServedByWhoIsAbove) {
  fill("b", 2000);
  ASSERT_TRUE(rules().set_quota(of(kRam, "a"), Quota{.guaranteed_bytes = 300 * 4096}).ok());
  fill("a", 300);
  EXPECT_EQ(held("a"), 300u * 4096);
}

TEST_F(ScopeRulesTest, WhoIsAtItsBurstGivesItsOwn) {
  ASSERT_TRUE(rules().set_quota(of(kRam, "a"), Quota{.burst_bytes = 50 * 4096}).ok());
  fill("b", 100);
  fill("a", 200);
  EXPECT_EQ(held("a"), 50u * 4096);
  EXPECT_EQ(held("b"), 100u * 4096);
  EXPECT_GT(rig_.inspect().counters().evictions, 0u);
}

// What it has stands with the user's rest until it was moved: that is no reason to refuse it.
TEST_F(ScopeRulesTest, WhoIsToldApartWaitsForWhatIsItsOwn) {
  fill("a", 60);
  ASSERT_TRUE(rules().set_quota(of(kRam, "a"), Quota{.burst_bytes = 50 * 4096}).ok());
  const Root& where = root("a");
  const cache::SlotRequest request{
      .size_class = where.classes[0], .tenant = where.tenant, .after = {}, .reservation = {}};
  model::SlotId slot;
  EXPECT_EQ(rig_.cache().room().reserve(request, slot), Room::kPending);
  EXPECT_TRUE(rig_.cache().board().step(1));
  EXPECT_EQ(rig_.cache().room().reserve(request, slot), Room::kPending);
  settle();
  ASSERT_EQ(rig_.cache().room().reserve(request, slot), Room::kHave);
  rig_.store().pool().free(slot);
  EXPECT_EQ(held("a"), 49u * 4096);
}

TEST_F(ScopeRulesTest, BurstAndGuaranteeOfOthersNarrowWhatATenantCanReach) {
  const uint64_t all = rig_.cache().room().reach_bytes(root("b").tenant);
  ASSERT_TRUE(rules().set_quota(of(kRam, "a"), Quota{.burst_bytes = 1 << 20}).ok());
  EXPECT_EQ(rig_.cache().room().reach_bytes(root("a").tenant), 1u << 20);
  EXPECT_FALSE(rig_.cache().room().can_reach(root("a").tenant, (1 << 20) + 1));
  ASSERT_TRUE(rules().set_quota(of(kRam, "a"), Quota{.guaranteed_bytes = 1 << 20}).ok());
  EXPECT_EQ(rig_.cache().room().reach_bytes(root("b").tenant), all) << "it holds nothing yet";
  fill("a", 10);
  EXPECT_EQ(rig_.cache().room().reach_bytes(root("b").tenant), all - 10 * 4096);
}

TEST_F(ScopeRulesTest, TenantHasAPolicyOfItsOwn) {
  fill("a", 3);
  fill("b", 3);
  ASSERT_TRUE(rules().set_policy(of(kRam, "a"), "s3fifo").ok());
  settle(2);
  EXPECT_EQ(rules().policy_of(of(kRam, "a")), "s3fifo");
  EXPECT_EQ(rules().policy_of(of(kRam, "b")), "lru");
  const auto owner = rules().owner_of(of(kRam, "a"));
  ASSERT_TRUE(owner.has_value());
  EXPECT_EQ(rig_.cache().board().policy_of(kRam, *owner), "s3fifo");
  EXPECT_FALSE(rules().owner_of(of(kRam, "b")).has_value()) << "it is not told apart";
  EXPECT_EQ(drain(kRam).size(), 6u) << "nothing is lost between them";
}

TEST_F(ScopeRulesTest, WiderPolicyTakesThePlaceOfNarrowerOnes) {
  fill("a", 3);
  ASSERT_TRUE(rules().set_policy(of(kRam, "a"), "arc").ok());
  EXPECT_EQ(rules().set_policy({.tier = kRam, .domain = "", .tenant = {}}, "sieve").code(),
            Errc::kBusy)
      << "one at a time";
  settle();
  ASSERT_TRUE(rules().set_policy({.tier = kRam, .domain = "uid:1", .tenant = {}}, "sieve").ok());
  settle();
  EXPECT_EQ(rules().policy_of(of(kRam, "a")), "sieve");
  EXPECT_FALSE(rules().owner_of(of(kRam, "a")).has_value()) << "nothing tells it apart any more";
  EXPECT_EQ(rules().all().size(), 1u);
  ASSERT_TRUE(rules().set_policy({.tier = kRam, .domain = "", .tenant = {}}, "lhd").ok());
  settle();
  EXPECT_EQ(rules().policy_of(of(kRam, "a")), "lhd");
  EXPECT_EQ(drain(kRam), "aaa");
}

TEST_F(ScopeRulesTest, WhatFollowsIsSwitchedAndNarrowerRulesStay) {
  fill("a", 3);
  fill("b", 3);
  ASSERT_TRUE(rules().set_auto(kRam, "gittins").ok());
  settle();
  EXPECT_TRUE(rules().is_auto(kRam));
  EXPECT_FALSE(rules().is_auto(kSsd));
  ASSERT_TRUE(rules().set_policy(of(kRam, "a"), "sieve").ok());
  settle();
  const Owner own = *rules().owner_of(of(kRam, "a"));
  const Owner rest{.domain = own.domain, .tenant = {}};
  EXPECT_FALSE(rules().follows(kRam, own));
  EXPECT_TRUE(rules().follows(kRam, rest));
  ASSERT_TRUE(rules().follow(kRam, "arc").ok());
  settle();
  EXPECT_EQ(rig_.cache().board().policy_of(kRam, rest), "arc");
  EXPECT_EQ(rig_.cache().board().policy_of(kRam, own), "sieve");
  EXPECT_EQ(rig_.cache().board().default_policy(kRam), "arc") << "of domains to come";
  EXPECT_EQ(rules().all().at({kRam, "", std::nullopt}).policy, kAutoName) << "as it is kept";
  ASSERT_TRUE(rules().set_policy({.tier = kRam, .domain = "", .tenant = {}}, "lru").ok());
  settle();
  EXPECT_FALSE(rules().is_auto(kRam));
  EXPECT_EQ(drain(kRam).size(), 6u);
}

TEST_F(ScopeRulesTest, AutoOfAnEarlierLifeAndOfAFlagFollow) {
  ASSERT_TRUE(rules().restore({kRam, "", std::nullopt}, {.policy = std::string(kAutoName)}).ok());
  EXPECT_TRUE(rules().is_auto(kRam));
  EXPECT_EQ(rules().restore(of(kRam, "a"), {.policy = std::string(kAutoName)}).code(),
            Errc::kInvalidArgument)
      << "of a whole tier";
  rules().set_auto_by_default(kSsd);
  EXPECT_TRUE(rules().is_auto(kSsd));
  ASSERT_TRUE(rules().set_policy({.tier = kSsd, .domain = "", .tenant = {}}, "arc").ok());
  EXPECT_FALSE(rules().is_auto(kSsd)) << "what was set goes before the flag";
}

TEST_F(ScopeRulesTest, ClearedQuotaLeavesWhatTheFileSays) {
  const ScopeName name = of(kRam, "a");
  ASSERT_TRUE(rules().set_file_quotas({{name, {.guaranteed_bytes = 1}}}).ok());
  ASSERT_TRUE(rules().set_quota(name, Quota{.guaranteed_bytes = 2}).ok());
  EXPECT_EQ(rules().all().at(name).quota()->guaranteed_bytes, 2u);
  ASSERT_TRUE(rules().set_quota(name, std::nullopt).ok());
  EXPECT_EQ(rules().all().at(name).quota()->guaranteed_bytes, 1u);
  ASSERT_TRUE(rules().set_file_quotas({}).ok());
  EXPECT_TRUE(rules().all().empty());
  EXPECT_FALSE(rules().owner_of(name).has_value());
}

TEST_F(ScopeRulesTest, WhatMakesNoSenseIsRefusedAndChangesNothing) {
  rules().set_capacity(kRam, 1000);
  EXPECT_EQ(rules().set_quota(of(kRam, "a"), Quota{.guaranteed_bytes = 901}).code(),
            Errc::kInvalidArgument);
  ASSERT_TRUE(rules().set_quota(of(kRam, "a"), Quota{.guaranteed_bytes = 500}).ok());
  EXPECT_EQ(rules().set_quota(of(kRam, "b"), Quota{.guaranteed_bytes = 401}).code(),
            Errc::kInvalidArgument)
      << "nine tenths for all of them";
  EXPECT_EQ(rules().set_quota(of(kRam, "b"), Quota{.guaranteed_bytes = 2, .burst_bytes = 1}).code(),
            Errc::kInvalidArgument);
  EXPECT_EQ(rules().set_quota({.tier = kRam, .domain = "", .tenant = {}}, Quota{}).code(),
            Errc::kInvalidArgument);
  EXPECT_EQ(rules()
                .set_file_quotas({{of(kRam, "b"), {}}, {of(kRam, "c"), {.guaranteed_bytes = 600}}})
                .code(),
            Errc::kInvalidArgument);
  EXPECT_EQ(rules().set_policy(of(kRam, "b"), "best").code(), Errc::kInvalidArgument);
  EXPECT_EQ(rules().set_policy(of(TierId::kCluster, "b"), "arc").code(), Errc::kInvalidArgument);
  EXPECT_EQ(rules().all().size(), 1u);
}

TEST_F(ScopeRulesTest, RuleWaitsForItsUser) {
  const ScopeName name{.tier = kRam, .domain = "uid:99", .tenant = "t"};
  ASSERT_TRUE(rules().set_policy(name, "arc").ok());
  EXPECT_FALSE(rules().owner_of(name).has_value());
  const DomainId domain = rig_.cache().add_domain("uid:99").value();
  const auto owner = rules().owner_of(name);
  ASSERT_TRUE(owner.has_value());
  EXPECT_EQ(owner->domain, domain);
  EXPECT_EQ(rig_.cache().board().policy_of(kRam, *owner), "arc");
}

// A user's id is another's when nothing is left of it; the rules stay with the names.
TEST_F(ScopeRulesTest, RulesStayWithTheirUserWhenItsIdIsTakenOver) {
  const ScopeName name{.tier = kSsd, .domain = "uid:99", .tenant = "t"};
  ASSERT_TRUE(rules().set_quota(name, Quota{.guaranteed_bytes = 5}).ok());
  const DomainId domain = rig_.cache().add_domain("uid:99").value();
  ASSERT_TRUE(rules().owner_of(name).has_value());
  for (uint32_t i = 0; rig_.cache().names().domain_name(domain) == "uid:99"; ++i) {
    ASSERT_TRUE(rig_.cache().add_domain("user:" + std::to_string(i)).ok());
  }
  EXPECT_FALSE(rules().owner_of(name).has_value());
  EXPECT_EQ(rules().all().size(), 1u);
}

TEST_F(ScopeRulesTest, EachTierHasItsOwnRules) {
  for (const char* tenant : {"a", "b"}) {
    for (uint32_t i = 0; i < 20; ++i) {
      const NodeId node = add(tenant);
      rig_.meddle().put_on_ssd(node, node.value);
    }
  }
  ASSERT_TRUE(rules().set_quota(of(kSsd, "a"), Quota{.guaranteed_bytes = 20 * 4096}).ok());
  settle(3);
  const auto b_is_asked = [&] { return rig_.cache().evictor().evict_copy(kSsd, root("b").tenant); };
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(b_is_asked());
  EXPECT_EQ(held("a", kSsd), 20u * 4096);
  EXPECT_FALSE(b_is_asked()) << "nobody above its guarantee has anything";
  EXPECT_EQ(held("a", kRam), 20u * 4096);
}

// Rules come and go while objects come, are used and go: every object that may go can be chosen,
// whoever orders it, and the accounts close.
TEST_F(ScopeRulesTest, CandidatesSurviveChangesOfRulesUnderWork) {
  std::mt19937_64 random(5);
  const std::vector<std::string> tenants{"a", "b", "c"};
  const auto pick = [&](const auto& list) { return list[random() % list.size()]; };
  for (int i = 0; i < 4000; ++i) {
    const std::string tenant = pick(tenants);
    const TierId tier = random() % 2 == 0 ? kRam : kSsd;
    switch (random() % 8) {
      case 0:
      case 1:
      case 2: {
        const NodeId node = add(tenant);
        if (node.valid() && random() % 2 == 0) rig_.meddle().put_on_ssd(node, node.value);
        break;
      }
      case 3:
        rig_.meddle().evict(1 + random() % 3);
        break;
      case 4:
        rig_.meddle().evict_from_ssd();
        break;
      case 5:
        (void)rules().set_policy(of(tier, tenant), pick(all_policies()).name);
        break;
      case 6:
        (void)rules().set_quota(of(tier, tenant), random() % 2 == 0
                                                      ? std::nullopt
                                                      : std::optional(Quota{random() % 400'000}));
        break;
      default:
        rig_.cache().board().step(5);
    }
    if (i % 40 == 0) rig_.cache().check_invariants();
  }
  settle(7);
  rig_.meddle().evict();
  rig_.meddle().empty_ssd();
  EXPECT_EQ(rig_.inspect().objects().size(), 0u);
}

}  // namespace
}  // namespace quire::cache::scope_rules_test
