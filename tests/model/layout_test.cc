#include "model/layout.h"

#include <gtest/gtest.h>

#include <limits>

#include "model/limits.h"
#include "tests/model/model_fixtures.h"

namespace quire::model::layout_test {
namespace {

void expect_invalid(const Layout& layout, const std::string& named) {
  const Result<void> result = validate(layout);
  ASSERT_FALSE(result.ok()) << named;
  EXPECT_EQ(result.code(), Errc::kInvalidLayout);
  EXPECT_NE(result.error().text.find(named), std::string::npos) << result.error().text;
}

// hybrid_layout(128, 256) after `change`.
template <typename Change>
Layout changed(Change change) {
  Layout layout = hybrid_layout(128, 256);
  change(layout);
  return layout;
}

TEST(Layout, SmallLayoutsAreValid) {
  EXPECT_TRUE(validate(append_layout(16, 16)).ok());
  EXPECT_TRUE(validate(hybrid_layout(128, 256)).ok());
}

TEST(Layout, GeneratedLayoutsAreValid) {
  EXPECT_TRUE(rc::check([] {
    const Layout layout = *valid_layouts();
    const Result<void> result = validate(layout);
    if (!result.ok()) RC_FAIL(result.error().text);
  }));
}

TEST(Layout, TokensMustBeInBoundsAndMultiples) {
  expect_invalid(append_layout(0, 256), "unit_tokens");
  expect_invalid(append_layout(128, 0), "block_tokens");
  expect_invalid(append_layout(128, 200), "multiple");
  expect_invalid(append_layout(256, 128), "multiple");
  expect_invalid(append_layout(kMaxUnitTokens + 1, kMaxUnitTokens + 1), "unit_tokens");
  expect_invalid(append_layout(128, 128 * 1024), "block_tokens");
}

TEST(Layout, GroupCountIsBounded) {
  expect_invalid(changed([](Layout& l) { l.groups.clear(); }), "groups");
  Layout layout = append_layout(64, 64);
  for (size_t i = 1; i < kMaxGroups; ++i) {
    layout.groups.push_back(layout.groups[0]);
    layout.groups.back().name = "kv" + std::to_string(i);
  }
  EXPECT_TRUE(validate(layout).ok());
  layout.groups.push_back(layout.groups[0]);
  layout.groups.back().name = "one too many";
  expect_invalid(layout, "65");
}

TEST(Layout, NeedsAnAppendGroup) {
  expect_invalid(changed([](Layout& l) { l.groups.erase(l.groups.begin()); }), "append");
}

TEST(Layout, NamesAreShortPrintableAndDistinct) {
  expect_invalid(changed([](Layout& l) { l.name.clear(); }), "layout");
  expect_invalid(changed([](Layout& l) { l.name = std::string(64, 'x'); }), "63");
  EXPECT_TRUE(validate(changed([](Layout& l) { l.name = std::string(63, 'x'); })).ok());
  expect_invalid(changed([](Layout& l) { l.groups[1].name.clear(); }), "group 1");
  expect_invalid(changed([](Layout& l) { l.groups[1].name = std::string(64, 'x'); }), "group 1");
  expect_invalid(changed([](Layout& l) { l.groups[1].name = std::string("a\0b", 3); }), "group 1");
  expect_invalid(changed([](Layout& l) { l.groups[2].name = "kv"; }), "'kv'");
}

TEST(Layout, UnknownEnumeratorsAreRefused) {
  expect_invalid(changed([](Layout& l) { l.groups[1].kind = static_cast<GroupKind>(3); }),
                 "unknown kind 3");
  expect_invalid(
      changed([](Layout& l) { l.groups[1].element_format = static_cast<ElementFormat>(11); }),
      "element format 11");
  expect_invalid(
      changed([](Layout& l) { l.groups[1].checkpoints = static_cast<CheckpointRule>(4); }),
      "checkpoint rule 4");
}

TEST(Layout, WindowTokensBelongToWindowGroups) {
  expect_invalid(changed([](Layout& l) { l.groups[1].window_tokens = 0; }), "'window'");
  expect_invalid(changed([](Layout& l) { l.groups[0].window_tokens = 1; }), "'kv'");
  expect_invalid(changed([](Layout& l) { l.groups[2].window_tokens = 1; }), "'state'");
}

TEST(Layout, CheckpointIntervalsAreMultiplesOfTheUnit) {
  const auto every = [](uint32_t tokens) {
    return changed([tokens](Layout& l) {
      l.groups[1].checkpoints = CheckpointRule::kEvery;
      l.groups[1].checkpoint_every_tokens = tokens;
    });
  };
  EXPECT_TRUE(validate(every(384)).ok());
  expect_invalid(every(0), "checkpoint_every_tokens");
  expect_invalid(every(200), "multiple");
  expect_invalid(changed([](Layout& l) { l.groups[1].checkpoint_every_tokens = 128; }), "'window'");
}

TEST(Layout, AppendGroupsAreNotReplayed) {
  expect_invalid(changed([](Layout& l) { l.groups[0].replay.tokens = 1; }), "replay");
}

TEST(Layout, PageBytesAreBounded) {
  const auto with_bytes = [](uint64_t bytes) {
    return changed([bytes](Layout& l) { l.groups[2].page_bytes = bytes; });
  };
  EXPECT_TRUE(validate(with_bytes(kMaxPageBytes)).ok());
  expect_invalid(with_bytes(0), "'state'");
  expect_invalid(with_bytes(kMaxPageBytes + 1), "page_bytes");
  expect_invalid(with_bytes((uint64_t{1} << 32) + 1), "page_bytes");
}

TEST(Layout, ShardIsBelowShardCount) {
  expect_invalid(changed([](Layout& l) { l.groups[0].shard_count = 0; }), "shard_count");
  expect_invalid(changed([](Layout& l) { l.groups[0].shard = 1; }), "shard 1");
  expect_invalid(changed([](Layout& l) { l.groups[0].shard_count = 65; }), "shard_count");
}

TEST(Layout, LayerRangesStayInsideThePage) {
  const auto with_range = [](LayerRange range) {
    return changed([range](Layout& l) { l.groups[0].layers = {range}; });
  };
  constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
  EXPECT_TRUE(validate(with_range({0, 0, 4096})).ok());
  expect_invalid(with_range({0, 1, 4096}), "ends behind");
  expect_invalid(with_range({0, 4096, 1}), "ends behind");
  expect_invalid(with_range({0, kMax - 10, 100}), "ends behind");  // offset + bytes wraps
  expect_invalid(with_range({0, 8, kMax}), "ends behind");
  expect_invalid(with_range({0, 8, 0}), "empty");
}

TEST(Layout, LayerRangesAreOrderedAndDisjoint) {
  const auto with_ranges = [](std::vector<LayerRange> ranges) {
    return changed([&](Layout& l) { l.groups[0].layers = std::move(ranges); });
  };
  EXPECT_TRUE(validate(with_ranges({{0, 0, 10}, {0, 10, 10}, {7, 576, 10}})).ok());  // gap, repeat
  expect_invalid(with_ranges({{0, 0, 10}, {1, 9, 10}}), "overlap");
  expect_invalid(with_ranges({{0, 10, 10}, {1, 0, 10}}), "order");
}

TEST(Layout, LayerCountIsBounded) {
  const auto with_count = [](size_t count) {
    return changed([count](Layout& l) {
      l.groups[0].page_bytes = count;
      l.groups[0].layers.clear();
      for (size_t i = 0; i < count; ++i) l.groups[0].layers.push_back({0, i, 1});
    });
  };
  EXPECT_TRUE(validate(with_count(kMaxLayersPerGroup)).ok());
  expect_invalid(with_count(kMaxLayersPerGroup + 1), "layer ranges");
}

TEST(Layout, MasksFollowKindAndRule) {
  Layout layout = hybrid_layout(128, 256);
  EXPECT_EQ(append_groups(layout), 0b001u);
  EXPECT_EQ(checkpoint_groups(layout), 0b110u);
  EXPECT_TRUE(needs_checkpoint(layout));
  layout.groups[1].checkpoints = CheckpointRule::kNone;
  EXPECT_EQ(checkpoint_groups(layout), 0b100u);
  layout.groups[2].checkpoints = CheckpointRule::kNone;
  EXPECT_FALSE(needs_checkpoint(layout));
  EXPECT_FALSE(needs_checkpoint(append_layout(16, 16)));
}

}  // namespace
}  // namespace quire::model::layout_test
