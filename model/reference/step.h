// What a step shares between its parts. A step is a run of tokens inside one block, computed layer
// by layer; its tokens are cut into runs of at most 32 at multiples of 32 of their position, so
// that no two runs touch the same row tile.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "model/reference/append_pages.h"
#include "model/reference/compressor_state.h"
#include "model/reference/decoder.h"
#include "model/reference/index_keys.h"
#include "model/reference/top_k.h"
#include "model/reference/window_ring.h"

namespace quire::reference {

inline constexpr uint32_t kRunTokens = 32;

// Tokens [begin, end), positions in the sequence.
struct TokenRun {
  uint32_t begin = 0;
  uint32_t end = 0;
  uint32_t count() const { return end - begin; }
};

// What one layer of one sequence remembers besides append pages. Absent where its kind needs none.
struct LayerCache {
  LayerCache(const DecoderConfig& config, LayerKind kind);

  WindowRing window;
  std::optional<CompressorState> compressor;
  std::optional<CompressorState> index_compressor;
  std::optional<IndexKeys> index_keys;
};

// Activations of a step's tokens. Row i belongs to token start + i. Threads: a run's rows belong to
// whoever computes the run.
struct StepBuffers {
  explicit StepBuffers(const DecoderConfig& config);

  uint32_t index_of(uint32_t position) const { return position - start; }
  uint32_t run_count() const { return (end - 1) / kRunTokens - start / kRunTokens + 1; }
  TokenRun run(uint32_t number) const;

  uint32_t start = 0;
  uint32_t end = 0;
  std::span<const uint32_t> tokens;
  std::vector<float> hidden;           // [token][hidden]: the residual stream
  std::vector<float> query;            // [token][heads][head_dims], rotated and scaled
  std::vector<float> index_query;      // [token][index_heads][index_dim], rotated
  std::vector<float> index_weights;    // [token][index_heads padded to 16]
  std::vector<float> window_angles;    // [token][rope_dims]
  std::vector<float> compress_angles;  // [token][rope_dims]
};

// One worker's private buffers, for a run of 32 tokens.
struct WorkerScratch {
  explicit WorkerScratch(const DecoderConfig& config);

  std::vector<float> norm;       // [32][hidden]
  std::vector<float> latent;     // [32][query_rank]
  std::vector<float> kv;         // [32][head_dims]
  std::vector<float> attended;   // [32][heads][head_dims]
  std::vector<float> projected;  // [32][hidden]

  std::vector<TileRef> tiles;
  std::vector<float> scores;        // attention, then index
  std::vector<float> chosen_tiles;  // CSA rows of one token
  std::vector<float> hca_tiles;     // HCA rows of the run
  std::vector<TopK> top_k;          // [32]

  std::vector<float> router;     // [32][experts padded to 16]
  std::vector<float> gathered;   // [32][hidden]
  std::vector<float> gate_up;    // [32][2 * expert_dim]
  std::vector<float> activated;  // [32][expert_dim]
};

// One layer at work on one step of one sequence.
struct LayerWork {
  const Decoder& decoder;
  uint32_t layer;
  LayerCache& cache;
  const AppendPages& pages;
  StepBuffers& step;

  const DecoderConfig& config() const { return decoder.config(); }
  LayerKind kind() const { return config().layers[layer]; }
  const LayerWeights& weights() const { return decoder.weights().layers[layer]; }
  // Angles of the layer's RoPE at a token of the step.
  const float* angles(uint32_t position) const;
};

}  // namespace quire::reference
