#include "tiering/disk/codec_chooser.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "tiering/disk/ssd_format.h"

namespace quire::tiering::codec_chooser_test {
namespace {

using cache::KnownLayout;
using model::ElementFormat;
using model::GroupKind;
using model::PagePlan;

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kStep = kMiB / 16;
constexpr uint32_t kForget = 256;  // objects without a misfit

struct GroupShape {
  std::string name;
  uint64_t page_bytes = kMiB;
  ElementFormat format = ElementFormat::kBf16;
  GroupKind kind = GroupKind::kAppend;
};

class CodecChooserTest : public testing::Test {
 protected:
  const KnownLayout& add(const std::string& name, const std::vector<GroupShape>& shapes) {
    model::Layout layout{.name = name, .unit_tokens = 4, .block_tokens = 4, .groups = {}};
    for (const GroupShape& shape : shapes) {
      model::Group& group = layout.groups.emplace_back();
      group.name = shape.name;
      group.kind = shape.kind;
      group.element_format = shape.format;
      group.page_bytes = shape.page_bytes;
      group.layers = {{.layer = 0, .offset = 0, .bytes = shape.page_bytes}};
    }
    EXPECT_TRUE(model::validate(layout).ok());
    return *table_.find(*table_.add(std::move(layout)));
  }
  // So often that the running average is this.
  void learn(CodecChooser& chooser, const KnownLayout& layout, double ratio,
             model::GroupIndex group = 0, int times = 200) {
    for (int i = 0; i < times; ++i) {
      chooser.observe(layout, group, 100'000, static_cast<uint64_t>(ratio * 100'000));
    }
  }

