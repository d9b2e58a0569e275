#include "model/reference/kv_geometry.h"

#include <gtest/gtest.h>

#include "tests/reference/decoder_fixture.h"

namespace quire::reference::kv_geometry_test {
namespace {

using enum LayerKind;

DecoderConfig v4_config(std::vector<LayerKind> layers, IndexFormat format) {
  DecoderConfig config;
  config.layers = std::move(layers);
  config.nope_dims = 448;
  config.rope_dims = 64;
  config.index_dim = 128;
  config.index_format = format;
  return config;
}

// 31 HCA + 30 CSA.
DecoderConfig pro_config(IndexFormat format) {
  std::vector<LayerKind> layers = {kHca};
  for (int i = 0; i < 30; ++i) layers.insert(layers.end(), {kHca, kCsa});
  return v4_config(layers, format);
}

// 2 window + 21 CSA + 20 HCA.
DecoderConfig flash_config(IndexFormat format) {
  std::vector<LayerKind> layers = {kWindow, kWindow, kCsa};
  for (int i = 0; i < 20; ++i) layers.insert(layers.end(), {kHca, kCsa});
  return v4_config(layers, format);
}

TEST(KvGeometry, AppendPagesHaveV4Bytes) {
  EXPECT_EQ(KvGeometry(pro_config(IndexFormat::kFp4)).append_page_bytes(), 1315008u);
  EXPECT_EQ(KvGeometry(pro_config(IndexFormat::kFp8)).append_page_bytes(), 1435968u);
  EXPECT_EQ(KvGeometry(flash_config(IndexFormat::kFp4)).append_page_bytes(), 917568u);
  EXPECT_EQ(KvGeometry(flash_config(IndexFormat::kFp8)).append_page_bytes(), 1002240u);
}

TEST(KvGeometry, CheckpointPagesHaveV4Bytes) {
  const KvGeometry pro(pro_config(IndexFormat::kFp4));
  EXPECT_EQ(pro.window_page_bytes(), 4559872u);
  EXPECT_EQ(pro.state_page_bytes(), 614400u);
  const KvGeometry flash(flash_config(IndexFormat::kFp4));
  EXPECT_EQ(flash.window_page_bytes(), 3214336u);
  EXPECT_EQ(flash.state_page_bytes(), 430080u);
}

void expect_tiling(std::span<const PageRange> ranges, uint64_t page_bytes) {
  uint64_t at = 0;
  for (const PageRange& range : ranges) {
    EXPECT_EQ(range.offset, at);
    EXPECT_GT(range.bytes, 0u);
    at += range.bytes;
  }
  EXPECT_EQ(at, page_bytes);
}

TEST(KvGeometry, RangesTileTheirPages) {
  const KvGeometry geometry(tiny_config());
  expect_tiling(geometry.append_ranges(), geometry.append_page_bytes());
  expect_tiling(geometry.window_ranges(), geometry.window_page_bytes());
  expect_tiling(geometry.state_ranges(), geometry.state_page_bytes());
}

TEST(KvGeometry, RangesNameTheirLayers) {
  const KvGeometry geometry(tiny_config());  // window, CSA, HCA, CSA
  const auto append = geometry.append_ranges();
  ASSERT_EQ(append.size(), 5u);
  EXPECT_EQ(append[0].layer, 1u);
  EXPECT_EQ(append[1].tensor, Tensor::kCsaIndex);
  EXPECT_EQ(append[2].tensor, Tensor::kHcaMain);
  EXPECT_EQ(append[2].layer, 2u);
  EXPECT_EQ(geometry.window_ranges().size(), 4u);
  ASSERT_EQ(geometry.state_ranges().size(), 2u);
  EXPECT_EQ(geometry.state_ranges()[1].layer, 3u);
}

TEST(DecoderConfig, DefaultsAndV4AreValid) {
  EXPECT_EQ(config_error(DecoderConfig{}), std::nullopt);
  EXPECT_EQ(config_error(tiny_config()), std::nullopt);
  EXPECT_EQ(config_error(pro_config(IndexFormat::kFp8)), std::nullopt);
}

TEST(DecoderConfig, ErrorsNameTheField) {
  const auto error_of = [](auto change) {
    DecoderConfig config;
    change(config);
    return config_error(config).value_or("none");
  };
  EXPECT_EQ(error_of([](auto& c) { c.layers.clear(); }).substr(0, 6), "layers");
  EXPECT_EQ(error_of([](auto& c) { c.nope_dims = 63; }).substr(0, 9), "nope_dims");
  EXPECT_EQ(error_of([](auto& c) { c.csa_ratio = 0; }).substr(0, 9), "csa_ratio");
  EXPECT_EQ(error_of([](auto& c) { c.block_tokens = 200; }).substr(0, 12), "block_tokens");
  EXPECT_EQ(error_of([](auto& c) { c.index_dim = 16; }).substr(0, 9), "index_dim");
  EXPECT_EQ(error_of([](auto& c) { c.experts_active = 17; }).substr(0, 14), "experts_active");
  EXPECT_EQ(error_of([](auto& c) { c.window_rope_theta = 0.0f; }).substr(0, 17),
            "window_rope_theta");
}

}  // namespace
}  // namespace quire::reference::kv_geometry_test
