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

  bool has_linear_layers() const { return rule == LayerRule::kPeriodicLinear; }
};

std::span<const HeadsClass> heads_classes();
const HeadsClass* find_heads_class(std::string_view model_type);  // nullptr: not known

}  // namespace quire::model
