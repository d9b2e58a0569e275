// A model's published configuration (Hugging Face config.json) as plain data, and the layout that
// follows from it. Field names are the published ones; 0 or empty means "not in the file". Fields
// that a family needs are checked when a layout is computed, not here.
//
// Families by model_type: deepseek_v4, deepseek_v4_1, deepseek_v32, deepseek_v3, llama, qwen2,
// qwen3, qwen3_moe, gemma3_text, gpt_oss, qwen3_next.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/layout.h"
#include "model/result.h"

namespace quire::model {

struct ModelConfig {
  std::string model_type;
  std::string torch_dtype;  // "bfloat16" or "float16": elements of caches that nothing quantises
  uint32_t num_hidden_layers = 0;
  uint32_t num_encoder_layers = 0;  // deepseek_v4_1: the first layers, causal encoder
  uint32_t hidden_size = 0;         // with num_attention_heads: head_dim where that is absent
  uint32_t num_attention_heads = 0;
  uint32_t num_key_value_heads = 0;
  uint32_t head_dim = 0;
  uint32_t sliding_window = 0;
  uint32_t sliding_window_pattern = 0;    // gemma3: every n-th layer is full
  std::vector<std::string> layer_types;   // one a layer, or empty; outranks patterns
  std::vector<uint32_t> compress_ratios;  // tokens a row, one a layer, then one a draft layer
  uint32_t kv_lora_rank = 0;
  uint32_t qk_rope_head_dim = 0;
  uint32_t index_head_dim = 0;
  uint32_t index_n_heads = 0;  // of queries: no influence on the cache
  uint32_t full_attention_interval = 0;
  uint32_t linear_conv_kernel_dim = 0;
  uint32_t linear_key_head_dim = 0;
  uint32_t linear_value_head_dim = 0;
  uint32_t linear_num_key_heads = 0;
  uint32_t linear_num_value_heads = 0;
  std::string mamba_ssm_dtype;  // recurrent state; empty = float32, which loses nothing
  friend bool operator==(const ModelConfig&, const ModelConfig&) = default;
};

enum class IndexerFormat : uint8_t { kFp4, kFp8, kBf16 };
enum class KvFormat : uint8_t { kBf16, kFp8 };  // kBf16: 16 bits, bfloat16 or float16

// What an engine decides, not the model.
struct LayoutOptions {
  std::string name;                      // empty = model_type
  std::optional<IndexerFormat> indexer;  // default fp8; refused for models without an indexer
  std::optional<KvFormat> kv;            // default: deepseek_v4, _v32 fp8, else 16 bits
  uint32_t unit_tokens = 0;              // 0 = the family's: 128 for V4, else 64
  uint32_t block_tokens = 0;             // 0 = the family's: 256 for V4, else 64
  uint32_t tensor_parallel = 1;  // ranks; heads are shared out, one group a shard; latents are not
  bool draft_layers = false;     // also the window of multi-token-prediction layers (V4)
};

// Groups of the layout, in order; each but the latent ones once per shard, named
// "<group>.r<shard>":
//
//   global           append: all that grows, layer by layer
//   window           window: last sliding_window tokens ("window_0", "window_1" for V4, as vLLM
//   groups) c4_state         V4: compressor state of the 4-token block before a resume point state
//   linear attention: convolution and recurrent state
//
// V4 has a fifth group in vLLM, the compressor state of 128-token rows. It is absent here because
// it is empty at every multiple of 128 tokens, and only those are resume points (units are
// multiples of 128): there is nothing to store, to load or to replay.
//
// Errors: kInvalidArgument naming the field or option; kInvalidLayout when the result breaks a
// bound.
Result<Layout> layout_from_config(const ModelConfig& config, const LayoutOptions& options);

}  // namespace quire::model
