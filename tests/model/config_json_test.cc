#include "client/quirectl/config_json.h"

#include <gtest/gtest.h>

#include "tests/model/model_fixtures.h"

namespace quire::client::config_json_test {
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

// A nested decoder has its own class: what the outer object says of sizes is about other parts.
TEST(ConfigJson, SizesAreThoseOfTheDecoder) {
  const auto config = parse_config_json(
      R"({"model_type": "x", "hidden_size": 7, "text_config": {"model_type": "llama", "head_dim": 64}})");
  ASSERT_TRUE(config.ok()) << config.error().text;
  EXPECT_TRUE(config->is_nested);
  EXPECT_EQ(config->hidden_size, 0u);
  EXPECT_EQ(config->head_dim, 64u);
}

TEST(ConfigJson, NullIsNotAbsence) {
  const auto config = parse_config_json(R"({"num_key_value_heads": null})");
  ASSERT_TRUE(config.ok()) << config.error().text;
  EXPECT_TRUE(config->is_null("num_key_value_heads"));
  EXPECT_FALSE(config->is_null("head_dim"));
  const auto none = parse_config_json(R"({"sliding_window": 0})");  // a window of nothing is none
  ASSERT_TRUE(none.ok()) << none.error().text;
  EXPECT_TRUE(none->is_null("sliding_window"));
}

TEST(ConfigJson, DtypeOutranksTorchDtype) {
  const auto config = parse_config_json(R"({"dtype": "torch.float16", "torch_dtype": "bfloat16"})");
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->torch_dtype, "float16");
}

TEST(ConfigJson, PatternHasTwoNames) {
  for (const char* field : {"sliding_window_pattern", "_sliding_window_pattern"}) {
    const auto config = parse_config_json("{\"" + std::string(field) + "\": 4}");
    ASSERT_TRUE(config.ok()) << config.error().text;
    EXPECT_EQ(config->sliding_window_pattern, 4u) << field;
  }
}

TEST(ConfigJson, FieldsThatNobodyReadsDoNotMatter) {
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "[";
  for (int i = 0; i < 100; ++i) deep += "]";
  for (const std::string& field :
       {std::string(R"("time_step_limit": [0.0, Infinity], "x": [-Infinity, NaN])"),
        std::string(
            R"("a\"b\\": "Infinity \" NaN", "model_max_length": 1000000000000000019884624838656)"),
        std::string("\"\xe6\xa8\xa1\xe5\x9e\x8b\": \"\xf0\x9f\x98\x80\""), "\"deep\": " + deep,
        "\"merges\": \"" + std::string(5 << 20, 'x') + "\""}) {
    const auto config = parse_config_json("\xef\xbb\xbf{" + field + R"(, "head_dim": 64})");
    ASSERT_TRUE(config.ok()) << config.error().text;
    EXPECT_EQ(config->head_dim, 64u);
  }
}

TEST(ConfigJson, WordsForNumbersAreRefusedWhereANumberIsRead) {
  expect_refused(R"({"head_dim": Infinity})", "head_dim");
  expect_refused(R"({"sliding_window": -Infinity})", "sliding_window");
  expect_refused(R"({"num_hidden_layers": NaN})", "num_hidden_layers");
  expect_refused(R"({"head_dim": 0})", "head_dim");
}

// exaone4 has a pattern of letters where gemma3 has a number.
TEST(ConfigJson, FieldsOfUnknownModelsAreNotRead) {
  const auto config =
      parse_config_json(R"({"model_type": "exaone4", "sliding_window_pattern": "LLLG"})");
  ASSERT_TRUE(config.ok()) << config.error().text;
  EXPECT_EQ(config->model_type, "exaone4");
}

TEST(ConfigJson, SchemesOfTheCache) {
  const auto scheme = [](const std::string& text) {
    const auto config = parse_config_json(text);
    EXPECT_TRUE(config.ok()) << config.error().text;
    return config.ok() ? config->cache_scheme : model::CacheScheme{};
  };
  const std::string in = "quantization_config.";
  EXPECT_EQ(
      scheme(R"({"quantization_config": {"kv_cache_scheme": {"num_bits": 8, "type": "float"}}})"),
      (model::CacheScheme{in + "kv_cache_scheme", "fp8"}));
  EXPECT_EQ(scheme(R"({"quantization_config": {"kv_cache_scheme": "FP8"}})").format, "fp8");
  EXPECT_EQ(scheme(R"({"quantization_config": {"kv_cache_quant_algo": "FP8"}})"),
            (model::CacheScheme{in + "kv_cache_quant_algo", "fp8"}));
  EXPECT_EQ(scheme(R"({"quantization_config": {"kv_cache_quant_algo": "NVFP4"}})").format, "nvfp4");
  EXPECT_EQ(
      scheme(R"({"quantization_config": {"kv_cache_scheme": {"num_bits": 8, "type": "int"}}})")
          .format,
      "8-bit int");
  EXPECT_EQ(
      scheme(R"({"quantization_config": {"quantization": {"kv_cache_quant_algo": "FP8"}}})").format,
      "fp8");
  EXPECT_EQ(scheme(R"({"quantization_config": {"kv_cache_quant_config":
                       {"*k_proj": {"output_tensors": {"dtype": "fp8_e4m3"}}}}})")
                .format,
            "fp8");
  EXPECT_EQ(
      scheme(
          R"({"text_config": {"compression_config": {"kv_cache_scheme": {"num_bits": 8, "type": "float"}}}})")
          .format,
      "fp8");
  // What is no scheme that anybody knows is not taken for silence.
  EXPECT_EQ(scheme(R"({"quantization_config": {"kv_cache_scheme": 8}})").format, "8");
  EXPECT_EQ(
      scheme(R"({"quantization_config": {"kv_cache_scheme": {"num_bits": "8", "type": "float"}}})")
          .format,
      "\"8\"-bit");
  // Quantised weights say nothing of the cache.
  for (const char* text :
       {R"({"quantization_config": {"quant_method": "fp8", "fmt": "e4m3"}})",
        R"({"quantization_config": {"kv_cache_scheme": null, "kv_cache_quant_algo": null}})",
        R"({"quantization_config": {"kv_cache_quant_algo": "auto"}})",
        R"({"quantization_config": {"kv_cache_scheme": false, "kv_cache_quant_config": {}}})",
        R"({"quantization_config": null})"}) {
    EXPECT_EQ(scheme(text), model::CacheScheme{}) << text;
  }
}

TEST(ConfigJson, V4AsTransformersSavesIt) {
  const auto config = parse_config_json(
      R"({"compress_rates": {"compressed_sparse_attention": 4, "heavily_compressed_attention": 128},
          "partial_rotary_factor": 0.125})");
  ASSERT_TRUE(config.ok()) << config.error().text;
  EXPECT_EQ(config->compress_rate_csa, 4u);
  EXPECT_EQ(config->compress_rate_hca, 128u);
  EXPECT_EQ(config->partial_rotary_factor, 0.125);
  expect_refused(R"({"partial_rotary_factor": -1})", "partial_rotary_factor");
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
}  // namespace quire::client::config_json_test
