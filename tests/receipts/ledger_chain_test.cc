// A ledger that someone changed: each way is found, and named.
#include "model/receipts/ledger_chain.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/receipts/ledger_rig.h"

namespace quire::tests::ledger_chain_test {

using namespace model;

namespace {

class LedgerChainTest : public testing::Test {
 protected:
  // Faults of a whole ledger of these blocks.
  std::vector<LedgerFault> check(const std::vector<std::string>& blocks,
                                 std::optional<LedgerHead> end,
                                 std::optional<LedgerHead> anchor = std::nullopt) {
    std::vector<LedgerFault> faults;
    LedgerChain chain([&](const LedgerFault& fault) { faults.push_back(fault); });
    if (anchor) chain.expect(*anchor);
    for (const std::string& bytes : blocks) {
      const auto block = LedgerBlock::parse(bytes);
      if (block.ok()) {
        chain.add(*block);
      } else {
        chain.add_unreadable({9, 9}, block.error());
      }
    }
    chain.finish(end);
    EXPECT_EQ(chain.faults(), faults.size());
    return faults;
  }
  void expect_fault(const std::vector<LedgerFault>& faults, LedgerFaultKind kind,
                    const std::string& position) {
    const bool found = std::any_of(faults.begin(), faults.end(), [&](const LedgerFault& fault) {
      return fault.kind == kind && to_text(fault.position) == position;
    });
    std::string all;
    for (const LedgerFault& fault : faults) all += fault.text + "\n";
    EXPECT_TRUE(found) << all;
  }

  LedgerRig rig_;
  std::vector<std::string> blocks_ = rig_.blocks(4, 3);  // 1.1 .. 1.12
  LedgerHead end_ = rig_.head();
};

}  // namespace

TEST_F(LedgerChainTest, AGoodOneHasNoFaults) { EXPECT_TRUE(check(blocks_, end_).empty()); }

TEST_F(LedgerChainTest, AFlippedBitIsNamed) {
  blocks_[2][200] = static_cast<char>(blocks_[2][200] ^ 16);
  const auto faults = check(blocks_, end_);
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0].kind, LedgerFaultKind::kChanged);
  EXPECT_EQ(to_text(faults[0].position), "1.7");
}

TEST_F(LedgerChainTest, ARemovedBlockIsNamed) {
  blocks_.erase(blocks_.begin() + 1);
  const auto faults = check(blocks_, end_);
  ASSERT_EQ(faults.size(), 1u);
  expect_fault(faults, LedgerFaultKind::kMissing, "1.7");
}

TEST_F(LedgerChainTest, TheFirstBlockRemovedIsNamed) {
  blocks_.erase(blocks_.begin());
  const auto faults = check(blocks_, end_);
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0].kind, LedgerFaultKind::kMissing);
}

TEST_F(LedgerChainTest, WhatWasRemovedForItsAgeIsSaidByALaterEntry) {
  const auto second = LedgerBlock::parse(blocks_[1]);
  rig_.builder().add(PrunedRecord{.last = second->before()});
  blocks_.push_back(rig_.builder().finish(end_, 1, 0));
  blocks_.erase(blocks_.begin());
  EXPECT_TRUE(check(blocks_, end_).empty());
}

TEST_F(LedgerChainTest, ADoubledBlockIsNamed) {
  blocks_.insert(blocks_.begin() + 1, blocks_[0]);
  const auto faults = check(blocks_, end_);
  ASSERT_EQ(faults.size(), 1u);
  expect_fault(faults, LedgerFaultKind::kRepeated, "1.1");
}

TEST_F(LedgerChainTest, BlocksOutOfOrderAreNamed) {
  std::swap(blocks_[1], blocks_[2]);
  const auto faults = check(blocks_, end_);
  expect_fault(faults, LedgerFaultKind::kMissing, "1.7");
  expect_fault(faults, LedgerFaultKind::kRepeated, "1.4");
}

TEST_F(LedgerChainTest, ACutTailIsNamed) {
  blocks_.pop_back();
  const auto faults = check(blocks_, end_);
  ASSERT_EQ(faults.size(), 1u);
  expect_fault(faults, LedgerFaultKind::kCutOff, "1.12");
}

// Who can write the whole ledger anew, hashes and all, is found by what was signed off before.
TEST_F(LedgerChainTest, ALedgerWrittenAnewIsFoundByItsAnchor) {
  const LedgerHead anchor = LedgerBlock::parse(blocks_[1])->head();
  EXPECT_TRUE(check(blocks_, end_, anchor).empty());
  LedgerRig forger;
  forger.builder().add(small_receipt(77), kSmallTexts);
  std::vector<std::string> forged{forger.block(2)};
  for (const std::string& bytes : forger.blocks(3, 3)) forged.push_back(bytes);
  EXPECT_TRUE(check(forged, forger.head()).empty());
  const auto faults = check(forged, forger.head(), anchor);
  ASSERT_EQ(faults.size(), 1u);
  expect_fault(faults, LedgerFaultKind::kNotAnchored, "1.6");
}

TEST_F(LedgerChainTest, AnAnchorBehindItsEndIsNamed) {
  const auto faults = check({blocks_[0], blocks_[1]}, std::nullopt, end_);
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0].kind, LedgerFaultKind::kNotAnchored);
}

TEST_F(LedgerChainTest, ABlockOfAnotherLedgerIsNamed) {
  LedgerRig other;
  other.builder().add(small_receipt(5), kSmallTexts);
  other.block(2);
  blocks_[1] = other.block(3);  // with the same numbers
  const auto faults = check(blocks_, end_);
  expect_fault(faults, LedgerFaultKind::kOtherChain, "1.4");
  expect_fault(faults, LedgerFaultKind::kOtherChain, "1.7");
}

TEST_F(LedgerChainTest, OneFaultDoesNotHideTheNext) {
  blocks_[0][200] = static_cast<char>(blocks_[0][200] ^ 1);
  blocks_[3][200] = static_cast<char>(blocks_[3][200] ^ 1);
  EXPECT_EQ(check(blocks_, end_).size(), 2u);
}

// Wherever it stands, and whatever was in it: its entries are not missing besides.
TEST_F(LedgerChainTest, ABlockThatCannotBeReadIsOneFault) {
  for (size_t i = 0; i < blocks_.size(); ++i) {
    std::vector<std::string> blocks = blocks_;
    blocks[i][0] ^= 1;
    const auto faults = check(blocks, end_);
    ASSERT_EQ(faults.size(), 1u) << i;
    EXPECT_EQ(faults[0].kind, LedgerFaultKind::kChanged);
  }
}

TEST_F(LedgerChainTest, BehindABlockThatCannotBeReadTheChainIsCheckedOn) {
  blocks_[0][0] ^= 1;
  blocks_.erase(blocks_.begin() + 2);
  const auto faults = check(blocks_, end_, LedgerHead{{1, 5}, Hash256()});
  EXPECT_EQ(faults.size(), 3u);
  expect_fault(faults, LedgerFaultKind::kMissing, "1.10");
  expect_fault(faults, LedgerFaultKind::kNotAnchored, "1.5");
}

}  // namespace quire::tests::ledger_chain_test
