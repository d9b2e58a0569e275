// What the class of a model with K and V heads says where its config.json does not: published files
// leave such fields out, and engines then use these numbers. One line a model type, as in
// transformers 5 (src/transformers/models/*/configuration_*.py).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace quire::model {

// Which layers keep what, where a file has no layer_types.
enum class LayerRule : uint8_t {
  kSame,            // all full, or all windows when the file names one
  kSwitchedTail,    // windows from max_window_layers on, if use_sliding_window
  kSwitchedAll,     // all windows, if use_sliding_window
  kPeriodicWindow,  // every n-th layer full, windows between
  kPeriodicLinear,  // every n-th layer full, linear attention between
  kPeriodicChunk,   // every n-th layer full, chunks of attention between (llama4)
  kPeriodicFull,    // attn_layer_period and attn_layer_offset, states between (jamba)
  kListed,          // all full, whatever window the file names
  kBothInEach,      // attention and a state in each layer (falcon_h1)
  kLetters,         // hybrid_override_pattern; nothing to go by without (nemotron_h)
  kFlags,           // hybrid_layer_pattern, else the first and every n-th layer full (mimo)
  kLinearLists,     // linear_attn_config, else every n-th layer after the first full (kimi)
  kBlocks,          // block_configs, one a layer (nemotron-nas)
};

// What a layer of linear attention, or a state space layer, keeps.
enum class StateKind : uint8_t {
  kNone,
  kGatedDelta,  // convolution of q, k, v; a matrix a value head
  kKda,         // the same with as many key heads as value heads
  kMamba1,      // convolution of the inner channels; numbers a channel
  kMamba2,      // convolution of the inner channels, B and C; a matrix a head
};

// Further traits, or-ed.
enum HeadsTrait : uint32_t {
  kPlain = 0,
  kWindowHeads = 1,  // layers with a window may have heads of their own (swa_*)
  kShortValues = 2,  // v_head_dim counts
  kGlobalHeads = 4,  // layers without a window have heads of their own (global_*), the last one is
                     // without in any case
  kLatent = 8,       // one latent a token (kv_lora_rank, qk_rope_head_dim) for K and V heads
  kIndexKeys = 16,   // sparse_attention_freq: keys of blocks beside K and V
  kDoubleWindowHeads = 32,  // where the file does not say: twice as many in layers with a window
  kSharedRows = 64,         // num_kv_shared_layers counts
  kPeriodInFile = 128,      // sliding_window_pattern, no_rope_layer_interval count
};

struct HeadsClass {
  std::string_view model_type;
  LayerRule rule = LayerRule::kSame;
  uint32_t num_hidden_layers = 0;  // counts for nested files only, see ModelConfig::is_nested
  uint32_t hidden_size = 0;
  uint32_t num_attention_heads = 0;
  uint32_t num_key_value_heads = 0;  // 0: as many as attention heads
  uint32_t head_dim = 0;             // 0: hidden_size / attention heads
  uint32_t window = 0;               // tokens of a window or chunk; 0: none
  uint32_t period = 0;
  // Of models that are published without a type of element; the tensors of all of them have this.
  std::string_view dtype = {};
  StateKind state = StateKind::kNone;
  uint32_t traits = kPlain;
  uint32_t shared_layers = 0;  // as num_kv_shared_layers

  bool has(HeadsTrait trait) const { return (traits & trait) != 0; }
};

std::span<const HeadsClass> heads_classes();
const HeadsClass* find_heads_class(std::string_view model_type);  // nullptr: not known

}  // namespace quire::model
