// Caches of multi-head latent attention: DeepSeek V2, V3, R1, Kimi-K2, GLM-4.7-Flash, MiniCPM3
// (dense), and DeepSeek V3.2 and GLM-5 (sparse: an indexer picks the rows to attend to).
#include <algorithm>

#include "model/kv_families.h"

namespace quire::model {

namespace {

constexpr uint32_t kScaleGroup = 128;  // elements that share one FP32 scale in a sparse FP8 row

// Layers of a nested file that leaves them out, see ModelConfig::is_nested.
uint32_t default_layers(std::string_view model_type) {
  if (model_type == "deepseek_v2") return 32;
  if (model_type == "glm4_moe_lite") return 47;
  if (model_type == "glm_moe_dsa") return 78;
  if (model_type == "minicpm3") return 62;
  return 61;
}

// What the classes say where a file does not. Sizes are the same for nearly all.
ModelConfig with_mla_defaults(ModelConfig config) {
  if (config.is_nested && config.num_hidden_layers == 0) {
    config.num_hidden_layers = default_layers(config.model_type);
  }
  const bool is_small = config.model_type == "minicpm3";
  if (config.model_type == "glm4_moe_lite" && config.qk_rope_head_dim == 0) {
    config.qk_rope_head_dim = config.head_dim;
  }
  if (config.kv_lora_rank == 0) config.kv_lora_rank = is_small ? 256 : 512;
  if (config.qk_rope_head_dim == 0) config.qk_rope_head_dim = is_small ? 32 : 64;
  if (config.index_head_dim == 0) config.index_head_dim = 128;
  return config;
}

// To GLM-4.7-Flash they are two names of one size; a file in which they differ says nothing.
bool is_rope_named_twice(const ModelConfig& config) {
  return config.model_type == "glm4_moe_lite" && config.head_dim != 0 &&
         config.head_dim != config.qk_rope_head_dim;
}

Result<void> check_mla(const ModelConfig& config) {
  QUIRE_TRY(require_layers(config));
  if (is_rope_named_twice(config)) {
    return bad_argument("config.json: fields 'head_dim' and 'qk_rope_head_dim' are " +
                        std::to_string(config.head_dim) + " and " +
                        std::to_string(config.qk_rope_head_dim) + ": model_type '" +
                        config.model_type + "' has one size for both");
  }
  return require(config, {{"kv_lora_rank", config.kv_lora_rank, kMaxDim},
                          {"qk_rope_head_dim", config.qk_rope_head_dim, kMaxDim}});
}

Result<Row> plain_row(const ModelConfig& config, const LayoutOptions& options) {
  const Element element = QUIRE_TRY(model_element(config, options, "bfloat16"));
  const uint64_t dims = uint64_t{config.kv_lora_rank} + config.qk_rope_head_dim;
  return Row{element.format, dims * element.bytes};
}

// FP8 throughout, one scale for the whole tensor, which is no part of a row.
Row dense_fp8_row(const ModelConfig& config) {
  return {ElementFormat::kFp8E4m3, uint64_t{config.kv_lora_rank} + config.qk_rope_head_dim};
}

// FlashMLA: FP8 latent with an FP32 scale per 128, BF16 positions.
Result<Row> sparse_fp8_row(const ModelConfig& config) {
  const uint64_t latent = config.kv_lora_rank;
  if (latent % kScaleGroup != 0) {
    return bad_argument("config.json: field 'kv_lora_rank' is " + std::to_string(latent) +
                        "; fp8 rows need a multiple of 128: give --kv bf16");
  }
  // Scales lie in the row, behind the latent: a row moves without a look elsewhere.
  const uint64_t scales = latent / kScaleGroup * sizeof(float);
  return Row{ElementFormat::kFp8V32Mla, latent + scales + uint64_t{config.qk_rope_head_dim} * 2};
}

// Which layers have keys of their own, by the first of these that the file has: a list, a pattern
// of letters, a rule. The other layers use what the layer before them picked.
Result<std::vector<bool>> indexer_layers(const ModelConfig& config, uint32_t layer_count) {
  std::vector<bool> full(layer_count, true);
  const uint32_t offset = config.index_skip_topk_offset.value_or(2);
  const uint32_t period = std::max<uint32_t>(config.index_topk_freq, 1);
  const size_t listed =
      config.indexer_types.empty() ? config.index_topk_pattern.size() : config.indexer_types.size();
  const std::string_view field =
      config.indexer_types.empty() ? "index_topk_pattern" : "indexer_types";
  if (listed != 0 && listed < layer_count) {
    return bad_argument("config.json: field '" + std::string(field) + "' has " +
                        std::to_string(listed) + " entries for " + std::to_string(layer_count) +
                        " layers (draft layers included where they are asked for)");
  }
  if (listed == 0 && period > 1 && layer_count > config.num_hidden_layers) {
    return bad_argument(
        "config.json: field 'index_topk_freq' does not say whether a draft layer "
        "has indexer keys: leave --draft-layers out");
  }
  for (uint32_t layer = 0; layer < layer_count; ++layer) {
    if (listed == 0) {
      full[layer] = layer < offset || (layer + 1 - offset) % period == 0;
      continue;
    }
    const std::string type = config.indexer_types.empty()
                                 ? std::string(1, config.index_topk_pattern[layer])
                                 : config.indexer_types[layer];
    full[layer] = type == "full" || type == "F";
    if (full[layer] || type == "shared" || type == "S") continue;
    return bad_argument("config.json: field '" + std::string(field) + "' has '" + type +
                        "' for layer " + std::to_string(layer) + "; known are full, shared");
  }
  return full;
}

}  // namespace

Result<Row> latent_row(const ModelConfig& config, const LayoutOptions& options) {
  if (options.kv == KvFormat::kFp8) return dense_fp8_row(config);
  return plain_row(config, options);
}

Result<KvModel> dense_mla_model(const ModelConfig& given, const LayoutOptions& options) {
  const ModelConfig config = with_mla_defaults(given);
  QUIRE_TRY(check_mla(config));
  const Row row = QUIRE_TRY(latent_row(config, options));
  const uint32_t layer_count =
      config.num_hidden_layers + QUIRE_TRY(draft_layer_count(config, options));
  KvModel model;
  for (uint32_t layer = 0; layer < layer_count; ++layer) {
    // One shard: all heads read the same latent, so every rank holds it whole.
    model.tensors.push_back({TensorRole::kAttention, layer, row.format, row.bytes});
  }
  return model;
}

Result<KvModel> sparse_mla_model(const ModelConfig& given, const LayoutOptions& options) {
  const ModelConfig config = with_mla_defaults(given);
  QUIRE_TRY(check_mla(config));
  QUIRE_TRY(require(config, {{"index_head_dim", config.index_head_dim, kMaxDim}}));
  const Row row = options.kv == KvFormat::kBf16 ? QUIRE_TRY(plain_row(config, options))
                                                : QUIRE_TRY(sparse_fp8_row(config));
  const Row index = indexer_row(config, options.indexer.value_or(IndexerFormat::kFp8));
  const uint32_t layer_count =
      config.num_hidden_layers + QUIRE_TRY(draft_layer_count(config, options));
  const std::vector<bool> has_keys = QUIRE_TRY(indexer_layers(config, layer_count));
  KvModel model;
  for (uint32_t layer = 0; layer < layer_count; ++layer) {
    model.tensors.push_back({TensorRole::kAttention, layer, row.format, row.bytes});
    if (!has_keys[layer]) continue;
    model.tensors.push_back({TensorRole::kIndexer, layer, index.format, index.bytes});
  }
  return model;
}

}  // namespace quire::model
