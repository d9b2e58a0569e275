// Models whose layers differ from each other. The numbers are elements that the classes of
// transformers 5.19 put into their caches for these very files (small, so that they can be run).
#include <gtest/gtest.h>

#include "client/quirectl/config_json.h"
#include "model/kv_bytes.h"

namespace quire::model::hybrid_models_test {
namespace {

Result<KvModel> model_of(const std::string& fields, LayoutOptions options = {}) {
  const ModelConfig config = QUIRE_TRY(client::parse_config_json(
      R"({"torch_dtype":"bfloat16","hidden_size":64,"num_attention_heads":4,)"
      R"("max_position_embeddings":4096,)" +
      fields + "}"));
  return kv_model(config, options);
}

struct Elements {
  std::vector<uint32_t> layers;
  uint64_t each = 0;  // of a row, in the layers of the list
  friend bool operator==(const Elements&, const Elements&) = default;
};

// All layers of a role have the same row here.
Elements elements(const KvModel& model, TensorRole role, uint64_t element_bytes = 2) {
  Elements found;
  for (const KvTensor& tensor : model.tensors) {
    if (tensor.role != role) continue;
    const uint64_t each = tensor.row_bytes / element_bytes;
    EXPECT_TRUE(found.layers.empty() || found.each == each) << tensor.layer;
    found.layers.push_back(tensor.layer);
    found.each = each;
  }
  return found;
}

void expect_elements(const KvModel& model, TensorRole role, Elements expected,
                     uint64_t element_bytes = 2) {
  const Elements found = elements(model, role, element_bytes);
  EXPECT_EQ(found.layers, expected.layers);
  EXPECT_EQ(found.each, expected.each);
}

void expect_states(const KvModel& model, Elements conv, Elements recurrent) {
  expect_elements(model, TensorRole::kConvState, std::move(conv));
  expect_elements(model, TensorRole::kRecurrentState, std::move(recurrent), 4);
}

void expect_refused(const std::string& fields, const std::string& name,
                    LayoutOptions options = {}) {
  const Result<KvModel> model = model_of(fields, options);
  ASSERT_FALSE(model.ok()) << fields;
  EXPECT_NE(model.error().text.find(name), std::string::npos) << model.error().text;
}

const std::string kNemotron =
    R"("model_type":"nemotron_h","num_key_value_heads":2,"head_dim":24,"mamba_num_heads":6,)"
    R"("mamba_head_dim":10,"ssm_state_size":12,"n_groups":2,"conv_kernel":5,"expand":2,)";

TEST(HybridModels, NemotronKeepsNothingInLayersOfExperts) {
  const Result<KvModel> model = model_of(kNemotron + R"("hybrid_override_pattern":"MEM*-M*E")");
  ASSERT_TRUE(model.ok()) << model.error().text;
  expect_elements(*model, TensorRole::kAttention, {{3, 6}, 2 * 2 * 24});
  expect_states(*model, {{0, 2, 5}, (60 + 2 * 2 * 12) * 4}, {{0, 2, 5}, 6 * 10 * 12});
}

TEST(HybridModels, LettersCountForEachLayerOrAreRefused) {
  expect_refused(kNemotron + R"("num_hidden_layers":7,"hybrid_override_pattern":"MEM*-M*E")",
                 "'hybrid_override_pattern'");
  expect_refused(kNemotron + R"("hybrid_override_pattern":"MEM*-X*E")", "'X' for layer 5");
  expect_refused(kNemotron + R"("num_hidden_layers":8)", "'hybrid_override_pattern'");
}

TEST(HybridModels, DraftLayersOfLettersAreTheOnesOfTheirPattern) {
  LayoutOptions options;
  options.draft_layers = true;
  const std::string fields =
      kNemotron + R"("hybrid_override_pattern":"M*","mtp_hybrid_override_pattern":"*E",)";
  const Result<KvModel> model = model_of(fields + R"("num_nextn_predict_layers":1)", options);
  ASSERT_TRUE(model.ok()) << model.error().text;
  expect_elements(*model, TensorRole::kAttention, {{1, 2}, 2 * 2 * 24});
  expect_refused(fields + R"("num_nextn_predict_layers":2)", "draft layer", options);
}

TEST(HybridModels, JambaHasAttentionAtItsOffset) {
  const Result<KvModel> model =
      model_of(R"("model_type":"jamba","num_hidden_layers":10,"num_key_value_heads":2,)"
               R"("attn_layer_period":4,"attn_layer_offset":1,"mamba_d_state":8,)"
               R"("mamba_d_conv":3,"mamba_expand":3)");
  ASSERT_TRUE(model.ok()) << model.error().text;
  expect_elements(*model, TensorRole::kAttention, {{1, 5, 9}, 2 * 2 * 16});
  const std::vector<uint32_t> mamba{0, 2, 3, 4, 6, 7, 8};
  expect_states(*model, {mamba, 192 * 2}, {mamba, 192 * 8});
}

TEST(HybridModels, FalconKeepsRowsAndAStateInEachLayer) {
  const Result<KvModel> model =
      model_of(R"("model_type":"falcon_h1","num_hidden_layers":3,"num_key_value_heads":2,)"
               R"("head_dim":24,"mamba_d_ssm":null,"mamba_n_heads":8,"mamba_d_head":"auto",)"
               R"("mamba_d_state":12)");
  ASSERT_TRUE(model.ok()) << model.error().text;
  expect_elements(*model, TensorRole::kAttention, {{0, 1, 2}, 2 * 2 * 24});
  expect_states(*model, {{0, 1, 2}, (128 + 2 * 12) * 3}, {{0, 1, 2}, 128 * 12});
}

TEST(HybridModels, HeadsOfStateSpaceLayersMustMakeTheirChannels) {
  expect_refused(
      R"("model_type":"falcon_h1","num_hidden_layers":3,"num_key_value_heads":2,"mamba_d_ssm":96,)"
      R"("mamba_n_heads":8,"mamba_d_head":16)",
      "'mamba_n_heads'");
}

TEST(HybridModels, StatesAreSharedOutByHeadsAndGroups) {
  LayoutOptions options;
  options.tensor_parallel = 2;
  const Result<KvModel> model = model_of(kNemotron + R"("hybrid_override_pattern":"M*")", options);
  ASSERT_TRUE(model.ok()) << model.error().text;
  expect_states(*model, {{0}, (30 + 2 * 12) * 4}, {{0}, 3 * 10 * 12});
  options.tensor_parallel = 4;
  expect_refused(kNemotron + R"("hybrid_override_pattern":"M*")", "'mamba_n_heads'", options);
}

const std::string kKimi =
    R"("model_type":"kimi_linear","num_hidden_layers":4,"kv_lora_rank":32,"qk_rope_head_dim":16,)";

TEST(HybridModels, KimiKeepsLatentsAndStates) {
  const Result<KvModel> model = model_of(
      kKimi + R"("linear_attn_config":{"num_heads":3,"head_dim":16,"short_conv_kernel_size":4,)"
              R"("full_attn_layers":[2,4],"kda_layers":[1,3]})");
  ASSERT_TRUE(model.ok()) << model.error().text;
  expect_elements(*model, TensorRole::kAttention, {{1, 3}, 32 + 16});
  expect_states(*model, {{0, 2}, 3 * 48 * 3}, {{0, 2}, 3 * 16 * 16});
}

TEST(HybridModels, ListsOfLayersNameEachOnce) {
  for (const char* lists : {R"("full_attn_layers":[2],"kda_layers":[1,3])",
                            R"("full_attn_layers":[0,4],)"
                            R"("kda_layers":[1,2,3])",
                            R"("full_attn_layers":[2,4],"kda_layers":[1,2,3])"}) {
    expect_refused(kKimi + R"("linear_attn_config":{)" + lists + "}", "'kda_layers'");
  }
}

const std::string kGemma4 =
    R"("model_type":"gemma4_text","num_key_value_heads":4,"head_dim":16,"sliding_window":16,)";

TEST(HybridModels, Gemma4HasOtherHeadsInFullLayers) {
  const std::string fields = kGemma4 + R"("num_hidden_layers":8,)";
  const std::string global = R"("global_head_dim":32,"num_global_key_value_heads":2)";
  // Written as published, and as transformers saves it.
  for (const std::string& heads :
       {global + R"(,"attention_k_eq_v":true)",
        std::string(R"("attention_k_eq_v":true,"per_layer_config":{)"
                    R"("5":{"head_dim":32,"num_key_value_heads":2},)"
                    R"("7":{"head_dim":32,"num_key_value_heads":2}})")}) {
    const Result<KvModel> model = model_of(fields + heads);
    ASSERT_TRUE(model.ok()) << model.error().text;
    expect_elements(*model, TensorRole::kAttention, {{5, 7}, 2 * 2 * 32});
    expect_elements(*model, TensorRole::kWindow, {{0, 1, 2, 3, 4, 6}, 2 * 4 * 16});
  }
  // Without the switch their number is that of all layers.
  const Result<KvModel> model = model_of(fields + global);
  ASSERT_TRUE(model.ok()) << model.error().text;
  expect_elements(*model, TensorRole::kAttention, {{5, 7}, 2 * 4 * 32});
}

TEST(HybridModels, LayersThatShareRowsKeepNone) {
  const Result<KvModel> model =
      model_of(kGemma4 + R"("num_hidden_layers":12,"num_kv_shared_layers":4)");
  ASSERT_TRUE(model.ok()) << model.error().text;
  expect_elements(*model, TensorRole::kAttention, {{5}, 2 * 4 * 512});
  expect_elements(*model, TensorRole::kWindow, {{0, 1, 2, 3, 4, 6, 7}, 2 * 4 * 16});
  expect_refused(kGemma4 + R"("num_hidden_layers":12,"num_kv_shared_layers":8)",
                 "'num_kv_shared_layers'");
}

TEST(HybridModels, APatternOfAFileDoesNotOutrankAFixedOne) {
  const std::string sizes =
      R"("num_hidden_layers":6,"num_key_value_heads":4,"head_dim":16,"sliding_window":16,)"
      R"("sliding_window_pattern":3)";
  const Result<KvModel> fixed = model_of(R"("model_type":"gemma2",)" + sizes);
  ASSERT_TRUE(fixed.ok()) << fixed.error().text;
  expect_elements(*fixed, TensorRole::kAttention, {{1, 3, 5}, 2 * 4 * 16});
  const Result<KvModel> given = model_of(R"("model_type":"cohere2",)" + sizes);
  ASSERT_TRUE(given.ok()) << given.error().text;
  expect_elements(*given, TensorRole::kAttention, {{2, 5}, 2 * 4 * 16});
}

TEST(HybridModels, SharedLayersOfAClassThatHasNoneAreRefused) {
  const std::string fields =
      R"("model_type":"llama","num_hidden_layers":12,"hidden_size":256,"num_attention_heads":4)";
  expect_refused(fields + R"(,"num_kv_shared_layers":4)", "'num_kv_shared_layers'");
  EXPECT_TRUE(model_of(fields + R"(,"num_kv_shared_layers":0)").ok());
}

TEST(HybridModels, Gemma3nSharesFifteenLayersUnlessItsFileSaysOtherwise) {
  const std::string fields =
      R"("model_type":"gemma3n_text","num_hidden_layers":20,"num_key_value_heads":4,)"
      R"("head_dim":16,"sliding_window":16)";
  const Result<KvModel> model = model_of(fields);
  ASSERT_TRUE(model.ok()) << model.error().text;
  expect_elements(*model, TensorRole::kAttention, {{4}, 2 * 4 * 16});
  const Result<KvModel> unshared = model_of(fields + R"(,"num_kv_shared_layers":0)");
  ASSERT_TRUE(unshared.ok()) << unshared.error().text;
  expect_elements(*unshared, TensorRole::kAttention, {{4, 9, 14, 19}, 2 * 4 * 16});
}

TEST(HybridModels, AttentionInBothDirectionsIsRefused) {
  expect_refused(kGemma4 + R"("num_hidden_layers":8,"use_bidirectional_attention":"all")",
                 "'use_bidirectional_attention'");
  EXPECT_TRUE(
      model_of(kGemma4 + R"("num_hidden_layers":8,"use_bidirectional_attention":"vision")").ok());
}

TEST(HybridModels, MimoHasShorterValuesAndMoreHeadsInWindows) {
  const std::string fields =
      R"("model_type":"mimo_v2_flash","num_hidden_layers":7,"num_key_value_heads":2,)"
      R"("head_dim":24,"v_head_dim":16,"sliding_window":16)";
  const Result<KvModel> silent = model_of(fields);
  ASSERT_TRUE(silent.ok()) << silent.error().text;
  expect_elements(*silent, TensorRole::kAttention, {{0, 5}, 2 * (24 + 16)});
  expect_elements(*silent, TensorRole::kWindow, {{1, 2, 3, 4, 6}, 4 * (24 + 16)});
  const Result<KvModel> told =
      model_of(fields + R"(,"swa_num_key_value_heads":1,"swa_head_dim":32,"swa_v_head_dim":8,)"
                        R"("hybrid_layer_pattern":[1,0,1,1,0,1,1])");
  ASSERT_TRUE(told.ok()) << told.error().text;
  expect_elements(*told, TensorRole::kAttention, {{1, 4}, 2 * (24 + 16)});
  expect_elements(*told, TensorRole::kWindow, {{0, 2, 3, 5, 6}, 32 + 8});
}

TEST(HybridModels, StepHasItsOwnNamesAndListsItsDraftLayers) {
  const std::string fields =
      R"("model_type":"step3p5","num_hidden_layers":3,"num_attention_groups":2,"head_dim":16,)"
      R"("sliding_window":16,"num_nextn_predict_layers":1,"attention_other_setting":)"
      R"({"attention_type":"sliding_attention","num_attention_heads":8,"num_attention_groups":4,)"
      R"("head_dim":8},"layer_types":["full_attention","sliding_attention","full_attention",)"
      R"("sliding_attention"])";
  LayoutOptions options;
  options.draft_layers = true;
  const Result<KvModel> model = model_of(fields, options);
  ASSERT_TRUE(model.ok()) << model.error().text;
  expect_elements(*model, TensorRole::kAttention, {{0, 2}, 2 * 2 * 16});
  expect_elements(*model, TensorRole::kWindow, {{1, 3}, 2 * 4 * 8});
}

TEST(HybridModels, MinimaxKeepsIndexKeysInAGroupOfTheirOwn) {
  const std::string fields =
      R"("model_type":"minimax_m3_vl_text","num_hidden_layers":4,"num_key_value_heads":2,)"
      R"("head_dim":16,"sparse_attention_config":{"use_sparse_attention":true,)"
      R"("sparse_index_dim":24,"sparse_attention_freq":[0,1,1,1])";
  const Result<KvModel> model = model_of(fields + "}");
  ASSERT_TRUE(model.ok()) << model.error().text;
  expect_elements(*model, TensorRole::kAttention, {{0, 1, 2, 3}, 2 * 2 * 16});
  expect_elements(*model, TensorRole::kIndexKeys, {{1, 2, 3}, 24});
  // Ranks share heads out; the keys are the same on all of them.
  const Result<ModelConfig> config = client::parse_config_json(
      R"({"torch_dtype":"bfloat16","num_attention_heads":4,)" + fields + "}}");
  ASSERT_TRUE(config.ok());
  LayoutOptions options;
  options.tensor_parallel = 2;
  const Result<Layout> layout = layout_from_config(*config, options);
  ASSERT_TRUE(layout.ok()) << layout.error().text;
  ASSERT_EQ(layout->groups.size(), 3u);
  EXPECT_EQ(layout->groups[1].name, "global.r1");
  EXPECT_EQ(layout->groups[2].name, "index");
  EXPECT_EQ(layout->groups[2].page_bytes, 64u * 3 * 24 * 2);
  // An index of values too would be one more row.
  expect_refused(fields + R"(,"sparse_disable_index_value":[0,1,0,1]})",
                 "'sparse_disable_index_value'");
}

std::string blocks(const std::string& second) {
  return R"("model_type":"nemotron-nas","num_hidden_layers":2,"num_key_value_heads":null,)"
         R"("head_dim":16,"block_configs":[{"attention":{"n_heads_in_group":2,"no_op":false}},)"
         R"({"attention":)" +
         second + "}]";
}

TEST(HybridModels, BlocksHaveTheHeadsThatTheySay) {
  const Result<KvModel> absent = model_of(blocks(R"({"n_heads_in_group":null,"no_op":true})"));
  ASSERT_TRUE(absent.ok()) << absent.error().text;
  expect_elements(*absent, TensorRole::kAttention, {{0}, 2 * 2 * 16});
  const Result<KvModel> other = model_of(blocks(R"({"n_heads_in_group":4})"));
  ASSERT_TRUE(other.ok()) << other.error().text;
  EXPECT_EQ(role_bytes_per_token(*other, TensorRole::kAttention), 2 * (2 + 1) * 2 * 16);
}

TEST(HybridModels, BlocksOfAnUnknownKindAreRefusedByTheirField) {
  expect_refused(blocks(R"({"n_heads_in_group":2,"window_length":4096})"), "window_length");
  expect_refused(blocks(R"({"n_heads_in_group":3})"), "n_heads_in_group");
  expect_refused(blocks(R"({})"), "n_heads_in_group");
  expect_refused(R"("model_type":"nemotron-nas","num_hidden_layers":2)", "block_configs");
}

// A group is cut as one: 4 ranks would hold 2 shards of the first layer and 1 of the second.
TEST(HybridModels, LayersThatRanksShareDifferentlyAreRefused) {
  LayoutOptions options;
  options.tensor_parallel = 4;
  expect_refused(blocks(R"({"n_heads_in_group":4})"), "tensor_parallel", options);
}

TEST(HybridModels, Llama4TakesTheIntervalOfItsFile) {
  const Result<KvModel> model =
      model_of(R"("model_type":"llama4_text","num_hidden_layers":8,"num_key_value_heads":2,)"
               R"("head_dim":16,"attention_chunk_size":16,"no_rope_layer_interval":2,)"
               R"("sliding_window_pattern":4)");  // other classes' name of it
  ASSERT_TRUE(model.ok()) << model.error().text;
  expect_elements(*model, TensorRole::kAttention, {{1, 3, 5, 7}, 2 * 2 * 16});
  expect_elements(*model, TensorRole::kWindow, {{0, 2, 4, 6}, 2 * 2 * 16});
}

TEST(HybridModels, ChatglmHasNamesOfItsOwn) {
  const std::string fields = R"("model_type":"chatglm","num_layers":2,"kv_channels":16,)";
  const Result<KvModel> grouped =
      model_of(fields + R"("multi_query_attention":true,"multi_query_group_num":2)");
  ASSERT_TRUE(grouped.ok()) << grouped.error().text;
  expect_elements(*grouped, TensorRole::kAttention, {{0, 1}, 2 * 2 * 16});
  const Result<KvModel> plain =
      model_of(fields + R"("multi_query_attention":false,"multi_query_group_num":2)");
  ASSERT_TRUE(plain.ok()) << plain.error().text;
  expect_elements(*plain, TensorRole::kAttention, {{0, 1}, 2 * 4 * 16});
}

}  // namespace
}  // namespace quire::model::hybrid_models_test
