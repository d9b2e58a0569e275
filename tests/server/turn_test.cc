// What a turn makes of what it is told, without a daemon.
#include "server/rings/turn.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

namespace quire::server::turn_test {
namespace {

using model::Errc;
using model::FillKind;
using model::ResumedHow;
using model::TierId;

constexpr uint32_t kBlock = 8;

class TurnTest : public testing::Test {
 protected:
  void open(uint32_t prompt, uint32_t exact, uint32_t span, uint32_t have = 0) {
    turn_.open(7, 100);
    announce(prompt, exact, span, have);
  }
  bool announce(uint32_t prompt, uint32_t exact, uint32_t span, uint32_t have = 0) {
    model::MatchArgs args{};
    args.prompt_tokens = prompt;
    args.have_tokens = have;
    model::MatchResult result{};
    result.exact_tokens = exact;
    result.span_tokens = span;
    result.tokens[TierId::kRam] = exact;
    if (span < prompt) result.limit = static_cast<uint8_t>(model::MatchLimit::kNoSpan);
    result.limit_tokens = span;
    return turn_.announce(args, result);
  }
  static LoadFacts facts(uint32_t first, uint32_t end, std::vector<TierBlocks> below = {}) {
    LoadFacts facts;
    facts.turn = 1;
    facts.asked = {first, end};
    facts.below = std::move(below);
    return facts;
  }
  void load(const LoadFacts& facts, uint32_t blocks, uint32_t checkpoint_pages = 0) {
    turn_.ask(facts);
    model::LoadResult result{};
    result.block_count = blocks;
    result.checkpoint_count = checkpoint_pages;
    turn_.deliver(facts, result);
  }
  Errc say(ResumedHow how, uint32_t resumed, uint32_t replayed = 0, uint32_t output = 0) {
    model::ResumedArgs args{};
    args.how = static_cast<uint8_t>(how);
    args.resumed_tokens = resumed;
    args.replayed_tokens = replayed;
    args.output_tokens = output;
    return turn_.resume(args).code();
  }
  static void expect_sum(const TurnRecord& record) {
    EXPECT_EQ(uint64_t{record.hit_tokens} + record.replayed_tokens + record.missed_tokens,
              record.prompt_tokens);
  }

