#include "model/page_plan.h"

#include <gtest/gtest.h>

#include "tests/model/model_fixtures.h"

namespace quire::model::page_plan_test {
namespace {

// append "kv" 4096, window 8192, state 100, append "kv2" 1000.
Layout four_groups() {
  Layout layout = hybrid_layout(128, 256);
  Group second = layout.groups[0];
  second.name = "kv2";
  second.page_bytes = 1000;
  second.layers.clear();
  layout.groups.push_back(second);
  return layout;
}

std::vector<int> group_list(const PagePlan& plan) {
  std::vector<int> groups;
  for (const PlannedPage& page : plan.pages) groups.push_back(page.group);
  return groups;
}

TEST(PagePlan, SpanHoldsTheAppendGroups) {
  const PagePlan plan = plan_pages(four_groups(), FillKind::kSpan, 256, 0);
  EXPECT_EQ(group_list(plan), (std::vector<int>{0, 3}));
  EXPECT_EQ(plan.pages[1].bytes, 1000u);
  EXPECT_EQ(plan.pages[1].staging_offset, 4096u);
  EXPECT_EQ(plan.staging_bytes, 4096u + 1024u);
  EXPECT_FALSE(plan.pages[0].tail);
}

TEST(PagePlan, StagingHoldsASpanAndACheckpointWithItsTail) {
  EXPECT_EQ(staging_bytes_for(four_groups()), 2 * (4096u + 1024u) + 8192u + 128u);
  Layout layout = four_groups();
  layout.unit_tokens = 256;  // no block is cut
  EXPECT_EQ(staging_bytes_for(layout), 4096u + 1024u + 8192u + 128u);
}

TEST(PagePlan, CheckpointAtABlockEndHasNoTail) {
  const PagePlan plan = plan_pages(four_groups(), FillKind::kCheckpoint, 512, 0);
  EXPECT_EQ(group_list(plan), (std::vector<int>{1, 2}));
  EXPECT_EQ(plan.staging_bytes, 8192u + 128u);
}

TEST(PagePlan, CheckpointInsideABlockAddsTailPages) {
  const PagePlan plan = plan_pages(four_groups(), FillKind::kCheckpoint, 384, 0);
  EXPECT_EQ(group_list(plan), (std::vector<int>{1, 2, 0, 3}));
  EXPECT_FALSE(plan.pages[1].tail);
  EXPECT_TRUE(plan.pages[2].tail);
  EXPECT_EQ(plan.pages[2].staging_offset, 8192u + 128u);
}

TEST(PagePlan, MaskLeavesPagesOutAndClosesTheGap) {
  const PagePlan plan = plan_pages(four_groups(), FillKind::kCheckpoint, 384, 0b1100);
  EXPECT_EQ(group_list(plan), (std::vector<int>{2, 3}));
  EXPECT_EQ(plan.pages[1].staging_offset, 128u);
}

TEST(PagePlan, GroupsWithoutCheckpointsAreNotPlanned) {
  Layout layout = four_groups();
  layout.groups[1].checkpoints = CheckpointRule::kNone;
  EXPECT_EQ(group_list(plan_pages(layout, FillKind::kCheckpoint, 512, 0)), (std::vector<int>{2}));
}

TEST(PagePlan, SixtyFourGroupsArePlanned) {
  Layout layout = append_layout(64, 64);
  for (int i = 1; i < 64; ++i) {
    layout.groups.push_back(layout.groups[0]);
    layout.groups.back().name = "kv" + std::to_string(i);
  }
  EXPECT_EQ(plan_pages(layout, FillKind::kSpan, 64, 0).pages.size(), 64u);
  const PagePlan last = plan_pages(layout, FillKind::kSpan, 64, GroupMask{1} << 63);
  EXPECT_EQ(group_list(last), (std::vector<int>{63}));
}

TEST(PagePlan, OffsetsAreAlignedDisjointAndInside) {
  EXPECT_TRUE(rc::check([] {
    const Layout layout = *valid_layouts();
    const auto kind = *rc::gen::element(FillKind::kSpan, FillKind::kCheckpoint);
    const auto end = layout.unit_tokens * *rc::gen::inRange<uint32_t>(1, 50);
    const PagePlan plan = plan_pages(layout, kind, end, *rc::gen::arbitrary<uint64_t>());
    uint64_t before = 0;
    uint64_t bytes = 0;
    for (const PlannedPage& page : plan.pages) {
      bytes += page.bytes;
      RC_ASSERT(page.staging_offset % kStagingAlignment == 0u);
      RC_ASSERT(page.staging_offset >= before);
      before = page.staging_offset + page.bytes;
    }
    RC_ASSERT(before <= plan.staging_bytes);
    RC_ASSERT(bytes == plan.page_bytes);
  }));
}

}  // namespace
}  // namespace quire::model::page_plan_test
