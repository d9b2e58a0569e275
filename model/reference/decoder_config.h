// Dimensions of the reference decoder. The shape is DeepSeek-V4's (arXiv 2606.19348): window-only,
// CSA and HCA layers, shared-latent attention, routed experts. The defaults are small enough for
// two CPU cores; V4's own dimensions are valid and give V4's own page bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace quire::reference {

enum class LayerKind : uint8_t {
  kWindow,  // sliding window only
  kCsa,     // + one row per csa_ratio tokens, chosen by the indexer
  kHca,     // + one row per hca_ratio tokens, all of them read
};

enum class IndexFormat : uint8_t {
  kFp4,  // E2M1 with a UE8M0 scale per 32: 68 bytes at dim 128
  kFp8,  // E4M3 with one FP32 scale: 132 bytes at dim 128
};

// Two window layers, then CSA and HCA in turn, as V4-Flash: 6 layers.
std::vector<LayerKind> default_layers();

inline constexpr uint32_t kMaxIndexDim = 4096;  // 32 times V4's; bounds a stack buffer

struct DecoderConfig {
  std::vector<LayerKind> layers = default_layers();

  uint32_t vocab = 260;  // 256 bytes + 4 specials
  uint32_t hidden = 128;
  uint32_t query_rank = 64;  // latent that query heads and index heads are projected from
  uint32_t heads = 4;
  uint32_t nope_dims = 64;  // FP8 part of a row
  uint32_t rope_dims = 16;  // BF16 part of a row, last

  uint32_t window_tokens = 128;
  uint32_t csa_ratio = 4;
  uint32_t hca_ratio = 128;     // also the unit: resume points are its multiples
  uint32_t block_tokens = 256;  // tokens of one append page

  uint32_t index_heads = 4;
  uint32_t index_dim = 32;
  uint32_t index_top_k = 64;
  IndexFormat index_format = IndexFormat::kFp4;

  uint32_t experts = 16;
  uint32_t experts_active = 6;
  uint32_t expert_dim = 32;
  float routed_scaling = 1.5f;

  float window_rope_theta = 10000.0f;     // window-only layers
  float compress_rope_theta = 160000.0f;  // CSA and HCA layers
  uint64_t seed = 1;                      // of the weights

  uint32_t head_dims() const { return nope_dims + rope_dims; }
};

// Nothing if the decoder can be built; else a text naming the field and the rule broken.
std::optional<std::string> config_error(const DecoderConfig& config);

}  // namespace quire::reference
