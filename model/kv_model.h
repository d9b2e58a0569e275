// What one sequence of a model keeps in cache, tensor by tensor: derived from its configuration,
// before any grouping into pages. Row sizes follow FlashMLA's and the V4 report's formats
// (arXiv 2606.19348 section 3.5; V4.1: arXiv 2609.19969).
//
//   append   one row per tokens_per_row tokens, kept for the whole context
//   window   one row per token, of the last held_tokens
//   state    one row per token of the last held_tokens at most (compressors), or one row in all
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "model/layout.h"
#include "model/model_config.h"

namespace quire::model {

enum class TensorRole : uint8_t {
  kAttention,       // K and V of all heads, or one latent (MLA)
  kCsaMain,         // V4: one row per 4 tokens, pooled over 8
  kIndexer,         // key of a sparse indexer
  kHcaMain,         // V4: one row per 128 tokens
  kWindow,          // sliding window
  kCsaState,        // V4: open compression blocks, FP32
  kIndexerState,    // the same of the indexer's compressor
  kHcaState,        // V4: open 128-token block, FP32
  kConvState,       // linear attention: last inputs of the convolution
  kRecurrentState,  // linear attention: one matrix a head
  kIndexKeys,       // minimax_m3: key of the blocks to attend to; pages of their own
};
GroupKind kind_of(TensorRole role);

// Sizes are those of one shard.
struct KvTensor {
  TensorRole role = TensorRole::kAttention;
  uint32_t layer = 0;
  ElementFormat format = ElementFormat::kOpaque;
  uint64_t row_bytes = 0;
  uint32_t tokens_per_row = 1;
  uint32_t held_tokens = 0;  // window and state: rows alive at most; 0 for append
  uint32_t shard_count = 1;  // shards of this size; a latent is the same on all ranks: 1
};

struct KvModel {
  std::vector<KvTensor> tensors;  // ascending by layer
  uint32_t unit_tokens = 64;      // the family's, before options
  uint32_t block_tokens = 64;
  uint32_t window_tokens = 0;
  uint64_t tensor_alignment = 1;  // engines pad each tensor's part of a page to a multiple of it
  bool v4_engine_pages = false;   // page arithmetic of model/engine_pages.h applies
  Replay replay;                  // of window and state groups
};

// Errors: kInvalidArgument naming the field of config.json or the option at fault.
Result<KvModel> kv_model(const ModelConfig& config, const LayoutOptions& options);

}  // namespace quire::model
