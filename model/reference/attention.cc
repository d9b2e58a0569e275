#include "model/reference/attention.h"

#include <algorithm>

namespace quire::reference {
namespace {

constexpr uint32_t kIndexSlice = 256;  // keys scored for all tokens of a run while they are in L1

// Decodes row `index` of a layer's compressed rows, counted from token 0, into a tile slot.
void decode_compressed(const LayerWork& work, uint32_t index, uint32_t slot, float* tile) {
  const Section& section = work.decoder.geometry().main_section(work.layer);
  const std::byte* page = work.pages.page(index / section.rows);
  decode_into_tile(section, index % section.rows, page, slot, tile);
}

void prefetch_compressed(const LayerWork& work, uint32_t index) {
  const Section& section = work.decoder.geometry().main_section(work.layer);
  prefetch_row(section, index % section.rows, work.pages.page(index / section.rows));
}

// HCA: the run's tokens share the rows, so each is decoded once a run.
void decode_hca_rows(const LayerWork& work, const TokenRun& run, WorkerScratch* scratch) {
  const uint32_t rows = run.end / work.config().hca_ratio;
  const size_t floats = tile_floats(work.config().head_dims());
  const size_t needed = (rows + kTileRows - 1) / kTileRows * floats;
  if (scratch->hca_tiles.size() < needed) scratch->hca_tiles.resize(needed);
  for (uint32_t row = 0; row < rows; ++row) {
    float* tile = scratch->hca_tiles.data() + row / kTileRows * floats;
    decode_compressed(work, row, row % kTileRows, tile);
  }
}

// The indexer: feeds every token's TopK with the scores of the CSA rows it sees. Tokens that see no
// more than index_top_k rows take them all and are not scored.
void choose_csa_rows(const LayerWork& work, const TokenRun& run, WorkerScratch* scratch) {
  const DecoderConfig& config = work.config();
  const size_t query_row = size_t{config.index_heads} * config.index_dim;
  const size_t weights_row = work.weights().index_weights.columns;
  const uint32_t most_rows = run.end / config.csa_ratio;
  if (most_rows <= config.index_top_k) return;
  if (scratch->scores.size() < kIndexSlice) scratch->scores.resize(kIndexSlice);
  for (uint32_t i = 0; i < run.count(); ++i) scratch->top_k[i].reset(config.index_top_k);
  for (uint32_t first = 0; first < most_rows; first += kIndexSlice) {
    for (uint32_t position = run.begin; position < run.end; ++position) {
      const uint32_t visible = (position + 1) / config.csa_ratio;
      if (visible <= config.index_top_k || visible <= first) continue;
      const uint32_t count = std::min(visible - first, kIndexSlice);
      const size_t index = work.step.index_of(position);
      work.decoder.kernels().index_scores(
          {.query = work.step.index_query.data() + index * query_row,
           .weights = work.step.index_weights.data() + index * weights_row,
           .heads = config.index_heads,
           .dims = config.index_dim,
           .keys = work.cache.index_keys->from(first),
           .groups = (count + 15) / 16,
           .scores = scratch->scores.data()});
      scratch->top_k[position - run.begin].feed(work.decoder.kernels(), scratch->scores.data(),
                                                count, first);
    }
  }
}

void append_whole_tiles(const float* tiles, uint32_t rows, size_t floats,
                        std::vector<TileRef>* out) {
  for (uint32_t row = 0; row < rows; row += kTileRows) {
    out->push_back({.tile = tiles + row / kTileRows * floats,
                    .begin = 0,
                    .end = std::min(kTileRows, rows - row)});
  }
}

void append_csa_tiles(const LayerWork& work, uint32_t position, TopK* top_k,
                      WorkerScratch* scratch) {
  const DecoderConfig& config = work.config();
  const uint32_t visible = (position + 1) / config.csa_ratio;
  const size_t floats = tile_floats(config.head_dims());
  const bool all = visible <= config.index_top_k;
  const uint32_t* chosen = all ? nullptr : top_k->finish(work.decoder.kernels()).data();
  const uint32_t count = std::min(visible, config.index_top_k);
  for (uint32_t i = 0; i < count; ++i) prefetch_compressed(work, all ? i : chosen[i]);
  for (uint32_t i = 0; i < count; ++i) {
    float* tile = scratch->chosen_tiles.data() + i / kTileRows * floats;
    decode_compressed(work, all ? i : chosen[i], i % kTileRows, tile);
  }
  append_whole_tiles(scratch->chosen_tiles.data(), count, floats, &scratch->tiles);
}

void attend_token(const LayerWork& work, const TokenRun& run, uint32_t position,
                  WorkerScratch* scratch) {
  const DecoderConfig& config = work.config();
  const uint32_t i = position - run.begin;
  scratch->tiles.clear();
  work.cache.window.append_tiles(position, &scratch->tiles);
  if (work.kind() == LayerKind::kCsa) {
    append_csa_tiles(work, position, &scratch->top_k[i], scratch);
  }
  if (work.kind() == LayerKind::kHca) {
    append_whole_tiles(scratch->hca_tiles.data(), (position + 1) / config.hca_ratio,
                       tile_floats(config.head_dims()), &scratch->tiles);
  }
  const size_t scores = size_t{config.heads} * scratch->tiles.size() * kTileRows;
  if (scratch->scores.size() < scores) scratch->scores.resize(scores);
  const size_t row = size_t{config.heads} * config.head_dims();
  float* out = scratch->attended.data() + i * row;
  work.decoder.kernels().attend(
      {.query = work.step.query.data() + work.step.index_of(position) * row,
       .sinks = work.weights().sinks.data(),
       .heads = config.heads,
       .dims = config.head_dims(),
       .tiles = scratch->tiles.data(),
       .tile_count = scratch->tiles.size(),
       .scores = scratch->scores.data(),
       .out = out});
  for (uint32_t head = 0; head < config.heads; ++head) {
    Rope::rotate_back(work.angles(position), config.rope_dims,
                      out + size_t{head} * config.head_dims() + config.nope_dims);
  }
}

}  // namespace

void attend_run(const LayerWork& work, const TokenRun& run, WorkerScratch* scratch) {
  const Kernels& kernels = work.decoder.kernels();
  const uint32_t hidden = work.config().hidden;
  if (work.kind() == LayerKind::kHca) decode_hca_rows(work, run, scratch);
  if (work.kind() == LayerKind::kCsa) choose_csa_rows(work, run, scratch);
  for (uint32_t position = run.begin; position < run.end; ++position) {
    attend_token(work, run, position, scratch);
  }
  multiply(kernels, scratch->attended.data(), run.count(), work.weights().output,
           scratch->projected.data());
  kernels.add_scaled(scratch->projected.data(), 1.0f, size_t{run.count()} * hidden,
                     work.step.hidden.data() + size_t{work.step.index_of(run.begin)} * hidden);
}

}  // namespace quire::reference
