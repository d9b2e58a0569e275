#include "model/boundary.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/model/model_fixtures.h"

namespace quire::model::boundary_test {
namespace {

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

}  // namespace
}  // namespace quire::model::boundary_test
