// Load or recompute (cache/serve/load_cut.h).
#include "cache/serve/load_cut.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/cache/store_rig.h"

namespace quire::cache::load_cut_test {
namespace {

using model::NodeId;

constexpr uint32_t kBlocks = 10;  // of 8 tokens
constexpr uint32_t kPrompt = kBlocks * 8 + 1;

// A chain of spans whose keys are those of `chain()`, on SSD from block `first_on_ssd` on.
class LoadCut : public testing::Test {
 protected:
  void build(uint32_t first_on_ssd) {
    for (uint32_t u = 1; u <= 2 * kBlocks; ++u) hashes_.push_back(StoreRig::key(1000 + u));
    NodeId parent = rig_.root().node;
    for (uint32_t block = 1; block <= kBlocks; ++block) {
      parent = rig_.add_span(parent, 1000 + 2 * block);
      rig_.meddle().put_on_ssd(parent, block);
      nodes_.push_back(parent);
    }
    set_readable(true);
    for (uint32_t block = kBlocks; block > first_on_ssd; --block) {
      QUIRE_CHECK(rig_.meddle().leave_ram(nodes_[block - 1]));
    }
  }
  ChainView chain() const { return {hashes_.data(), static_cast<uint32_t>(hashes_.size())}; }
  // Whether what is on the SSD only can be read.
  void set_readable(bool readable) {
    rig_.store().presence().set_state(model::TierId::kSsd, {.readable = readable});
  }
  PrefixMatch match() {
    return find_prefix(rig_.store().presence(), rig_.store().tree(), rig_.session().root,
                       rig_.root(), chain(), kPrompt);
  }
  HitTiers weigh(const PrefillCost& cost, double us_per_page, uint32_t have_tokens = 0) {
    return weigh_hit(
        rig_.store(), rig_.root(), match(), chain(), kPrompt, have_tokens, cost,
        [=](const TierBytes& bytes) {
          return static_cast<uint64_t>(us_per_page * static_cast<double>(bytes.sum()) / 4096);
        });
  }
  // The same by trying every block end.
  uint32_t best_by_force(const PrefillCost& cost, double us_per_page, uint32_t first_on_ssd) {
    double best = 0;
    uint32_t tokens = 0;
    for (uint32_t block = 0; block <= kBlocks; ++block) {
      const double load = us_per_page * (block > first_on_ssd ? block - first_on_ssd : 0);
      const double total = load + prefill_us(cost, block * 8, kPrompt);
      if (block == 0 || total <= best) {
        best = total;
        tokens = block * 8;
      }
    }
    return tokens;
  }

  StoreRig rig_;
  std::vector<model::Hash256> hashes_;
  std::vector<NodeId> nodes_;
};

TEST_F(LoadCut, TellsWhatEachTierHolds) {
  build(4);
  const HitTiers tiers = weigh({}, 10);
  EXPECT_EQ(tiers.below_tokens[model::TierId::kSsd], 6u * 8);
  EXPECT_EQ(tiers.below_bytes[model::TierId::kSsd], 6u * 4096);
  EXPECT_EQ(tiers.load_us, 60u);
  EXPECT_EQ(tiers.cut_tokens, kBlocks * 8) << "no curve, no cut";
}

TEST_F(LoadCut, WhatTheEngineHoldsIsNotLoaded) {
  build(4);
  EXPECT_EQ(weigh({}, 10, 6 * 8).below_bytes.sum(), 4u * 4096);
}

TEST_F(LoadCut, CutsWhereComputingIsCheaperThanLoading) {
  build(4);
  const PrefillCost cheap{.us_per_ktoken = 1000};  // 8 us a block
  EXPECT_EQ(weigh(cheap, 10).cut_tokens, 4u * 8);
  const PrefillCost dear{.us_per_ktoken = 10'000};  // 80 us a block
  EXPECT_EQ(weigh(dear, 10).cut_tokens, kBlocks * 8);
}

TEST_F(LoadCut, AgreesWithTryingEveryBlock) {
  constexpr uint32_t kInRam = 3;
  build(kInRam);
  for (uint32_t flat = 0; flat <= 3000; flat += 125) {
    for (const uint32_t slope : {0u, 1'000'000'000u, 4'000'000'000u}) {
      const PrefillCost cost{flat, slope};
      if (!cost.known()) continue;
      const auto total = [&](uint32_t tokens) {
        const uint32_t blocks = tokens / 8;
        return 10.0 * (blocks > kInRam ? blocks - kInRam : 0) + prefill_us(cost, tokens, kPrompt);
      };
      const uint32_t best = best_by_force(cost, 10, kInRam);
      EXPECT_DOUBLE_EQ(total(weigh(cost, 10).cut_tokens), total(best)) << flat << " " << slope;
    }
  }
}

TEST_F(LoadCut, PrefillCostIsTheIntegralOfTheCurve) {
  const PrefillCost cost{.us_per_ktoken = 2000, .us_per_ktoken_per_mtoken = 500'000};
  double sum = 0;
  for (uint32_t p = 100; p < 5000; ++p) sum += (2000 + 500'000 * (p + 0.5) / 1e6) / 1000;
  EXPECT_NEAR(prefill_us(cost, 100, 5000), sum, sum * 1e-9);
}

// The SSD cannot be read: the hit ends where RAM does (law 9).
TEST_F(LoadCut, Law09_WithoutTheSsdAHitEndsWhereRamDoes) {
  build(4);
  EXPECT_EQ(match().exact_units, 2 * kBlocks);
  set_readable(false);
  EXPECT_EQ(match().exact_units, 2u * 4);
  EXPECT_EQ(match().span_node, nodes_[3]);
}

}  // namespace
}  // namespace quire::cache::load_cut_test
