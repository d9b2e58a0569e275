// Weights drawn from a seed: the same config gives the same bits on every machine, so two processes
// need only agree on the config. Roles follow arXiv 2606.19348; left out because no cached byte
// depends on them: mHC residual streams, hash routing, multi-token prediction, grouped output.
// Immutable after generation; threads: any.
#pragma once

#include <cstdint>
#include <vector>

#include "model/reference/decoder_config.h"
#include "model/reference/packed_matrix.h"

namespace quire::reference {

// One compressor: `halves` = 2 with overlap (CSA, indexer), 1 without (HCA).
struct CompressorWeights {
  PackedMatrix project;              // hidden -> kv[halves][dims] | score[halves][dims]
  std::vector<float> position_bias;  // [halves][ratio][dims], added to scores
  std::vector<float> norm;           // [dims]
};

struct ExpertWeights {
  PackedMatrix gate_up;  // hidden -> gate | up
  PackedMatrix down;     // expert_dim -> hidden
};

struct LayerWeights {
  std::vector<float> attention_norm;  // [hidden]
  PackedMatrix query_down;            // hidden -> query_rank
  std::vector<float> query_norm;      // [query_rank]
  PackedMatrix query_up;              // query_rank -> heads x head_dims
  PackedMatrix kv;                    // hidden -> head_dims
  std::vector<float> kv_norm;         // [head_dims]
  std::vector<float> sinks;           // [heads]
  PackedMatrix output;                // heads x head_dims -> hidden

  CompressorWeights compressor;        // CSA, HCA
  CompressorWeights index_compressor;  // CSA
  PackedMatrix index_query;            // CSA: query_rank -> index_heads x index_dim
  PackedMatrix index_weights;          // CSA: hidden -> index_heads

  std::vector<float> expert_norm;  // [hidden]
  PackedMatrix router;             // hidden -> experts
  std::vector<float> router_bias;  // [experts], for the choice only
  std::vector<ExpertWeights> experts;
  ExpertWeights shared_expert;
};

struct Weights {
  std::vector<float> embedding;  // [vocab][hidden]
  std::vector<LayerWeights> layers;
  std::vector<float> final_norm;  // [hidden]
  PackedMatrix logits;            // hidden -> vocab
};

// `config` must be valid.
Weights generate_weights(const DecoderConfig& config);

}  // namespace quire::reference
