// DeepSeek's caches: V4 and V4.1 (compressed rows, windows, compressor states), V3 and V3.2
// (latents).
#include "model/kv_families.h"

namespace quire::model {

namespace {

constexpr uint32_t kCsaRatio = 4;
constexpr uint32_t kHcaRatio = 128;

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

// FlashMLA "MODEL1": FP8 without position, BF16 with, a UE8M0 scale per 64, padded to 8 bytes.
Row v4_row(const ModelConfig& config, KvFormat format) {
  if (format == KvFormat::kBf16) return {ElementFormat::kBf16, uint64_t{config.head_dim} * 2};
  const uint64_t rope = config.qk_rope_head_dim;
  const uint64_t nope = config.head_dim - rope;
  return {ElementFormat::kFp8DsMla, nope + rope * 2 + (nope / 64 + 7) / 8 * 8};
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

void append_csa_layer(const ModelConfig& config, const LayoutOptions& options, uint32_t layer,
                      std::vector<KvTensor>& tensors) {
  const Row main = v4_row(config, options.kv.value_or(KvFormat::kFp8));
  const Row index = indexer_row(config, options.indexer.value_or(IndexerFormat::kFp8));
  // FP32 (kv, score) for the "a" and "b" halves that overlapping blocks pool.
  const uint64_t state_bytes_per_dim = 2 * 2 * sizeof(float);
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

Result<KvModel> v4_model(const ModelConfig& config, const LayoutOptions& options) {
  QUIRE_TRY(check_v4(config));
  const KvFormat kv = options.kv.value_or(KvFormat::kFp8);
  const auto layer_count = static_cast<uint32_t>(
      options.draft_layers ? config.compress_ratios.size() : config.num_hidden_layers);
  KvModel model;
  for (uint32_t layer = 0; layer < layer_count; ++layer) {
    const uint32_t ratio = config.compress_ratios[layer];
    if (ratio != 0 && ratio != kCsaRatio && ratio != kHcaRatio) {
      return bad_argument("config.json: field 'compress_ratios' has " + std::to_string(ratio) +
                          " for layer " + std::to_string(layer) +
                          "; known are 0 (window only), 4 and 128");
    }
    if (ratio == kCsaRatio) append_csa_layer(config, options, layer, model.tensors);
    if (ratio == kHcaRatio) append_hca_layer(config, options, layer, model.tensors);
    model.tensors.push_back(window_tensor(layer, v4_row(config, kv), config.sliding_window, 1));
  }
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

Result<KvModel> mla_model(const ModelConfig& config, const LayoutOptions& options) {
  const bool has_indexer = config.model_type == "deepseek_v32";
  QUIRE_TRY(require_layers(config));
  QUIRE_TRY(require(config, {{"kv_lora_rank", config.kv_lora_rank, kMaxDim},
                             {"qk_rope_head_dim", config.qk_rope_head_dim, kMaxDim}}));
  if (has_indexer) QUIRE_TRY(require(config, {{"index_head_dim", config.index_head_dim, kMaxDim}}));
  const uint64_t latent = config.kv_lora_rank;
  const uint64_t rope = config.qk_rope_head_dim;
  const KvFormat kv = options.kv.value_or(has_indexer ? KvFormat::kFp8 : KvFormat::kBf16);
  // FP8 latent with an FP32 scale per 128, BF16 positions (FlashMLA).
  const Row main = kv == KvFormat::kFp8
                       ? Row{ElementFormat::kFp8V32Mla, latent + latent / 128 * 4 + rope * 2}
                       : Row{ElementFormat::kBf16, (latent + rope) * 2};
  const Row index = indexer_row(config, options.indexer.value_or(IndexerFormat::kFp8));
  KvModel model;
  for (uint32_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    model.tensors.push_back({TensorRole::kAttention, layer, main.format, main.bytes});
    if (has_indexer) {
      model.tensors.push_back({TensorRole::kIndexer, layer, index.format, index.bytes});
    }
  }
  return model;
}

}  // namespace quire::model
