#include "cache/tree/namespace_table.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/cache/store_rig.h"

namespace quire::cache::namespace_table_test {
namespace {

using model::DomainId;
using model::Errc;
using model::RootId;

class NamespaceTableTest : public testing::Test {
 protected:
  NamespaceTableTest() {
    layout_ = *layouts_.add(rig_layout(false));
    layouts_.hold(layout_);
    domain_ = *names_.intern_domain("uid:1");
    other_ = *names_.intern_domain("uid:2");
  }

  RootKey key(DomainId domain, std::string tenant, std::string name, uint64_t epoch = 0,
              std::string salt = "") {
    RootKey key;
    key.domain = domain;
    key.tenant = std::move(tenant);
    key.namespace_name = std::move(name);
    key.weights_epoch = epoch;
    key.layout = layout_;
    key.salt = std::move(salt);
    return key;
  }
  model::Result<RootId> open(const RootKey& key) {
    auto opened = names_.open_root(key, *layouts_.find(key.layout));
    if (opened.ok()) names_.hold(*opened);
    return opened;
  }
  // A root with content whose session has ended.
  RootId leave_idle(const RootKey& key) {
    const RootId id = *open(key);
    names_.release(id);
    return id;
  }
  bool is_dead(RootId id) { return names_.root(id).dead; }

