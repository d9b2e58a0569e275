// How far prompts are left behind by the next ones of their conversation, and what is asked for.
#include "cache/fill/tail_distances.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "tests/cache/store_rig.h"

namespace quire::cache::tail_distances_test {
namespace {

constexpr uint64_t kTemplate = 11;

// Conversations over units of 16 tokens, whose turns leave the prompt before them so many tokens
// before its end.
class TailDistancesTest : public testing::Test {
 protected:
  TailDistancesTest() : layout_(rig_layout(true)) {
    layout_.unit_tokens = 16;
    layout_.block_tokens = 32;
  }

  // The text as it is.
  void ask(uint64_t conversation = 1, uint64_t name = kTemplate) {
    tails_.asked({.namespace_key = name,
                  .conversation = conversation,
                  .layout = &layout_,
                  .chain = ChainView(chain_.data(), static_cast<uint32_t>(chain_.size())),
                  .tokens = tokens_});
  }
  void grow(uint32_t tokens) {
    tokens_ += tokens;
    while (chain_.size() < tokens_ / 16) chain_.push_back(hash_of(++next_));
  }
  // Unlike any other in each of its bytes' words.
  static model::Hash256 hash_of(uint32_t number) {
    model::Hash256 hash;
    for (size_t i = 0; i < hash.bytes.size(); i += sizeof(number)) {
      std::memcpy(&hash.bytes[i], &number, sizeof(number));
    }
    return hash;
  }
  // The last tokens become others: whoever chains hashes has other ones from there on.
  void rewrite(uint32_t last_tokens) {
    chain_.resize(std::min<size_t>(chain_.size(), (tokens_ - last_tokens) / 16));
    grow(0);
  }
  void take_turns(uint32_t count, uint32_t rewritten) {
    for (uint32_t i = 0; i < count; ++i) {
      rewrite(rewritten);
      grow(6000);
      ask();
    }
  }
  uint32_t learnt(uint64_t name = kTemplate) const { return tails_.learnt(name); }

  model::Layout layout_;
  TailDistances tails_;
  std::vector<model::Hash256> chain_;
  uint32_t tokens_ = 0;
  uint32_t next_ = 0;
};

TEST_F(TailDistancesTest, AreTheDefaultUntilPromptsSayOtherwise) {
  EXPECT_EQ(learnt(), model::kTailTokens);
  grow(10'000);
  ask();
  take_turns(40, 0);
  EXPECT_EQ(learnt(), model::kTailTokens) << "prompts that go on unchanged say nothing";
}

TEST_F(TailDistancesTest, GrowWithATemplateThatRewritesMore) {
  grow(10'000);
  ask();
  take_turns(20, 700);
  EXPECT_EQ(learnt(), 1024u);
}

TEST_F(TailDistancesTest, ShrinkWithOneThatRewritesLittle) {
  grow(10'000);
  ask();
  take_turns(200, 40);
  EXPECT_EQ(learnt(), 64u);
}

TEST_F(TailDistancesTest, OnePromptOutOfTheOrdinaryChangesNothing) {
  grow(10'000);
  ask();
  take_turns(20, 200);
  ASSERT_EQ(learnt(), 256u);
  take_turns(1, 2000);
  EXPECT_EQ(learnt(), 256u);
}

// One turn in eight leaves 2,000 before the end: 4,096 tokens lost an eighth of the time cost less
// than 1,792 more each time. Half of them: they do not.
TEST_F(TailDistancesTest, AreWhatWouldHaveCostThePromptsLeast) {
  grow(10'000);
  ask();
  for (int i = 0; i < 10; ++i) {
    take_turns(7, 200);
    take_turns(1, 2000);
  }
  EXPECT_EQ(learnt(), 256u);
  for (int i = 0; i < 60; ++i) {
    take_turns(1, 200);
    take_turns(2, 2000);
  }
  EXPECT_EQ(learnt(), 2048u);
}

TEST_F(TailDistancesTest, OldPromptsFade) {
  grow(10'000);
  ask();
  take_turns(1000, 700);
  ASSERT_EQ(learnt(), 1024u);
  take_turns(1000, 200);
  EXPECT_EQ(learnt(), 256u);
}

TEST_F(TailDistancesTest, GoingBackToAnEarlierTurnIsNoTail) {
  grow(60'000);
  ask();
  for (int i = 0; i < 40; ++i) {
    rewrite(30'000);
    grow(30'000);
    ask();
  }
  EXPECT_EQ(learnt(), model::kTailTokens);
}

TEST_F(TailDistancesTest, AreOfTheirNamespaceAlone) {
  grow(10'000);
  ask();
  take_turns(20, 700);
  EXPECT_EQ(learnt(kTemplate + 1), model::kTailTokens);
}

TEST_F(TailDistancesTest, OtherConversationsAreNotCompared) {
  for (uint64_t conversation = 1; conversation <= 40; ++conversation) {
    chain_.clear();
    tokens_ = 0;
    grow(10'000);
    ask(conversation);
  }
  EXPECT_EQ(learnt(), model::kTailTokens);
}

TEST_F(TailDistancesTest, ForgetWhoFindsNoRoomAndStayBounded) {
  for (uint64_t conversation = 1; conversation <= 4 * TailDistances::kConversations;
       ++conversation) {
    chain_.clear();
    tokens_ = 0;
    grow(64);
    ask(conversation, conversation);
  }
  grow(10'000);
  ask(1, kTemplate);
  take_turns(20, 700);
  EXPECT_EQ(learnt(), 1024u) << "whoever comes is still learnt from";
}

}  // namespace
}  // namespace quire::cache::tail_distances_test
