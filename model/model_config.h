// A model's published configuration (Hugging Face config.json) as plain data, and the layout that
// follows from it. Field names are the published ones; 0 or empty means "not in the file", and then
// the default of the model's class counts (model/heads_classes.h and the other families). Fields
// that a family needs are checked when a layout is computed, not here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/layout.h"
#include "model/result.h"

namespace quire::model {

// What a file says about the elements of the cache, apart from the model's own type. Quantised
// weights alone say nothing: most FP8 checkpoints are served with a 16-bit cache.
struct CacheScheme {
  std::string field;   // the field that speaks, for texts; empty: none does
  std::string format;  // "fp8", or the file's own word for another one
  friend bool operator==(const CacheScheme&, const CacheScheme&) = default;
};

// What one layer has that the others have not (block_configs, per_layer_config).
struct LayerOverride {
  uint32_t layer = 0;
  bool keeps_nothing = false;   // no attention in it
  uint32_t heads_in_group = 0;  // query heads that share one K and V head; 0: not said
  uint32_t num_key_value_heads = 0;
  uint32_t head_dim = 0;
  friend bool operator==(const LayerOverride&, const LayerOverride&) = default;
};

// Sizes of a state space layer (Mamba). Its convolution is linear_conv_kernel_dim.
struct MambaSizes {
  uint32_t inner = 0;  // channels; 0: expand times hidden_size
  uint32_t expand = 0;
  uint32_t heads = 0;
  uint32_t head_dim = 0;
  uint32_t state = 0;   // numbers a channel
  uint32_t groups = 0;  // of B and C
  friend bool operator==(const MambaSizes&, const MambaSizes&) = default;
};

struct ModelConfig {
  std::string model_type;
  // From "text_config" of a model of several media. transformers leaves out of it whatever equals
  // the default of its class, the number of layers too; a flat file always has that.
  bool is_nested = false;
  std::vector<std::string> null_fields;  // of those below: in the file, as null
  std::string torch_dtype;  // "bfloat16" or "float16": elements of caches that nothing quantises
  CacheScheme cache_scheme;
  uint32_t num_hidden_layers = 0;
  uint32_t num_encoder_layers = 0;        // deepseek_v4_1: the first layers, causal encoder
  uint32_t num_nextn_predict_layers = 0;  // draft layers (multi-token prediction)
  uint32_t max_position_embeddings = 0;
  uint32_t hidden_size = 0;  // with num_attention_heads: head_dim where that is absent
  uint32_t num_attention_heads = 0;
  uint32_t num_key_value_heads = 0;
  uint32_t head_dim = 0;
  uint32_t v_head_dim = 0;               // mimo: values are shorter than keys
  uint32_t swa_num_key_value_heads = 0;  // of layers with a window, where they differ
  uint32_t swa_head_dim = 0;
  uint32_t swa_v_head_dim = 0;
  uint32_t global_head_dim = 0;  // gemma4: of layers without a window
  uint32_t num_global_key_value_heads = 0;
  std::optional<bool> attention_k_eq_v;  // gemma4: whether num_global_key_value_heads counts
  std::optional<uint32_t> num_kv_shared_layers;  // so many last ones read rows of earlier ones
  std::vector<LayerOverride> overrides;          // ascending by layer
  // A field whose value is beyond what is known here, with its value; empty: none. It is refused.
  std::string unknown_field;
  uint32_t sliding_window = 0;
  uint32_t sliding_window_pattern = 0;  // gemma3, llama4: every n-th layer is full
  std::optional<bool> use_sliding_window;
  std::optional<uint32_t> max_window_layers;    // qwen: layers from this one on have the window
  uint32_t attention_chunk_size = 0;            // llama4
  std::vector<uint32_t> no_rope_layers;         // llama4: 0 = full attention
  std::vector<std::string> layer_types;         // one a layer, or empty; outranks patterns
  std::string hybrid_override_pattern;          // nemotron_h: M, *, E, -, one letter a layer
  std::string mtp_hybrid_override_pattern;      // the same of its draft layer
  std::vector<uint32_t> hybrid_layer_pattern;   // mimo: 1 = window
  uint32_t attn_layer_period = 0;               // jamba: every n-th layer has attention,
  std::optional<uint32_t> attn_layer_offset;    // counted from this one
  std::vector<uint32_t> full_attn_layers;       // kimi: counted from 1; the others are
  std::vector<uint32_t> kda_layers;             // in this list
  std::vector<uint32_t> sparse_attention_freq;  // minimax_m3: 1 = has index keys
  std::vector<uint32_t> compress_ratios;        // tokens a row, one a layer, then one a draft layer
  uint32_t compress_rate_csa = 0;               // deepseek_v4 by layer_types: tokens a row of
  uint32_t compress_rate_hca = 0;               // either kind of layer
  uint32_t kv_lora_rank = 0;
  uint32_t qk_rope_head_dim = 0;
  std::optional<double> partial_rotary_factor;  // deepseek_v4: qk_rope_head_dim / head_dim
  uint32_t index_head_dim = 0;
  uint32_t index_n_heads = 0;                      // of queries: no influence on the cache
  std::vector<std::string> indexer_types;          // "full" or "shared", one a layer
  std::string index_topk_pattern;                  // the same, one letter a layer: F or S
  uint32_t index_topk_freq = 0;                    // the same by rule: every n-th layer is full,
  std::optional<uint32_t> index_skip_topk_offset;  // from this one on; those before it are too
  uint32_t full_attention_interval = 0;
  uint32_t linear_conv_kernel_dim = 0;
  uint32_t linear_key_head_dim = 0;
  uint32_t linear_value_head_dim = 0;
  uint32_t linear_num_key_heads = 0;
  uint32_t linear_num_value_heads = 0;
  MambaSizes mamba;
  std::string mamba_ssm_dtype;  // recurrent state; empty = float32, which loses nothing
  friend bool operator==(const ModelConfig&, const ModelConfig&) = default;

