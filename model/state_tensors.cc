// States of linear attention (gated delta net, Kimi's KDA) and of state space layers (Mamba 1 and
// 2): the last inputs of a convolution, and what the recurrence has come to. Shapes as vLLM's
// MambaStateShapeCalculator and the classes of transformers have them.
#include "model/kv_families.h"

namespace quire::model {

namespace {

// Of one rank.
struct StateShape {
  uint64_t channels = 0;  // of the convolution
  uint64_t numbers = 0;   // of the recurrence
};

Result<Element> recurrent_element(const ModelConfig& config, const LayoutOptions& options) {
  if (options.state == StateFormat::kBf16) return Element{ElementFormat::kBf16, 2};
  if (options.state == StateFormat::kFp16) return Element{ElementFormat::kFp16, 2};
  if (options.state == StateFormat::kFp32) return Element{ElementFormat::kFp32, 4};
  const std::string& dtype = config.mamba_ssm_dtype;
  return element_of("mamba_ssm_dtype", dtype.empty() ? "float32" : dtype);
}

Result<void> check_ranks(std::string_view field, uint64_t count, uint32_t ranks) {
  if (count % ranks == 0) return {};
  return bad_argument("tensor_parallel " + std::to_string(ranks) + " does not divide '" +
                      std::string(field) + "' " + std::to_string(count));
}

Result<StateShape> linear_shape(const ModelConfig& config, uint32_t ranks) {
  QUIRE_TRY(
      require(config, {{"linear_key_head_dim", config.linear_key_head_dim, kMaxDim},
                       {"linear_value_head_dim", config.linear_value_head_dim, kMaxDim},
                       {"linear_num_key_heads", config.linear_num_key_heads, kMaxHeads},
                       {"linear_num_value_heads", config.linear_num_value_heads, kMaxHeads}}));
  QUIRE_TRY(check_ranks("linear_num_key_heads", config.linear_num_key_heads, ranks));
  QUIRE_TRY(check_ranks("linear_num_value_heads", config.linear_num_value_heads, ranks));
  const uint64_t key_heads = config.linear_num_key_heads / ranks;
  const uint64_t value_heads = config.linear_num_value_heads / ranks;
  const uint64_t key_dim = config.linear_key_head_dim;
  const uint64_t value_dim = config.linear_value_head_dim;
  return StateShape{2 * key_heads * key_dim + value_heads * value_dim,  // q, k, v
                    value_heads * key_dim * value_dim};
}

// Channels of a state space layer; kMaxDim * kMaxHeads at most, as heads times head_dim are.
Result<uint64_t> inner_channels(const ModelConfig& config) {
  const MambaSizes& mamba = config.mamba;
  if (mamba.inner != 0) return uint64_t{mamba.inner};
  QUIRE_TRY(require(config, {{"hidden_size", config.hidden_size, kMaxDim},
                             {"mamba_expand", mamba.expand, kMaxHeads}}));
  return uint64_t{mamba.expand} * config.hidden_size;
}

Result<StateShape> mamba1_shape(const ModelConfig& config, uint32_t ranks) {
  const uint64_t inner = QUIRE_TRY(inner_channels(config));
  QUIRE_TRY(require(config, {{"mamba_d_state", config.mamba.state, kMaxDim}}));
  QUIRE_TRY(check_ranks("mamba_expand * hidden_size", inner, ranks));
  return StateShape{inner / ranks, inner / ranks * config.mamba.state};
}

// Of heads, the size of a head and all channels two say the third; where a file says all, they
// agree.
Result<MambaSizes> mamba2_sizes(const ModelConfig& config) {
  MambaSizes mamba = config.mamba;
  QUIRE_TRY(require(config, {{"mamba_n_heads", mamba.heads, kMaxHeads}}));
  const bool has_inner = config.model_type != "nemotron_h";  // whose channels follow from heads
  const uint64_t inner = has_inner || mamba.head_dim == 0 ? QUIRE_TRY(inner_channels(config))
                                                          : uint64_t{mamba.heads} * mamba.head_dim;
  if (mamba.head_dim == 0) mamba.head_dim = static_cast<uint32_t>(inner / mamba.heads);
  QUIRE_TRY(require(config, {{"mamba_d_head", mamba.head_dim, kMaxDim},
                             {"mamba_d_state", mamba.state, kMaxDim},
                             {"mamba_n_groups", mamba.groups, kMaxHeads}}));
  if (uint64_t{mamba.heads} * mamba.head_dim == inner) return mamba;
  return bad_argument("config.json: field 'mamba_n_heads' is " + std::to_string(mamba.heads) +
                      ", of " + std::to_string(mamba.head_dim) + " channels each, but there are " +
                      std::to_string(inner) + " channels");
}

Result<StateShape> mamba2_shape(const ModelConfig& config, uint32_t ranks) {
  const MambaSizes mamba = QUIRE_TRY(mamba2_sizes(config));
  QUIRE_TRY(check_ranks("mamba_n_heads", mamba.heads, ranks));
  // A single group is on every rank.
  if (mamba.groups != 1) QUIRE_TRY(check_ranks("mamba_n_groups", mamba.groups, ranks));
  const uint64_t groups = mamba.groups == 1 ? 1 : mamba.groups / ranks;
  const uint64_t inner = uint64_t{mamba.heads} / ranks * mamba.head_dim;
  return StateShape{inner + 2 * groups * mamba.state, inner * mamba.state};
}

Result<StateShape> state_shape(const ModelConfig& config, StateKind kind, uint32_t ranks) {
  switch (kind) {
    case StateKind::kGatedDelta:
    case StateKind::kKda:
      return linear_shape(config, ranks);
    case StateKind::kMamba1:
      return mamba1_shape(config, ranks);
    case StateKind::kMamba2:
      return mamba2_shape(config, ranks);
    case StateKind::kNone:
      break;
  }
  return bad_argument(
      "config.json: field 'layer_types' has a layer with a state, and model_type '" +
      config.model_type + "' is not known to have one");
}

}  // namespace

Result<std::array<KvTensor, 2>> state_tensors(const ModelConfig& config,
                                              const LayoutOptions& options, StateKind kind) {
  const uint32_t ranks = options.tensor_parallel;
  QUIRE_TRY(require(config, {{"linear_conv_kernel_dim", config.linear_conv_kernel_dim, 64}}));
  const StateShape shape = QUIRE_TRY(state_shape(config, kind, ranks));
  const Element conv = QUIRE_TRY(model_element(config, options, ""));
  const Element recurrent = QUIRE_TRY(recurrent_element(config, options));
  // A convolution over n inputs keeps the n - 1 before the present one, of each channel.
  const uint64_t conv_bytes = shape.channels * (config.linear_conv_kernel_dim - 1) * conv.bytes;
  return std::array<KvTensor, 2>{
      KvTensor{TensorRole::kConvState, 0, conv.format, conv_bytes, 1, 1, ranks},
      KvTensor{TensorRole::kRecurrentState, 0, recurrent.format, shape.numbers * recurrent.bytes, 1,
               1, ranks}};
}

}  // namespace quire::model
