// Caches of K and V heads: Llama, Qwen, and hybrids with sliding windows or linear attention.
#include <algorithm>
#include <array>

#include "model/check.h"
#include "model/heads_classes.h"
#include "model/kv_families.h"

namespace quire::model {

namespace {

constexpr const char* kFullLayer = "full_attention";
constexpr const char* kSlidingLayer = "sliding_attention";
constexpr const char* kChunkedLayer = "chunked_attention";
constexpr const char* kLinearLayer = "linear_attention";

// Element of caches of the plain kind: K and V as they are.
Result<Element> plain_element(const ModelConfig& config, const LayoutOptions& options,
                              std::string_view otherwise) {
  if (options.kv == KvFormat::kFp8) return Element{ElementFormat::kFp8E4m3, 1};
  return model_element(config, options, otherwise);
}

bool has_switch(const HeadsClass& defaults) {
  return defaults.rule == LayerRule::kSwitchedTail || defaults.rule == LayerRule::kSwitchedAll;
}

// Tokens of the window (or chunk) that layers may have; 0: none.
uint32_t window_of(const ModelConfig& config, const HeadsClass& defaults) {
  if (defaults.rule == LayerRule::kPeriodicChunk) {
    if (config.is_null("attention_chunk_size")) return 0;
    return config.attention_chunk_size == 0 ? defaults.window : config.attention_chunk_size;
  }
  // A null in the file says "no window"; a field that is missing leaves it to the class.
  const bool is_off = has_switch(defaults) && !config.use_sliding_window.value_or(false);
  if (is_off || config.is_null("sliding_window")) return 0;
  return config.sliding_window == 0 ? defaults.window : config.sliding_window;
}

// The file with what its class says in the places it leaves empty.
ModelConfig with_class_defaults(ModelConfig config, const HeadsClass& defaults) {
  const auto fill = [](uint32_t& field, uint32_t value) {
    if (field == 0) field = value;
  };
  // A flat file that lacks these is wrong, and is told so; a nested one leaves out what its class
  // says.
  if (config.is_nested) {
    fill(config.num_hidden_layers, defaults.num_hidden_layers);
    fill(config.hidden_size, defaults.hidden_size);
  }
  fill(config.num_attention_heads, defaults.num_attention_heads);
  if (!config.is_null("num_key_value_heads")) {
    fill(config.num_key_value_heads, defaults.num_key_value_heads);
  }
  // Plain multi-head attention: a K and a V head for each query head.
  fill(config.num_key_value_heads, config.num_attention_heads);
  if (!config.is_null("head_dim")) fill(config.head_dim, defaults.head_dim);
  // Else the file has to say it: require() does not let 0 pass.
  if (config.hidden_size % config.num_attention_heads == 0) {
    fill(config.head_dim, config.hidden_size / config.num_attention_heads);
  }
  fill(config.sliding_window_pattern, defaults.period);
  fill(config.full_attention_interval, defaults.period);
  fill(config.linear_conv_kernel_dim, 4);
  fill(config.linear_key_head_dim, 128);
  fill(config.linear_value_head_dim, 128);
  fill(config.linear_num_key_heads, 16);
  fill(config.linear_num_value_heads, 32);
  config.sliding_window = window_of(config, defaults);
  return config;
}

// Heads are shared out over ranks; with more ranks than heads, ranks hold copies of one shard.
Result<uint32_t> shards_of(std::string_view field, uint32_t heads, uint32_t ranks) {
  // A head is never cut: it is the smallest part that a rank can hold.
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

Result<AttentionShape> attention_shape(const ModelConfig& config, const LayoutOptions& options,
                                       std::string_view dtype) {
  QUIRE_TRY(require_layers(config));
  QUIRE_TRY(require(config, {{"num_key_value_heads", config.num_key_value_heads, kMaxHeads},
                             {"head_dim", config.head_dim, kMaxDim}}));
  if (config.num_attention_heads % config.num_key_value_heads != 0) {
    return bad_argument("config.json: field 'num_key_value_heads' is " +
                        std::to_string(config.num_key_value_heads) + " and does not divide " +
                        std::to_string(config.num_attention_heads) + " 'num_attention_heads'");
  }
  const Element element = QUIRE_TRY(plain_element(config, options, dtype));
  const uint32_t shard_count = QUIRE_TRY(
      shards_of("num_key_value_heads", config.num_key_value_heads, options.tensor_parallel));
  const uint64_t heads = config.num_key_value_heads / shard_count;
  return AttentionShape{{element.format, 2 * heads * config.head_dim * element.bytes}, shard_count};
}

// Every period-th layer is full, the others are of type `other`.
std::vector<std::string> periodic_types(uint32_t layer_count, uint32_t period, const char* other) {
  std::vector<std::string> types(layer_count, kFullLayer);
  for (uint32_t layer = 0; layer < layer_count; ++layer) {
    if ((layer + 1) % period != 0) types[layer] = other;
  }
  return types;
}

std::vector<std::string> tail_types(const ModelConfig& config) {
  std::vector<std::string> types(config.num_hidden_layers, kFullLayer);
  const uint32_t first = config.max_window_layers.value_or(28);  // as the Qwen classes say
  for (size_t layer = first; layer < types.size(); ++layer) types[layer] = kSlidingLayer;
  return types;
}

// A layer without rotary positions sees everything, the others their chunk.
Result<std::vector<std::string>> chunk_types(const ModelConfig& config) {
  std::vector<std::string> types(config.num_hidden_layers, kFullLayer);
  if (config.no_rope_layers.size() != types.size()) {
    return bad_argument("config.json: field 'no_rope_layers' has " +
                        std::to_string(config.no_rope_layers.size()) + " entries for " +
                        std::to_string(types.size()) + " layers");
  }
  for (size_t layer = 0; layer < types.size(); ++layer) {
    if (config.no_rope_layers[layer] != 0) types[layer] = kChunkedLayer;
  }
  return types;
}

// The type of each layer, in the words of Hugging Face's layer_types.
Result<std::vector<std::string>> layer_types_of(const ModelConfig& config,
                                                const HeadsClass& defaults) {
  const uint32_t layer_count = config.num_hidden_layers;
  // What the file says of each layer goes before any rule of its class.
  if (config.layer_types.size() == layer_count) return config.layer_types;
  if (!config.layer_types.empty()) {
    return bad_argument(
        "config.json: field 'layer_types' has " + std::to_string(config.layer_types.size()) +
        " entries; needed is one for each of " + std::to_string(layer_count) + " layers");
  }
  const bool has_window = config.sliding_window != 0;
  switch (defaults.rule) {
    case LayerRule::kPeriodicLinear:
      return periodic_types(layer_count, config.full_attention_interval, kLinearLayer);
    case LayerRule::kPeriodicWindow:
      return periodic_types(layer_count, config.sliding_window_pattern, kSlidingLayer);
    case LayerRule::kPeriodicChunk:
      if (!has_window) break;
      if (config.no_rope_layers.empty()) {
        return periodic_types(layer_count, defaults.period, kChunkedLayer);
      }
      return chunk_types(config);
    case LayerRule::kSwitchedTail:
      if (has_window) return tail_types(config);
      break;
    case LayerRule::kSame:
    case LayerRule::kSwitchedAll:
      if (has_window) return std::vector<std::string>(layer_count, kSlidingLayer);
      break;
  }
  return std::vector<std::string>(layer_count, kFullLayer);
}

Result<Element> recurrent_element(const ModelConfig& config, const LayoutOptions& options) {
  if (options.state == StateFormat::kBf16) return Element{ElementFormat::kBf16, 2};
  if (options.state == StateFormat::kFp16) return Element{ElementFormat::kFp16, 2};
  if (options.state == StateFormat::kFp32) return Element{ElementFormat::kFp32, 4};
  const std::string& dtype = config.mamba_ssm_dtype;
  return element_of("mamba_ssm_dtype", dtype.empty() ? "float32" : dtype);
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
  const Element conv = QUIRE_TRY(model_element(config, options, ""));
  const Element recurrent = QUIRE_TRY(recurrent_element(config, options));
  const uint64_t key_heads = config.linear_num_key_heads / ranks;
  const uint64_t value_heads = config.linear_num_value_heads / ranks;
  const uint64_t key_dim = config.linear_key_head_dim;
  const uint64_t value_dim = config.linear_value_head_dim;
  // A convolution over n inputs keeps the n - 1 before the present one, of each channel.
  const uint64_t channels = 2 * key_heads * key_dim + value_heads * value_dim;  // q, k, v
  return std::array<KvTensor, 2>{
      KvTensor{TensorRole::kConvState, 0, conv.format,
               channels * (config.linear_conv_kernel_dim - 1) * conv.bytes, 1, 1, ranks},
      KvTensor{TensorRole::kRecurrentState, 0, recurrent.format,
               value_heads * key_dim * value_dim * recurrent.bytes, 1, 1, ranks}};
}

// A window over every position drops nothing: its layers keep all rows, as full attention does.
void widen_covering_windows(const ModelConfig& config, std::vector<std::string>& types) {
  const uint32_t positions = config.max_position_embeddings;
  if (positions == 0 || config.sliding_window < positions) return;
  for (std::string& type : types) {
    if (type == kSlidingLayer || type == kChunkedLayer) type = kFullLayer;
  }
}

Result<KvTensor> bounded_tensor(const ModelConfig& config, const AttentionShape& shape,
                                uint32_t layer) {
  const uint32_t window = config.sliding_window;
  if (window == 0 && config.use_sliding_window.has_value()) {
    return bad_argument("config.json: field 'layer_types' has a window for layer " +
                        std::to_string(layer) + ", but 'use_sliding_window' is off");
  }
  QUIRE_TRY(require(config, {{"sliding_window", window, kMaxWindowTokens}}));
  return window_tensor(layer, shape.row, window, shape.shard_count);
}

Result<void> append_typed_layer(const ModelConfig& config, const LayoutOptions& options,
                                const AttentionShape& shape, const std::string& type,
                                uint32_t layer, std::vector<KvTensor>& tensors) {
  if (type == kFullLayer) {
    tensors.push_back({TensorRole::kAttention, layer, shape.row.format, shape.row.bytes, 1, 0,
                       shape.shard_count});
    return {};
  }
  if (type == kSlidingLayer || type == kChunkedLayer) {
    tensors.push_back(QUIRE_TRY(bounded_tensor(config, shape, layer)));
    return {};
  }
  if (type == kLinearLayer) {
    std::array<KvTensor, 2> states = QUIRE_TRY(linear_tensors(config, options));
    for (KvTensor& tensor : states) {
      tensor.layer = layer;
      tensors.push_back(tensor);
    }
    return {};
  }
  return bad_argument("config.json: field 'layer_types' has '" + type + "' for layer " +
                      std::to_string(layer) +
                      "; known are full_attention, sliding_attention, chunked_attention, "
                      "linear_attention");
}

// Spans are what append groups hold: a model that only has windows has none.
Result<void> require_full_layer(const ModelConfig& config, const KvModel& model) {
  const bool has_append = std::any_of(
      model.tensors.begin(), model.tensors.end(),
      [](const KvTensor& tensor) { return kind_of(tensor.role) == GroupKind::kAppend; });
  if (has_append) return {};
  return bad_argument("config.json: field 'sliding_window' is " +
                      std::to_string(config.sliding_window) + " for every layer of model_type '" +
                      config.model_type +
                      "': a layout needs a layer that keeps the whole context; where the engine "
                      "runs without the window, set the field to null");
}

Result<std::vector<std::string>> types_with_drafts(const ModelConfig& config,
                                                   const LayoutOptions& options,
                                                   const HeadsClass& defaults) {
  std::vector<std::string> types = QUIRE_TRY(layer_types_of(config, defaults));
  widen_covering_windows(config, types);
  const uint32_t drafts = QUIRE_TRY(draft_layer_count(config, options));
  if (drafts != 0 && !defaults.has_linear_layers()) {
    return bad_argument("model_type '" + config.model_type +
                        "': what a draft layer keeps is not known; leave --draft-layers out");
  }
  types.insert(types.end(), drafts, kFullLayer);  // Qwen's draft layers have full attention
  return types;
}

}  // namespace

Result<KvModel> heads_model(const ModelConfig& given, const LayoutOptions& options) {
  const HeadsClass* defaults = find_heads_class(given.model_type);
  QUIRE_CHECK(defaults != nullptr);
  const ModelConfig config = with_class_defaults(given, *defaults);
  const AttentionShape shape = QUIRE_TRY(attention_shape(config, options, defaults->dtype));
  const std::vector<std::string> types = QUIRE_TRY(types_with_drafts(config, options, *defaults));
  KvModel model;
  for (uint32_t layer = 0; layer < types.size(); ++layer) {
    QUIRE_TRY(append_typed_layer(config, options, shape, types[layer], layer, model.tensors));
    if (kind_of(model.tensors.back().role) == GroupKind::kWindow) {
      model.window_tokens = config.sliding_window;
    }
  }
  // Last: a window that covers every position may have made a layer full.
  QUIRE_TRY(require_full_layer(config, model));
  return model;
}

}  // namespace quire::model
