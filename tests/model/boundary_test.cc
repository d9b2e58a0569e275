#include "model/boundary.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/model/model_fixtures.h"

namespace quire::model::boundary_test {
namespace {

using enum CheckpointReason;
using Wanted = std::vector<WantedCheckpoint>;

Layout with_rules(CheckpointRule window, CheckpointRule state, uint32_t every_tokens = 0) {
  Layout layout = hybrid_layout(128, 256);
  layout.groups[1].checkpoints = window;
  layout.groups[2].checkpoints = state;
  for (Group& group : layout.groups) {
    if (group.checkpoints == CheckpointRule::kEvery) group.checkpoint_every_tokens = every_tokens;
  }
  return layout;
}

TEST(Boundary, FloorsAreMultiplesOfUnitAndBlock) {
  const Layout layout = append_layout(128, 256);
  EXPECT_EQ(unit_floor(layout, 127), 0u);
  EXPECT_EQ(unit_floor(layout, 128), 128u);
  EXPECT_EQ(unit_floor(layout, 400), 384u);
  EXPECT_EQ(block_floor(layout, 400), 256u);
  EXPECT_EQ(block_floor(layout, std::numeric_limits<uint32_t>::max()), 0xffffff00u);
}

TEST(Boundary, ResumePointLeavesOneTokenToCompute) {
  const Layout append = append_layout(128, 256);
  const Layout hybrid = hybrid_layout(128, 256);
  EXPECT_EQ(last_resume_point(append, 512), 256u);
  EXPECT_EQ(last_resume_point(append, 513), 512u);
  EXPECT_EQ(last_resume_point(hybrid, 512), 384u);
  EXPECT_EQ(last_resume_point(hybrid, 513), 512u);
  EXPECT_EQ(last_resume_point(hybrid, 0), 0u);
  EXPECT_EQ(last_resume_point(hybrid, 128), 0u);
  EXPECT_EQ(last_resume_point(hybrid, 129), 128u);
}

TEST(Boundary, ResumePointOfLayoutsWithoutCheckpointsLiesAtBlocks) {
  const Layout layout = with_rules(CheckpointRule::kNone, CheckpointRule::kNone);
  EXPECT_EQ(last_resume_point(layout, 500), 256u);
}

TEST(Boundary, TailIsWhereABlockIsCut) {
  const Layout layout = hybrid_layout(128, 256);
  EXPECT_FALSE(has_tail(layout, 0));
  EXPECT_TRUE(has_tail(layout, 128));
  EXPECT_FALSE(has_tail(layout, 256));
}

// What writer, matcher, restart and rebuild ask, in the units they count in.
TEST(Boundary, AnObjectHangsBelowTheSpanThatEndsWhereItsBlockBegins) {
  EXPECT_EQ(block_floor_units(7, 2), 6u);
  EXPECT_EQ(parent_units(FillKind::kSpan, 2, 2), 0u);
  EXPECT_EQ(parent_units(FillKind::kSpan, 8, 2), 6u);
  EXPECT_EQ(parent_units(FillKind::kCheckpoint, 1, 2), 0u);
  EXPECT_EQ(parent_units(FillKind::kCheckpoint, 7, 2), 6u);
  EXPECT_EQ(parent_units(FillKind::kCheckpoint, 8, 2), 8u) << "the span that ends with it";
}

TEST(Boundary, ObjectsEndInsideAndSpansAtBlocks) {
  EXPECT_FALSE(is_object_end(FillKind::kSpan, 0, 2));
  EXPECT_FALSE(is_object_end(FillKind::kCheckpoint, 0, 2));
  EXPECT_FALSE(is_object_end(FillKind::kSpan, 1, 2));
  EXPECT_FALSE(is_object_end(FillKind::kSpan, 7, 2));
  EXPECT_TRUE(is_object_end(FillKind::kSpan, 6, 2));
  EXPECT_TRUE(is_object_end(FillKind::kCheckpoint, 7, 2));
}

TEST(Boundary, NothingIsWantedWithoutCheckpointGroups) {
  EXPECT_TRUE(wanted_checkpoints(append_layout(128, 256), 0, 10'000, 512).empty());
  EXPECT_TRUE(
      wanted_checkpoints(with_rules(CheckpointRule::kNone, CheckpointRule::kNone), 0, 10'000, 512)
          .empty());
}

TEST(Boundary, TurnEndLiesAtTheLastResumePoint) {
  const Layout layout = hybrid_layout(128, 256);
  EXPECT_EQ(wanted_checkpoints(layout, 0, 1000, 0, 0), (Wanted{{896, kTurnEnd}}));
  EXPECT_EQ(wanted_checkpoints(layout, 0, 1024, 0, 0), (Wanted{{896, kTurnEnd}}));
  EXPECT_EQ(wanted_checkpoints(layout, 0, 1025, 0, 0), (Wanted{{1024, kTurnEnd}}));
}

TEST(Boundary, AColdPromptWantsOneMoreBeforeItsTail) {
  const Layout layout = hybrid_layout(128, 256);
  EXPECT_EQ(wanted_checkpoints(layout, 0, 1000, 0), (Wanted{{640, kBeforeTail}, {896, kTurnEnd}}));
  EXPECT_EQ(wanted_checkpoints(layout, 0, 1000, 0, 512),
            (Wanted{{384, kBeforeTail}, {896, kTurnEnd}}));
  EXPECT_EQ(wanted_checkpoints(layout, 0, 1000, 0, 0), (Wanted{{896, kTurnEnd}}));
  EXPECT_EQ(wanted_checkpoints(layout, 0, 300, 0), (Wanted{{256, kTurnEnd}})) << "a tail alone";
  EXPECT_EQ(wanted_checkpoints(layout, 0, 1000, 0, 1), (Wanted{{896, kTurnEnd}})) << "one position";
  EXPECT_EQ(wanted_checkpoints(layout, 0, 1000, 640), (Wanted{{640, kBranch}, {896, kTurnEnd}}));
}

// The checkpoint that a turn resumed from is the one before its tail, when it lies near.
TEST(Boundary, AWarmTurnWantsOneBeforeItsTailOnlyFarFromWhereItResumed) {
  const Layout layout = hybrid_layout(128, 256);
  EXPECT_EQ(wanted_checkpoints(layout, 1024, 1024 + 8000, 0), (Wanted{{8960, kTurnEnd}}));
  EXPECT_EQ(wanted_checkpoints(layout, 1024, 1024 + 20'000, 0),
            (Wanted{{20'736, kBeforeTail}, {20'992, kTurnEnd}}));
}

TEST(Boundary, ATurnEndNearerThanATailToWhereTheTurnResumedIsNotWanted) {
  const Layout layout = hybrid_layout(128, 256);
  EXPECT_TRUE(wanted_checkpoints(layout, 768, 1000, 0).empty()) << "128 tokens further";
  EXPECT_EQ(wanted_checkpoints(layout, 640, 1000, 0), (Wanted{{896, kTurnEnd}}));
  EXPECT_EQ(wanted_checkpoints(layout, 768, 1000, 0, 0), (Wanted{{896, kTurnEnd}}));
}

TEST(Boundary, WhatLiesAtTheTailPointIsBeforeTheTailOfEveryPromptWithThatTurnEnd) {
  EXPECT_TRUE(rc::check([] {
    const Layout layout = *valid_layouts();
    const auto prompt = *rc::gen::inRange<uint32_t>(1, 100'000);
    const auto tail = *rc::gen::inRange<uint32_t>(1, 1000);
    const uint32_t end = unit_floor(layout, prompt - 1);
    const uint32_t point = tail_point(layout, prompt, tail);
    RC_ASSERT(point / layout.unit_tokens <=
              tail_units(end / layout.unit_tokens, layout.unit_tokens, tail));
    RC_ASSERT(tail_point(layout, end + layout.unit_tokens, tail) ==
              tail_units(end / layout.unit_tokens, layout.unit_tokens, tail) * layout.unit_tokens);
  }));
}

TEST(Boundary, PositionsUpToFromAreNotWantedAgain) {
  const Layout layout = hybrid_layout(128, 256);
  EXPECT_TRUE(wanted_checkpoints(layout, 896, 1000, 0).empty());
  EXPECT_TRUE(wanted_checkpoints(layout, 896, 1000, 512).empty());
  EXPECT_TRUE(wanted_checkpoints(layout, 1000, 900, 0).empty());
}

TEST(Boundary, AllWantsEveryUnit) {
  const Layout layout = with_rules(CheckpointRule::kAll, CheckpointRule::kTurnEnds);
  EXPECT_EQ(wanted_checkpoints(layout, 100, 520, 0, 0),
            (Wanted{{128, kInterval}, {256, kInterval}, {384, kInterval}, {512, kInterval}}));
}

TEST(Boundary, EveryWantsMultiplesAndTurnEnds) {
  const Layout layout = with_rules(CheckpointRule::kEvery, CheckpointRule::kNone, 512);
  EXPECT_EQ(wanted_checkpoints(layout, 512, 1700, 0, 0),
            (Wanted{{1024, kInterval}, {1536, kInterval}, {1664, kTurnEnd}}));
}

TEST(Boundary, BranchOutranksIntervalOutranksTurnEnd) {
  const Layout layout = with_rules(CheckpointRule::kEvery, CheckpointRule::kTurnEnds, 512);
  EXPECT_EQ(wanted_checkpoints(layout, 0, 1025, 512, 0),
            (Wanted{{512, kBranch}, {1024, kInterval}}));
  EXPECT_EQ(wanted_checkpoints(hybrid_layout(128, 256), 0, 1000, 896, 0), (Wanted{{896, kBranch}}));
}

TEST(Boundary, IntervalsOfSeveralGroupsAreJoined) {
  Layout layout = with_rules(CheckpointRule::kEvery, CheckpointRule::kEvery, 384);
  layout.groups[2].checkpoint_every_tokens = 512;
  EXPECT_EQ(wanted_checkpoints(layout, 0, 1100, 0, 0),
            (Wanted{{384, kInterval}, {512, kInterval}, {768, kInterval}, {1024, kInterval}}));
}

TEST(Boundary, EndOfThe32BitRangeDoesNotWrap) {
  const Layout layout = with_rules(CheckpointRule::kAll, CheckpointRule::kAll);
  const auto wanted = wanted_checkpoints(layout, 0xffffff00u, 0xffffffffu, 0, 0);
  EXPECT_EQ(wanted, (Wanted{{0xffffff80u, kInterval}}));
}

TEST(Boundary, WantedAreAscendingUnitsInsideTheRangeAndHoldTheTurnEnd) {
  EXPECT_TRUE(rc::check([] {
    const Layout layout = *valid_layouts();
    const auto from = *rc::gen::inRange<uint32_t>(0, 5000);
    const auto end = *rc::gen::inRange<uint32_t>(0, 10'000);
    const auto branch = unit_floor(layout, *rc::gen::inRange<uint32_t>(0, 10'000));
    const auto tail = *rc::gen::element<uint32_t>(0, 1, kTailTokens, 2000);
    const Wanted wanted = wanted_checkpoints(layout, from, end, branch, tail);
    uint32_t before = from;
    bool has_turn_end = false;
    for (const WantedCheckpoint& checkpoint : wanted) {
      RC_ASSERT(checkpoint.tokens > before);
      RC_ASSERT(checkpoint.tokens <= end);
      RC_ASSERT(checkpoint.tokens % layout.unit_tokens == 0u);
      has_turn_end |= checkpoint.tokens == last_resume_point(layout, end);
      before = checkpoint.tokens;
    }
    const uint32_t turn_end = last_resume_point(layout, end);
    const bool worth_it = turn_end > from && (from == 0 || turn_end - from >= tail);
    RC_ASSERT(has_turn_end || !needs_checkpoint(layout) || !worth_it);
    RC_ASSERT(needs_checkpoint(layout) || wanted.empty());
  }));
}

}  // namespace
}  // namespace quire::model::boundary_test