  LayoutTable layouts_;
  NamespaceTable names_{&layouts_};
  model::LayoutId layout_;
  DomainId domain_;
  DomainId other_;
};

TEST_F(NamespaceTableTest, Law13_EpochOfATenantIsNoOtherTenantsAffair) {
  const RootId mine = *open(key(domain_, "a", "model", 3));
  ASSERT_TRUE(open(key(domain_, "b", "model", 1ull << 63)).ok());
  EXPECT_FALSE(is_dead(mine));
  EXPECT_EQ(*open(key(domain_, "a", "model", 3)), mine);
  // Nor is it one between names that read alike when they are put together.
  ASSERT_TRUE(open(key(domain_, "a/x", "y", 9)).ok());
  EXPECT_TRUE(open(key(domain_, "a", "x/y", 1)).ok());
}

TEST_F(NamespaceTableTest, RaisedEpochKillsTheOlderRootsOfItsNamespaceOnly) {
  const RootId old = *open(key(domain_, "a", "model", 1));
  const RootId salted = *open(key(domain_, "a", "model", 1, "salt"));
  const RootId other = *open(key(domain_, "a", "other", 1));
  ASSERT_TRUE(open(key(domain_, "a", "model", 2)).ok());
  EXPECT_TRUE(is_dead(old));
  EXPECT_TRUE(is_dead(salted));
  EXPECT_FALSE(is_dead(other));
  EXPECT_EQ(open(key(domain_, "a", "model", 1)).code(), Errc::kStaleHandle);
}

TEST_F(NamespaceTableTest, EpochLeavesRoomForLaterOnes) {
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  const auto refused = open(key(domain_, "a", "model", kMost));
  EXPECT_EQ(refused.code(), Errc::kInvalidArgument);
  EXPECT_TRUE(open(key(domain_, "a", "model", 0)).ok()) << "nothing has changed";
  EXPECT_TRUE(open(key(domain_, "a", "model", 1ull << 63)).ok());
  EXPECT_EQ(open(key(domain_, "a", "model", kMost)).code(), Errc::kInvalidArgument);
  EXPECT_TRUE(open(key(domain_, "a", "model", (1ull << 63) + 1)).ok());
}

TEST_F(NamespaceTableTest, Law10_OldestIdleRootOfATenantThatHasMostMakesWay) {
  const RootId precious = leave_idle(key(domain_, "modest", "model"));
  const RootId busy = *open(key(domain_, "greedy", "model", 0, "in use"));
  std::vector<RootId> idle;
  constexpr size_t kMostLive = kMaxRootsPerDomain - kDeadRootsPerDomain;
  for (size_t i = 2; i < kMostLive; ++i) {
    idle.push_back(leave_idle(key(domain_, "greedy", "model", 0, std::to_string(i))));
  }
  EXPECT_EQ(names_.given_up_count(), 0u);
  ASSERT_TRUE(open(key(domain_, "third", "model")).ok());
  EXPECT_EQ(names_.given_up_count(), 1u);
  EXPECT_TRUE(is_dead(idle.front()));
  EXPECT_FALSE(is_dead(idle[1]));
  EXPECT_FALSE(is_dead(precious)) << "older, but its tenant has one only";
  EXPECT_FALSE(is_dead(busy));
  // A use makes one the newest.
  ASSERT_EQ(leave_idle(key(domain_, "greedy", "model", 0, "3")), idle[1]);
  ASSERT_TRUE(open(key(domain_, "fourth", "model")).ok());
  EXPECT_FALSE(is_dead(idle[1]));
  EXPECT_TRUE(is_dead(idle[2]));
}

TEST_F(NamespaceTableTest, Law10_DomainCannotTakeTheRootsOfOthers) {
  for (size_t i = 0; i < kMaxRootsPerDomain - kDeadRootsPerDomain; ++i) {
    ASSERT_TRUE(open(key(domain_, "greedy", std::to_string(i))).ok());
  }
  EXPECT_EQ(open(key(domain_, "greedy", "one more")).code(), Errc::kBusy) << "all are in use";
  EXPECT_TRUE(open(key(other_, "", "model")).ok());
}

TEST_F(NamespaceTableTest, Law10_ThoseGivenUpAreBoundedUntilTheyAreReclaimed) {
  constexpr size_t kMostLive = kMaxRootsPerDomain - kDeadRootsPerDomain;
  for (size_t i = 0; i < kMostLive + kDeadRootsPerDomain; ++i) {
    leave_idle(key(domain_, "greedy", "model", 0, std::to_string(i)));
  }
  EXPECT_EQ(names_.dead_roots().size(), kDeadRootsPerDomain);
  EXPECT_EQ(open(key(domain_, "greedy", "model", 0, "x")).code(), Errc::kBusy);
  EXPECT_TRUE(open(key(other_, "", "model")).ok());
  while (!names_.dead_roots().empty()) names_.forget(names_.dead_roots().back());
  EXPECT_TRUE(open(key(domain_, "greedy", "model", 0, "x")).ok());
}

TEST_F(NamespaceTableTest, Law10_NamespacesWithoutARootAreBounded) {
  for (size_t i = 0; i < kMaxNamespacesPerDomain + 10; ++i) {
    names_.restore_epoch(domain_, "a", std::to_string(i), 5);
  }
  EXPECT_EQ(open(key(domain_, "a", std::to_string(kMaxNamespacesPerDomain), 4)).code(),
            Errc::kStaleHandle)
      << "a later one is known";
  EXPECT_TRUE(open(key(domain_, "a", "0", 4)).ok()) << "the oldest made way";
}

TEST_F(NamespaceTableTest, Law10_LayoutsOfADomainAreBounded) {
  std::vector<model::LayoutId> ids;
  for (uint32_t i = 0; i <= kMaxLayoutsPerDomain; ++i) {
    model::Layout layout = rig_layout(false);
    layout.name = "layout " + std::to_string(i);
    ids.push_back(*layouts_.add(std::move(layout)));
    layouts_.hold(ids.back());
    RootKey wanted = key(domain_, "a", "model");
    wanted.layout = ids.back();
    leave_idle(wanted);
  }
  EXPECT_EQ(names_.given_up_count(), 1u);
  EXPECT_EQ(names_.root_count(domain_), kMaxLayoutsPerDomain);
}

TEST_F(NamespaceTableTest, UnusedDomainIsTakenOverWithNothingLeft) {
  names_.hold_domain(domain_);
  const RootId root = leave_idle(key(domain_, "a", "model", 7));
  EXPECT_FALSE(names_.is_domain_unused(domain_));
  names_.forget(root);
  EXPECT_FALSE(names_.is_domain_unused(domain_)) << "a client is left";
  names_.release_domain(domain_);
  ASSERT_TRUE(names_.is_domain_unused(domain_));
  names_.take_over_domain(domain_, "uid:3");
  EXPECT_EQ(names_.domain_name(domain_), "uid:3");
  EXPECT_TRUE(open(key(domain_, "a", "model", 1)).ok()) << "epochs of the earlier one are gone";
}

TEST(LayoutTable, Law10_PlaceOfALayoutThatNobodyHoldsIsTaken) {
  LayoutTable layouts;
  const auto named = [](size_t number) {
    model::Layout layout = rig_layout(false);
    layout.name = "layout " + std::to_string(number);
    return layout;
  };
  for (size_t i = 0; i < kMaxLayouts; ++i) layouts.hold(*layouts.add(named(i)));
  EXPECT_EQ(layouts.add(named(kMaxLayouts)).code(), Errc::kBusy);
  EXPECT_EQ(layouts.add(named(5))->value, 5u) << "a known one needs no place";
  layouts.release(model::LayoutId{7});
  std::string forgotten;
  layouts.on_forget([&](const KnownLayout& layout) { forgotten = layout.layout.name; });
  EXPECT_EQ(layouts.add(named(kMaxLayouts))->value, 7u);
  EXPECT_EQ(forgotten, "layout 7");
}

}  // namespace
}  // namespace quire::cache::namespace_table_test
