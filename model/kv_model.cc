#include "model/kv_model.h"

#include <array>

#include "model/kv_families.h"
#include "model/limits.h"

namespace quire::model {

namespace {

struct Family {
  std::string_view model_type;
  Result<KvModel> (*build)(const ModelConfig&, const LayoutOptions&);
  bool has_indexer;
};

constexpr std::array<Family, 11> kFamilies = {{{"deepseek_v4", v4_model, true},
                                               {"deepseek_v4_1", v4_1_model, true},
                                               {"deepseek_v32", mla_model, true},
                                               {"deepseek_v3", mla_model, false},
                                               {"llama", heads_model, false},
                                               {"qwen2", heads_model, false},
                                               {"qwen3", heads_model, false},
                                               {"qwen3_moe", heads_model, false},
                                               {"gemma3_text", heads_model, false},
                                               {"gpt_oss", heads_model, false},
                                               {"qwen3_next", heads_model, false}}};

std::string known_model_types() {
  std::string names;
  for (const Family& family : kFamilies) {
    names += (names.empty() ? "" : ", ") + std::string(family.model_type);
  }
  return names;
}

}  // namespace

Error bad_argument(std::string text) { return make_error(Errc::kInvalidArgument, std::move(text)); }

Result<void> require(const ModelConfig& config, std::initializer_list<ConfigField> fields) {
  for (const ConfigField& field : fields) {
    if (field.value == 0) {
      return bad_argument("config.json: field '" + std::string(field.name) +
                          "' is missing or 0; model_type '" + config.model_type + "' needs it");
    }
    if (field.value > field.limit) {
      return bad_argument("config.json: field '" + std::string(field.name) + "' is " +
                          std::to_string(field.value) + "; at most " + std::to_string(field.limit) +
                          " is supported");
    }
  }
  return {};
}

Result<void> require_layers(const ModelConfig& config) {
  return require(config, {{"num_hidden_layers", config.num_hidden_layers, kMaxModelLayers}});
}

Result<Element> element_of(std::string_view field, const std::string& dtype) {
  if (dtype == "bfloat16") return Element{ElementFormat::kBf16, 2};
  if (dtype == "float16") return Element{ElementFormat::kFp16, 2};
  if (dtype == "float32") return Element{ElementFormat::kFp32, 4};
  if (dtype.empty()) {
    return bad_argument("config.json: field '" + std::string(field) +
                        "' is missing; it decides the size of a cached element");
  }
  return bad_argument("config.json: field '" + std::string(field) + "' is '" + dtype +
                      "'; known are bfloat16, float16, float32");
}

KvTensor window_tensor(uint32_t layer, Row row, uint32_t window_tokens, uint32_t shard_count) {
  return {TensorRole::kWindow, layer, row.format, row.bytes, 1, window_tokens, shard_count};
}

GroupKind kind_of(TensorRole role) {
  switch (role) {
    case TensorRole::kAttention:
    case TensorRole::kCsaMain:
    case TensorRole::kIndexer:
    case TensorRole::kHcaMain:
      return GroupKind::kAppend;
    case TensorRole::kWindow:
      return GroupKind::kWindow;
    case TensorRole::kCsaState:
    case TensorRole::kIndexerState:
    case TensorRole::kHcaState:
    case TensorRole::kConvState:
    case TensorRole::kRecurrentState:
      break;
  }
  return GroupKind::kState;
}

Result<KvModel> kv_model(const ModelConfig& config, const LayoutOptions& options) {
  if (options.tensor_parallel == 0 || options.tensor_parallel > kMaxGroups) {
    return bad_argument("tensor_parallel is " + std::to_string(options.tensor_parallel) +
                        "; give 1 to " + std::to_string(kMaxGroups));
  }
  if (config.model_type.empty()) {
    return bad_argument("config.json: field 'model_type' is missing");
  }
  for (const Family& family : kFamilies) {
    if (family.model_type != config.model_type) continue;
    if (options.indexer && !family.has_indexer) {
      return bad_argument("model_type '" + config.model_type +
                          "' has no indexer: leave the indexer format out");
    }
    return family.build(config, options);
  }
  return bad_argument("model_type '" + config.model_type + "' is not supported; known are " +
                      known_model_types());
}

}  // namespace quire::model
