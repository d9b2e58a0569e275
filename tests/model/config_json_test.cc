#include "client/quirectl/config_json.h"

#include <gtest/gtest.h>

#include "tests/model/model_fixtures.h"

namespace quire::client {
namespace {

using model::Errc;
using model::ModelConfig;
using model::Result;

void expect_refused(std::string_view text, const std::string& named) {
  const Result<ModelConfig> config = parse_config_json(text);
  ASSERT_FALSE(config.ok()) << text;
  EXPECT_EQ(config.code(), Errc::kInvalidArgument);
  EXPECT_NE(config.error().text.find(named), std::string::npos) << config.error().text;
}

TEST(ConfigJson, ReadsPublishedFields) {
  const ModelConfig config = model::published_config("deepseek-v4-pro");
  EXPECT_EQ(config.model_type, "deepseek_v4");
  EXPECT_EQ(config.num_hidden_layers, 61u);
  EXPECT_EQ(config.compress_ratios.size(), 62u);
  EXPECT_EQ(config.compress_ratios[2], 4u);
  EXPECT_EQ(config.index_n_heads, 64u);
}

TEST(ConfigJson, UnknownFieldsAndNullAreSkipped) {
  const auto config =
      parse_config_json(R"({"vocab_size": [1, {}], "sliding_window": null, "head_dim": 64})");
  ASSERT_TRUE(config.ok()) << config.error().text;
  EXPECT_EQ(config->sliding_window, 0u);
  EXPECT_EQ(config->head_dim, 64u);
}

TEST(ConfigJson, TextConfigOutranksTheOuterObject) {
  const auto config = parse_config_json(
      R"({"model_type": "gemma3", "torch_dtype": "bfloat16", "text_config": {"model_type": "gemma3_text"}})");
  ASSERT_TRUE(config.ok()) << config.error().text;
  EXPECT_EQ(config->model_type, "gemma3_text");
  EXPECT_EQ(config->torch_dtype, "bfloat16");
}

TEST(ConfigJson, DtypeIsTheNewerNameOfTorchDtype) {
  const auto config = parse_config_json(R"({"dtype": "float16"})");
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->torch_dtype, "float16");
}

TEST(ConfigJson, WrongTypesNameTheField) {
  expect_refused(R"({"num_hidden_layers": "61"})", "num_hidden_layers");
  expect_refused(R"({"num_hidden_layers": -1})", "num_hidden_layers");
  expect_refused(R"({"num_hidden_layers": 4294967296})", "num_hidden_layers");
  expect_refused(R"({"head_dim": 1.5})", "head_dim");
  expect_refused(R"({"model_type": 4})", "model_type");
  expect_refused(R"({"layer_types": "full_attention"})", "layer_types");
  expect_refused(R"({"layer_types": [1]})", "layer_types");
  expect_refused(R"({"compress_ratios": [4, "x"]})", "compress_ratios");
}

TEST(ConfigJson, LongListsAreRefused) {
  std::string text = R"({"compress_ratios": [0)";
  for (int i = 0; i < 5000; ++i) text += ",0";
  expect_refused(text + "]}", "compress_ratios");
}

TEST(ConfigJson, BrokenJsonIsAnError) {
  expect_refused("", "not JSON");
  expect_refused("{", "not JSON");
  expect_refused("[]", "object");
  expect_refused(std::string(100'000, '['), "not JSON");
}

TEST(ConfigJson, AnyBytesAreReadOrRefused) {
  EXPECT_TRUE(rc::check([] {
    std::string text = R"({"model_type": "llama", "num_hidden_layers": 2, "layer_types": ["x"]})";
    text[*rc::gen::inRange<size_t>(0, text.size())] =
        static_cast<char>(*rc::gen::arbitrary<uint8_t>());
    const auto config = parse_config_json(text);
    if (!config.ok()) RC_ASSERT(!config.error().text.empty());
  }));
}

TEST(ConfigJson, MissingFileIsAnIoError) {
  EXPECT_EQ(load_config_json("/nonexistent/config.json").code(), Errc::kIoError);
}

}  // namespace
}  // namespace quire::client
