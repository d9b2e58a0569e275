// Byte tables of DeepSeek-V4 and others, from their configurations.
#include "model/kv_bytes.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/model/model_fixtures.h"

namespace quire::model::kv_bytes_test {
namespace {

constexpr uint64_t k128K = 131'072;
constexpr uint64_t k256K = 262'144;
constexpr uint64_t k1M = 1'048'576;

KvModel model_of(const std::string& config, LayoutOptions options = {}) {
  Result<KvModel> model = kv_model(published_config(config), options);
  EXPECT_TRUE(model.ok()) << model.error().text;
  return model.ok() ? *model : KvModel{};
}

LayoutOptions with_indexer(IndexerFormat format) {
  LayoutOptions options;
  options.indexer = format;
  return options;
}

LayoutOptions with_kv(KvFormat format) {
  LayoutOptions options;
  options.kv = format;
  return options;
}

LayoutOptions all_bf16() {
  LayoutOptions options = with_kv(KvFormat::kBf16);
  options.indexer = IndexerFormat::kBf16;
  return options;
}

uint64_t append_bytes(const KvModel& model, uint64_t tokens) {
  return kind_bytes(model, GroupKind::kAppend, tokens);
}

uint64_t fixed_bytes(const KvModel& model) {
  return max_kind_bytes(model, GroupKind::kWindow) + max_kind_bytes(model, GroupKind::kState);
}

struct RoleRow {
  TensorRole role;
  double per_token;
  uint64_t at_128k, at_256k, at_1m;
};

void expect_role(const KvModel& model, const RoleRow& row) {
  EXPECT_EQ(role_bytes_per_token(model, row.role), row.per_token);
  EXPECT_EQ(role_bytes(model, row.role, k128K), row.at_128k);
  EXPECT_EQ(role_bytes(model, row.role, k256K), row.at_256k);
  EXPECT_EQ(role_bytes(model, row.role, k1M), row.at_1m);
}

TEST(KvBytes, V4ProAppendRowsByRole) {
  const KvModel fp4 = model_of("deepseek-v4-pro", with_indexer(IndexerFormat::kFp4));
  const KvModel fp8 = model_of("deepseek-v4-pro", with_indexer(IndexerFormat::kFp8));
  expect_role(fp4, {TensorRole::kCsaMain, 4380, 574'095'360, 1'148'190'720, 4'592'762'880});
  expect_role(fp4, {TensorRole::kIndexer, 510, 66'846'720, 133'693'440, 534'773'760});
  expect_role(fp8, {TensorRole::kIndexer, 990, 129'761'280, 259'522'560, 1'038'090'240});
  expect_role(fp4, {TensorRole::kHcaMain, 141.4375, 18'538'496, 37'076'992, 148'307'968});
}

TEST(KvBytes, V4ProGlobal) {
  const KvModel fp4 = model_of("deepseek-v4-pro", with_indexer(IndexerFormat::kFp4));
  EXPECT_EQ(append_bytes_per_token(fp4), 5031.4375);
  EXPECT_EQ(append_bytes(fp4, 128), 644'024u);
  EXPECT_EQ(append_bytes(fp4, k128K), 659'480'576u);
  EXPECT_EQ(append_bytes(fp4, k256K), 1'318'961'152u);
  EXPECT_EQ(append_bytes(fp4, k1M), 5'275'844'608u);
  const KvModel fp8 = model_of("deepseek-v4-pro", with_indexer(IndexerFormat::kFp8));
  EXPECT_EQ(append_bytes_per_token(fp8), 5511.4375);
  EXPECT_EQ(append_bytes(fp8, 128), 705'464u);
  EXPECT_EQ(append_bytes(fp8, k128K), 722'395'136u);
  EXPECT_EQ(append_bytes(fp8, k256K), 1'444'790'272u);
  EXPECT_EQ(append_bytes(fp8, k1M), 5'779'161'088u);
}

TEST(KvBytes, V4ProWindowAndStates) {
  const KvModel model = model_of("deepseek-v4-pro", with_indexer(IndexerFormat::kFp4));
  EXPECT_EQ(max_kind_bytes(model, GroupKind::kWindow), 4'559'872u);
  EXPECT_EQ(kind_bytes(model, GroupKind::kWindow, k128K), 4'559'872u);
  EXPECT_EQ(max_kind_bytes(model, GroupKind::kState), 18'710'528u);
  EXPECT_EQ(role_bytes(model, TensorRole::kCsaState, k1M), 1'966'080u);
  EXPECT_EQ(role_bytes(model, TensorRole::kIndexerState, k1M), 491'520u);
  EXPECT_EQ(role_bytes(model, TensorRole::kHcaState, k1M), 16'252'928u);
  EXPECT_EQ(append_bytes(model, k128K) + fixed_bytes(model), 682'750'976u);
  EXPECT_EQ(append_bytes(model, k256K) + fixed_bytes(model), 1'342'231'552u);
  EXPECT_EQ(append_bytes(model, k1M) + fixed_bytes(model), 5'299'115'008u);
}

TEST(KvBytes, V4ProCheckpointIsWorth1028Tokens) {
  const KvModel model = model_of("deepseek-v4-pro", with_indexer(IndexerFormat::kFp4));
  EXPECT_EQ(minimal_checkpoint_bytes(model), 5'174'272u);
  EXPECT_EQ(minimal_checkpoint_bytes(model) - max_kind_bytes(model, GroupKind::kWindow), 614'400u);
  EXPECT_EQ(std::lround(5'174'272 / append_bytes_per_token(model)), 1028);
}

TEST(KvBytes, V4ProOtherFormats) {
  const KvModel bf16 = model_of("deepseek-v4-pro", all_bf16());
  EXPECT_EQ(append_bytes_per_token(bf16), 9848);
  EXPECT_EQ(append_bytes(bf16, k1M), 9848 * k1M);  // 9.617 GiB
  const KvModel fp8 = model_of("deepseek-v4-pro", with_indexer(IndexerFormat::kFp8));
  EXPECT_EQ(std::floor(dense_bytes_per_token(fp8)), 475'311);
  EXPECT_NEAR(dense_bytes_per_token(fp8) * k128K, 62.3e9, 0.05e9);
  EXPECT_NEAR(dense_bytes_per_token(fp8) * k256K, 124.6e9, 0.05e9);
  EXPECT_NEAR(dense_bytes_per_token(fp8) * k1M, 498.4e9, 0.05e9);
}

TEST(KvBytes, V4ProDraftLayerAddsOneWindow) {
  LayoutOptions options;
  options.draft_layers = true;
  const uint64_t with = max_kind_bytes(model_of("deepseek-v4-pro", options), GroupKind::kWindow);
  const uint64_t without = max_kind_bytes(model_of("deepseek-v4-pro"), GroupKind::kWindow);
  EXPECT_EQ(with - without, 74'752u);
}

TEST(KvBytes, V4FlashAppendRowsByRole) {
  const KvModel fp4 = model_of("deepseek-v4-flash", with_indexer(IndexerFormat::kFp4));
  const KvModel fp8 = model_of("deepseek-v4-flash", with_indexer(IndexerFormat::kFp8));
  expect_role(fp4, {TensorRole::kCsaMain, 3066, 401'866'752, 803'733'504, 3'214'934'016});
  expect_role(fp4, {TensorRole::kIndexer, 357, 46'792'704, 93'585'408, 374'341'632});
  expect_role(fp8, {TensorRole::kIndexer, 693, 90'832'896, 181'665'792, 726'663'168});
  expect_role(fp4, {TensorRole::kHcaMain, 91.25, 11'960'320, 23'920'640, 95'682'560});
}

TEST(KvBytes, V4FlashGlobal) {
  const KvModel fp4 = model_of("deepseek-v4-flash", with_indexer(IndexerFormat::kFp4));
  EXPECT_EQ(append_bytes_per_token(fp4), 3514.25);
  EXPECT_EQ(append_bytes(fp4, 128), 449'824u);
  EXPECT_EQ(append_bytes(fp4, k128K), 460'619'776u);
  EXPECT_EQ(append_bytes(fp4, k256K), 921'239'552u);
  EXPECT_EQ(append_bytes(fp4, k1M), 3'684'958'208u);
  const KvModel fp8 = model_of("deepseek-v4-flash", with_indexer(IndexerFormat::kFp8));
  EXPECT_EQ(append_bytes_per_token(fp8), 3850.25);
  EXPECT_EQ(append_bytes(fp8, 128), 492'832u);
  EXPECT_EQ(append_bytes(fp8, k128K), 504'659'968u);
  EXPECT_EQ(append_bytes(fp8, k256K), 1'009'319'936u);
  EXPECT_EQ(append_bytes(fp8, k1M), 4'037'279'744u);
}

TEST(KvBytes, V4FlashWindowStatesAndCheckpoint) {
  const KvModel model = model_of("deepseek-v4-flash", with_indexer(IndexerFormat::kFp4));
  EXPECT_EQ(max_kind_bytes(model, GroupKind::kWindow), 3'214'336u);
  EXPECT_EQ(max_kind_bytes(model, GroupKind::kState), 12'206'080u);
  EXPECT_EQ(role_bytes(model, TensorRole::kCsaState, k1M), 1'376'256u);
  EXPECT_EQ(role_bytes(model, TensorRole::kIndexerState, k1M), 344'064u);
  EXPECT_EQ(role_bytes(model, TensorRole::kHcaState, k1M), 10'485'760u);
  EXPECT_EQ(append_bytes(model, k128K) + fixed_bytes(model), 476'040'192u);
  EXPECT_EQ(append_bytes(model, k256K) + fixed_bytes(model), 936'659'968u);
  EXPECT_EQ(append_bytes(model, k1M) + fixed_bytes(model), 3'700'378'624u);
  EXPECT_EQ(minimal_checkpoint_bytes(model), 3'644'416u);
  EXPECT_EQ(std::lround(3'644'416 / append_bytes_per_token(model)), 1037);
}

TEST(KvBytes, V4FlashOtherFormats) {
  EXPECT_EQ(append_bytes_per_token(model_of("deepseek-v4-flash", all_bf16())), 6880);
  const KvModel fp8 = model_of("deepseek-v4-flash", with_indexer(IndexerFormat::kFp8));
  EXPECT_EQ(std::floor(dense_bytes_per_token(fp8)), 325'922);
  EXPECT_NEAR(dense_bytes_per_token(fp8) * k1M, 341.8e9, 0.05e9);
}

struct ModelRow {
  const char* config;
  LayoutOptions options;
  double per_token;
  double gb_128k, gb_256k, gb_1m;
  double times_v4_pro;
};

TEST(KvBytes, OtherModels) {
  const LayoutOptions bf16 = with_kv(KvFormat::kBf16);
  const LayoutOptions fp8 = with_kv(KvFormat::kFp8);
  const ModelRow rows[] = {
      {"deepseek-v4.1-flash", {}, 890, 0.117, 0.233, 0.933, 0.18},
      {"deepseek-v3.2", {}, 48'068, 6.30, 12.60, 50.40, 9.55},
      {"deepseek-v3.2", all_bf16(), 85'888, 11.26, 22.52, 90.06, 17.07},
      {"deepseek-v3", fp8, 35'136, 4.61, 9.21, 36.84, 6.98},
      {"deepseek-v3", bf16, 70'272, 9.21, 18.42, 73.69, 13.97},
      {"llama-3.1-405b", {}, 516'096, 67.65, 135.29, 541.17, 102.6},
      {"llama-3.1-405b", fp8, 258'048, 33.82, 67.65, 270.58, 51.3},
      {"llama-3.1-70b", {}, 327'680, 42.95, 85.90, 343.60, 65.1},
      {"qwen3-235b-a22b", {}, 192'512, 25.23, 50.47, 201.86, 38.3},
      {"qwen3-32b", {}, 262'144, 34.36, 68.72, 274.88, 52.1},
  };
  for (const ModelRow& row : rows) {
    const KvModel model = model_of(row.config, row.options);
    const double rounding = row.gb_1m < 1 ? 0.0005 : 0.00501;
    EXPECT_EQ(append_bytes_per_token(model), row.per_token) << row.config;
    EXPECT_NEAR(append_bytes(model, k128K) / 1e9, row.gb_128k, rounding) << row.config;
    EXPECT_NEAR(append_bytes(model, k256K) / 1e9, row.gb_256k, rounding) << row.config;
    EXPECT_NEAR(append_bytes(model, k1M) / 1e9, row.gb_1m, rounding) << row.config;
    EXPECT_NEAR(row.per_token / 5031.4375, row.times_v4_pro, row.per_token > 190'000 ? 0.05 : 0.005)
        << row.config;
  }
}

TEST(KvBytes, V41WindowOfTheEncoderOnly) {
  const KvModel model = model_of("deepseek-v4.1-flash");
  EXPECT_EQ(max_kind_bytes(model, GroupKind::kWindow), 20u * 128 * 584);
}

TEST(KvBytes, ShardsAddUpToTheWholeModel) {
  LayoutOptions sharded;
  sharded.tensor_parallel = 8;
  for (const char* config : {"llama-3.1-70b", "gemma-3-27b", "gpt-oss-120b"}) {
    const KvModel whole = model_of(config);
    const KvModel parts = model_of(config, sharded);
    EXPECT_EQ(append_bytes(whole, 4096), append_bytes(parts, 4096)) << config;
    EXPECT_EQ(fixed_bytes(whole), fixed_bytes(parts)) << config;
  }
}

TEST(KvBytes, RowsThatAreNotCompleteAreNotCounted) {
  const KvModel model = model_of("deepseek-v4-flash");
  EXPECT_EQ(role_bytes(model, TensorRole::kHcaMain, 127), 0u);
  EXPECT_EQ(role_bytes(model, TensorRole::kHcaMain, 128), 20u * 584);
  EXPECT_EQ(role_bytes(model, TensorRole::kWindow, 3), 43u * 3 * 584);
}

}  // namespace
}  // namespace quire::model::kv_bytes_test
