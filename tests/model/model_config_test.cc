#include "model/model_config.h"

#include <gtest/gtest.h>

#include "tests/model/model_fixtures.h"

namespace quire::model::model_config_test {
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

// 36 layers of 8192 tokens are more than the largest page.
TEST(LayoutFromConfig, LargeWindowsBecomeSeveralGroups) {
  const Layout layout = layout_of("published/llama-4-scout-17b-16e-instruct");
  ASSERT_EQ(layout.groups.size(), 3u);
  EXPECT_EQ(layout.groups[1].name, "window_0");
  EXPECT_EQ(layout.groups[2].name, "window_1");
  EXPECT_EQ(layout.groups[1].layers.size(), 18u);
  EXPECT_EQ(layout.groups[2].window_tokens, 8192u);
  EXPECT_EQ(layout.groups[1].page_bytes + layout.groups[2].page_bytes, 36ull * 8192 * 2048 * 2);
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
  llama.num_hidden_layers = 0;
  expect_refused(llama, {}, "num_hidden_layers");
  ModelConfig v4 = published_config("deepseek-v4-pro");
  v4.compress_ratios.resize(10);
  expect_refused(v4, {}, "compress_ratios");
  ModelConfig v41 = published_config("deepseek-v4.1-flash");
  v41.sliding_window = 0;
  expect_refused(v41, {}, "sliding_window");
  expect_refused(ModelConfig{}, {}, "model_type");
}

TEST(LayoutFromConfig, MissingDtypeNamesTheWayOut) {
  ModelConfig qwen = published_config("qwen3-32b");
  qwen.torch_dtype.clear();
  expect_refused(qwen, {}, "torch_dtype");
  expect_refused(qwen, {}, "--kv bf16");
  LayoutOptions options;
  options.kv = KvFormat::kBf16;
  const Result<Layout> layout = layout_from_config(qwen, options);
  ASSERT_TRUE(layout.ok()) << layout.error().text;
  EXPECT_EQ(layout->groups[0].page_bytes, layout_of("qwen3-32b").groups[0].page_bytes);
  // All of gpt-oss is published without one, and in bfloat16.
  ModelConfig oss = published_config("gpt-oss-120b");
  oss.torch_dtype.clear();
  EXPECT_TRUE(layout_from_config(oss, {}).ok());
}

TEST(LayoutFromConfig, ClassDefaultsStandInForMissingFields) {
  ModelConfig gemma;
  gemma.model_type = "gemma3_text";
  gemma.torch_dtype = "bfloat16";
  gemma.num_hidden_layers = 34;
  gemma.hidden_size = 2560;
  gemma.sliding_window = 1024;
  const Result<Layout> layout = layout_from_config(gemma, {});
  ASSERT_TRUE(layout.ok()) << layout.error().text;
  EXPECT_EQ(layout->groups[1].page_bytes, 29u * 1024 * 4 * 256 * 2 * 2);  // 4 heads of 256
  ModelConfig oss = published_config("gpt-oss-120b");
  oss.layer_types.clear();
  oss.head_dim = 0;
  oss.sliding_window = 0;
  const Result<Layout> full = layout_from_config(oss, {});
  ASSERT_TRUE(full.ok()) << full.error().text;
  EXPECT_EQ(full->groups, layout_of("gpt-oss-120b").groups);
  ModelConfig next = published_config("qwen3-next-80b");
  next.full_attention_interval = next.linear_conv_kernel_dim = next.linear_num_value_heads = 0;
  const Result<Layout> hybrid = layout_from_config(next, {});
  ASSERT_TRUE(hybrid.ok()) << hybrid.error().text;
  EXPECT_EQ(hybrid->groups, layout_of("qwen3-next-80b").groups);
}

TEST(LayoutFromConfig, NullHeadsAreAsManyAsAttentionHeads) {
  ModelConfig qwen = published_config("qwen3-32b");
  qwen.num_key_value_heads = 0;
  qwen.null_fields = {"num_key_value_heads"};
  const Result<Layout> layout = layout_from_config(qwen, {});
  ASSERT_TRUE(layout.ok()) << layout.error().text;
  EXPECT_EQ(layout->groups[0].page_bytes, 64u * 64 * 64 * 128 * 2 * 2);
  qwen.null_fields.clear();
  qwen.num_attention_heads = 16;  // the class says 32 key heads: no such model
  expect_refused(qwen, {}, "num_key_value_heads");
}

// Layers with a window: all from max_window_layers on, and none with the switch off.
TEST(LayoutFromConfig, SlidingWindowFollowsItsSwitch) {
  ModelConfig qwen = published_config("qwen3-32b");
  qwen.null_fields.clear();
  qwen.sliding_window = 4096;
  qwen.max_position_embeddings = 131072;
  qwen.max_window_layers = 48;
  EXPECT_EQ(layout_from_config(qwen, {})->groups.size(), 1u);
  qwen.use_sliding_window = false;
  EXPECT_EQ(layout_from_config(qwen, {})->groups.size(), 1u);
  qwen.use_sliding_window = true;
  const Result<Layout> layout = layout_from_config(qwen, {});
  ASSERT_TRUE(layout.ok()) << layout.error().text;
  ASSERT_EQ(layout->groups.size(), 2u);
  EXPECT_EQ(layout->groups[0].layers.size(), 48u);
  EXPECT_EQ(layout->groups[1].layers.front().layer, 48u);
  EXPECT_EQ(layout->groups[1].window_tokens, 4096u);
  qwen.sliding_window = 131072;  // over every position: drops nothing
  EXPECT_EQ(layout_from_config(qwen, {})->groups.size(), 1u);
  qwen.use_sliding_window = false;
  qwen.layer_types.assign(64, "sliding_attention");
  qwen.sliding_window = 4096;
  expect_refused(qwen, {}, "use_sliding_window");
}

TEST(LayoutFromConfig, OnlyWindowsAreRefusedByTheField) {
  ModelConfig llama = published_config("llama-3.1-70b");
  llama.sliding_window = 4096;
  llama.max_position_embeddings = 131072;
  expect_refused(llama, {}, "sliding_window");
  llama.sliding_window = 131072;
  EXPECT_TRUE(layout_from_config(llama, {}).ok());
  ModelConfig moe = published_config("qwen3-235b-a22b");
  moe.null_fields.clear();
  moe.sliding_window = 4096;
  moe.use_sliding_window = true;
  expect_refused(moe, {}, "sliding_window");
  ModelConfig gemma = published_config("gemma-3-27b");
  gemma.sliding_window = 0;
  gemma.null_fields = {"sliding_window"};
  expect_refused(gemma, {}, "sliding_window");
}

TEST(LayoutFromConfig, Fp8RowsOfLatents) {
  LayoutOptions options;
  options.kv = KvFormat::kFp8;
  for (const char* model_type : {"deepseek_v3", "kimi_k2", "deepseek_v2", "glm4_moe_lite"}) {
    ModelConfig config = published_config("deepseek-v3");
    config.model_type = model_type;
    const Result<Layout> layout = layout_from_config(config, options);
    ASSERT_TRUE(layout.ok()) << layout.error().text;
    EXPECT_EQ(layout->groups[0].page_bytes, 61u * 64 * 576) << model_type;
    EXPECT_EQ(layout->groups[0].element_format, ElementFormat::kFp8E4m3);
  }
  for (const char* model_type : {"deepseek_v32", "glm_moe_dsa"}) {
    ModelConfig config = published_config("deepseek-v3.2");
    config.model_type = model_type;
    const Result<Layout> layout = layout_from_config(config, options);
    ASSERT_TRUE(layout.ok()) << layout.error().text;
    EXPECT_EQ(layout->groups[0].page_bytes, 61u * 64 * (656 + 132)) << model_type;
  }
}

TEST(LayoutFromConfig, GlmFlashHasOneSizeUnderTwoNames) {
  ModelConfig glm = published_config("deepseek-v3");
  glm.model_type = "glm4_moe_lite";
  glm.head_dim = 64;
  glm.qk_rope_head_dim = 64;
  EXPECT_EQ(layout_from_config(glm, {})->groups[0].page_bytes, 61u * 64 * 576 * 2);
  glm.qk_rope_head_dim = 32;
  expect_refused(glm, {}, "'head_dim' and 'qk_rope_head_dim'");
  glm.head_dim = 32;
  glm.qk_rope_head_dim = 0;
  EXPECT_EQ(layout_from_config(glm, {})->groups[0].page_bytes, 61u * 64 * 544 * 2);
}

// The cache of a file that names a scheme is the scheme's, not the model's own type.
TEST(LayoutFromConfig, SchemeOfTheFileCountsUnlessTheCallerSays) {
  ModelConfig qwen = published_config("qwen3-32b");
  qwen.cache_scheme = {"quantization_config.kv_cache_scheme", "fp8"};
  LayoutOptions options;
  EXPECT_EQ(layout_from_config(qwen, options)->groups[0].page_bytes, 262'144u / 2 * 64);
  options.kv = KvFormat::kBf16;
  EXPECT_EQ(layout_from_config(qwen, options)->groups[0].page_bytes, 262'144u * 64);
  qwen.cache_scheme.format = "nvfp4";
  expect_refused(qwen, {}, "quantization_config.kv_cache_scheme");
  expect_refused(qwen, {}, "--kv");
  EXPECT_TRUE(layout_from_config(qwen, options).ok());
}

TEST(LayoutFromConfig, StateHasTheFormatAskedFor) {
  LayoutOptions options;
  options.state = StateFormat::kBf16;
  EXPECT_EQ(layout_of("qwen3-next-80b", options).groups[1].page_bytes,
            36u * (3 * 8192 * 2 + 32 * 128 * 128 * 2));
  options.state = StateFormat::kFp32;
  EXPECT_EQ(layout_of("qwen3-next-80b", options), layout_of("qwen3-next-80b"));
  expect_refused(published_config("qwen3-32b"), options, "state");
  expect_refused(published_config("deepseek-v4-pro"), options, "state");
}

// One more layer with the rows of the others, or a refusal: never the same bytes as without.
TEST(LayoutFromConfig, DraftLayersAreThereOrRefused) {
  LayoutOptions options;
  options.draft_layers = true;
  for (const char* stem : {"deepseek-v3", "deepseek-v3.2", "qwen3-next-80b"}) {
    ModelConfig config = published_config(stem);
    expect_refused(config, options, "num_nextn_predict_layers");
    config.num_nextn_predict_layers = 1;
    const Result<Layout> layout = layout_from_config(config, options);
    ASSERT_TRUE(layout.ok()) << layout.error().text;
    const uint64_t plain = layout_of(stem).groups[0].page_bytes;
    const uint64_t layers = stem == std::string("qwen3-next-80b") ? 12 : 61;
    EXPECT_EQ(layout->groups[0].page_bytes, plain / layers * (layers + 1)) << stem;
    EXPECT_EQ(layout->groups[0].layers.back().layer, config.num_hidden_layers);
    config.num_nextn_predict_layers = 0xffffffff;
    expect_refused(config, options, "num_nextn_predict_layers");
  }
  for (const char* stem : {"llama-3.1-70b", "gemma-3-27b", "gpt-oss-120b", "qwen3-32b"}) {
    ModelConfig config = published_config(stem);
    expect_refused(config, options, "draft");
    config.num_nextn_predict_layers = 1;
    expect_refused(config, options, "draft");
  }
  expect_refused(published_config("deepseek-v4.1-flash"), options, "draft");
}

TEST(LayoutFromConfig, V4WithoutDraftRatiosHasWindowsOfDraftLayers) {
  LayoutOptions options;
  options.draft_layers = true;
  ModelConfig v4 = published_config("deepseek-v4-flash");
  v4.compress_ratios.resize(43);
  expect_refused(v4, options, "num_nextn_predict_layers");
  v4.num_nextn_predict_layers = 1;
  EXPECT_EQ(*layout_from_config(v4, options), layout_of("deepseek-v4-flash", options));
}

TEST(LayoutFromConfig, V4RatioOneCompressesNothing) {
  ModelConfig v4 = published_config("deepseek-v4-flash");
  for (uint32_t& ratio : v4.compress_ratios) ratio = ratio == 0 ? 1 : ratio;
  EXPECT_EQ(*layout_from_config(v4, {}), layout_of("deepseek-v4-flash"));
}

TEST(LayoutFromConfig, V4FormsThatDisagreeAreRefused) {
  ModelConfig v4 = published_config("deepseek-v4-flash");
  v4.layer_types.assign(43, "sliding_attention");
  expect_refused(v4, {}, "layer_types");
  v4.compress_ratios.clear();
  v4.layer_types[5] = "full_attention";
  expect_refused(v4, {}, "layer 5");
  v4.layer_types.resize(20);
  expect_refused(v4, {}, "layer_types");
}

// Sparse layers that use the keys of the layer before them, in the three ways of saying it.
TEST(LayoutFromConfig, IndexerKeysOfFullLayersOnly) {
  ModelConfig glm = published_config("deepseek-v3.2");
  glm.model_type = "glm_moe_dsa";
  glm.num_hidden_layers = 10;
  glm.index_topk_freq = 4;
  glm.index_skip_topk_offset = 3;
  EXPECT_EQ(layout_from_config(glm, {})->groups[0].page_bytes, 64u * (10 * 656 + 4 * 132));
  glm.index_topk_pattern = "FFFSSSFSSS";
  EXPECT_EQ(layout_from_config(glm, {})->groups[0].page_bytes, 64u * (10 * 656 + 4 * 132));
  glm.indexer_types.assign(10, "shared");
  glm.indexer_types[0] = "full";
  EXPECT_EQ(layout_from_config(glm, {})->groups[0].page_bytes, 64u * (10 * 656 + 132));
  LayoutOptions options;
  options.draft_layers = true;
  glm.num_nextn_predict_layers = 1;
  expect_refused(glm, options, "indexer_types");
  glm.indexer_types[3] = "some";
  expect_refused(glm, {}, "layer 3");
}

TEST(LayoutFromConfig, UnknownLayerIsNamed) {
  ModelConfig v4 = published_config("deepseek-v4-flash");
  v4.compress_ratios[7] = 16;
  expect_refused(v4, {}, "layer 7");
  ModelConfig oss = published_config("gpt-oss-120b");
  oss.layer_types[3] = "spiral_attention";
  expect_refused(oss, {}, "spiral_attention");
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
}  // namespace quire::model::model_config_test
