#include "model/reference/projection.h"

#include <algorithm>
#include <cmath>

namespace quire::reference {
namespace {

constexpr uint32_t kEntriesPerItem = 16;

void project_queries(const LayerWork& work, const TokenRun& run, WorkerScratch* scratch) {
  const DecoderConfig& config = work.config();
  const Kernels& kernels = work.decoder.kernels();
  const uint32_t dims = config.head_dims();
  const size_t row = size_t{config.heads} * dims;
  float* query = work.step.query.data() + work.step.index_of(run.begin) * row;
  multiply(kernels, scratch->latent.data(), run.count(), work.weights().query_up, query);
  const float scale = 1.0f / std::sqrt(static_cast<float>(dims));
  for (uint32_t position = run.begin; position < run.end; ++position) {
    for (uint32_t head = 0; head < config.heads; ++head, query += dims) {
      kernels.rms_norm(query, nullptr, dims, query);
      Rope::rotate(work.angles(position), config.rope_dims, query + config.nope_dims);
      for (uint32_t d = 0; d < dims; ++d) query[d] *= scale;
    }
  }
}

void project_index(const LayerWork& work, const TokenRun& run, WorkerScratch* scratch) {
  const DecoderConfig& config = work.config();
  const Kernels& kernels = work.decoder.kernels();
  const LayerWeights& weights = work.weights();
  const size_t index = work.step.index_of(run.begin);
  const size_t row = weights.index_query.columns;
  float* query = work.step.index_query.data() + index * row;
  multiply(kernels, scratch->latent.data(), run.count(), weights.index_query, query);
  for (uint32_t position = run.begin; position < run.end; ++position) {
    for (uint32_t head = 0; head < config.index_heads; ++head, query += config.index_dim) {
      Rope::rotate(work.angles(position), config.rope_dims,
                   query + config.index_dim - config.rope_dims);
    }
  }
  multiply(kernels, scratch->norm.data(), run.count(), weights.index_weights,
           work.step.index_weights.data() + index * weights.index_weights.columns);
}

void store_window_rows(const LayerWork& work, const TokenRun& run, WorkerScratch* scratch) {
  const DecoderConfig& config = work.config();
  const Kernels& kernels = work.decoder.kernels();
  multiply(kernels, scratch->norm.data(), run.count(), work.weights().kv, scratch->kv.data());
  float* kv = scratch->kv.data();
  for (uint32_t position = run.begin; position < run.end; ++position, kv += config.head_dims()) {
    kernels.rms_norm(kv, work.weights().kv_norm.data(), config.head_dims(), kv);
    Rope::rotate(work.angles(position), config.rope_dims, kv + config.nope_dims);
    work.cache.window.store(position, kv);
  }
}

// Pools entry `block` and rotates it to the position of the block's first token.
void make_entry(const LayerWork& work, const CompressorState& state,
                const CompressorWeights& weights, uint32_t block, std::vector<float>* entry) {
  const Rope& rope = work.decoder.rope(work.kind());
  state.pool_entry(work.decoder.kernels(), weights, block, entry->data());
  std::vector<float> angles(rope.dims());
  rope.angles(block * state.ratio(), angles.data());
  Rope::rotate(angles.data(), rope.dims(), entry->data() + entry->size() - rope.dims());
}

}  // namespace

void embed_run(const Decoder& decoder, const TokenRun& run, StepBuffers* step) {
  const DecoderConfig& config = decoder.config();
  for (uint32_t position = run.begin; position < run.end; ++position) {
    const size_t index = step->index_of(position);
    const float* from =
        decoder.weights().embedding.data() + size_t{step->tokens[index]} * config.hidden;
    std::copy_n(from, config.hidden, step->hidden.data() + index * config.hidden);
    const size_t angle = index * config.rope_dims;
    decoder.rope(LayerKind::kWindow).angles(position, step->window_angles.data() + angle);
    decoder.rope(LayerKind::kCsa).angles(position, step->compress_angles.data() + angle);
  }
}

void project_run(const LayerWork& work, const TokenRun& run, WorkerScratch* scratch) {
  const DecoderConfig& config = work.config();
  const Kernels& kernels = work.decoder.kernels();
  const LayerWeights& weights = work.weights();
  const float* hidden =
      work.step.hidden.data() + size_t{work.step.index_of(run.begin)} * config.hidden;
  for (uint32_t i = 0; i < run.count(); ++i) {
    kernels.rms_norm(hidden + size_t{i} * config.hidden, weights.attention_norm.data(),
                     config.hidden, scratch->norm.data() + size_t{i} * config.hidden);
  }
  multiply(kernels, scratch->norm.data(), run.count(), weights.query_down, scratch->latent.data());
  for (uint32_t i = 0; i < run.count(); ++i) {
    float* latent = scratch->latent.data() + size_t{i} * config.query_rank;
    kernels.rms_norm(latent, weights.query_norm.data(), config.query_rank, latent);
  }
  project_queries(work, run, scratch);
  store_window_rows(work, run, scratch);
  if (work.kind() == LayerKind::kWindow) return;
  multiply(kernels, scratch->norm.data(), run.count(), weights.compressor.project,
           work.cache.compressor->projections(run.begin));
  if (work.kind() != LayerKind::kCsa) return;
  multiply(kernels, scratch->norm.data(), run.count(), weights.index_compressor.project,
           work.cache.index_compressor->projections(run.begin));
  project_index(work, run, scratch);
}

uint32_t compress_item_count(const LayerWork& work) {
  if (!work.cache.compressor) return 0;
  const uint32_t ratio = work.cache.compressor->ratio();
  const uint32_t entries = work.step.end / ratio - work.step.start / ratio;
  return (entries + kEntriesPerItem - 1) / kEntriesPerItem;
}

void compress_item(const LayerWork& work, uint32_t item, std::byte* open_page) {
  const DecoderConfig& config = work.config();
  const KvGeometry& geometry = work.decoder.geometry();
  const LayerWeights& weights = work.weights();
  const uint32_t ratio = work.cache.compressor->ratio();
  const uint32_t rows_per_page = config.block_tokens / ratio;
  const uint32_t first = work.step.start / ratio + item * kEntriesPerItem;
  const uint32_t last = std::min(first + kEntriesPerItem, work.step.end / ratio);
  std::vector<float> entry(config.head_dims());
  std::vector<float> key(config.index_dim);
  for (uint32_t block = first; block < last; ++block) {
    const uint32_t row = block % rows_per_page;
    make_entry(work, *work.cache.compressor, weights.compressor, block, &entry);
    encode_row(geometry.main_section(work.layer), row, entry.data(), open_page);
    if (work.kind() != LayerKind::kCsa) continue;
    make_entry(work, *work.cache.index_compressor, weights.index_compressor, block, &key);
    encode_row(geometry.index_section(work.layer), row, key.data(), open_page);
    work.cache.index_keys->put(block, geometry.index_section(work.layer), row, open_page);
  }
}

}  // namespace quire::reference
