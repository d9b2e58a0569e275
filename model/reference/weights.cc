#include "model/reference/weights.h"

#include <cmath>

namespace quire::reference {
namespace {

// SplitMix64 (Steele, Lea, Flood 2014): portable, unlike the distributions of <random>.
class Source {
 public:
  explicit Source(uint64_t seed) : state_(seed) {}

  // Uniform in [-1, 1), 24 bits: exact in a float.
  float next() {
    state_ += 0x9e3779b97f4a7c15ull;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    z ^= z >> 31;
    return static_cast<float>(static_cast<int32_t>(z >> 39) - (1 << 24)) * 0x1p-24f;
  }

  std::vector<float> values(size_t count, float middle, float reach) {
    std::vector<float> out(count);
    for (float& value : out) value = middle + reach * next();
    return out;
  }

  // Unit variance in, unit variance out.
  PackedMatrix matrix(uint32_t inner, uint32_t columns, float gain = 1.0f) {
    const float reach = gain * std::sqrt(3.0f / static_cast<float>(inner));
    return pack_matrix(values(size_t{inner} * columns, 0.0f, reach), inner, columns);
  }

  std::vector<float> norm(uint32_t dims) { return values(dims, 1.0f, 0.25f); }

 private:
  uint64_t state_;
};

CompressorWeights make_compressor(Source& source, const DecoderConfig& config, uint32_t dims,
                                  uint32_t ratio, uint32_t halves) {
  CompressorWeights out;
  out.project = source.matrix(config.hidden, 2 * halves * dims);
  out.position_bias = source.values(size_t{halves} * ratio * dims, 0.0f, 1.0f);
  out.norm = source.norm(dims);
  return out;
}

ExpertWeights make_expert(Source& source, const DecoderConfig& config) {
  ExpertWeights out;
  out.gate_up = source.matrix(config.hidden, 2 * config.expert_dim);
  out.down = source.matrix(config.expert_dim, config.hidden);
  return out;
}

void make_compression(Source& source, const DecoderConfig& config, LayerKind kind,
                      LayerWeights* out) {
  if (kind == LayerKind::kHca) {
    out->compressor = make_compressor(source, config, config.head_dims(), config.hca_ratio, 1);
  }
  if (kind != LayerKind::kCsa) return;
  out->compressor = make_compressor(source, config, config.head_dims(), config.csa_ratio, 2);
  out->index_compressor = make_compressor(source, config, config.index_dim, config.csa_ratio, 2);
  out->index_query = source.matrix(config.query_rank, config.index_heads * config.index_dim);
  out->index_weights = source.matrix(config.hidden, config.index_heads);
}

LayerWeights make_layer(Source& source, const DecoderConfig& config, LayerKind kind) {
  const uint32_t query_dims = config.heads * config.head_dims();
  LayerWeights out;
  out.attention_norm = source.norm(config.hidden);
  out.query_down = source.matrix(config.hidden, config.query_rank);
  out.query_norm = source.norm(config.query_rank);
  out.query_up = source.matrix(config.query_rank, query_dims);
  out.kv = source.matrix(config.hidden, config.head_dims());
  out.kv_norm = source.norm(config.head_dims());
  out.sinks = source.values(config.heads, 0.0f, 1.0f);
  out.output = source.matrix(query_dims, config.hidden, 2.0f);
  make_compression(source, config, kind, &out);
  out.expert_norm = source.norm(config.hidden);
  out.router = source.matrix(config.hidden, config.experts);
  out.router_bias = source.values(config.experts, 0.0f, 0.1f);
  for (uint32_t e = 0; e < config.experts; ++e) out.experts.push_back(make_expert(source, config));
  out.shared_expert = make_expert(source, config);
  return out;
}

}  // namespace

Weights generate_weights(const DecoderConfig& config) {
  Source source(config.seed);
  Weights out;
  out.embedding = source.values(size_t{config.vocab} * config.hidden, 0.0f, std::sqrt(3.0f));
  for (LayerKind kind : config.layers) out.layers.push_back(make_layer(source, config, kind));
  out.final_norm = source.norm(config.hidden);
  out.logits = source.matrix(config.hidden, config.vocab);
  return out;
}

}  // namespace quire::reference