  Turn turn_{{.block_tokens = kBlock}};
};

TEST_F(TurnTest, TokensAreCountedAtDeliveryByTheirTier) {
  open(100, 80, 80);
  EXPECT_EQ(turn_.close().delivered[TierId::kRam], 0u) << "announced is not delivered";
  load(facts(0, 10, {{{6, 10}}}), 10);
  const TurnRecord record = turn_.close();
  EXPECT_EQ(record.announced_tokens, 80u);
  EXPECT_EQ(record.delivered[TierId::kRam], 48u);
  EXPECT_EQ(record.delivered[TierId::kSsd], 32u);
  EXPECT_EQ(record.undelivered_tokens, 0u);
  EXPECT_EQ(record.hit_tokens, 80u);
  EXPECT_EQ(record.missed_tokens, 20u);
}

TEST_F(TurnTest, EachTokenOnceWhicheverRankLoadsIt) {
  open(100, 80, 80);
  load(facts(0, 10, {{{0, 10}}}), 10);
  load(facts(0, 10), 10);  // by now in RAM: another rank's groups of the same blocks
  const TurnRecord record = turn_.close();
  EXPECT_EQ(record.delivered[TierId::kSsd], 80u);
  EXPECT_EQ(record.delivered[TierId::kRam], 0u);
}

TEST_F(TurnTest, WhatWasAskedAndDidNotComeIsUndelivered) {
  open(100, 80, 80);
  load(facts(0, 10, {{{0, 10}}}), 4);
  TurnRecord record = turn_.close();
  EXPECT_EQ(record.undelivered_tokens, 48u);
  EXPECT_EQ(record.hit_tokens, 32u) << "the usable head";
  load(facts(4, 10), 6);
  record = turn_.close();
  EXPECT_EQ(record.undelivered_tokens, 0u) << "it came when it was asked for again";
  EXPECT_EQ(record.hit_tokens, 80u);
}

TEST_F(TurnTest, WithoutAWordOnlyWhatFollowsWithoutAGapIsAHit) {
  open(100, 80, 80);
  load(facts(5, 10), 5);
  EXPECT_EQ(turn_.close().hit_tokens, 0u);
  load(facts(0, 5), 5);
  EXPECT_EQ(turn_.close().hit_tokens, 80u);
  EXPECT_EQ(turn_.close().how, ResumedHow::kUnsaid);
}

TEST_F(TurnTest, WhatTheEngineHeldNeedsNoDelivery) {
  open(100, 80, 80, 40);
  EXPECT_EQ(turn_.close().hit_tokens, 40u);
  load(facts(5, 10), 5);
  EXPECT_EQ(turn_.close().hit_tokens, 80u);
}

TEST_F(TurnTest, WithCheckpointsAHitEndsAtOneThatCame) {
  turn_ = Turn({.block_tokens = kBlock, .needs_checkpoint = true});
  open(100, 84, 80);
  LoadFacts asked = facts(0, 10);
  asked.checkpoint = true;
  asked.checkpoint_tokens = 84;
  asked.tail_tokens = 4;
  load(asked, 10);
  EXPECT_EQ(turn_.close().hit_tokens, 0u);
  EXPECT_EQ(turn_.close().undelivered_tokens, 4u);
  asked.checkpoint_tier = TierId::kSsd;
  load(asked, 10, 2);
  const TurnRecord record = turn_.close();
  EXPECT_EQ(record.hit_tokens, 84u);
  EXPECT_EQ(record.delivered[TierId::kRam], 80u);
  EXPECT_EQ(record.delivered[TierId::kSsd], 4u) << "the tail pages";
  EXPECT_EQ(record.undelivered_tokens, 0u);
}

// As a rank does that loads what its scheduler chose.
TEST_F(TurnTest, Law12_AMatchOfAPartLeavesThePromptAndItsLimit) {
  open(100, 48, 56);
  EXPECT_FALSE(announce(41, 40, 40));
  load(facts(0, 5), 5);
  EXPECT_EQ(say(ResumedHow::kCut, 40), Errc::kOk);
  const TurnRecord record = turn_.close();
  EXPECT_EQ(record.prompt_tokens, 100u);
  EXPECT_EQ(record.hit_tokens, 40u);
  EXPECT_EQ(record.missed_tokens, 60u) << "computed, whoever asked for less";
  EXPECT_EQ(record.announced_tokens, 40u) << "what the engine went by";
  EXPECT_EQ(record.limit_tokens, 56u);
  EXPECT_EQ(record.withheld_tokens, 8u);
  EXPECT_TRUE(announce(120, 48, 56)) << "after a preemption the answer so far is computed, too";
  EXPECT_EQ(turn_.close().prompt_tokens, 120u);
}

TEST_F(TurnTest, TheLastWordWins) {
  open(100, 80, 96);
  EXPECT_EQ(say(ResumedHow::kExact, 80), Errc::kOk);
  EXPECT_EQ(say(ResumedHow::kSpan, 96, 16, 5), Errc::kOk);
  TurnRecord record = turn_.close();
  EXPECT_EQ(record.hit_tokens, 80u);
  EXPECT_EQ(record.replayed_tokens, 16u);
  EXPECT_EQ(record.missed_tokens, 4u);
  EXPECT_EQ(record.output_tokens, 5u);
  EXPECT_EQ(say(ResumedHow::kNothing, 0, 0, 9), Errc::kOk);
  record = turn_.close();
  EXPECT_EQ(record.missed_tokens, 100u);
  EXPECT_EQ(record.output_tokens, 9u);
}

TEST_F(TurnTest, AWordThatCannotBeIsRefusedAndTheOneBeforeStays) {
  open(100, 80, 96);
  ASSERT_EQ(say(ResumedHow::kCut, 40), Errc::kOk);
  EXPECT_EQ(say(ResumedHow::kExact, 97), Errc::kInvalidArgument) << "beyond the spans";
  EXPECT_EQ(say(ResumedHow::kExact, 80, 8), Errc::kInvalidArgument) << "exact replays nothing";
  EXPECT_EQ(say(ResumedHow::kSpan, 8, 9), Errc::kInvalidArgument) << "more than it resumed";
  EXPECT_EQ(say(ResumedHow::kNothing, 8), Errc::kInvalidArgument);
  EXPECT_EQ(say(ResumedHow::kUnsaid, 8), Errc::kInvalidArgument);
  EXPECT_EQ(say(static_cast<ResumedHow>(99), 8), Errc::kInvalidArgument);
  EXPECT_EQ(turn_.close().how, ResumedHow::kCut);
  EXPECT_EQ(turn_.close().hit_tokens, 40u);
}

TEST_F(TurnTest, WrittenObjectsAreCountedByKind) {
  EXPECT_FALSE(turn_.has_content());
  turn_.wrote(FillKind::kSpan, kBlock, 1000);
  turn_.wrote(FillKind::kSpan, kBlock, 1000);
  turn_.wrote(FillKind::kCheckpoint, 0, 300);
  EXPECT_TRUE(turn_.has_content());
  const TurnRecord record = turn_.close();
  EXPECT_EQ(record.written[0].objects, 2u);
  EXPECT_EQ(record.written[0].tokens, 16u);
  EXPECT_EQ(record.written[0].bytes, 2000u);
  EXPECT_EQ(record.written[1].bytes, 300u);
  expect_sum(record);
}

TEST_F(TurnTest, TheNextTurnStartsEmpty) {
  open(100, 80, 80);
  load(facts(0, 10), 10);
  say(ResumedHow::kExact, 80, 0, 3);
  turn_.open(8, 200);
  const TurnRecord record = turn_.close();
  EXPECT_EQ(record.turn, 2u);
  EXPECT_EQ(record.request_id, 8u);
  EXPECT_EQ(record.opened_ns, 200);
  EXPECT_EQ(record.prompt_tokens + record.delivered[TierId::kRam] + record.output_tokens, 0u);
  EXPECT_EQ(record.how, ResumedHow::kUnsaid);
}

// Whatever a client says and in whichever order: no token twice, none lost.
TEST_F(TurnTest, Law12_HitReplayedAndMissedAreThePrompt) {
  for (uint32_t seed = 1; seed <= 2000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    turn_ = Turn({.block_tokens = kBlock, .needs_checkpoint = random() % 2 == 0});
    const uint32_t blocks = random() % 40;
    std::set<uint32_t> delivered;
    uint32_t tail = 0;
    for (int step = 0; step < 12; ++step) {
      const uint32_t prompt = 1 + random() % (kBlock * (blocks + 2));
      const uint32_t span = kBlock * (random() % (blocks + 1));
      const uint32_t first = random() % (blocks + 1);
      const uint32_t end = first + random() % (blocks + 1 - first);
      switch (random() % 4) {
        case 0:
          open(prompt, random() % (span + 1), span, random() % 3 == 0 ? random() % prompt : 0);
          delivered.clear();
          tail = 0;
          break;
        case 1: {
          LoadFacts asked = facts(first, end);
          if (end > first) asked.below = {{{first, first + (end - first) / 2}}};
          asked.checkpoint = random() % 2 == 0;
          asked.tail_tokens = random() % kBlock;
          asked.checkpoint_tokens = end * kBlock + asked.tail_tokens;
          const uint32_t head = random() % (end - first + 1);
          const uint32_t pages = asked.checkpoint ? random() % 3 : 0;
          load(asked, head, pages);
          for (uint32_t block = first; block < first + head; ++block) delivered.insert(block);
          if (pages > 0) tail = std::max(tail, asked.tail_tokens);
          break;
        }
        case 2:
          say(static_cast<ResumedHow>(random() % 6), random() % (prompt + 8), random() % 20,
              random() % 100);
          break;
        default:
          turn_.wrote(static_cast<FillKind>(random() % 2), kBlock, 100);
      }
      const TurnRecord record = turn_.close();
      expect_sum(record);
      EXPECT_EQ(record.delivered[TierId::kRam] + record.delivered[TierId::kSsd],
                delivered.size() * kBlock + tail)
          << "each token once";
      ASSERT_FALSE(HasFailure());
    }
  }
}

}  // namespace
}  // namespace quire::server::turn_test
