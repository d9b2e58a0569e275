// The library's exceptions end here.
#include "client/quirectl/config_json.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cctype>
#include <cstdio>
#include <exception>
#include <limits>
#include <memory>
#include <optional>
#include <type_traits>

namespace quire::client {

namespace {

namespace json = boost::json;
using model::Errc;
using model::ModelConfig;
using model::Result;

constexpr size_t kMaxFileBytes = 64 << 20;    // the largest published ones have a few MiB
constexpr size_t kMaxLayerEntries = 1 << 12;  // no published model has more than 200 layers
constexpr size_t kMaxDepth = 256;             // of fields that nobody reads; ours have 4

model::Error bad_config(std::string text) {
  return model::make_error(Errc::kInvalidArgument, "config.json: " + std::move(text));
}

Result<uint32_t> to_number(const json::value& value, const std::string& field) {
  json::error_code error;
  const auto number = value.is_number() ? value.to_number<uint32_t>(error) : uint32_t{0};
  if (value.is_number() && !error) return number;
  return bad_config("field '" + field + "' must be a whole number from 0 to " +
                    std::to_string(std::numeric_limits<uint32_t>::max()));
}

Result<std::string> to_text(const json::value& value, const std::string& field) {
  if (value.is_string()) return std::string(value.get_string());
  return bad_config("field '" + field + "' must be a text");
}

Result<bool> to_flag(const json::value& value, const std::string& field) {
  if (value.is_bool()) return value.get_bool();
  return bad_config("field '" + field + "' must be true or false");
}

Result<double> to_fraction(const json::value& value, const std::string& field) {
  json::error_code error;
  const auto number = value.is_number() ? value.to_number<double>(error) : 0.0;
  if (number > 0 && number <= 1) return number;
  return bad_config("field '" + field + "' must be above 0 and at most 1");
}

// One field; absent and null leave `target` as it is, and null is noted: to some classes it means
// something else than absence.
class FieldReader {
 public:
  FieldReader(const json::object& object, ModelConfig& config) : object_(object), config_(config) {}

  // A size of the model: 0 is none.
  Result<void> size(const char* field, uint32_t& target) {
    QUIRE_TRY(number(field, target));
    if (target != 0 || value_of(field) == nullptr) return {};
    return bad_config("field '" + std::string(field) +
                      "' is 0; without the field the default of the model's class counts");
  }
  // A bound on what a layer keeps: 0 is none, as null is.
  Result<void> bound(const char* field, uint32_t& target) {
    QUIRE_TRY(number(field, target));
    if (target == 0 && value_of(field) != nullptr) config_.null_fields.emplace_back(field);
    return {};
  }
  Result<void> number(const char* field, uint32_t& target) {
    if (const json::value* value = value_of(field)) target = QUIRE_TRY(to_number(*value, field));
    return {};
  }
  Result<void> number(const char* field, std::optional<uint32_t>& target) {
    if (const json::value* value = value_of(field)) target = QUIRE_TRY(to_number(*value, field));
    return {};
  }
  Result<void> fraction(const char* field, std::optional<double>& target) {
    if (const json::value* value = value_of(field)) target = QUIRE_TRY(to_fraction(*value, field));
    return {};
  }
  Result<void> flag(const char* field, std::optional<bool>& target) {
    if (const json::value* value = value_of(field)) target = QUIRE_TRY(to_flag(*value, field));
    return {};
  }
  Result<void> text(const char* field, std::string& target) {
    if (const json::value* value = value_of(field)) target = QUIRE_TRY(to_text(*value, field));
    return {};
  }

 private:
  const json::value* value_of(const char* field) {
    const json::value* value = object_.if_contains(field);
    if (value == nullptr || !value->is_null()) return value;
    if (!config_.is_null(field)) config_.null_fields.emplace_back(field);
    return nullptr;
  }

