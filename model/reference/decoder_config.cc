#include "model/reference/decoder_config.h"

#include <array>

namespace quire::reference {
namespace {

struct Rule {
  bool holds;
  const char* text;
};

bool is_multiple(uint32_t value, uint32_t of) { return value != 0 && of != 0 && value % of == 0; }

template <size_t N>
std::optional<std::string> first_broken(const std::array<Rule, N>& rules) {
  for (const Rule& rule : rules) {
    if (!rule.holds) return std::string(rule.text);
  }
  return std::nullopt;
}

// 16 = lanes of the kernels; 64 and 32 = scale groups of the row formats.
std::optional<std::string> dims_error(const DecoderConfig& c) {
  return first_broken(std::array{
      Rule{!c.layers.empty() && c.layers.size() <= 1024, "layers: 1 to 1024 are needed"},
      Rule{c.vocab >= 1 && c.vocab <= 1 << 20, "vocab: must be 1 to 2^20"},
      Rule{is_multiple(c.hidden, 16) && c.hidden <= 1 << 16, "hidden: multiple of 16, <= 65536"},
      Rule{is_multiple(c.query_rank, 16) && c.query_rank <= 1 << 16,
           "query_rank: multiple of 16, <= 65536"},
      Rule{c.heads >= 1 && c.heads <= 1024, "heads: must be 1 to 1024"},
      Rule{is_multiple(c.nope_dims, 64) && c.nope_dims <= 4096,
           "nope_dims: multiple of 64, <= 4096"},
      Rule{is_multiple(c.rope_dims, 16) && c.rope_dims <= 4096,
           "rope_dims: multiple of 16, <= 4096"},
      Rule{c.index_heads >= 1 && c.index_heads <= 1024, "index_heads: must be 1 to 1024"},
      Rule{is_multiple(c.index_dim, 32) && c.index_dim <= kMaxIndexDim,
           "index_dim: multiple of 32, <= 4096"},
      Rule{c.index_dim >= c.rope_dims, "index_dim: must hold rope_dims"},
      Rule{c.index_top_k >= 1 && c.index_top_k <= 1 << 16, "index_top_k: must be 1 to 65536"},
  });
}

std::optional<std::string> spans_error(const DecoderConfig& c) {
  return first_broken(std::array{
      Rule{c.csa_ratio >= 1 && c.csa_ratio <= 1 << 16, "csa_ratio: must be 1 to 65536"},
      Rule{is_multiple(c.hca_ratio, c.csa_ratio), "hca_ratio: must be a multiple of csa_ratio"},
      Rule{is_multiple(c.hca_ratio, 32), "hca_ratio: must be a multiple of 32"},
      Rule{is_multiple(c.block_tokens, c.hca_ratio) && c.block_tokens <= 1 << 16,
           "block_tokens: multiple of hca_ratio, <= 65536"},
      Rule{is_multiple(c.block_tokens, 16 * c.csa_ratio),
           "block_tokens: must hold a multiple of 16 CSA rows"},
      Rule{is_multiple(c.window_tokens, 16) && c.window_tokens <= 1 << 16,
           "window_tokens: multiple of 16, <= 65536"},
  });
}

std::optional<std::string> expert_error(const DecoderConfig& c) {
  return first_broken(std::array{
      Rule{c.experts >= 1 && c.experts <= 4096, "experts: must be 1 to 4096"},
      Rule{c.experts_active >= 1 && c.experts_active <= c.experts,
           "experts_active: must be 1 to experts"},
      Rule{is_multiple(c.expert_dim, 16) && c.expert_dim <= 1 << 16,
           "expert_dim: multiple of 16, <= 65536"},
      Rule{c.routed_scaling > 0.0f && c.routed_scaling < 1e3f, "routed_scaling: must be 0 to 1000"},
      Rule{c.window_rope_theta > 1.0f && c.window_rope_theta < 1e9f,
           "window_rope_theta: must be 1 to 1e9"},
      Rule{c.compress_rope_theta > 1.0f && c.compress_rope_theta < 1e9f,
           "compress_rope_theta: must be 1 to 1e9"},
  });
}

}  // namespace

std::vector<LayerKind> default_layers() {
  using enum LayerKind;
  return {kWindow, kWindow, kCsa, kHca, kCsa, kHca};
}

std::optional<std::string> config_error(const DecoderConfig& config) {
  if (auto error = dims_error(config)) return error;
  if (auto error = spans_error(config)) return error;
  return expert_error(config);
}

}  // namespace quire::reference