  bool is_null(std::string_view field) const;
};

enum class IndexerFormat : uint8_t { kFp4, kFp8, kBf16 };
enum class KvFormat : uint8_t { kBf16, kFp8 };  // kBf16: 16 bits, bfloat16 or float16
enum class StateFormat : uint8_t { kBf16, kFp16, kFp32 };

// What an engine decides, not the model.
struct LayoutOptions {
  std::string name;                      // empty = model_type
  std::optional<IndexerFormat> indexer;  // default fp8; refused for models without an indexer
  // Default: what the file asks for (cache_scheme), else fp8 for the sparse DeepSeek models and 16
  // bits for others.
  std::optional<KvFormat> kv;
  std::optional<StateFormat> state;  // recurrent states; default: the file's, else fp32
  uint32_t unit_tokens = 0;          // 0 = the family's: 128 for V4, else 64
  uint32_t block_tokens = 0;         // 0 = the family's: 256 for V4, else 64
  uint32_t tensor_parallel = 1;  // ranks; heads are shared out, one group a shard; latents are not
  bool draft_layers = false;     // also multi-token-prediction layers; refused where none are known
};

// Groups of the layout, in order; each but the latent ones once per shard, named
// "<group>.r<shard>":
//
//   global           append: all that grows, layer by layer
//   window           window: last sliding_window tokens ("window_0", "window_1" for V4, as vLLM
//                    groups)
//   c4_state         V4: compressor state of the 4-token block before a resume point
//   index            minimax_m3: keys of the blocks to attend to, a group of their own
//   state            linear attention, Mamba: convolution and recurrent state
//
// V4 has a fifth group in vLLM, the compressor state of 128-token rows. It is absent here because
// it is empty at every multiple of 128 tokens, and only those are resume points (units are
// multiples of 128): there is nothing to store, to load or to replay.
//
// Errors: kInvalidArgument naming the field or option; kInvalidLayout when the result breaks a
// bound.
Result<Layout> layout_from_config(const ModelConfig& config, const LayoutOptions& options);

// The model types that layout_from_config() takes, for texts and for readers: of other models'
// files nothing but the type needs to be understood.
bool is_known_model_type(std::string_view model_type);

}  // namespace quire::model