  const json::object& object_;
  ModelConfig& config_;
};

template <typename T>
Result<void> read_list(const json::object& object, const char* field, std::vector<T>& target) {
  const json::value* value = object.if_contains(field);
  if (value == nullptr || value->is_null()) return {};
  if (!value->is_array() || value->get_array().size() > kMaxLayerEntries) {
    return bad_config("field '" + std::string(field) + "' must be a list of at most " +
                      std::to_string(kMaxLayerEntries) + " entries");
  }
  target.clear();
  for (const json::value& entry : value->get_array()) {
    if constexpr (std::is_same_v<T, uint32_t>) {
      target.push_back(QUIRE_TRY(to_number(entry, field)));
    } else {
      target.push_back(QUIRE_TRY(to_text(entry, field)));
    }
  }
  return {};
}

bool says_nothing(const json::value& value) {
  return value.is_null() || (value.is_bool() && !value.get_bool());
}

// What a quantiser says of the cache: a word, an object with bits and kind, or null. Anything else
// is given back as it stands, which no layout knows.
std::string scheme_format(const json::value& value) {
  if (value.is_string()) {
    std::string word(value.get_string());
    std::transform(word.begin(), word.end(), word.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (word == "fp8" || word == "fp8_e4m3" || word == "float8_e4m3fn") return "fp8";
    const bool is_plain = word.empty() || word == "auto" || word == "none" || word == "bfloat16" ||
                          word == "bf16" || word == "float16" || word == "fp16";
    return is_plain ? "" : word;
  }
  if (says_nothing(value)) return "";
  if (!value.is_object()) return json::serialize(value).substr(0, 100);
  const json::object& scheme = value.get_object();
  for (const auto& [name, inner] : scheme) {
    // A quantiser that speaks tensor by tensor: {"*k_proj": {"output_tensors": {"dtype": ..}}}.
    if (name == "dtype" && inner.is_string()) return scheme_format(inner);
    std::string format = inner.is_object() ? scheme_format(inner) : "";
    if (!format.empty()) return format;
  }
  const json::value* bits = scheme.if_contains("num_bits");
  const json::value* type = scheme.if_contains("type");
  if (bits == nullptr || bits->is_null()) return "";
  if (!bits->is_int64()) return json::serialize(*bits).substr(0, 100) + "-bit";
  const std::string kind = type != nullptr && type->is_string() ? type->get_string().c_str() : "?";
  if (bits->get_int64() == 8 && kind == "float") return "fp8";
  return std::to_string(bits->get_int64()) + "-bit " + kind;
}

model::CacheScheme scheme_in(const json::object& object, const std::string& prefix) {
  for (const char* name :
       {"kv_cache_scheme", "kv_cache_quant_algo", "kv_cache_quant_config", "kv_cache_dtype"}) {
    const json::value* value = object.if_contains(name);
    if (value == nullptr) continue;
    std::string format = scheme_format(*value);
    if (!format.empty()) return {prefix + name, std::move(format)};
  }
  return {};
}

// Where quantisers write it: in their own object, in one inside that, or among the model's fields.
model::CacheScheme find_cache_scheme(const json::object& object) {
  for (const std::string outer : {"quantization_config", "compression_config", "quantization"}) {
    const json::value* value = object.if_contains(outer);
    if (value == nullptr || !value->is_object()) continue;
    model::CacheScheme scheme = scheme_in(value->get_object(), outer + ".");
    const json::value* inner = value->get_object().if_contains("quantization");
    if (scheme.field.empty() && inner != nullptr && inner->is_object()) {
      scheme = scheme_in(inner->get_object(), outer + ".quantization.");
    }
    if (!scheme.field.empty()) return scheme;
  }
  return scheme_in(object, "");
}

Result<void> read_windows(const json::object& object, ModelConfig& config) {
  FieldReader read(object, config);
  QUIRE_TRY(read.size("max_position_embeddings", config.max_position_embeddings));
  QUIRE_TRY(read.bound("sliding_window", config.sliding_window));
  if (config.model_type.starts_with("llama4")) {
    QUIRE_TRY(read.size("no_rope_layer_interval", config.sliding_window_pattern));
  } else {
    QUIRE_TRY(read.size("_sliding_window_pattern", config.sliding_window_pattern));
    QUIRE_TRY(read.size("sliding_window_pattern", config.sliding_window_pattern));
  }
  QUIRE_TRY(read.flag("use_sliding_window", config.use_sliding_window));
  QUIRE_TRY(read.number("max_window_layers", config.max_window_layers));
  QUIRE_TRY(read.bound("attention_chunk_size", config.attention_chunk_size));
  QUIRE_TRY(read_list(object, "no_rope_layers", config.no_rope_layers));
  QUIRE_TRY(read_list(object, "layer_types", config.layer_types));
  if (!config.layer_types.empty()) return {};
  return read_list(object, "layers_block_type", config.layer_types);  // the older name
}

const json::object* object_in(const json::object& object, const char* field) {
  const json::value* value = object.if_contains(field);
  return value != nullptr && value->is_object() ? &value->get_object() : nullptr;
}

// Noted, and refused for models with K and V heads: what it asks for is not known.
void note_unknown(ModelConfig& config, const std::string& field, const json::value& value) {
  if (!config.unknown_field.empty()) return;
  config.unknown_field = "'" + field + "' is " + json::serialize(value).substr(0, 100);
}

Result<void> read_window_heads(const json::object& object, ModelConfig& config) {
  FieldReader read(object, config);
  QUIRE_TRY(read.size("v_head_dim", config.v_head_dim));
  QUIRE_TRY(read.size("swa_num_key_value_heads", config.swa_num_key_value_heads));
  QUIRE_TRY(read.size("swa_head_dim", config.swa_head_dim));
  QUIRE_TRY(read.size("swa_v_head_dim", config.swa_v_head_dim));
  QUIRE_TRY(read_list(object, "hybrid_layer_pattern", config.hybrid_layer_pattern));
  QUIRE_TRY(read.size("global_head_dim", config.global_head_dim));
  QUIRE_TRY(read.size("num_global_key_value_heads", config.num_global_key_value_heads));
  QUIRE_TRY(read.flag("attention_k_eq_v", config.attention_k_eq_v));
  QUIRE_TRY(read.number("num_kv_shared_layers", config.num_kv_shared_layers));
  // Step: the heads of its layers with a window, under other names.
  QUIRE_TRY(read.size("num_attention_groups", config.num_key_value_heads));
  const json::object* other = object_in(object, "attention_other_setting");
  if (other == nullptr) return {};
  const json::value* type = other->if_contains("attention_type");
  if (type != nullptr && *type != "sliding_attention") {
    note_unknown(config, "attention_other_setting.attention_type", *type);
  }
  FieldReader read_other(*other, config);
  QUIRE_TRY(read_other.size("num_attention_groups", config.swa_num_key_value_heads));
  return read_other.size("head_dim", config.swa_head_dim);
}

// One of "block_configs", an entry a layer: what its attention has, if it is there at all.
Result<void> read_block(const json::value& block, ModelConfig& config) {
  model::LayerOverride own{.layer = static_cast<uint32_t>(config.overrides.size())};
  const json::object* attention =
      block.is_object() ? object_in(block.get_object(), "attention") : nullptr;
  if (attention == nullptr) return bad_config("field 'block_configs' needs 'attention' in each");
  for (const char* field : {"window_length", "sparsify", "num_sink_tokens", "unshifted_sink",
                            "use_prefill_window_in_sink_attention"}) {
    const json::value* value = attention->if_contains(field);
    if (value == nullptr || says_nothing(*value)) continue;
    note_unknown(config, std::string("block_configs.attention.") + field, *value);
  }
  std::optional<bool> is_absent;
  std::optional<bool> is_linear;  // a matrix in its place, which keeps nothing
  FieldReader read(*attention, config);
  QUIRE_TRY(read.flag("no_op", is_absent));
  QUIRE_TRY(read.flag("replace_with_linear", is_linear));
  own.keeps_nothing = is_absent.value_or(false) || is_linear.value_or(false);
  QUIRE_TRY(read.size("n_heads_in_group", own.heads_in_group));
  if (!own.keeps_nothing && own.heads_in_group == 0) {
    return bad_config("field 'n_heads_in_group' is missing for layer " + std::to_string(own.layer) +
                      " of 'block_configs'");
  }
  config.overrides.push_back(own);
  return {};
}

// {"5": {"head_dim": 512}, ..}, as transformers saves layers that differ from the others.
Result<void> read_layer_config(std::string_view layer, const json::value& value,
                               ModelConfig& config) {
  const bool is_number =
      !layer.empty() && layer.size() < 6 &&
      std::all_of(layer.begin(), layer.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  if (!is_number || !value.is_object()) {
    return bad_config("field 'per_layer_config' must have an object for each layer's number");
  }
  model::LayerOverride own{.layer = static_cast<uint32_t>(std::stoul(std::string(layer)))};
  FieldReader read(value.get_object(), config);
  for (const auto& [field, entry] : value.get_object()) {
    const std::string name(field);
    if (name == "head_dim") {
      QUIRE_TRY(read.size("head_dim", own.head_dim));
    } else if (name == "num_key_value_heads") {
      QUIRE_TRY(read.size("num_key_value_heads", own.num_key_value_heads));
    } else if (name.find("attention_heads") == std::string::npos && name != "intermediate_size") {
      note_unknown(config, "per_layer_config." + name, entry);
    }
  }
  config.overrides.push_back(own);
  return {};
}

Result<void> read_layers_of_their_own(const json::object& object, ModelConfig& config) {
  const json::value* blocks = object.if_contains("block_configs");
  if (blocks != nullptr && !blocks->is_null()) {
    if (!blocks->is_array() || blocks->get_array().size() > kMaxLayerEntries) {
      return bad_config("field 'block_configs' must be a list of at most " +
                        std::to_string(kMaxLayerEntries) + " entries");
    }
    for (const json::value& block : blocks->get_array()) QUIRE_TRY(read_block(block, config));
  }
  const json::object* layers = object_in(object, "per_layer_config");
  if (layers == nullptr) return {};
  if (layers->size() > kMaxLayerEntries) return bad_config("field 'per_layer_config' is too long");
  for (const auto& [layer, value] : *layers) {
    QUIRE_TRY(read_layer_config(layer, value, config));
  }
  return {};
}

// Positions after a token change what is kept of it: a prefix is not the same for all that follows.
void note_bidirectional(const json::object& object, ModelConfig& config) {
  const json::value* value = object.if_contains("use_bidirectional_attention");
  // "vision": between the tokens of one picture, whose rows come and go together.
  if (value == nullptr || says_nothing(*value) || *value == "vision") return;
  note_unknown(config, "use_bidirectional_attention", *value);
}

Result<void> read_mamba(const json::object& object, ModelConfig& config) {
  FieldReader read(object, config);
  model::MambaSizes& mamba = config.mamba;
  const json::value* head_dim = object.if_contains("mamba_d_head");
  if (head_dim != nullptr && *head_dim != "auto") {
    QUIRE_TRY(read.size("mamba_d_head", mamba.head_dim));
  }
  QUIRE_TRY(read.size("mamba_head_dim", mamba.head_dim));
  QUIRE_TRY(read.size("mamba_n_heads", mamba.heads));
  QUIRE_TRY(read.size("mamba_num_heads", mamba.heads));
  QUIRE_TRY(read.size("mamba_d_state", mamba.state));
  QUIRE_TRY(read.size("ssm_state_size", mamba.state));
  QUIRE_TRY(read.size("n_groups", mamba.groups));
  QUIRE_TRY(read.size("mamba_n_groups", mamba.groups));
  QUIRE_TRY(read.size("expand", mamba.expand));
  QUIRE_TRY(read.size("mamba_expand", mamba.expand));
  QUIRE_TRY(read.size("mamba_d_ssm", mamba.inner));
  QUIRE_TRY(read.size("conv_kernel", config.linear_conv_kernel_dim));
  QUIRE_TRY(read.size("mamba_d_conv", config.linear_conv_kernel_dim));
  QUIRE_TRY(read.size("attn_layer_period", config.attn_layer_period));
  QUIRE_TRY(read.number("attn_layer_offset", config.attn_layer_offset));
  QUIRE_TRY(read.text("hybrid_override_pattern", config.hybrid_override_pattern));
  QUIRE_TRY(read.text("mtp_hybrid_override_pattern", config.mtp_hybrid_override_pattern));
  const json::value* layers = object.if_contains("attn_layer_indices");
  if (layers != nullptr && !says_nothing(*layers)) {
    note_unknown(config, "attn_layer_indices", *layers);
  }
  return {};
}

// Kimi: an object of its own, or its entries among the fields where transformers saved them.
Result<void> read_kimi_linear(const json::object& object, ModelConfig& config) {
  uint32_t heads = 0;
  uint32_t dim = 0;
  FieldReader read(object, config);
  QUIRE_TRY(read.size("linear_num_heads", heads));
  QUIRE_TRY(read.size("linear_head_dim", dim));
  if (const json::object* linear = object_in(object, "linear_attn_config")) {
    FieldReader read_linear(*linear, config);
    QUIRE_TRY(read_linear.size("num_heads", heads));
    QUIRE_TRY(read_linear.size("head_dim", dim));
    QUIRE_TRY(read_linear.size("short_conv_kernel_size", config.linear_conv_kernel_dim));
    QUIRE_TRY(read_list(*linear, "full_attn_layers", config.full_attn_layers));
    QUIRE_TRY(read_list(*linear, "kda_layers", config.kda_layers));
  }
  if (heads != 0) config.linear_num_key_heads = config.linear_num_value_heads = heads;
  if (dim != 0) config.linear_key_head_dim = config.linear_value_head_dim = dim;
  return {};
}

// MiniMax M3: layers that pick blocks have a key a token for it.
Result<void> read_sparse_attention(const json::object& object, ModelConfig& config) {
  const json::object* sparse = object_in(object, "sparse_attention_config");
  if (sparse == nullptr) return {};
  FieldReader read(*sparse, config);
  QUIRE_TRY(read.size("sparse_index_dim", config.index_head_dim));
  QUIRE_TRY(read_list(*sparse, "sparse_attention_freq", config.sparse_attention_freq));
  std::optional<bool> is_on;
  QUIRE_TRY(read.flag("use_sparse_attention", is_on));
  if (!is_on.value_or(true)) config.sparse_attention_freq.clear();
  std::vector<uint32_t> without_values;
  QUIRE_TRY(read_list(*sparse, "sparse_disable_index_value", without_values));
  for (size_t layer = 0; layer < config.sparse_attention_freq.size(); ++layer) {
    const bool has_value = layer < without_values.size() && without_values[layer] == 0;
    if (config.sparse_attention_freq[layer] == 0 || !has_value) continue;
    note_unknown(config, "sparse_disable_index_value", 0);
  }
  return {};
}

// ChatGLM's names of what others have too.
Result<void> read_chatglm(const json::object& object, ModelConfig& config) {
  FieldReader read(object, config);
  QUIRE_TRY(read.size("num_layers", config.num_hidden_layers));
  QUIRE_TRY(read.size("kv_channels", config.head_dim));
  QUIRE_TRY(read.size("seq_length", config.max_position_embeddings));
  std::optional<bool> is_grouped;
  QUIRE_TRY(read.flag("multi_query_attention", is_grouped));
  if (!is_grouped.value_or(false)) return {};
  QUIRE_TRY(read.size("multi_query_group_num", config.num_key_value_heads));
  if (config.num_key_value_heads == 0) config.num_key_value_heads = 1;
  return {};
}

Result<void> read_hybrids(const json::object& object, ModelConfig& config) {
  note_bidirectional(object, config);
  QUIRE_TRY(read_window_heads(object, config));
  QUIRE_TRY(read_layers_of_their_own(object, config));
  QUIRE_TRY(read_mamba(object, config));
  QUIRE_TRY(read_sparse_attention(object, config));
  if (config.model_type == "kimi_linear") QUIRE_TRY(read_kimi_linear(object, config));
  if (config.model_type == "chatglm") QUIRE_TRY(read_chatglm(object, config));
  return {};
}

Result<void> read_compression(const json::object& object, ModelConfig& config) {
  FieldReader read(object, config);
  QUIRE_TRY(read.fraction("partial_rotary_factor", config.partial_rotary_factor));
  QUIRE_TRY(read_list(object, "compress_ratios", config.compress_ratios));
  QUIRE_TRY(read.size("compress_rate_csa", config.compress_rate_csa));
  QUIRE_TRY(read.size("compress_rate_hca", config.compress_rate_hca));
  const json::value* rates = object.if_contains("compress_rates");
  if (rates == nullptr || !rates->is_object()) return {};
  FieldReader read_rate(rates->get_object(), config);
  QUIRE_TRY(read_rate.size("compressed_sparse_attention", config.compress_rate_csa));
  return read_rate.size("heavily_compressed_attention", config.compress_rate_hca);
}

Result<void> read_latents(const json::object& object, ModelConfig& config) {
  FieldReader read(object, config);
  QUIRE_TRY(read.size("kv_lora_rank", config.kv_lora_rank));
  QUIRE_TRY(read.size("qk_rope_head_dim", config.qk_rope_head_dim));
  QUIRE_TRY(read.size("index_head_dim", config.index_head_dim));
  QUIRE_TRY(read.size("index_n_heads", config.index_n_heads));
  QUIRE_TRY(read.number("index_topk_freq", config.index_topk_freq));
  QUIRE_TRY(read.number("index_skip_topk_offset", config.index_skip_topk_offset));
  QUIRE_TRY(read_list(object, "indexer_types", config.indexer_types));
  const json::value* pattern = object.if_contains("index_topk_pattern");
  if (pattern != nullptr && pattern->is_array() && config.indexer_types.empty()) {
    return read_list(object, "index_topk_pattern", config.indexer_types);
  }
  return read.text("index_topk_pattern", config.index_topk_pattern);
}

Result<void> read_linear_attention(const json::object& object, ModelConfig& config) {
  FieldReader read(object, config);
  QUIRE_TRY(read.size("full_attention_interval", config.full_attention_interval));
  QUIRE_TRY(read.size("linear_conv_kernel_dim", config.linear_conv_kernel_dim));
  QUIRE_TRY(read.size("linear_key_head_dim", config.linear_key_head_dim));
  QUIRE_TRY(read.size("linear_value_head_dim", config.linear_value_head_dim));
  QUIRE_TRY(read.size("linear_num_key_heads", config.linear_num_key_heads));
  QUIRE_TRY(read.size("linear_num_value_heads", config.linear_num_value_heads));
  QUIRE_TRY(read.text("mamba_ssm_dtype", config.mamba_ssm_dtype));
  return read.text("mamba_ssm_cache_dtype", config.mamba_ssm_dtype);  // another name for it
}

Result<void> read_sizes(const json::object& object, ModelConfig& config) {
  FieldReader read(object, config);
  QUIRE_TRY(read.size("num_hidden_layers", config.num_hidden_layers));
  QUIRE_TRY(read.size("num_encoder_layers", config.num_encoder_layers));
  // Three names for one thing; transformers uses the second one in nested files.
  QUIRE_TRY(read.number("num_mtp_layers", config.num_nextn_predict_layers));
  QUIRE_TRY(read.number("mtp_num_hidden_layers", config.num_nextn_predict_layers));
  QUIRE_TRY(read.number("num_nextn_predict_layers", config.num_nextn_predict_layers));
  QUIRE_TRY(read.size("hidden_size", config.hidden_size));
  QUIRE_TRY(read.size("num_attention_heads", config.num_attention_heads));
  QUIRE_TRY(read.size("num_key_value_heads", config.num_key_value_heads));
  QUIRE_TRY(read.size("head_dim", config.head_dim));
  QUIRE_TRY(read_windows(object, config));
  QUIRE_TRY(read_hybrids(object, config));
  QUIRE_TRY(read_compression(object, config));
  QUIRE_TRY(read_latents(object, config));
  return read_linear_attention(object, config);
}

// "dtype" is the newer name and outranks the older one; "torch.bfloat16" is a way to write it.
Result<void> read_dtype(const json::object& object, ModelConfig& config) {
  FieldReader read(object, config);
  QUIRE_TRY(read.text("torch_dtype", config.torch_dtype));
  QUIRE_TRY(read.text("dtype", config.torch_dtype));
  constexpr std::string_view kPrefix = "torch.";
  if (config.torch_dtype.starts_with(kPrefix)) config.torch_dtype.erase(0, kPrefix.size());
  return {};
}

const json::object* nested_text(const json::object& root) {
  for (const char* field : {"text_config", "language_config", "llm_config"}) {
    const json::value* text = root.if_contains(field);
    if (text != nullptr && text->is_object()) return &text->get_object();
  }
  return nullptr;
}

// A model of several media has its decoder in an object of its own, with the fields of its class.
// The type of elements and the scheme of the cache hold for the whole model where it names them.
Result<ModelConfig> read_config(const json::value& root) {
  if (!root.is_object()) return bad_config("the file must hold one object");
  const json::object& outer = root.get_object();
  const json::object* text = nested_text(outer);
  ModelConfig config;
  config.is_nested = text != nullptr;
  QUIRE_TRY(FieldReader(outer, config).text("model_type", config.model_type));
  if (text != nullptr) {
    QUIRE_TRY(FieldReader(*text, config).text("model_type", config.model_type));
    QUIRE_TRY(read_dtype(*text, config));
    config.cache_scheme = find_cache_scheme(*text);
  }
  QUIRE_TRY(read_dtype(outer, config));
  if (config.cache_scheme.field.empty()) config.cache_scheme = find_cache_scheme(outer);
  // The fields of other models may have our names and other types: their type is refused anyway.
  if (!config.model_type.empty() && !model::is_known_model_type(config.model_type)) return config;
  QUIRE_TRY(read_sizes(text == nullptr ? outer : *text, config));
  return config;
}

// Python writes numbers that JSON has no word for. As texts they are read where nobody needs a
// number, and refused by the field's name where one does.
std::string with_quoted_words(std::string_view text) {
  std::string result;
  bool in_text = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') in_text = !in_text;
    if (in_text && c == '\\' && i + 1 < text.size()) result += text[i++];
    size_t length = 0;
    for (const std::string_view word : {"-Infinity", "Infinity", "NaN"}) {
      if (!in_text && length == 0 && text.substr(i).starts_with(word)) length = word.size();
    }
    if (length == 0) {
      result += text[i];
      continue;
    }
    result.append("\"").append(text.substr(i, length)).append("\"");
    i += length - 1;
  }
  return result;
}

std::string_view without_byte_order_mark(std::string_view text) {
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  return text.starts_with(kMark) ? text.substr(kMark.size()) : text;
}

}  // namespace

Result<ModelConfig> parse_config_json(std::string_view given) {
  try {
    json::error_code error;
    json::parse_options options;
    options.max_depth = kMaxDepth;
    options.allow_invalid_utf8 = true;
    const std::string text = with_quoted_words(without_byte_order_mark(given));
    const json::value root = json::parse(text, error, {}, options);
    if (error) return bad_config("not JSON: " + error.message());
    return read_config(root);
  } catch (const std::exception& exception) {
    return bad_config(exception.what());
  }
}

Result<ModelConfig> load_config_json(const std::string& path) {
  const auto close = [](FILE* file) { std::fclose(file); };
  const std::unique_ptr<FILE, decltype(close)> file(std::fopen(path.c_str(), "rb"), close);
  if (file == nullptr) return model::errno_error(path);
  std::string text;
  std::array<char, 1 << 16> piece{};
  size_t count = 0;
  while ((count = std::fread(piece.data(), 1, piece.size(), file.get())) > 0) {
    text.append(piece.data(), count);
    if (text.size() > kMaxFileBytes) return bad_config(path + " is larger than 64 MiB");
  }
  if (std::ferror(file.get()) != 0) return model::errno_error(path);
  Result<ModelConfig> config = parse_config_json(text);
  if (config.ok()) return config;
  return model::make_error(config.code(), path + ": " + config.error().text);
}

}  // namespace quire::client
