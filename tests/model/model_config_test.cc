#include "model/model_config.h"

#include <gtest/gtest.h>

#include "tests/model/model_fixtures.h"

namespace quire::model {
namespace {

Layout layout_of(const std::string& config, LayoutOptions options = {}) {
  Result<Layout> layout = layout_from_config(published_config(config), options);
  EXPECT_TRUE(layout.ok()) << layout.error().text;
  return layout.ok() ? *layout : Layout{};
}

LayoutOptions with_ranks(uint32_t ranks) {
  LayoutOptions options;
  options.tensor_parallel = ranks;
  return options;
}

void expect_refused(const ModelConfig& config, const LayoutOptions& options,
                    const std::string& named) {
  const Result<Layout> layout = layout_from_config(config, options);
  ASSERT_FALSE(layout.ok());
  EXPECT_EQ(layout.code(), Errc::kInvalidArgument);
  EXPECT_NE(layout.error().text.find(named), std::string::npos) << layout.error().text;
}

TEST(LayoutFromConfig, V4FlashPagesAreWholeEnginePages) {
  const Layout layout = layout_of("deepseek-v4-flash");
  EXPECT_EQ(layout.unit_tokens, 128u);
  EXPECT_EQ(layout.block_tokens, 256u);
  ASSERT_EQ(layout.groups.size(), 4u);
  EXPECT_EQ(layout.groups[0].page_bytes, 1'002'240u);
  EXPECT_EQ(layout.groups[0].layers.size(), 62u);
  EXPECT_EQ(layout.groups[1].page_bytes, 2 * 823'680u);
  EXPECT_EQ(layout.groups[2].page_bytes, 2 * 786'240u);
  EXPECT_EQ(layout.groups[3].page_bytes, 870'912u);
  EXPECT_EQ(layout.groups[3].kind, GroupKind::kState);
}

TEST(LayoutFromConfig, V4LeavesOutStateThatIsEmptyAtUnits) {
  for (const Group& group : layout_of("deepseek-v4-pro").groups) {
    EXPECT_NE(group.name, "c128_state");
  }
}

TEST(LayoutFromConfig, V4ReplayIsExactOverWindowTimesLayers) {
  EXPECT_EQ(layout_of("deepseek-v4-pro").groups[1].replay, (Replay{7808, true}));
  EXPECT_EQ(layout_of("deepseek-v4-flash").groups[3].replay, (Replay{5504, true}));
  EXPECT_EQ(layout_of("deepseek-v4-flash").groups[0].replay, Replay{});
}

TEST(LayoutFromConfig, V41ReplayIsApproximateOverOneWindow) {
  const Layout layout = layout_of("deepseek-v4.1-flash");
  ASSERT_EQ(layout.groups.size(), 2u);
  EXPECT_EQ(layout.groups[0].page_bytes, 890u * 256);
  EXPECT_EQ(layout.groups[1].replay, (Replay{128, false}));
}

TEST(LayoutFromConfig, V4DraftLayersJoinTheWindows) {
  LayoutOptions options;
  options.draft_layers = true;
  const Layout layout = layout_of("deepseek-v4-flash", options);
  EXPECT_EQ(layout.groups[1].layers.size() + layout.groups[2].layers.size(), 44u);
  EXPECT_EQ(layout.groups[2].layers.back().layer, 43u);
}

TEST(LayoutFromConfig, LargerBlocksHoldSeveralEnginePages) {
  LayoutOptions options;
  options.block_tokens = 1024;
  EXPECT_EQ(layout_of("deepseek-v4-flash", options).groups[0].page_bytes, 4 * 1'002'240u);
}

TEST(LayoutFromConfig, HeadsAreSharedOutOverRanks) {
  const Layout layout = layout_of("llama-3.1-70b", with_ranks(4));
  ASSERT_EQ(layout.groups.size(), 4u);
  EXPECT_EQ(layout.groups[3].name, "global.r3");
  EXPECT_EQ(layout.groups[3].shard, 3u);
  EXPECT_EQ(layout.groups[3].shard_count, 4u);
  EXPECT_EQ(layout.groups[3].page_bytes, 327'680u / 4 * 64);
  EXPECT_EQ(layout.groups[3].layers.size(), 80u);
}

TEST(LayoutFromConfig, MoreRanksThanHeadsHoldCopies) {
  EXPECT_EQ(layout_of("llama-3.1-70b", with_ranks(16)).groups.size(), 8u);
}

TEST(LayoutFromConfig, LatentsAreNotSharedOut) {
  EXPECT_EQ(layout_of("deepseek-v3.2", with_ranks(8)).groups.size(), 1u);
  EXPECT_EQ(layout_of("deepseek-v4-pro", with_ranks(8)).groups.size(), 4u);
}

TEST(LayoutFromConfig, SlidingWindowHybrid) {
  const Layout layout = layout_of("gemma-3-27b");
  ASSERT_EQ(layout.groups.size(), 2u);
  EXPECT_EQ(layout.groups[0].layers.size(), 10u);
  EXPECT_EQ(layout.groups[0].layers.front().layer, 5u);
  EXPECT_EQ(layout.groups[1].layers.size(), 52u);
  EXPECT_EQ(layout.groups[1].window_tokens, 1024u);
  EXPECT_EQ(layout.groups[1].page_bytes, 52u * 1024 * 16 * 128 * 2 * 2);
  EXPECT_EQ(layout.groups[1].replay, Replay{});
}

TEST(LayoutFromConfig, LinearAttentionHybrid) {
  const Layout layout = layout_of("qwen3-next-80b");
  ASSERT_EQ(layout.groups.size(), 2u);
  EXPECT_EQ(layout.groups[0].layers.size(), 12u);
  EXPECT_EQ(layout.groups[0].page_bytes, 12u * 64 * 2 * 256 * 2 * 2);
  EXPECT_EQ(layout.groups[1].kind, GroupKind::kState);
  EXPECT_EQ(layout.groups[1].layers.size(), 72u);
  EXPECT_EQ(layout.groups[1].page_bytes, 36u * (3 * 8192 * 2 + 32 * 128 * 128 * 4));
}

TEST(LayoutFromConfig, LinearStateHasMoreShardsThanFewHeads) {
  const Layout layout = layout_of("qwen3-next-80b", with_ranks(4));
  ASSERT_EQ(layout.groups.size(), 2u + 4u);
  EXPECT_EQ(layout.groups[1].shard_count, 2u);
  EXPECT_EQ(layout.groups[5].shard_count, 4u);
}

TEST(LayoutFromConfig, Fp8HalvesPlainCaches) {
  LayoutOptions options;
  options.kv = KvFormat::kFp8;
  const Layout layout = layout_of("qwen3-32b", options);
  EXPECT_EQ(layout.groups[0].page_bytes, 262'144u / 2 * 64);
  EXPECT_EQ(layout.groups[0].element_format, ElementFormat::kFp8E4m3);
}

TEST(LayoutFromConfig, UnknownModelTypeNamesTheKnownOnes) {
  ModelConfig config = published_config("llama-3.1-70b");
  config.model_type = "mamba";
  expect_refused(config, {}, "llama");
}

TEST(LayoutFromConfig, MissingFieldIsNamed) {
  ModelConfig llama = published_config("llama-3.1-70b");
  llama.num_key_value_heads = 0;
  expect_refused(llama, {}, "num_key_value_heads");
  ModelConfig v4 = published_config("deepseek-v4-pro");
  v4.sliding_window = 0;
  expect_refused(v4, {}, "sliding_window");
  v4 = published_config("deepseek-v4-pro");
  v4.compress_ratios.resize(10);
  expect_refused(v4, {}, "compress_ratios");
  ModelConfig next = published_config("qwen3-next-80b");
  next.linear_conv_kernel_dim = 0;
  expect_refused(next, {}, "linear_conv_kernel_dim");
  next = published_config("qwen3-next-80b");
  next.full_attention_interval = 0;
  expect_refused(next, {}, "full_attention_interval");
  ModelConfig oss = published_config("gpt-oss-120b");
  oss.layer_types.clear();
  expect_refused(oss, {}, "layer_types");
  ModelConfig qwen = published_config("qwen3-32b");
  qwen.torch_dtype.clear();
  expect_refused(qwen, {}, "torch_dtype");
  expect_refused(ModelConfig{}, {}, "model_type");
}

TEST(LayoutFromConfig, UnknownLayerIsNamed) {
  ModelConfig v4 = published_config("deepseek-v4-flash");
  v4.compress_ratios[7] = 16;
  expect_refused(v4, {}, "layer 7");
  ModelConfig oss = published_config("gpt-oss-120b");
  oss.layer_types[3] = "chunked_attention";
  expect_refused(oss, {}, "chunked_attention");
}

TEST(LayoutFromConfig, HugeFieldsAreRefusedBeforeTheyOverflow) {
  ModelConfig config = published_config("qwen3-32b");
  config.head_dim = 0xffffffff;
  expect_refused(config, {}, "head_dim");
  config = published_config("qwen3-32b");
  config.num_hidden_layers = 0xffffffff;
  expect_refused(config, {}, "num_hidden_layers");
}

TEST(LayoutFromConfig, OptionsThatTheModelCannotHaveAreRefused) {
  const ModelConfig qwen = published_config("qwen3-32b");
  LayoutOptions indexer;
  indexer.indexer = IndexerFormat::kFp4;
  expect_refused(qwen, indexer, "indexer");
  expect_refused(qwen, with_ranks(0), "tensor_parallel");
  expect_refused(qwen, with_ranks(3), "tensor_parallel");
  LayoutOptions kv;
  kv.kv = KvFormat::kFp8;
  expect_refused(published_config("deepseek-v4.1-flash"), kv, "format");
  LayoutOptions unit;
  unit.unit_tokens = 64;
  expect_refused(published_config("deepseek-v4-pro"), unit, "unit_tokens");
  LayoutOptions block;
  block.block_tokens = 128;
  expect_refused(published_config("deepseek-v4-pro"), block, "block_tokens");
}

}  // namespace
}  // namespace quire::model
