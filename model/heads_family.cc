// Caches of K and V heads: Llama, Qwen, and hybrids with sliding windows or linear attention.
#include <algorithm>
#include <array>

#include "model/kv_families.h"

namespace quire::model {

namespace {

// Element of caches of the plain kind: K and V as they are.
Result<Element> plain_element(const ModelConfig& config, const LayoutOptions& options) {
  if (options.kv == KvFormat::kFp8) return Element{ElementFormat::kFp8E4m3, 1};
  if (options.kv == KvFormat::kBf16 && config.torch_dtype != "float16") {
    return Element{ElementFormat::kBf16, 2};
  }
  return element_of("torch_dtype", config.torch_dtype);
}

// Heads are shared out over ranks; with more ranks than heads, ranks hold copies of one shard.
Result<uint32_t> shards_of(std::string_view field, uint32_t heads, uint32_t ranks) {
  const uint32_t shard_count = std::min(heads, ranks);
  if (heads % shard_count != 0 || ranks % shard_count != 0) {
    return bad_argument("tensor_parallel " + std::to_string(ranks) + " does not divide '" +
                        std::string(field) + "' " + std::to_string(heads) + " evenly");
  }
  return shard_count;
}

struct AttentionShape {
  Row row;  // K and V of one shard's heads for one token
  uint32_t shard_count = 1;
};

Result<AttentionShape> attention_shape(const ModelConfig& config, const LayoutOptions& options) {
  uint32_t head_dim = config.head_dim;
  if (head_dim == 0 && config.num_attention_heads != 0) {
    head_dim = config.hidden_size / config.num_attention_heads;
  }
  QUIRE_TRY(require_layers(config));
  QUIRE_TRY(require(config, {{"num_key_value_heads", config.num_key_value_heads, kMaxHeads},
                             {"head_dim", head_dim, kMaxDim}}));
  const Element element = QUIRE_TRY(plain_element(config, options));
  const uint32_t shard_count = QUIRE_TRY(
      shards_of("num_key_value_heads", config.num_key_value_heads, options.tensor_parallel));
  const uint64_t heads = config.num_key_value_heads / shard_count;
  return AttentionShape{{element.format, 2 * heads * head_dim * element.bytes}, shard_count};
}

// Every period-th layer is full, the others are of type `other`.
std::vector<std::string> periodic_types(uint32_t layer_count, uint32_t period, const char* other) {
  std::vector<std::string> types(layer_count, "full_attention");
  for (uint32_t layer = 0; layer < layer_count; ++layer) {
    if ((layer + 1) % period != 0) types[layer] = other;
  }
  return types;
}

// The type of each layer, in the words of Hugging Face's layer_types.
Result<std::vector<std::string>> layer_types_of(const ModelConfig& config) {
  const uint32_t layer_count = config.num_hidden_layers;
  if (config.layer_types.size() == layer_count) return config.layer_types;
  if (!config.layer_types.empty() || config.model_type == "gpt_oss") {
    return bad_argument(
        "config.json: field 'layer_types' has " + std::to_string(config.layer_types.size()) +
        " entries; needed is one for each of " + std::to_string(layer_count) + " layers");
  }
  if (config.model_type == "qwen3_next") {
    const uint32_t period = config.full_attention_interval;
    QUIRE_TRY(require(config, {{"full_attention_interval", period, kMaxModelLayers}}));
    return periodic_types(layer_count, period, "linear_attention");
  }
  if (config.model_type == "gemma3_text") {
    const uint32_t pattern = config.sliding_window_pattern;
    // Published files leave it out; 6 is what the family's code then assumes.
    return periodic_types(layer_count, pattern == 0 ? 6 : pattern, "sliding_attention");
  }
  return periodic_types(layer_count, 1, "");
}

Result<std::array<KvTensor, 2>> linear_tensors(const ModelConfig& config,
                                               const LayoutOptions& options) {
  QUIRE_TRY(
      require(config, {{"linear_conv_kernel_dim", config.linear_conv_kernel_dim, 64},
                       {"linear_key_head_dim", config.linear_key_head_dim, kMaxDim},
                       {"linear_value_head_dim", config.linear_value_head_dim, kMaxDim},
                       {"linear_num_key_heads", config.linear_num_key_heads, kMaxHeads},
                       {"linear_num_value_heads", config.linear_num_value_heads, kMaxHeads}}));
  const uint32_t ranks = options.tensor_parallel;
  if (config.linear_num_key_heads % ranks != 0 || config.linear_num_value_heads % ranks != 0) {
    return bad_argument("tensor_parallel " + std::to_string(ranks) +
                        " does not divide 'linear_num_key_heads' and 'linear_num_value_heads'");
  }
  const Element conv = QUIRE_TRY(element_of("torch_dtype", config.torch_dtype));
  const std::string& dtype = config.mamba_ssm_dtype;
  const Element recurrent =
      QUIRE_TRY(element_of("mamba_ssm_dtype", dtype.empty() ? "float32" : dtype));
  const uint64_t key_heads = config.linear_num_key_heads / ranks;
  const uint64_t value_heads = config.linear_num_value_heads / ranks;
  const uint64_t key_dim = config.linear_key_head_dim;
  const uint64_t value_dim = config.linear_value_head_dim;
  const uint64_t channels = 2 * key_heads * key_dim + value_heads * value_dim;  // q, k, v
  return std::array<KvTensor, 2>{
      KvTensor{TensorRole::kConvState, 0, conv.format,
               channels * (config.linear_conv_kernel_dim - 1) * conv.bytes, 1, 1, ranks},
      KvTensor{TensorRole::kRecurrentState, 0, recurrent.format,
               value_heads * key_dim * value_dim * recurrent.bytes, 1, 1, ranks}};
}

Result<void> append_typed_layer(const ModelConfig& config, const LayoutOptions& options,
                                const AttentionShape& shape, const std::string& type,
                                uint32_t layer, std::vector<KvTensor>& tensors) {
  if (type == "full_attention") {
    tensors.push_back({TensorRole::kAttention, layer, shape.row.format, shape.row.bytes, 1, 0,
                       shape.shard_count});
    return {};
  }
  if (type == "sliding_attention") {
    QUIRE_TRY(require(config, {{"sliding_window", config.sliding_window, kMaxWindowTokens}}));
    tensors.push_back(window_tensor(layer, shape.row, config.sliding_window, shape.shard_count));
    return {};
  }
  if (type == "linear_attention") {
    std::array<KvTensor, 2> states = QUIRE_TRY(linear_tensors(config, options));
    for (KvTensor& tensor : states) {
      tensor.layer = layer;
      tensors.push_back(tensor);
    }
    return {};
  }
  return bad_argument("config.json: field 'layer_types' has '" + type + "' for layer " +
                      std::to_string(layer) +
                      "; known are full_attention, sliding_attention, linear_attention");
}

}  // namespace

Result<KvModel> heads_model(const ModelConfig& config, const LayoutOptions& options) {
  const AttentionShape shape = QUIRE_TRY(attention_shape(config, options));
  const std::vector<std::string> types = QUIRE_TRY(layer_types_of(config));
  KvModel model;
  for (uint32_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    QUIRE_TRY(append_typed_layer(config, options, shape, types[layer], layer, model.tensors));
    if (types[layer] == "sliding_attention") model.window_tokens = config.sliding_window;
  }
  return model;
}

}  // namespace quire::model