  cache::LayoutTable table_;
};

TEST_F(CodecChooserTest, PlainUntilThereAreSamplesEnough) {
  CodecChooser chooser({});
  const KnownLayout& layout = add("a", {{"kv"}});
  EXPECT_EQ(chooser.slot_size(layout, layout.span_plan), kMiB);
  for (uint32_t i = 1; i < kSamplesToEnter; ++i) {
    learn(chooser, layout, 0.5, 0, 1);
    EXPECT_EQ(chooser.slot_size(layout, layout.span_plan), kMiB);
    EXPECT_EQ(chooser.element_bytes(layout, 0), 0);
  }
  learn(chooser, layout, 0.5, 0, 1);
  EXPECT_LT(chooser.slot_size(layout, layout.span_plan), kMiB);
  EXPECT_EQ(chooser.element_bytes(layout, 0), 2);
}

TEST_F(CodecChooserTest, SlotIsInSixteenthsWithAMargin) {
  for (int percent = 5; percent < 80; ++percent) {
    CodecChooser chooser({});
    const KnownLayout& layout = add("p" + std::to_string(percent), {{"kv"}});
    learn(chooser, layout, percent / 100.0);
    const uint64_t slot = chooser.slot_size(layout, layout.span_plan);
    const double expected = percent / 100.0 * kMiB;
    EXPECT_EQ(slot % kStep, 0u);
    EXPECT_GE(static_cast<double>(slot), expected * 1.01) << percent;
    EXPECT_LT(static_cast<double>(slot), expected * 1.03 + kStep + kSsdBlockBytes) << percent;
  }
  // Half of it, and the margin, are not eight sixteenths.
  CodecChooser chooser({});
  const KnownLayout& layout = add("half", {{"kv"}});
  learn(chooser, layout, 0.5);
  EXPECT_EQ(chooser.slot_size(layout, layout.span_plan), 9 * kStep);
}

TEST_F(CodecChooserTest, StepsAreWholeBlocksAndPagesStayApart) {
  CodecChooser chooser({});
  // Nine blocks and two: of the first expected five, the second stays as it is.
  const KnownLayout& layout = add("a", {{"kv", 36'002}, {"index", 5'000, ElementFormat::kOpaque}});
  learn(chooser, layout, 0.51);
  learn(chooser, layout, 1.0, 1);
  EXPECT_EQ(slot_bytes(layout.span_plan), 11 * kSsdBlockBytes);
  EXPECT_EQ(chooser.slot_size(layout, layout.span_plan), 7 * kSsdBlockBytes);
  EXPECT_EQ(chooser.element_bytes(layout, 0), 2);
  EXPECT_EQ(chooser.element_bytes(layout, 1), 0);
}

TEST_F(CodecChooserTest, SizeStaysWhileItIsAtMostOneStepTooLarge) {
  CodecChooser chooser({});
  const KnownLayout& layout = add("a", {{"kv"}});
  learn(chooser, layout, 0.50);
  ASSERT_EQ(chooser.slot_size(layout, layout.span_plan), 9 * kStep);
  learn(chooser, layout, 0.45);  // eight would do
  EXPECT_EQ(chooser.slot_size(layout, layout.span_plan), 9 * kStep);
  learn(chooser, layout, 0.40);  // seven
  EXPECT_EQ(chooser.slot_size(layout, layout.span_plan), 7 * kStep);
  learn(chooser, layout, 0.45);  // larger at once
  EXPECT_EQ(chooser.slot_size(layout, layout.span_plan), 8 * kStep);
}

TEST_F(CodecChooserTest, NeverLargerThanPlain) {
  for (const uint64_t bytes : {kMiB, kMiB + 1, kMiB - 5'000, uint64_t{8'192}, uint64_t{12'289}}) {
    CodecChooser chooser({});
    const KnownLayout& layout = add("b" + std::to_string(bytes), {{"kv", bytes}});
    const uint64_t plain = slot_bytes(layout.span_plan);
    learn(chooser, layout, 0.79);
    EXPECT_LE(chooser.slot_size(layout, layout.span_plan), plain);
    for (int i = 0; i < 40; ++i) chooser.observe_fit(layout.span_plan, 1, false);
    EXPECT_EQ(chooser.slot_size(layout, layout.span_plan), plain);
  }
}

TEST_F(CodecChooserTest, GroupThatDoesNotPayAnyMoreIsPlainAgain) {
  CodecChooser chooser({});
  const KnownLayout& layout = add("a", {{"kv"}});
  learn(chooser, layout, 0.5);
  ASSERT_LT(chooser.slot_size(layout, layout.span_plan), kMiB);
  for (int i = 0; i < 200; ++i) chooser.observe(layout, 0, 100'000, 0);  // it did not get smaller
  EXPECT_EQ(chooser.slot_size(layout, layout.span_plan), kMiB);
  EXPECT_EQ(chooser.element_bytes(layout, 0), 0);
}

TEST_F(CodecChooserTest, MisfitsAddAStepForAWhile) {
  CodecChooser chooser({});
  const KnownLayout& layout = add("a", {{"kv"}, {"state", 2 * kMiB, {}, GroupKind::kState}});
  learn(chooser, layout, 0.5);
  ASSERT_EQ(chooser.slot_size(layout, layout.span_plan), 9 * kStep);
  const uint64_t checkpoint = chooser.slot_size(layout, layout.checkpoint_plan);
  chooser.observe_fit(layout.span_plan, 1, false);
  EXPECT_EQ(chooser.slot_size(layout, layout.span_plan), 10 * kStep);
  chooser.observe_fit(layout.span_plan, 1, false);
  EXPECT_EQ(chooser.slot_size(layout, layout.span_plan), 11 * kStep);
  EXPECT_EQ(chooser.slot_size(layout, layout.checkpoint_plan), checkpoint);
  // One is taken back, and then the size is one step too large; then the other one.
  for (uint32_t i = 0; i < 2 * kForget - 1; ++i) {
    chooser.observe_fit(layout.span_plan, 1, true);
    ASSERT_EQ(chooser.slot_size(layout, layout.span_plan), 11 * kStep) << i;
  }
  chooser.observe_fit(layout.span_plan, 1, true);
  EXPECT_EQ(chooser.slot_size(layout, layout.span_plan), 9 * kStep);
}

TEST_F(CodecChooserTest, PlainObjectsForgetMisfitsToo) {
  CodecChooser chooser({});
  const KnownLayout& layout = add("a", {{"kv"}});
  learn(chooser, layout, 0.5);
  for (int i = 0; i < 40; ++i) chooser.observe_fit(layout.span_plan, 1, false);
  ASSERT_EQ(chooser.slot_size(layout, layout.span_plan), kMiB);
  for (uint32_t i = 0; i < 16 * kForget; ++i) chooser.next_trial(layout, layout.span_plan);
  EXPECT_EQ(chooser.slot_size(layout, layout.span_plan), 9 * kStep);
}

TEST_F(CodecChooserTest, DisabledItTriesAndEncodesNothing) {
  CodecChooser chooser({.enabled = false});
  const KnownLayout& layout = add("a", {{"kv"}});
  EXPECT_FALSE(chooser.next_trial(layout, layout.span_plan).has_value());
  learn(chooser, layout, 0.5);
  EXPECT_EQ(chooser.slot_size(layout, layout.span_plan), kMiB);
  EXPECT_FALSE(chooser.next_trial(layout, layout.span_plan).has_value());
}

TEST_F(CodecChooserTest, TrialsAreTheFirstPagesAndThenOneInMany) {
  CodecChooser chooser({.sampler = {.sample_every = 10}});
  const KnownLayout& layout = add("a", {{"kv"}});
  uint64_t turn = 0;
  for (uint32_t i = 0; i < kSamplesToEnter; ++i) {
    const auto trial = chooser.next_trial(layout, layout.span_plan);
    ASSERT_TRUE(trial.has_value());
    EXPECT_EQ(trial->page, 0u);
    EXPECT_EQ(trial->sample.element_bytes, 2);
    EXPECT_EQ(trial->sample.turn, turn++);
    chooser.observe(layout, 0, 100, 100);
  }
  uint32_t tried = 0;
  for (int i = 0; i < 100; ++i) {
    const auto trial = chooser.next_trial(layout, layout.span_plan);
    if (!trial) continue;
    EXPECT_EQ(trial->sample.turn, turn++);
    ++tried;
  }
  EXPECT_EQ(tried, 10u);
}

TEST_F(CodecChooserTest, PagesOfOneBlockAreNeverTried) {
  CodecChooser chooser({});
  const KnownLayout& small = add("a", {{"kv", 4'096}, {"index", 1'000}});
  for (int i = 0; i < 300; ++i) {
    EXPECT_FALSE(chooser.next_trial(small, small.span_plan).has_value());
  }
  const KnownLayout& mixed = add("b", {{"index", 4'096}, {"kv", 4'097}});
  const auto trial = chooser.next_trial(mixed, mixed.span_plan);
  ASSERT_TRUE(trial.has_value());
  EXPECT_EQ(trial->page, 1u);
}

TEST_F(CodecChooserTest, OneTrialAnObjectAndEveryGroupComesToItsTurn) {
  CodecChooser chooser({});
  const KnownLayout& layout = add("a", {{"k"}, {"v"}});
  for (const uint32_t page : {0u, 1u}) {
    for (uint32_t i = 0; i < kSamplesToEnter; ++i) {
      // Past the samples of the first group that are due once in many.
      auto trial = chooser.next_trial(layout, layout.span_plan);
      if (trial && trial->page < page) trial = chooser.next_trial(layout, layout.span_plan);
      ASSERT_TRUE(trial.has_value());
      EXPECT_EQ(trial->page, page);
      chooser.observe(layout, layout.span_plan.pages[page].group, 100, 50);
    }
  }
  EXPECT_EQ(chooser.slot_size(layout, layout.span_plan), 2 * 9 * kStep);
}

TEST_F(CodecChooserTest, ElementFollowsTheFormat) {
  const std::pair<ElementFormat, uint8_t> expected[] = {
      {ElementFormat::kBf16, 2},      {ElementFormat::kFp16, 2},
      {ElementFormat::kFp32, 4},      {ElementFormat::kOpaque, 1},
      {ElementFormat::kFp8E4m3, 1},   {ElementFormat::kFp8DsMla, 1},
      {ElementFormat::kFp8V32Mla, 1}, {ElementFormat::kMxfp4Index, 1},
      {ElementFormat::kFp8Index, 1},  {ElementFormat::kFp4V41, 1},
      {ElementFormat::kMixed, 1}};
  for (const auto& [format, element] : expected) {
    CodecChooser chooser({});
    const KnownLayout& layout =
        add("f" + std::to_string(static_cast<int>(format)), {{"kv", kMiB, format}});
    const auto trial = chooser.next_trial(layout, layout.span_plan);
    ASSERT_TRUE(trial.has_value());
    EXPECT_EQ(trial->sample.element_bytes, element);
    learn(chooser, layout, 0.5);
    EXPECT_EQ(chooser.element_bytes(layout, 0), element);
  }
}

TEST_F(CodecChooserTest, LayoutsDoNotDisturbEachOther) {
  CodecChooser chooser({});
  const KnownLayout& one = add("one", {{"kv"}});
  const KnownLayout& two = add("two", {{"kv"}});
  learn(chooser, one, 0.5);
  EXPECT_EQ(chooser.slot_size(two, two.span_plan), kMiB);
  EXPECT_EQ(chooser.element_bytes(two, 0), 0);
  learn(chooser, two, 0.25);
  chooser.observe_fit(two.span_plan, 1, false);
  EXPECT_EQ(chooser.slot_size(one, one.span_plan), 9 * kStep);
  EXPECT_EQ(chooser.slot_size(two, two.span_plan), (5 + 1) * kStep);
}

TEST_F(CodecChooserTest, StatusNamesTheGroupsThatWereTried) {
  CodecChooser chooser({});
  const KnownLayout& layout = add("a", {{"k"}, {"v"}, {"w"}});
  EXPECT_TRUE(chooser.status().empty());
  chooser.slot_size(layout, layout.span_plan);
  EXPECT_TRUE(chooser.status().empty());
  learn(chooser, layout, 0.5, 0);
  learn(chooser, layout, 0.9, 2, 1);
  const std::vector<CodecGroupStatus> status = chooser.status();
  ASSERT_EQ(status.size(), 2u);
  EXPECT_EQ(status[0].layout, "a");
  EXPECT_EQ(status[0].group, "k");
  EXPECT_NEAR(status[0].ratio, 0.5, 1e-9);
  EXPECT_TRUE(status[0].worthwhile);
  EXPECT_EQ(status[1].group, "w");
  EXPECT_NEAR(status[1].ratio, 0.9, 1e-9);
  EXPECT_FALSE(status[1].worthwhile);
}

}  // namespace
}  // namespace quire::tiering::codec_chooser_test
