#include "model/engine_pages.h"

#include <gtest/gtest.h>

#include "tests/model/model_fixtures.h"

namespace quire::model::engine_pages_test {
namespace {

std::vector<EngineGroup> groups_of(const std::string& config, IndexerFormat indexer) {
  LayoutOptions options;
  options.indexer = indexer;
  Result<KvModel> model = kv_model(published_config(config), options);
  EXPECT_TRUE(model.ok()) << model.error().text;
  return v4_engine_groups(*model);
}

void expect_group(const EngineGroup& group, uint32_t page_tokens, size_t tensor_count,
                  uint64_t page_bytes) {
  EXPECT_EQ(group.page_tokens, page_tokens) << group.name;
  EXPECT_EQ(group.tensors.size(), tensor_count) << group.name;
  EXPECT_EQ(group.page_bytes(), page_bytes) << group.name;
}

uint64_t tensor_page_bytes(const EngineGroup& group, TensorRole role) {
  for (const EngineTensor& tensor : group.tensors) {
    if (tensor.role == role) return tensor.page_bytes;
  }
  return 0;
}

TEST(EnginePages, V4FlashHasVllmsFiveGroups) {
  const auto groups = groups_of("deepseek-v4-flash", IndexerFormat::kFp8);
  ASSERT_EQ(groups.size(), 5u);
  expect_group(groups[0], 256, 62, 1'002'240);
  expect_group(groups[1], 64, 22, 823'680);
  expect_group(groups[2], 64, 21, 786'240);
  expect_group(groups[3], 4, 42, 870'912);
  expect_group(groups[4], 8, 20, 656'640);
}

TEST(EnginePages, V4FlashWithFp4Indexer) {
  const auto groups = groups_of("deepseek-v4-flash", IndexerFormat::kFp4);
  expect_group(groups[0], 256, 62, 917'568);
}

TEST(EnginePages, V4ProGroups) {
  const auto fp4 = groups_of("deepseek-v4-pro", IndexerFormat::kFp4);
  const auto fp8 = groups_of("deepseek-v4-pro", IndexerFormat::kFp8);
  ASSERT_EQ(fp8.size(), 5u);
  expect_group(fp4[0], 256, 91, 1'315'008);
  expect_group(fp8[0], 256, 91, 1'435'968);
  expect_group(fp8[3], 4, 60, 1'244'160);
  expect_group(fp8[4], 8, 31, 1'017'792);
}

TEST(EnginePages, WholeModelWindowPages) {
  const auto pro = groups_of("deepseek-v4-pro", IndexerFormat::kFp8);
  const auto flash = groups_of("deepseek-v4-flash", IndexerFormat::kFp8);
  EXPECT_EQ(pro[1].page_bytes() + pro[2].page_bytes(), 2'283'840u);
  EXPECT_EQ(flash[1].page_bytes() + flash[2].page_bytes(), 1'609'920u);
}

TEST(EnginePages, TensorPagesComeInThreeSizeBuckets) {
  const auto fp8 = groups_of("deepseek-v4-flash", IndexerFormat::kFp8);
  const auto fp4 = groups_of("deepseek-v4-flash", IndexerFormat::kFp4);
  EXPECT_EQ(tensor_page_bytes(fp8[0], TensorRole::kCsaMain), 37'440u);
  EXPECT_EQ(tensor_page_bytes(fp8[0], TensorRole::kIndexer), 8'640u);
  EXPECT_EQ(tensor_page_bytes(fp4[0], TensorRole::kIndexer), 4'608u);
  EXPECT_EQ(tensor_page_bytes(fp8[0], TensorRole::kHcaMain), 1'728u);
  EXPECT_EQ(tensor_page_bytes(fp8[1], TensorRole::kWindow), 37'440u);
  EXPECT_EQ(tensor_page_bytes(fp8[3], TensorRole::kCsaState), 32'832u);
  EXPECT_EQ(tensor_page_bytes(fp8[3], TensorRole::kIndexerState), 8'640u);
  EXPECT_EQ(tensor_page_bytes(fp8[4], TensorRole::kHcaState), 32'832u);
}

TEST(EnginePages, CheckpointNeedsTheWindowOneCsaStatePageAndNoHcaState) {
  const auto groups = groups_of("deepseek-v4-flash", IndexerFormat::kFp8);
  EXPECT_EQ(pages_per_checkpoint(groups[0], 128), 1u);
  EXPECT_EQ(pages_per_checkpoint(groups[1], 128), 2u);
  EXPECT_EQ(pages_per_checkpoint(groups[2], 100), 2u);
  EXPECT_EQ(pages_per_checkpoint(groups[3], 128), 1u);
  EXPECT_EQ(pages_per_checkpoint(groups[4], 128), 0u);
}

}  // namespace
}  // namespace quire::model::engine_pages_test
