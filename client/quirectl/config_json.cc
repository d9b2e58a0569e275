// The only file that includes Boost.JSON, as source, so that nothing has to be linked. Its
// exceptions end here.
#include "client/quirectl/config_json.h"

#include <boost/json/src.hpp>
#include <cstdio>
#include <exception>
#include <limits>
#include <memory>
#include <type_traits>

namespace quire::client {

namespace {

namespace json = boost::json;
using model::Errc;
using model::ModelConfig;
using model::Result;

constexpr size_t kMaxFileBytes = 1 << 20;     // published ones are below 10 KiB
constexpr size_t kMaxLayerEntries = 1 << 12;  // no published model has more than 200 layers

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

// One field of either type; absent and null leave `target` as it is.
template <typename T>
Result<void> read_field(const json::object& object, const char* field, T& target) {
  const json::value* value = object.if_contains(field);
  if (value == nullptr || value->is_null()) return {};
  if constexpr (std::is_same_v<T, uint32_t>) {
    target = QUIRE_TRY(to_number(*value, field));
  } else {
    target = QUIRE_TRY(to_text(*value, field));
  }
  return {};
}

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

Result<void> read_attention(const json::object& object, ModelConfig& config) {
  QUIRE_TRY(read_field(object, "num_attention_heads", config.num_attention_heads));
  QUIRE_TRY(read_field(object, "num_key_value_heads", config.num_key_value_heads));
  QUIRE_TRY(read_field(object, "head_dim", config.head_dim));
  QUIRE_TRY(read_field(object, "sliding_window", config.sliding_window));
  QUIRE_TRY(read_field(object, "sliding_window_pattern", config.sliding_window_pattern));
  QUIRE_TRY(read_list(object, "layer_types", config.layer_types));
  QUIRE_TRY(read_list(object, "compress_ratios", config.compress_ratios));
  QUIRE_TRY(read_field(object, "kv_lora_rank", config.kv_lora_rank));
  QUIRE_TRY(read_field(object, "qk_rope_head_dim", config.qk_rope_head_dim));
  QUIRE_TRY(read_field(object, "index_head_dim", config.index_head_dim));
  return read_field(object, "index_n_heads", config.index_n_heads);
}

Result<void> read_linear_attention(const json::object& object, ModelConfig& config) {
  QUIRE_TRY(read_field(object, "full_attention_interval", config.full_attention_interval));
  QUIRE_TRY(read_field(object, "linear_conv_kernel_dim", config.linear_conv_kernel_dim));
  QUIRE_TRY(read_field(object, "linear_key_head_dim", config.linear_key_head_dim));
  QUIRE_TRY(read_field(object, "linear_value_head_dim", config.linear_value_head_dim));
  QUIRE_TRY(read_field(object, "linear_num_key_heads", config.linear_num_key_heads));
  QUIRE_TRY(read_field(object, "linear_num_value_heads", config.linear_num_value_heads));
  return read_field(object, "mamba_ssm_dtype", config.mamba_ssm_dtype);
}

Result<void> read_object(const json::object& object, ModelConfig& config) {
  QUIRE_TRY(read_field(object, "model_type", config.model_type));
  QUIRE_TRY(read_field(object, "dtype", config.torch_dtype));  // the newer name
  QUIRE_TRY(read_field(object, "torch_dtype", config.torch_dtype));
  QUIRE_TRY(read_field(object, "num_hidden_layers", config.num_hidden_layers));
  QUIRE_TRY(read_field(object, "num_encoder_layers", config.num_encoder_layers));
  QUIRE_TRY(read_field(object, "hidden_size", config.hidden_size));
  QUIRE_TRY(read_attention(object, config));
  return read_linear_attention(object, config);
}

Result<ModelConfig> read_config(const json::value& root) {
  if (!root.is_object()) return bad_config("the file must hold one object");
  ModelConfig config;
  QUIRE_TRY(read_object(root.get_object(), config));
  const json::value* text = root.get_object().if_contains("text_config");
  if (text != nullptr && text->is_object()) QUIRE_TRY(read_object(text->get_object(), config));
  return config;
}

}  // namespace

Result<ModelConfig> parse_config_json(std::string_view text) {
  try {
    json::error_code error;
    const json::value root = json::parse(json::string_view(text.data(), text.size()), error);
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
  std::string text(kMaxFileBytes + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) return model::errno_error(path);
  if (text.size() > kMaxFileBytes) {
    return bad_config(path + " is larger than 1 MiB");
  }
  Result<ModelConfig> config = parse_config_json(text);
  if (config.ok()) return config;
  return model::make_error(config.code(), path + ": " + config.error().text);
}

}  // namespace quire::client
