#include "model/reference/step.h"

#include <algorithm>

namespace quire::reference {
namespace {

constexpr size_t padded(size_t columns) { return (columns + 15) / 16 * 16; }

}  // namespace

LayerCache::LayerCache(const DecoderConfig& config, LayerKind kind) : window(config) {
  if (kind == LayerKind::kHca) {
    compressor.emplace(CompressorState::Shape{config.head_dims(), config.hca_ratio, 1},
                       config.block_tokens);
  }
  if (kind != LayerKind::kCsa) return;
  compressor.emplace(CompressorState::Shape{config.head_dims(), config.csa_ratio, 2},
                     config.block_tokens);
  index_compressor.emplace(CompressorState::Shape{config.index_dim, config.csa_ratio, 2},
                           config.block_tokens);
  index_keys.emplace(config.index_dim);
}

StepBuffers::StepBuffers(const DecoderConfig& config)
    : hidden(size_t{config.block_tokens} * config.hidden),
      query(size_t{config.block_tokens} * config.heads * config.head_dims()),
      index_query(size_t{config.block_tokens} * config.index_heads * config.index_dim),
      index_weights(config.block_tokens * padded(config.index_heads)),
      window_angles(size_t{config.block_tokens} * config.rope_dims),
      compress_angles(size_t{config.block_tokens} * config.rope_dims) {}

TokenRun StepBuffers::run(uint32_t number) const {
  const uint32_t border = (start / kRunTokens + number) * kRunTokens;
  return {std::max(start, border), std::min(end, border + kRunTokens)};
}

WorkerScratch::WorkerScratch(const DecoderConfig& config)
    : norm(size_t{kRunTokens} * config.hidden),
      latent(size_t{kRunTokens} * config.query_rank),
      kv(size_t{kRunTokens} * config.head_dims()),
      attended(size_t{kRunTokens} * config.heads * config.head_dims()),
      projected(size_t{kRunTokens} * config.hidden),
      chosen_tiles(padded(config.index_top_k) / kTileRows * tile_floats(config.head_dims())),
      top_k(kRunTokens),
      router(kRunTokens * padded(config.experts)),
      gathered(size_t{kRunTokens} * config.hidden),
      gate_up(size_t{kRunTokens} * 2 * config.expert_dim),
      activated(size_t{kRunTokens} * config.expert_dim) {}

const float* LayerWork::angles(uint32_t position) const {
  const std::vector<float>& all =
      kind() == LayerKind::kWindow ? step.window_angles : step.compress_angles;
  return all.data() + size_t{step.index_of(position)} * config().rope_dims;
}

}  // namespace quire::reference
