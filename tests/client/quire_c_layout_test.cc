// The part of the C ABI that needs no daemon: layouts, boundaries, page plans.
#include <cstring>

#include "client/quire_c.h"
#include "model/checkpoint_policy.h"
#include "model/layout_toml.h"
#include "tests/client/client_fixture.h"

namespace quire::client::quire_c_layout_test {
namespace {

class QuireCLayout : public testing::Test {
 protected:
  void SetUp() override {
    const std::string toml = model::layout_to_toml(test_layout());
    ASSERT_EQ(quire_layout_parse(toml.data(), toml.size(), &layout_, {nullptr, 0}), QUIRE_OK);
  }
  void TearDown() override { quire_layout_free(layout_); }

  quire_layout* layout_ = nullptr;
};

TEST_F(QuireCLayout, LayoutTellsItsGroups) {
  EXPECT_EQ(quire_layout_unit_tokens(layout_), 16u);
  EXPECT_EQ(quire_layout_group_count(layout_), 3u);
  EXPECT_STREQ(quire_layout_group_name(layout_, 1), "index");
  EXPECT_EQ(quire_layout_group_page_bytes(layout_, 1), 1000u);
  EXPECT_EQ(quire_layout_group_name(layout_, 3), nullptr);
}

TEST_F(QuireCLayout, BadTextOfALayoutIsExplainedAndCut) {
  quire_layout* none = nullptr;
  char small[8];
  EXPECT_NE(quire_layout_parse("x = ", 4, &none, {small, sizeof small}), QUIRE_OK);
  EXPECT_EQ(std::strlen(small), 7u);
  EXPECT_NE(quire_layout_parse("x = ", 4, &none, {nullptr, 0}), QUIRE_OK);
  EXPECT_EQ(none, nullptr);
}

TEST_F(QuireCLayout, LayoutTellsAllOfAGroup) {
  quire_group_info info = {.size = sizeof info};
  ASSERT_EQ(quire_layout_group(layout_, 2, &info), QUIRE_OK);
  EXPECT_STREQ(info.name, "state");
  EXPECT_EQ(info.kind, uint32_t{QUIRE_GROUP_STATE});
  EXPECT_EQ(info.page_bytes, 512u);
  EXPECT_EQ(info.layer_count, 1u);
  EXPECT_EQ(info.shard_count, 1u);
  EXPECT_EQ(quire_layout_group(layout_, 3, &info), QUIRE_NOT_FOUND);
  info.size = 0;
  EXPECT_EQ(quire_layout_group(layout_, 0, &info), QUIRE_INVALID_ARGUMENT);
  quire_layer_range layer;
  size_t count = 0;
  ASSERT_EQ(quire_layout_layers(layout_, 1, &layer, 1, &count), QUIRE_OK);
  EXPECT_EQ(count, 1u);
  EXPECT_EQ(layer.bytes, 1000u);
  ASSERT_EQ(quire_layout_layers(layout_, 1, nullptr, 0, &count), QUIRE_OK) << "how many";
  EXPECT_EQ(quire_layout_append_groups(layout_), 3u);
  EXPECT_EQ(quire_layout_checkpoint_groups(layout_), 4u);
}

TEST_F(QuireCLayout, BoundariesAreThoseOfTheModel) {
  const model::Layout layout = test_layout();
  for (uint32_t tokens = 0; tokens < 200; ++tokens) {
    EXPECT_EQ(quire_unit_floor(layout_, tokens), model::unit_floor(layout, tokens));
    EXPECT_EQ(quire_block_floor(layout_, tokens), model::block_floor(layout, tokens));
    EXPECT_EQ(quire_last_resume_point(layout_, tokens), model::last_resume_point(layout, tokens));
    EXPECT_EQ(quire_has_tail(layout_, tokens) != 0, model::has_tail(layout, tokens));
  }
  quire_wanted_options options{.size = sizeof options, .end_tokens = 1000, .branch_tokens = 64};
  quire_wanted_checkpoint wanted[8];
  for (const uint32_t tail : {0u, 128u, QUIRE_NO_TAIL}) {
    options.tail_tokens = tail;
    size_t count = 0;
    ASSERT_EQ(quire_wanted_checkpoints(layout_, &options, wanted, 8, &count), QUIRE_OK);
    const uint32_t used = tail == 0 ? 256 : tail == QUIRE_NO_TAIL ? 0 : tail;
    const auto expected = model::wanted_checkpoints(
        layout, {.end_tokens = 1000, .branch_tokens = 64, .tail_tokens = used});
    ASSERT_EQ(count, expected.size());
    for (size_t i = 0; i < count; ++i) {
      EXPECT_EQ(wanted[i].tokens, expected[i].tokens);
      EXPECT_EQ(wanted[i].reason, static_cast<uint32_t>(expected[i].reason));
    }
  }
}

TEST_F(QuireCLayout, CheckpointWordsAreThoseOfTheModel) {
  quire_wanted_options options{.size = sizeof options, .end_tokens = 1000, .branch_tokens = 64};
  quire_wanted_checkpoint wanted[64];
  size_t count = 0;
  for (const auto word : {model::CheckpointWord::kNone, model::CheckpointWord::kBranch,
                          model::CheckpointWord::kTurnEnds, model::CheckpointWord::kEvery,
                          model::CheckpointWord::kAll}) {
    options.policy = static_cast<uint32_t>(word) + 1;
    options.every_tokens = word == model::CheckpointWord::kEvery ? 100 : 0;
    ASSERT_EQ(quire_wanted_checkpoints(layout_, &options, wanted, 64, &count), QUIRE_OK);
    const auto expected = model::wanted_checkpoints(
        test_layout(), {.end_tokens = 1000, .branch_tokens = 64}, {word, options.every_tokens});
    ASSERT_EQ(count, expected.size()) << options.policy;
    for (size_t i = 0; i < count; ++i) EXPECT_EQ(wanted[i].tokens, expected[i].tokens);
  }
  const auto refused = [&](uint32_t word, uint32_t every) {
    options.policy = word;
    options.every_tokens = every;
    return quire_wanted_checkpoints(layout_, &options, wanted, 64, &count);
  };
  EXPECT_EQ(refused(6, 0), QUIRE_INVALID_ARGUMENT);
  EXPECT_EQ(refused(QUIRE_CHECKPOINTS_EVERY, 0), QUIRE_INVALID_ARGUMENT);
  EXPECT_EQ(refused(QUIRE_CHECKPOINTS_ALL, 8), QUIRE_INVALID_ARGUMENT);
  EXPECT_EQ(refused(QUIRE_CHECKPOINTS_EVERY, 1u << 28), QUIRE_INVALID_ARGUMENT);
}

TEST_F(QuireCLayout, PagePlanSaysWhereEachPageStands) {
  quire_planned_page pages[QUIRE_MAX_OBJECT_PAGES];
  size_t count = 0;
  uint64_t bytes = 0;
  ASSERT_EQ(quire_plan_pages(layout_, QUIRE_FILL_CHECKPOINT, 16, 0, pages, 64, &count, &bytes),
            QUIRE_OK);
  const auto plan = model::plan_pages(test_layout(), model::FillKind::kCheckpoint, 16, 0);
  ASSERT_EQ(count, plan.pages.size());
  EXPECT_EQ(bytes, plan.staging_bytes);
  for (size_t i = 0; i < count; ++i) {
    EXPECT_EQ(pages[i].group, plan.pages[i].group);
    EXPECT_EQ(pages[i].tail != 0, plan.pages[i].tail);
    EXPECT_EQ(pages[i].bytes, plan.pages[i].bytes);
    EXPECT_EQ(pages[i].staging_offset, plan.pages[i].staging_offset);
  }
  pages[1].bytes = 77;
  ASSERT_EQ(quire_plan_pages(layout_, QUIRE_FILL_CHECKPOINT, 16, 0, pages, 1, &count, nullptr),
            QUIRE_OK);
  EXPECT_EQ(count, plan.pages.size());
  EXPECT_EQ(pages[1].bytes, 77u) << "beyond the caller's room";
}

}  // namespace
}  // namespace quire::client::quire_c_layout_test
