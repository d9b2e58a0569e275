// DeepSeek's caches of V4 and V4.1: compressed rows, windows, compressor states.
#include "model/kv_families.h"

#include <algorithm>

namespace quire::model {

namespace {

constexpr uint32_t kCsaRatio = 4;
constexpr uint32_t kHcaRatio = 128;

// FlashMLA "MODEL1": FP8 without position, BF16 with, a UE8M0 scale per 64, padded to 8 bytes.
Row v4_row(const ModelConfig& config, KvFormat format) {
  if (format == KvFormat::kBf16) return {ElementFormat::kBf16, uint64_t{config.head_dim} * 2};
  const uint64_t rope = config.qk_rope_head_dim;
  const uint64_t nope = config.head_dim - rope;
  return {ElementFormat::kFp8DsMla, nope + rope * 2 + (nope / 64 + 7) / 8 * 8};
}

// The two names that a layer of a ratio has in files that transformers saved.
constexpr std::string_view kCsaLayer = "compressed_sparse_attention";
constexpr std::string_view kHcaLayer = "heavily_compressed_attention";

Result<uint32_t> ratio_of_type(const ModelConfig& config, uint32_t layer) {
  const std::string& type = config.layer_types[layer];
  if (type == "sliding_attention") return 0u;
  if (type == kCsaLayer) return config.compress_rate_csa;
  if (type == kHcaLayer) return config.compress_rate_hca;
  return bad_argument("config.json: field 'layer_types' has '" + type + "' for layer " +
                      std::to_string(layer) + "; known are sliding_attention, " +
                      std::string(kCsaLayer) + ", " + std::string(kHcaLayer));
}

// Published files give ratios, transformers saves the types of layers: both become ratios, one a
// layer. Ratio 1 compresses nothing, so such a layer has its window alone, as one of ratio 0.
Result<std::vector<uint32_t>> v4_ratios(const ModelConfig& config) {
  const uint32_t layer_count = config.num_hidden_layers;
  std::vector<uint32_t> ratios = config.compress_ratios;
  std::replace(ratios.begin(), ratios.end(), 1u, 0u);
  if (config.layer_types.empty() || (!ratios.empty() && ratios.size() < layer_count)) return ratios;
  if (config.layer_types.size() < layer_count) {
    return bad_argument(
        "config.json: field 'layer_types' has " + std::to_string(config.layer_types.size()) +
        " entries; needed is one for each of " + std::to_string(layer_count) + " layers");
  }
  const bool has_ratios = !ratios.empty();
  if (!has_ratios) ratios.resize(layer_count);
  for (uint32_t layer = 0; layer < layer_count; ++layer) {
    const uint32_t ratio = QUIRE_TRY(ratio_of_type(config, layer));
    if (has_ratios && ratio != ratios[layer]) {
      return bad_argument(
          "config.json: fields 'compress_ratios' and 'layer_types' differ for layer " +
          std::to_string(layer));
    }
    ratios[layer] = ratio;
  }
  return ratios;
}

// What the class says where a file does not.
ModelConfig with_v4_defaults(ModelConfig config) {
  if (config.head_dim == 0) config.head_dim = 512;
  if (config.qk_rope_head_dim == 0) {
    // transformers saves the part of a head that is rotated instead.
    config.qk_rope_head_dim =
        static_cast<uint32_t>(config.head_dim * config.partial_rotary_factor.value_or(0.125));
  }
  if (config.index_head_dim == 0) config.index_head_dim = 128;
  if (config.sliding_window == 0 && !config.is_null("sliding_window")) config.sliding_window = 128;
  if (config.compress_rate_csa == 0) config.compress_rate_csa = kCsaRatio;
  if (config.compress_rate_hca == 0) config.compress_rate_hca = kHcaRatio;
  return config;
}

Result<void> check_v4(const ModelConfig& config) {
  QUIRE_TRY(require_layers(config));
  QUIRE_TRY(require(config, {{"head_dim", config.head_dim, kMaxDim},
                             {"qk_rope_head_dim", config.qk_rope_head_dim, kMaxDim},
                             {"index_head_dim", config.index_head_dim, kMaxDim},
                             {"sliding_window", config.sliding_window, kMaxWindowTokens}}));
  if (config.qk_rope_head_dim >= config.head_dim) {
    return bad_argument("config.json: field 'qk_rope_head_dim' must be below 'head_dim'");
  }
  const size_t count = config.compress_ratios.size();
  if (count < config.num_hidden_layers || count > kMaxModelLayers) {
    return bad_argument("config.json: field 'compress_ratios' has " + std::to_string(count) +
                        " entries; needed is one for each of " +
                        std::to_string(config.num_hidden_layers) +
                        " layers, then at most one for each draft layer");
  }
  return {};
}

// Draft layers have the ratios behind those of the layers; a file without such has their number,
// and then they keep their window alone, as all published ones do.
Result<ModelConfig> prepare_v4(const ModelConfig& given, const LayoutOptions& options) {
  ModelConfig config = with_v4_defaults(given);
  QUIRE_TRY(require_layers(config));
  config.compress_ratios = QUIRE_TRY(v4_ratios(config));
  QUIRE_TRY(check_v4(config));
  if (!options.draft_layers) {
    config.compress_ratios.resize(config.num_hidden_layers);
  } else if (config.compress_ratios.size() == config.num_hidden_layers) {
    const uint32_t drafts = QUIRE_TRY(draft_layer_count(config, options));
    config.compress_ratios.resize(config.num_hidden_layers + drafts, 0);
  }
  return config;
}

void append_csa_layer(const ModelConfig& config, const LayoutOptions& options, uint32_t layer,
                      std::vector<KvTensor>& tensors) {
  const Row main = v4_row(config, options.kv.value_or(KvFormat::kFp8));
  const Row index = indexer_row(config, options.indexer.value_or(IndexerFormat::kFp8));
  // FP32 (kv, score) for the "a" and "b" halves that overlapping blocks pool.
  const uint64_t state_bytes_per_dim = 2 * 2 * sizeof(float);
  // A row pools over two blocks: this one, and the one before.
  const uint32_t held = 2 * kCsaRatio;
  tensors.push_back({TensorRole::kCsaMain, layer, main.format, main.bytes, kCsaRatio});
  tensors.push_back({TensorRole::kIndexer, layer, index.format, index.bytes, kCsaRatio});
  tensors.push_back({TensorRole::kCsaState, layer, ElementFormat::kFp32,
                     config.head_dim * state_bytes_per_dim, 1, held});
  tensors.push_back({TensorRole::kIndexerState, layer, ElementFormat::kFp32,
                     config.index_head_dim * state_bytes_per_dim, 1, held});
}

void append_hca_layer(const ModelConfig& config, const LayoutOptions& options, uint32_t layer,
                      std::vector<KvTensor>& tensors) {
  const Row main = v4_row(config, options.kv.value_or(KvFormat::kFp8));
  const uint64_t state_bytes = config.head_dim * uint64_t{2 * sizeof(float)};  // kv, score
  tensors.push_back({TensorRole::kHcaMain, layer, main.format, main.bytes, kHcaRatio});
  tensors.push_back(
      {TensorRole::kHcaState, layer, ElementFormat::kFp32, state_bytes, 1, kHcaRatio});
}

Result<void> check_v4_1(const ModelConfig& config, const LayoutOptions& options) {
  if (options.kv || (options.indexer && *options.indexer != IndexerFormat::kFp4)) {
    return bad_argument("model_type '" + config.model_type +
                        "' has one published format, fp4 for rows and indexer: leave the format "
                        "options out");
  }
  if (options.draft_layers) {
    return bad_argument("model_type '" + config.model_type +
                        "' has no published draft layers: leave --draft-layers out");
  }
  QUIRE_TRY(check_v4(config));
  QUIRE_TRY(require(config,
                    {{"num_encoder_layers", config.num_encoder_layers, config.num_hidden_layers}}));
  if (config.layer_types.size() != config.num_hidden_layers) {
    return bad_argument("config.json: field 'layer_types' needs one entry for each of " +
                        std::to_string(config.num_hidden_layers) + " layers");
  }
  return {};
}

}  // namespace

Row indexer_row(const ModelConfig& config, IndexerFormat format) {
  const uint64_t dim = config.index_head_dim;
  switch (format) {
    case IndexerFormat::kFp4:
      return {ElementFormat::kMxfp4Index, dim / 2 + dim / 32};
    case IndexerFormat::kBf16:
      return {ElementFormat::kBf16, dim * 2};
    case IndexerFormat::kFp8:
      break;
  }
  return {ElementFormat::kFp8Index, dim + sizeof(float)};
}

Result<KvModel> v4_model(const ModelConfig& given, const LayoutOptions& options) {
  const ModelConfig config = QUIRE_TRY(prepare_v4(given, options));
  const KvFormat kv = options.kv.value_or(KvFormat::kFp8);
  const auto layer_count = static_cast<uint32_t>(config.compress_ratios.size());
  KvModel model;
  for (uint32_t layer = 0; layer < layer_count; ++layer) {
    const uint32_t ratio = config.compress_ratios[layer];
    if (ratio != 0 && ratio != kCsaRatio && ratio != kHcaRatio) {
      return bad_argument("config.json: field 'compress_ratios' has " + std::to_string(ratio) +
                          " for layer " + std::to_string(layer) +
                          "; known are 0 and 1 (window only), 4 and 128");
    }
    if (ratio == kCsaRatio) append_csa_layer(config, options, layer, model.tensors);
    if (ratio == kHcaRatio) append_hca_layer(config, options, layer, model.tensors);
    model.tensors.push_back(window_tensor(layer, v4_row(config, kv), config.sliding_window, 1));
  }
  // At multiples of the larger ratio no compressed row is half written.
  model.unit_tokens = kHcaRatio;
  model.block_tokens = 2 * kHcaRatio;
  model.window_tokens = config.sliding_window;
  model.tensor_alignment = kv == KvFormat::kFp8 ? 576 : 512;
  model.v4_engine_pages = true;
  // Strategy "Zero" of the V4 report: each layer's window reaches one window further back.
  model.replay = {config.sliding_window * layer_count, true};
  return model;
}

// Only "csa2_full" layers own rows; the others read theirs. The decoder's window is never cached.
// Window rows are taken to be V4's: the V4.1 report does not state them.
Result<KvModel> v4_1_model(const ModelConfig& config, const LayoutOptions& options) {
  QUIRE_TRY(check_v4_1(config, options));
  const uint64_t dim = config.head_dim;
  const uint64_t main_bytes = dim / 2 + dim / 16;  // E2M1, one E4M3 scale per 16
  const Row index = indexer_row(config, IndexerFormat::kFp4);
  KvModel model;
  for (uint32_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    const uint32_t ratio = config.compress_ratios[layer];
    if (config.layer_types[layer] == "csa2_full") {
      if (ratio != 1 && ratio != 2) {
        return bad_argument("config.json: field 'compress_ratios' must be 1 or 2 for layer " +
                            std::to_string(layer) + ", which owns rows");
      }
      model.tensors.push_back(
          {TensorRole::kCsaMain, layer, ElementFormat::kFp4V41, main_bytes, ratio});
      model.tensors.push_back({TensorRole::kIndexer, layer, index.format, index.bytes, ratio});
    }
    if (layer >= config.num_encoder_layers) continue;
    model.tensors.push_back(
        window_tensor(layer, v4_row(config, KvFormat::kFp8), config.sliding_window, 1));
  }
  model.unit_tokens = kHcaRatio;
  model.block_tokens = 2 * kHcaRatio;
  model.window_tokens = config.sliding_window;
  model.replay = {config.sliding_window, false};  // "bounded replay": one window, approximate
  return model;
}

}  // namespace quire::model
