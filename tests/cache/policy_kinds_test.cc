// What the publications say of each policy, over entries that may all go.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/cache/policy_rig.h"

namespace quire::cache::policy_kinds_test {
namespace {

constexpr int64_t kSecondUs = 1'000'000;

// The hand goes from old to new, spares what was used once, and goes on from where it stood.
TEST(Sieve, HandSparesWhatWasUsedAndGoesOnFromThere) {
  PolicyRig rig("sieve");
  for (const uint32_t entry : {1, 2, 3, 4}) rig.insert_and_offer(entry);
  for (const uint32_t entry : {1, 3}) rig.use(entry);
  EXPECT_EQ(rig.evict(), 2u);
  rig.insert_and_offer(5);
  EXPECT_EQ(rig.evict(), 4u) << "3 was spared; an LRU would take 1 before 5";
  EXPECT_EQ(rig.evict(), 5u) << "new ones stand before the hand, where nothing protects them";
  EXPECT_EQ(rig.drain(), (std::vector<uint32_t>{1, 3})) << "the order of coming, not of use";
}

TEST(Sieve, UseProtectsFromOneRoundOnly) {
  PolicyRig rig("sieve");
  for (const uint32_t entry : {1, 2}) rig.insert_and_offer(entry);
  for (int i = 0; i < 5; ++i) rig.use(1);
  ASSERT_EQ(rig.evict(), 2u);
  rig.insert_and_offer(3);
  ASSERT_EQ(rig.evict(), 3u);
  EXPECT_EQ(rig.evict(), 1u);
}

TEST(LfuDa, LeastUsedGoesFirstAndOldestAmongEqual) {
  PolicyRig rig("lfuda");
  for (const uint32_t entry : {1, 2, 3, 4}) rig.insert_and_offer(entry);
  for (int i = 0; i < 3; ++i) rig.use(1);
  rig.use(2);
  EXPECT_EQ(rig.drain(), (std::vector<uint32_t>{3, 4, 2, 1}));
}

// Plain LFU would keep 1 for ever: aging lets what is used now catch up with what was popular.
TEST(LfuDa, PopularityOfThePastFadesAsOthersGo) {
  PolicyRig rig("lfuda");
  rig.insert_and_offer(1);
  for (int i = 0; i < 5; ++i) rig.use(1);
  uint32_t evictions = 0;
  for (uint32_t entry = 2; entry < 100; ++entry) {
    rig.insert_and_offer(entry);
    rig.insert_and_offer(entry + 100);
    rig.use(entry);
    ++evictions;
    if (rig.evict() == 1u || rig.evict() == 1u) break;
  }
  EXPECT_GT(evictions, 2u) << "not at once";
  EXPECT_LT(evictions, 20u) << "not never";
}

TEST(Gdsf, DearerToComputeStaysLonger) {
  PolicyRig rig("gdsf");
  rig.facts().tokens = {{1, 500'000}, {2, 1'000}, {3, 100'000}};
  for (const uint32_t entry : {1, 2, 3}) rig.insert_and_offer(entry);
  EXPECT_EQ(rig.drain(), (std::vector<uint32_t>{2, 3, 1}));
}

TEST(Gdsf, LargerObjectGoesBeforeOneThatIsUsedAsOften) {
  PolicyRig rig("gdsf");
  rig.facts().sizes = {{2, 4 * 4096}};
  for (const uint32_t entry : {1, 2}) rig.insert_and_offer(entry);
  EXPECT_EQ(rig.policy().choose(), EntryId{2});
  for (int i = 0; i < 8; ++i) rig.use(2);
  EXPECT_EQ(rig.policy().choose(), EntryId{1}) << "uses weigh against bytes";
}

TEST(Ttl, LifetimeRunsAnewWithEachUseAndIsLongerAfterTheFirst) {
  PolicyRig rig("ttl");
  rig.advance_to(0);
  for (const uint32_t entry : {1, 2}) rig.insert_and_offer(entry);
  rig.use(1);  // an hour from here
  rig.advance_to(600 * kSecondUs);
  rig.insert_and_offer(3);  // five minutes from here
  EXPECT_EQ(rig.drain(), (std::vector<uint32_t>{2, 3, 1})) << "1 was used longest ago";
}

TEST(Ttl, HourOfAReuseEndsToo) {
  PolicyRig rig("ttl");
  rig.advance_to(0);
  rig.insert_and_offer(1);
  rig.use(1);
  rig.advance_to(3600 * kSecondUs);
  rig.insert_and_offer(2);
  EXPECT_EQ(rig.drain(), (std::vector<uint32_t>{1, 2}));
}

// What was never seen does not get past what was: the filter of TinyLFU.
TEST(WTinyLfu, OneHitWondersDoNotReachTheMainPart) {
  PolicyRig rig("wtinylfu", 1000);
  for (uint32_t entry = 0; entry < 50; ++entry) {
    rig.insert_and_offer(entry);
    rig.use(entry);
    rig.use(entry);
  }
  for (uint32_t entry = 100; entry < 400; ++entry) {
    rig.insert_and_offer(entry);
    const auto gone = rig.evict();
    ASSERT_TRUE(gone);
    if (entry > 105) {
      EXPECT_GE(*gone, 100u) << "a newcomer went, not one of the fifty";
    }
  }
}

TEST(WTinyLfu, KeyThatKeepsComingBackGetsIn) {
  PolicyRig rig("wtinylfu", 1000);
  for (uint32_t entry = 0; entry < 50; ++entry) {
    rig.insert_and_offer(entry);
    rig.use(entry);
  }
  bool stayed = false;
  for (int round = 0; round < 8 && !stayed; ++round) {
    rig.insert_and_offer(200);
    stayed = rig.evict() != 200u;
  }
  EXPECT_TRUE(stayed) << "the sketch counts what went, too";
}

// A loop that comes back after 10 s against what was never used again: age tells them apart.
TEST(Lhd, LearnsAtWhichAgeUsesCome) {
  PolicyRig rig("lhd", 1000);
  int64_t now = 0;
  uint32_t fresh = 100;
  uint32_t loops_lost = 0;
  for (uint32_t loop = 0; loop < 8; ++loop) rig.insert_and_offer(loop);
  for (int round = 0; round < 600; ++round) {
    rig.advance_to(now += 10 * kSecondUs);
    for (uint32_t loop = 0; loop < 8; ++loop) rig.use(loop);
    for (int i = 0; i < 8; ++i) rig.insert_and_offer(fresh++ % 800 + 100);
    rig.advance_to(now += kSecondUs / 2);
    for (int i = 0; i < 8; ++i) {
      const auto gone = rig.evict();
      ASSERT_TRUE(gone);
      if (*gone >= 100) continue;
      rig.insert_and_offer(*gone);
      loops_lost += round >= 300 ? 1 : 0;
    }
  }
  EXPECT_LT(loops_lost, 300u / 4) << "of 2,400 evictions after it had time to learn";
}

// Nothing may depend on ids or addresses: the same calls give the same choices.
class PolicyRepeats : public testing::TestWithParam<NamedPolicy> {};

INSTANTIATE_TEST_SUITE_P(Policies, PolicyRepeats,
                         testing::ValuesIn(all_policies().begin(), all_policies().end()),
                         [](const auto& entry) { return std::string(entry.param.name); });

std::vector<uint32_t> choices(PolicyRig& rig) {
  std::vector<uint32_t> order;
  uint64_t random = 7;
  for (int i = 0; i < 4000; ++i) {
    random = random * 6364136223846793005ull + 1442695040888963407ull;
    const auto entry = static_cast<uint32_t>(random >> 40) % 200;
    rig.advance_to(i * kSecondUs);
    if (rig.entries().last_use(EntryId{entry}) == 0) {
      rig.insert_and_offer(entry);
    } else {
      rig.use(entry);
    }
    if (i > 300 && i % 3 == 0) {
      if (const auto gone = rig.evict()) order.push_back(*gone);
    }
  }
  return order;
}

TEST_P(PolicyRepeats, SameCallsGiveTheSameChoices) {
  PolicyRig once(GetParam().name);
  const std::vector<std::unique_ptr<char[]>> elsewhere = [] {
    std::vector<std::unique_ptr<char[]>> blocks;  // the second one lies at other addresses
    for (int i = 1; i < 50; ++i) blocks.push_back(std::make_unique<char[]>(i * 100));
    return blocks;
  }();
  PolicyRig again(GetParam().name);
  const auto first = choices(once);
  EXPECT_GT(first.size(), 500u);
  EXPECT_EQ(first, choices(again));
}

}  // namespace
}  // namespace quire::cache::policy_kinds_test
