// What tiering/tier.h asks of a tier, of every one there is.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/ssd/ssd_unit_rig.h"
#include "tests/tiering/tier_rig.h"

namespace quire::tests::tier_contract_test {

namespace {

using model::Errc;
using model::NodeId;
using tiering::Fit;
using tiering::TierMode;

// Both have room for so many objects and no more.
constexpr uint32_t kHeld = 12;
constexpr uint64_t kObjectsPerRegion = 3;

std::unique_ptr<RigOverTier> make_rig(const std::string& which) {
  if (which == "memory") {
    return std::make_unique<TierRig>(
        TierChoice{.tier = {.capacity_bytes = kHeld * RigOverTier::kPageBytes}});
  }
  return std::make_unique<SsdUnitRig>(kHeld / kObjectsPerRegion * SsdUnitRig::kRegionBytes);
}

class TierContract : public testing::TestWithParam<const char*> {
 protected:
  tiering::Tier& tier() { return *rig_->set().members().front().tier; }
  Errc load(const std::vector<NodeId>& nodes) {
    QUIRE_CHECK(rig_->loads().start({.tag = 1, .deadline_ns = INT64_MAX, .nodes = nodes}).ok());
    return rig_->end_of(1);
  }

  std::unique_ptr<RigOverTier> rig_ = make_rig(GetParam());
};

TEST_P(TierContract, WhatIsWrittenComesBackBitExact) {
  const std::vector<NodeId> chain = rig_->add_below(10, 1);
  EXPECT_EQ(load(chain), Errc::kOk);
  for (const NodeId node : chain) EXPECT_TRUE(rig_->is_right(node));
  EXPECT_TRUE(rig_->is_clean()) << "each object had its one event";
}

TEST_P(TierContract, RoomThatIsNotUsedGoesBack) {
  const std::vector<NodeId> chain = rig_->add_chain(2, 1);
  ASSERT_TRUE(rig_->settle());
  // As often as would fill it many times over.
  const NodeId next = rig_->add_span(chain.back(), 50);
  for (uint32_t i = 0; i < 4 * kHeld; ++i) {
    const tiering::WriteOffer offer = tier().reserve({&next, 1});
    if (offer.fit == Fit::kFits) {
      EXPECT_EQ(offer.room.objects(), 1u);
      EXPECT_GE(offer.room.bytes(), RigOverTier::kPageBytes);
    } else {
      EXPECT_EQ(offer.fit, Fit::kLater);
    }
  }
  EXPECT_TRUE(rig_->settle());
  EXPECT_TRUE(rig_->inspect().object(next).on_ssd);
}

TEST_P(TierContract, WhatIsNotWhatWasSealedIsNotWritten) {
  const std::vector<NodeId> chain = rig_->add_chain(6, 1);
  rig_->meddle().corrupt(chain[4], 1000);
  ASSERT_TRUE(rig_->until([&] { return rig_->inspect().counters().quarantined == 2; }));
  ASSERT_TRUE(rig_->settle());
  EXPECT_EQ(rig_->demotion().counters().corrupt_in_ram, 1u);
  EXPECT_EQ(rig_->inspect().counters().ssd_spans, 4u);
  EXPECT_TRUE(rig_->is_clean());
}

TEST_P(TierContract, WhatIsErasedMakesRoom) {
  for (int round = 0; round < 3; ++round) {
    const std::vector<NodeId> chain = rig_->add_below(kHeld, 1 + 100 * round);
    for (auto last = chain.rbegin(); last != chain.rend(); ++last) {
      ASSERT_TRUE(rig_->meddle().drop(*last)) << round;
    }
    ASSERT_TRUE(rig_->until([&] { return rig_->set().idle(); }));
  }
}

TEST_P(TierContract, AFullTierDropsWhatIsLeastUseful) {
  for (uint64_t number = 1; number <= kHeld + 3; ++number) {
    rig_->add_span(rig_->root(), number);
    rig_->step();
  }
  ASSERT_TRUE(rig_->until(
      [&] { return rig_->demotion().counters().started == kHeld + 3 && rig_->set().idle(); }));
  EXPECT_LE(rig_->inspect().counters().ssd_spans, kHeld);
  EXPECT_GT(rig_->inspect().counters().ssd_evicted, 0u);
  EXPECT_TRUE(rig_->is_clean());
}

TEST_P(TierContract, APathThatCanNeverFitIsToldApart) {
  const std::vector<NodeId> chain = rig_->add_chain(kHeld + 2, 1);
  EXPECT_EQ(tier().fits(chain[kHeld - 1]).fit, Fit::kFits);
  EXPECT_EQ(tier().fits(chain[kHeld]).fit, Fit::kTooDeep);
  EXPECT_GE(tier().fits(chain.front()).bytes, RigOverTier::kPageBytes);
  EXPECT_GE(tier().largest_object_bytes(), RigOverTier::kPageBytes);
}

TEST_P(TierContract, SaysWhatItCanDo) {
  EXPECT_EQ(tier().mode(), TierMode::kOk);
  EXPECT_TRUE(tier().state().whole);
  EXPECT_EQ(tier().state().reason, "");
  EXPECT_EQ(tier().id(), model::TierId::kSsd);
  EXPECT_TRUE(tier().idle());
  EXPECT_GE(tier().wake_fd(), 0);
}

INSTANTIATE_TEST_SUITE_P(Tiers, TierContract, testing::Values("memory", "ssd"),
                         [](const auto& one) { return std::string(one.param); });

}  // namespace

}  // namespace quire::tests::tier_contract_test
