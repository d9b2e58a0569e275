// Inside of model/kv_model.cc: one function per family of models, and what they share. Not for
// others.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "model/heads_classes.h"
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
// The 16-bit (or wider) element of a model's own tensors. `otherwise`: where the file does not say.
Result<Element> model_element(const ModelConfig& config, const LayoutOptions& options,
                              std::string_view otherwise);
// How many layers options.draft_layers adds: 0 without it. An error where the file names none.
Result<uint32_t> draft_layer_count(const ModelConfig& config, const LayoutOptions& options);
KvTensor window_tensor(uint32_t layer, Row row, uint32_t window_tokens, uint32_t shard_count);

Result<KvModel> v4_model(const ModelConfig& config, const LayoutOptions& options);
Result<KvModel> v4_1_model(const ModelConfig& config, const LayoutOptions& options);
// Key of a sparse indexer, whose dimension is config.index_head_dim.
Row indexer_row(const ModelConfig& config, IndexerFormat format);
// Multi-head latent attention: one latent a token, the same on all ranks. The sparse kind (V3.2,
// GLM-5) adds an indexer and has FP8 rows of another shape.
Result<KvModel> dense_mla_model(const ModelConfig& config, const LayoutOptions& options);
Result<KvModel> sparse_mla_model(const ModelConfig& config, const LayoutOptions& options);
// A latent and its positions for one token, without quantisation and in FP8 with one scale for all.
Result<Row> latent_row(const ModelConfig& config, const LayoutOptions& options);

// What a layer keeps. Names are those of Hugging Face's layer_types; kHybrid: rows and a state.
enum class LayerKind : uint8_t { kFull, kSliding, kChunked, kLinear, kHybrid, kNothing };
// One a layer, draft layers behind them. Wants a file with the defaults of its class.
Result<std::vector<LayerKind>> layer_kinds(const ModelConfig& config, const LayoutOptions& options,
                                           const HeadsClass& defaults);
// Convolution and recurrence of one layer with a state.
Result<std::array<KvTensor, 2>> state_tensors(const ModelConfig& config,
                                              const LayoutOptions& options, StateKind kind);
// Grouped-query attention, with windows or linear attention on some layers. No replay: nothing
// published says that a rebuilt window or state equals the original.
Result<KvModel> heads_model(const ModelConfig& config, const LayoutOptions& options);

}  // namespace quire::model
