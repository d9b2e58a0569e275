// Every published configuration of tests/model/configs/published gives exactly what its class
// keeps.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "client/quirectl/config_json.h"
#include "client/quirectl/layout_output.h"
#include "model/hex_text.h"
#include "model/kv_bytes.h"
#include "tests/model/model_fixtures.h"

namespace quire::model::published_configs_test {
namespace {

const std::string kDirectory = QUIRE_SOURCE_DIR "/tests/model/configs/published/";

// What the table leaves open, because no class could be built there: read off the files by hand.
struct OpenRow {
  uint64_t append_layers, append_elements, window_layers, window_elements, state_layers;
};
const std::map<std::string, OpenRow> kOpen = {
    // 50 layers with windows, 16 heads of 256; 10 without, 4 of 512.
    {"gemma-4-31b-it-nvfp4.json", {10, 10 * 4 * 1024, 50, 50 * 16 * 512, 0}},
    {"glm4_9b.json", {40, 40 * 2 * 256, 0, 0, 0}},
    {"kimi-k3.json", {24, 24 * 576, 0, 0, 69}},
    // 49 of 80 blocks have attention, 8 heads in each.
    {"llama-3_3-nemotron-super-49b-v1.json", {49, 49 * 8 * 256, 0, 0, 0}},
    {"minicpm3_4b.json", {62, 62 * 288, 0, 0, 0}},
};

// The table has no numbers for V4: they stand in bytes a token, with indexer keys in FP8 and FP4.
struct V4Bytes {
  double fp8_keys, fp4_keys;
};
const std::map<std::string, V4Bytes> kV4 = {
    {"deepseek-v4-pro.json", {5511.4375, 5031.4375}},
    {"deepseek-v4-flash.json", {3850.25, 3514.25}},
    {"deepseek-v4-flash.as-transformers-saves-it.json", {3850.25, 3514.25}},
    {"deepseek-v4-flash-fp8.deepseek_ref.json", {3850.25, 3514.25}},
};

struct Row {
  std::string file;
  std::vector<std::string> numbers;  // append layers and elements, window layers and elements
  std::string note;
};

std::vector<Row> table() {
  std::ifstream file(kDirectory + "expected.tsv");
  std::vector<Row> rows;
  std::string line;
  std::getline(file, line);  // titles
  while (std::getline(file, line)) {
    std::istringstream cells(line);
    Row row;
    row.numbers.resize(4);
    std::getline(cells, row.file, '\t');
    for (std::string& number : row.numbers) std::getline(cells, number, '\t');
    std::getline(cells, row.note);
    rows.push_back(row);
  }
  return rows;
}

ModelConfig config_of(const std::string& file) {
  Result<ModelConfig> config = client::load_config_json(kDirectory + file);
  EXPECT_TRUE(config.ok()) << config.error().text;
  return config.ok() ? *config : ModelConfig{};
}

// Rows of 16 bits, whatever the file asks for: bytes are twice the elements.
KvModel plain_model(const std::string& file) {
  LayoutOptions options;
  options.kv = KvFormat::kBf16;
  Result<KvModel> model = kv_model(config_of(file), options);
  EXPECT_TRUE(model.ok()) << file << ": " << model.error().text;
  return model.ok() ? *model : KvModel{};
}

uint64_t count_of(const KvModel& model, TensorRole role) {
  uint64_t count = 0;
  for (const KvTensor& tensor : model.tensors) count += tensor.role == role ? 1 : 0;
  return count;
}

void expect_numbers(const Row& row) {
  const KvModel model = plain_model(row.file);
  const auto number = [&](size_t i) { return std::stoull(row.numbers[i]); };
  EXPECT_EQ(count_of(model, TensorRole::kAttention), number(0)) << row.file;
  EXPECT_EQ(role_bytes_per_token(model, TensorRole::kAttention), 2.0 * number(1)) << row.file;
  EXPECT_EQ(count_of(model, TensorRole::kWindow), number(2)) << row.file;
  EXPECT_EQ(role_bytes_per_token(model, TensorRole::kWindow), 2.0 * number(3)) << row.file;
}

void expect_note(const Row& row) {
  const KvModel model = plain_model(row.file);
  unsigned layers = 0;
  unsigned channels = 0;
  unsigned kernel = 0;
  if (std::sscanf(row.note.c_str(), "%u state layers, conv channels %u kernel %u", &layers,
                  &channels, &kernel) == 3) {
    EXPECT_EQ(count_of(model, TensorRole::kRecurrentState), layers) << row.file;
    EXPECT_EQ(role_bytes(model, TensorRole::kConvState, 1),
              uint64_t{layers} * channels * (kernel - 1) * 2)
        << row.file;
  }
  unsigned dim = 0;
  if (std::sscanf(row.note.c_str(), "indexer key %u in %u layers", &dim, &layers) == 2) {
    EXPECT_EQ(count_of(model, TensorRole::kIndexer), layers) << row.file;
    EXPECT_EQ(role_bytes_per_token(model, TensorRole::kIndexer), (dim + 4.0) * layers) << row.file;
  }
  EXPECT_EQ(config_of(row.file).cache_scheme.format,
            row.note.find("8-bit cache") == std::string::npos ? "" : "fp8")
      << row.file;
}

void expect_open_row(const std::string& file, const OpenRow& row) {
  const KvModel model = plain_model(file);
  const auto bytes = [](uint64_t elements) { return 2.0 * static_cast<double>(elements); };
  EXPECT_EQ(count_of(model, TensorRole::kAttention), row.append_layers) << file;
  EXPECT_EQ(role_bytes_per_token(model, TensorRole::kAttention), bytes(row.append_elements));
  EXPECT_EQ(count_of(model, TensorRole::kWindow), row.window_layers) << file;
  EXPECT_EQ(role_bytes_per_token(model, TensorRole::kWindow), bytes(row.window_elements)) << file;
  EXPECT_EQ(count_of(model, TensorRole::kRecurrentState), row.state_layers) << file;
}

// Without options a layout comes out, or the error says which option is missing.
void expect_layout_or_way_out(const Row& row) {
  const Result<Layout> layout = layout_from_config(config_of(row.file), {});
  if (layout.ok()) return;
  EXPECT_NE(layout.error().text.find("--kv bf16"), std::string::npos) << layout.error().text;
}

TEST(PublishedConfigs, EveryFileHasARowAndEveryRowAFile) {
  std::set<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(kDirectory)) {
    if (entry.path().extension() == ".json") files.insert(entry.path().filename());
  }
  std::set<std::string> rows;
  for (const Row& row : table()) rows.insert(row.file);
  EXPECT_EQ(files, rows);
  EXPECT_EQ(rows.size(), 45u);
  for (const auto& [file, row] : kOpen) EXPECT_TRUE(rows.contains(file)) << file;
  for (const auto& [file, bytes] : kV4) EXPECT_TRUE(rows.contains(file)) << file;
}

TEST(PublishedConfigs, EachIsExact) {
  for (const Row& row : table()) {
    expect_layout_or_way_out(row);
    if (kV4.contains(row.file)) continue;
    if (kOpen.contains(row.file)) {
      expect_open_row(row.file, kOpen.at(row.file));
      continue;
    }
    ASSERT_NE(row.numbers[0], "?") << row.file;
    expect_numbers(row);
    expect_note(row);
  }
}

TEST(PublishedConfigs, V4HasTheBytesOfItsReport) {
  for (const auto& [file, bytes] : kV4) {
    LayoutOptions options;
    options.indexer = IndexerFormat::kFp8;
    Result<KvModel> model = kv_model(config_of(file), options);
    ASSERT_TRUE(model.ok()) << model.error().text;
    EXPECT_EQ(append_bytes_per_token(*model), bytes.fp8_keys) << file;
    options.indexer = IndexerFormat::kFp4;
    model = kv_model(config_of(file), options);
    ASSERT_TRUE(model.ok()) << model.error().text;
    EXPECT_EQ(append_bytes_per_token(*model), bytes.fp4_keys) << file;
  }
}

TEST(PublishedConfigs, V4HasOneDigestInAllItsForms) {
  for (const bool draft_layers : {false, true}) {
    std::set<std::string> digests;
    for (const char* file :
         {"deepseek-v4-flash.json", "deepseek-v4-flash.as-transformers-saves-it.json",
          "deepseek-v4-flash-fp8.deepseek_ref.json"}) {
      LayoutOptions options;
      options.draft_layers = draft_layers;
      const Result<Layout> layout = layout_from_config(config_of(file), options);
      ASSERT_TRUE(layout.ok()) << layout.error().text;
      digests.insert(hex_text(layout_digest(*layout).bytes));
    }
    EXPECT_EQ(digests.size(), 1u) << draft_layers;
  }
}

// A file that asks for an FP8 cache gets it, unless the caller says otherwise.
TEST(PublishedConfigs, SchemesOfTheFileHalveTheCache) {
  for (const char* file : {"qwen3-32b-fp8-static-pertensor.json", "kimi-k2.5-nvfp4.json"}) {
    const Result<KvModel> model = kv_model(config_of(file), {});
    ASSERT_TRUE(model.ok()) << model.error().text;
    EXPECT_EQ(model->tensors[0].format, ElementFormat::kFp8E4m3) << file;
    EXPECT_EQ(2 * append_bytes_per_token(*model), append_bytes_per_token(plain_model(file)));
  }
}

}  // namespace
}  // namespace quire::model::published_configs_test
