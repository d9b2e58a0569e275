#include "tests/model/model_fixtures.h"

#include <gtest/gtest.h>

#include "client/quirectl/config_json.h"

namespace quire::model {

namespace {

rc::Gen<std::string> names() {
  return rc::gen::mapcat(rc::gen::inRange<size_t>(1, 50), [](size_t length) {
    return rc::gen::container<std::string>(
        length,
        rc::gen::map(rc::gen::inRange(0x20, 0x7f), [](int c) { return static_cast<char>(c); }));
  });
}

// Ranges with gaps; returns the end of the last.
uint64_t fill_layers(std::vector<LayerRange>& layers) {
  const auto count = *rc::gen::inRange<size_t>(0, 20);
  const bool regular = *rc::gen::arbitrary<bool>();
  uint64_t end = 0;
  for (size_t i = 0; i < count; ++i) {
    LayerRange range;
    range.layer = regular ? static_cast<uint32_t>(i) : *rc::gen::inRange<uint32_t>(0, 200);
    range.offset = end + (regular ? 64 : *rc::gen::inRange<uint64_t>(0, 100));
    range.bytes = regular ? 192 : *rc::gen::inRange<uint64_t>(1, 1000);
    end = range.offset + range.bytes;
    layers.push_back(range);
  }
  return end;
}

Group generate_group(size_t index, uint32_t unit_tokens) {
  Group group;
  group.name = *names() + "#" + std::to_string(index);
  group.kind = index == 0 ? GroupKind::kAppend : static_cast<GroupKind>(*rc::gen::inRange(0, 3));
  group.element_format = static_cast<ElementFormat>(*rc::gen::inRange(0, 11));
  group.shard_count = *rc::gen::inRange<uint32_t>(1, 9);
  group.shard = *rc::gen::inRange<uint32_t>(0, group.shard_count);
  if (group.kind == GroupKind::kWindow) group.window_tokens = *rc::gen::inRange<uint32_t>(1, 5000);
  if (group.kind != GroupKind::kAppend) {
    group.checkpoints = static_cast<CheckpointRule>(*rc::gen::inRange(0, 4));
    group.replay = {*rc::gen::inRange<uint32_t>(0, 9000), *rc::gen::arbitrary<bool>()};
  }
  if (group.checkpoints == CheckpointRule::kEvery) {
    group.checkpoint_every_tokens = unit_tokens * *rc::gen::inRange<uint32_t>(1, 100);
  }
  const uint64_t end = fill_layers(group.layers);
  group.page_bytes = end + *rc::gen::inRange<uint64_t>(1, 100);
  return group;
}

LayoutOptions options_of(const std::string& name, std::optional<IndexerFormat> indexer,
                         uint32_t tensor_parallel) {
  LayoutOptions options;
  options.name = name;
  options.indexer = indexer;
  options.tensor_parallel = tensor_parallel;
  return options;
}

ShippedLayout shipped(const std::string& stem, const std::string& config,
                      std::optional<IndexerFormat> indexer, uint32_t tensor_parallel,
                      const std::string& digest) {
  return {stem, config, options_of(stem, indexer, tensor_parallel), digest};
}

}  // namespace

Layout append_layout(uint32_t unit_tokens, uint32_t block_tokens) {
  Group group;
  group.name = "kv";
  group.page_bytes = 4096;
  group.layers = {{0, 0, 2048}, {1, 2048, 2048}};
  return {"append", unit_tokens, block_tokens, {group}};
}

Layout hybrid_layout(uint32_t unit_tokens, uint32_t block_tokens) {
  Layout layout = append_layout(unit_tokens, block_tokens);
  layout.name = "hybrid";
  Group window;
  window.name = "window";
  window.kind = GroupKind::kWindow;
  window.page_bytes = 8192;
  window.window_tokens = unit_tokens;
  Group state;
  state.name = "state";
  state.kind = GroupKind::kState;
  state.page_bytes = 100;
  layout.groups.push_back(window);
  layout.groups.push_back(state);
  return layout;
}

rc::Gen<Layout> valid_layouts() {
  return rc::gen::exec([] {
    Layout layout;
    layout.name = *names();
    layout.unit_tokens = *rc::gen::inRange<uint32_t>(1, 300);
    layout.block_tokens = layout.unit_tokens * *rc::gen::inRange<uint32_t>(1, 200);
    const auto group_count = *rc::gen::inRange<size_t>(1, 7);
    for (size_t i = 0; i < group_count; ++i) {
      layout.groups.push_back(generate_group(i, layout.unit_tokens));
    }
    return layout;
  });
}

ModelConfig published_config(const std::string& stem) {
  Result<ModelConfig> config =
      client::load_config_json(QUIRE_SOURCE_DIR "/tests/model/configs/" + stem + ".json");
  EXPECT_TRUE(config.ok()) << config.error().text;
  return config.ok() ? *config : ModelConfig{};
}

const std::vector<ShippedLayout>& shipped_layouts() {
  static const std::vector<ShippedLayout> kLayouts = {
      shipped("deepseek-v4-pro-fp4", "deepseek-v4-pro", IndexerFormat::kFp4, 1,
              "3c5dd534d71b269280f80780c7abb31731243e4eae4c6488b56a8f5bd96932f1"),
      shipped("deepseek-v4-pro-fp8", "deepseek-v4-pro", IndexerFormat::kFp8, 1,
              "3cc104b1fee8137405125bcb5e698792b1e0920741a55e73ac39b6c4d12da927"),
      shipped("deepseek-v4-flash-fp4", "deepseek-v4-flash", IndexerFormat::kFp4, 1,
              "a5455bbf4557d569d9814bf904b8dbff0b91de31a3c9fe3e66a42ca5600f0d3f"),
      shipped("deepseek-v4-flash-fp8", "deepseek-v4-flash", IndexerFormat::kFp8, 1,
              "1bffd374d1b362b30d5bc88ddb6a5255e8bb3eae30b5935ae1d6cdc5f99f9aad"),
      shipped("deepseek-v4.1-flash", "deepseek-v4.1-flash", std::nullopt, 1,
              "7a10fade60dab9d54ec57ad7f82dd8804efabd465ff5ea252e6c5738636e7306"),
      shipped("deepseek-v3.2", "deepseek-v3.2", std::nullopt, 1,
              "7a720774fab128bf8ada8df4ebb313c53093e971403d3a7d7976c51d02c2e24f"),
      shipped("llama-3.1-70b", "llama-3.1-70b", std::nullopt, 8,
              "1086738ac9f87772c167774ec8e6f75e4cddd471537598c7453a0ef0c3ec85f0"),
      shipped("llama-3.1-405b", "llama-3.1-405b", std::nullopt, 8,
              "481b20cf26a6053533bbc7f5b5a030cec27c41ee0e0ca00e05dfa66182e33c01"),
      shipped("qwen3-32b", "qwen3-32b", std::nullopt, 1,
              "c7d0f920e8859e2b9dcba4032e2a5653aab1b2dab4f89a84c004a11d99e86932"),
      shipped("gemma-3-27b", "gemma-3-27b", std::nullopt, 8,
              "49c92dad0b8fa039f75f2f5d657be74549399ce66e8a1a4b4b07faf4282c1b3f"),
      shipped("qwen3-next-80b", "qwen3-next-80b", std::nullopt, 2,
              "91c1292de13a3af589c05bb9cf010a0a3a2da81530809d797b896ff44c03e787"),
  };
  return kLayouts;
}

std::string shipped_path(const std::string& stem) {
  return QUIRE_SOURCE_DIR "/configs/models/" + stem + ".toml";
}

}  // namespace quire::model
