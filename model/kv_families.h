// Inside of model/kv_model.cc: one function per family of models, and what they share. Not for
// others.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "model/kv_model.h"

namespace quire::model {

// Bounds keep every product below 2^63: rows of at most 2^28 bytes times 2^20 tokens, recurrent
// states of at most 2^40 bytes, 2^8 layers of either.
inline constexpr uint32_t kMaxModelLayers = 256;
inline constexpr uint32_t kMaxDim = 1 << 14;
inline constexpr uint32_t kMaxHeads = 1 << 10;
inline constexpr uint32_t kMaxWindowTokens = 1 << 20;

struct ConfigField {
  std::string_view name;
  uint32_t value;
  uint32_t limit;
};

struct Element {
  ElementFormat format;
  uint64_t bytes;
};

struct Row {
  ElementFormat format;
  uint64_t bytes;
};

Error bad_argument(std::string text);  // kInvalidArgument
// Every field is present and within its limit.
Result<void> require(const ModelConfig& config, std::initializer_list<ConfigField> fields);
Result<void> require_layers(const ModelConfig& config);
// An element by the name config.json gives its type; `field` is named in errors.
Result<Element> element_of(std::string_view field, const std::string& dtype);
KvTensor window_tensor(uint32_t layer, Row row, uint32_t window_tokens, uint32_t shard_count);

Result<KvModel> v4_model(const ModelConfig& config, const LayoutOptions& options);
Result<KvModel> v4_1_model(const ModelConfig& config, const LayoutOptions& options);
// Multi-head latent attention: one latent a token, the same on all ranks. V3.2 adds an indexer.
Result<KvModel> mla_model(const ModelConfig& config, const LayoutOptions& options);
// Grouped-query attention, with windows or linear attention on some layers. No replay: nothing
// published says that a rebuilt window or state equals the original.
Result<KvModel> heads_model(const ModelConfig& config, const LayoutOptions& options);

}  // namespace quire::model
