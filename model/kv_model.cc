#include "model/kv_model.h"

#include <array>
#include <optional>

#include "model/heads_classes.h"
#include "model/kv_families.h"
#include "model/limits.h"

namespace quire::model {

namespace {

struct Family {
  std::string_view model_type;
  Result<KvModel> (*build)(const ModelConfig&, const LayoutOptions&);
  bool has_indexer = false;
};

// Those of one family with K and V heads stand in model/heads_classes.cc.
constexpr std::array<Family, 11> kFamilies = {{{"deepseek_v4", v4_model, true},
                                               {"deepseek_ref", v4_model, true},
                                               {"deepseek_v4_1", v4_1_model, true},
                                               {"deepseek_v32", sparse_mla_model, true},
                                               {"glm_moe_dsa", sparse_mla_model, true},
                                               {"deepseek_v2", dense_mla_model},
                                               {"deepseek_v3", dense_mla_model},
                                               {"kimi_k2", dense_mla_model},
                                               {"kimi_k25", dense_mla_model},
                                               {"glm4_moe_lite", dense_mla_model},
                                               {"minicpm3", dense_mla_model}}};

std::optional<Family> find_family(std::string_view model_type) {
  for (const Family& family : kFamilies) {
    if (family.model_type == model_type) return family;
  }
  const HeadsClass* heads = find_heads_class(model_type);
  if (heads == nullptr) return std::nullopt;
  return Family{model_type, heads_model, heads->has(kIndexKeys)};
}

std::string known_model_types() {
  std::string names;
  for (const Family& family : kFamilies) {
    names += (names.empty() ? "" : ", ") + std::string(family.model_type);
  }
  for (const HeadsClass& heads : heads_classes()) names += ", " + std::string(heads.model_type);
  return names;
}

// What the file asks for counts where the caller does not say.
Result<LayoutOptions> with_cache_scheme(const ModelConfig& config, LayoutOptions options) {
  const CacheScheme& scheme = config.cache_scheme;
  if (options.kv || scheme.field.empty()) return options;
  if (scheme.format == "fp8") {
    options.kv = KvFormat::kFp8;
    return options;
  }
  return bad_argument("config.json: field '" + scheme.field + "' asks for a cache of '" +
                      scheme.format +
                      "', which has no layout here: say with --kv bf16 or --kv fp8 what the engine "
                      "keeps");
}

Result<void> check_options(const Family& family, const ModelConfig& config,
                           const LayoutOptions& options) {
  if (options.indexer && !family.has_indexer) {
    return bad_argument("model_type '" + config.model_type +
                        "' has no indexer: leave the indexer format out");
  }
  const HeadsClass* heads = find_heads_class(family.model_type);
  if (options.state && (heads == nullptr || heads->state == StateKind::kNone)) {
    return bad_argument("model_type '" + config.model_type +
                        "' has no recurrent state: leave the state format out");
  }
  return {};
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
                        "' is missing; it decides the size of a cached element: add it, or give "
                        "--kv bf16 or --kv fp8");
  }
  return bad_argument("config.json: field '" + std::string(field) + "' is '" + dtype +
                      "'; known are bfloat16, float16, float32");
}

Result<Element> model_element(const ModelConfig& config, const LayoutOptions& options,
                              std::string_view otherwise) {
  // The caller's word before the file's, and the file's before the class's.
  const bool said = options.kv == KvFormat::kBf16;
  // --kv bf16 means 16 bits: a float16 model's cache is float16.
  if (said && config.torch_dtype != "float16") return Element{ElementFormat::kBf16, 2};
  return element_of("torch_dtype",
                    config.torch_dtype.empty() ? std::string(otherwise) : config.torch_dtype);
}

Result<uint32_t> draft_layer_count(const ModelConfig& config, const LayoutOptions& options) {
  if (!options.draft_layers) return 0u;
  const uint32_t count = config.num_nextn_predict_layers;
  if (count == 0) {
    return bad_argument(
        "config.json: field 'num_nextn_predict_layers' is missing or 0: no draft "
        "layers are known of this model; leave --draft-layers out");
  }
  QUIRE_TRY(require(config, {{"num_nextn_predict_layers", count, kMaxModelLayers}}));
  return count;
}

KvTensor window_tensor(uint32_t layer, Row row, uint32_t window_tokens, uint32_t shard_count) {
  return {TensorRole::kWindow, layer, row.format, row.bytes, 1, window_tokens, shard_count};
}

GroupKind kind_of(TensorRole role) {
  switch (role) {
    case TensorRole::kAttention:
    case TensorRole::kCsaMain:
    case TensorRole::kIndexer:
    case TensorRole::kIndexKeys:
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
  const std::optional<Family> family = find_family(config.model_type);
  if (!family) {
    return bad_argument("model_type '" + config.model_type + "' is not supported; known are " +
                        known_model_types());
  }
  QUIRE_TRY(check_options(*family, config, options));
  if (!config.unknown_field.empty()) {
    return bad_argument("config.json: field " + config.unknown_field +
                        ": what such a layer keeps is not known");
  }
  // V4.1 has one published format, whatever a file says of others.
  if (family->build == v4_1_model) return v4_1_model(config, options);
  return family->build(config, QUIRE_TRY(with_cache_scheme(config, options)));
}

bool is_known_model_type(std::string_view model_type) {
  return find_family(model_type).has_value();
}

}  // namespace quire::model
