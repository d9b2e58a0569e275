// Caches of K and V heads, and of hybrids: windows, linear attention, state space layers, a latent
// instead of the heads. What tells one model from another stands in heads_classes.cc.
#include <algorithm>
#include <array>

#include "model/check.h"
#include "model/heads_classes.h"
#include "model/kv_families.h"

namespace quire::model {

namespace {

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

void fill(uint32_t& field, uint32_t value) {
  if (field == 0) field = value;
}

// Kimi's linear attention has as many key heads as value heads.
void fill_linear_sizes(ModelConfig& config, StateKind state) {
  const bool is_kda = state == StateKind::kKda;
  fill(config.linear_conv_kernel_dim, 4);
  fill(config.linear_key_head_dim, 128);
  fill(config.linear_value_head_dim, 128);
  fill(config.linear_num_key_heads, is_kda ? 32 : 16);
  fill(config.linear_num_value_heads, 32);
}

// Sizes of Mamba layers as the classes of their models say: Jamba's, Falcon-H1's, Nemotron-H's.
void fill_mamba_sizes(ModelConfig& config) {
  const bool is_falcon = config.model_type == "falcon_h1";
  const bool is_nemotron = config.model_type == "nemotron_h";
  MambaSizes& mamba = config.mamba;
  fill(mamba.expand, 2);
  fill(mamba.heads, is_falcon || is_nemotron ? 128 : 0);
  if (is_nemotron) fill(mamba.head_dim, 64);
  fill(mamba.state, is_falcon ? 256 : is_nemotron ? 128 : 16);
  fill(mamba.groups, is_nemotron ? 8 : 1);
  // Null: expand times hidden_size.
  if (is_falcon && !config.is_null("mamba_d_ssm")) fill(mamba.inner, 1024);
}

// Not a size that models of one class share: a flat file says it, or says it otherwise.
void fill_layer_count(ModelConfig& config, const HeadsClass& defaults) {
  if (defaults.rule == LayerRule::kLetters) {
    const size_t listed = config.hybrid_override_pattern.empty()
                              ? config.layer_types.size()
                              : config.hybrid_override_pattern.size();
    fill(config.num_hidden_layers, static_cast<uint32_t>(listed));
  }
  if (config.is_nested) fill(config.num_hidden_layers, defaults.num_hidden_layers);
}

// The file with what its class says in the places it leaves empty.
ModelConfig with_class_defaults(ModelConfig config, const HeadsClass& defaults) {
  // A flat file that lacks these is wrong, and is told so; a nested one leaves out what its class
  // says.
  fill_layer_count(config, defaults);
  if (config.is_nested) fill(config.hidden_size, defaults.hidden_size);
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
  // A class whose pattern is fixed goes by it, whatever the file says of another.
  if (!defaults.has(kPeriodInFile)) config.sliding_window_pattern = 0;
  fill(config.sliding_window_pattern, defaults.period);
  fill(config.full_attention_interval, defaults.period);
  fill(config.attn_layer_period, defaults.period);
  fill(config.kv_lora_rank, 512);
  fill(config.qk_rope_head_dim, 64);
  fill(config.index_head_dim, 128);
  fill_linear_sizes(config, defaults.state);
  fill_mamba_sizes(config);
  if (!config.num_kv_shared_layers) config.num_kv_shared_layers = defaults.shared_layers;
  config.sliding_window = window_of(config, defaults);
  return config;
}

struct HeadSizes {
  uint32_t count = 0;  // of K and V
  uint32_t key_dim = 0;
  uint32_t value_dim = 0;
};

const LayerOverride* override_of(const ModelConfig& config, uint32_t layer) {
  const auto found = std::find_if(config.overrides.begin(), config.overrides.end(),
                                  [&](const LayerOverride& one) { return one.layer == layer; });
  return found == config.overrides.end() ? nullptr : &*found;
}

// A field of one kind of layer counts where the file has it, else that of all layers.
uint32_t either(uint32_t own, uint32_t common) { return own == 0 ? common : own; }

HeadSizes sizes_of_kind(const ModelConfig& config, const HeadsClass& defaults, LayerKind kind) {
  HeadSizes sizes{config.num_key_value_heads, config.head_dim, config.head_dim};
  if (defaults.has(kShortValues)) sizes.value_dim = either(config.v_head_dim, 128);
  const bool is_window = kind == LayerKind::kSliding || kind == LayerKind::kChunked;
  if (is_window && defaults.has(kWindowHeads)) {
    const uint32_t heads = sizes.count * (defaults.has(kDoubleWindowHeads) ? 2 : 1);
    sizes.count = either(config.swa_num_key_value_heads, heads);
    sizes.key_dim = either(config.swa_head_dim, sizes.key_dim);
    const uint32_t values = defaults.has(kShortValues) ? sizes.value_dim : sizes.key_dim;
    sizes.value_dim = either(config.swa_v_head_dim, values);
  }
  // transformers saves the sizes of such layers one by one, and then says them nowhere else.
  if (!is_window && defaults.has(kGlobalHeads) && config.overrides.empty()) {
    sizes.key_dim = sizes.value_dim = either(config.global_head_dim, 512);
    if (config.attention_k_eq_v.value_or(false)) {
      sizes.count = either(config.num_global_key_value_heads, sizes.count);
    }
  }
  return sizes;
}

Result<HeadSizes> head_sizes(const ModelConfig& config, const HeadsClass& defaults, LayerKind kind,
                             uint32_t layer) {
  HeadSizes sizes = sizes_of_kind(config, defaults, kind);
  if (const LayerOverride* own = override_of(config, layer)) {
    if (own->heads_in_group != 0) {
      if (config.num_attention_heads % own->heads_in_group != 0) {
        return bad_argument("config.json: field 'n_heads_in_group' is " +
                            std::to_string(own->heads_in_group) + " for layer " +
                            std::to_string(layer) + " and does not divide " +
                            std::to_string(config.num_attention_heads) + " 'num_attention_heads'");
      }
      sizes.count = config.num_attention_heads / own->heads_in_group;
    }
    sizes.count = either(own->num_key_value_heads, sizes.count);
    if (own->head_dim != 0) sizes.key_dim = sizes.value_dim = own->head_dim;
  }
  QUIRE_TRY(require(config, {{"num_key_value_heads", sizes.count, kMaxHeads},
                             {"head_dim", sizes.key_dim, kMaxDim},
                             {"v_head_dim", sizes.value_dim, kMaxDim}}));
  return sizes;
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
                                       const HeadsClass& defaults, LayerKind kind, uint32_t layer) {
  // All heads read the same latent, so every rank holds it whole.
  if (defaults.has(kLatent)) return AttentionShape{QUIRE_TRY(latent_row(config, options)), 1};
  const HeadSizes sizes = QUIRE_TRY(head_sizes(config, defaults, kind, layer));
  const bool is_fp8 = options.kv == KvFormat::kFp8;
  const Element element = is_fp8 ? Element{ElementFormat::kFp8E4m3, 1}
                                 : QUIRE_TRY(model_element(config, options, defaults.dtype));
  const uint32_t shard_count =
      QUIRE_TRY(shards_of("num_key_value_heads", sizes.count, options.tensor_parallel));
  const uint64_t heads = sizes.count / shard_count;
  const uint64_t dims = uint64_t{sizes.key_dim} + sizes.value_dim;
  return AttentionShape{{element.format, heads * dims * element.bytes}, shard_count};
}

// Engines go by the class, which may not know the field: whether rows are shared is not told then.
Result<void> check_shared_rows(const ModelConfig& config, const HeadsClass& defaults) {
  const uint32_t shared = config.num_kv_shared_layers.value_or(0);
  if (shared == 0 || defaults.has(kSharedRows)) return {};
  return bad_argument("config.json: field 'num_kv_shared_layers' is " + std::to_string(shared) +
                      ", and layers of model_type '" + config.model_type +
                      "' are not known to share rows");
}

Result<void> check_sizes(const ModelConfig& config, const HeadsClass& defaults) {
  QUIRE_TRY(require_layers(config));
  QUIRE_TRY(check_shared_rows(config, defaults));
  if (defaults.has(kLatent)) {
    return require(config, {{"kv_lora_rank", config.kv_lora_rank, kMaxDim},
                            {"qk_rope_head_dim", config.qk_rope_head_dim, kMaxDim}});
  }
  QUIRE_TRY(require(config, {{"num_key_value_heads", config.num_key_value_heads, kMaxHeads},
                             {"head_dim", config.head_dim, kMaxDim}}));
  if (config.num_attention_heads % config.num_key_value_heads == 0) return {};
  return bad_argument("config.json: field 'num_key_value_heads' is " +
                      std::to_string(config.num_key_value_heads) + " and does not divide " +
                      std::to_string(config.num_attention_heads) + " 'num_attention_heads'");
}

Result<void> check_window(const ModelConfig& config, uint32_t layer) {
  if (config.sliding_window == 0 && config.use_sliding_window.has_value()) {
    return bad_argument("config.json: field 'layer_types' has a window for layer " +
                        std::to_string(layer) + ", but 'use_sliding_window' is off");
  }
  return require(config, {{"sliding_window", config.sliding_window, kMaxWindowTokens}});
}

Result<void> append_rows(const ModelConfig& config, const AttentionShape& shape, LayerKind kind,
                         uint32_t layer, std::vector<KvTensor>& tensors) {
  if (kind == LayerKind::kSliding || kind == LayerKind::kChunked) {
    QUIRE_TRY(check_window(config, layer));
    tensors.push_back(window_tensor(layer, shape.row, config.sliding_window, shape.shard_count));
    return {};
  }
  tensors.push_back(
      {TensorRole::kAttention, layer, shape.row.format, shape.row.bytes, 1, 0, shape.shard_count});
  return {};
}

// Keys by which blocks are picked: one a token, the same on all ranks.
Result<void> append_index_keys(const ModelConfig& config, const LayoutOptions& options,
                               uint32_t layer, std::vector<KvTensor>& tensors) {
  const std::vector<uint32_t>& flags = config.sparse_attention_freq;
  const bool is_listed =
      layer < config.layer_types.size() && config.layer_types[layer] == "minimax_m3_sparse";
  if (!is_listed && (layer >= flags.size() || flags[layer] == 0)) return {};
  QUIRE_TRY(require(config, {{"sparse_index_dim", config.index_head_dim, kMaxDim}}));
  Row row;
  if (options.indexer.value_or(IndexerFormat::kBf16) == IndexerFormat::kBf16) {
    const Element element = QUIRE_TRY(model_element(config, options, "bfloat16"));
    row = {element.format, config.index_head_dim * element.bytes};
  } else {
    row = indexer_row(config, *options.indexer);
  }
  tensors.push_back({TensorRole::kIndexKeys, layer, row.format, row.bytes});
  return {};
}

Result<void> append_layer(const ModelConfig& config, const LayoutOptions& options,
                          const HeadsClass& defaults, LayerKind kind, uint32_t layer,
                          std::vector<KvTensor>& tensors) {
  if (kind == LayerKind::kNothing) return {};
  if (kind != LayerKind::kLinear) {
    const AttentionShape shape = QUIRE_TRY(attention_shape(config, options, defaults, kind, layer));
    QUIRE_TRY(append_rows(config, shape, kind, layer, tensors));
    if (defaults.has(kIndexKeys)) {
      QUIRE_TRY(append_index_keys(config, options, layer, tensors));
    }
  }
  if (kind != LayerKind::kLinear && kind != LayerKind::kHybrid) return {};
  std::array<KvTensor, 2> states = QUIRE_TRY(state_tensors(config, options, defaults.state));
  for (KvTensor& tensor : states) {
    tensor.layer = layer;
    tensors.push_back(tensor);
  }
  return {};
}

// Spans are what append groups hold: a model that only has windows has none.
Result<void> require_full_layer(const ModelConfig& config, const KvModel& model) {
  const bool has_append = std::any_of(
      model.tensors.begin(), model.tensors.end(),
      [](const KvTensor& tensor) { return kind_of(tensor.role) == GroupKind::kAppend; });
  if (has_append) return {};
  if (config.sliding_window == 0) {
    return bad_argument("config.json: no layer of model_type '" + config.model_type +
                        "' has attention: a layout needs a layer that keeps the whole context");
  }
  return bad_argument("config.json: field 'sliding_window' is " +
                      std::to_string(config.sliding_window) + " for every layer of model_type '" +
                      config.model_type +
                      "': a layout needs a layer that keeps the whole context; where the engine "
                      "runs without the window, set the field to null");
}

// A group is cut into shards as one: layers with other numbers of heads may not be.
Result<void> require_same_shards(const ModelConfig& config, const KvModel& model) {
  for (const KvTensor& tensor : model.tensors) {
    for (const KvTensor& other : model.tensors) {
      if (tensor.role == other.role && tensor.shard_count != other.shard_count) {
        return bad_argument("tensor_parallel: layers " + std::to_string(tensor.layer) + " and " +
                            std::to_string(other.layer) + " of model_type '" + config.model_type +
                            "' have other numbers of K and V heads and are shared out "
                            "differently; give fewer ranks");
      }
    }
  }
  return {};
}

}  // namespace

Result<KvModel> heads_model(const ModelConfig& given, const LayoutOptions& options) {
  const HeadsClass* defaults = find_heads_class(given.model_type);
  QUIRE_CHECK(defaults != nullptr);
  const ModelConfig config = with_class_defaults(given, *defaults);
  QUIRE_TRY(check_sizes(config, *defaults));
  const std::vector<LayerKind> kinds = QUIRE_TRY(layer_kinds(config, options, *defaults));
  KvModel model;
  for (uint32_t layer = 0; layer < kinds.size(); ++layer) {
    QUIRE_TRY(append_layer(config, options, *defaults, kinds[layer], layer, model.tensors));
  }
  // After all layers: a window that covers every position may have made one full.
  QUIRE_TRY(require_full_layer(config, model));
  QUIRE_TRY(require_same_shards(config, model));
  const bool has_window =
      std::any_of(model.tensors.begin(), model.tensors.end(),
                  [](const KvTensor& tensor) { return tensor.role == TensorRole::kWindow; });
  if (has_window) model.window_tokens = config.sliding_window;
  return model;
}

}  // namespace quire::model
