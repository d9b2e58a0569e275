// The inner loops, one table per instruction set. Law: an output element is computed by one fixed
// sequence of operations that depends on nothing but its own inputs, never on how many rows, tokens
// or threads share the call. That is what makes chunked, threaded and resumed runs bit-identical.
// Within one machine; tables may differ from each other in the last bit.
//
// "Packed": a K x N matrix as N/16 panels, each K rows of 16 columns, N padded to 16 with zeros.
// "Tile": 16 rows of d channels, first transposed [d][16], then as rows [16][d]: 32 * d floats.
// Sizes named n, dims, inner or columns are multiples of 16 unless said otherwise.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quire::reference {

// Rows [begin, end) of a tile, 0 <= begin < end <= 16.
struct TileRef {
  const float* tile = nullptr;
  uint32_t begin = 0;
  uint32_t end = 16;
};

struct GemmCall {
  const float* a = nullptr;  // [rows][inner], rows a_stride floats apart
  size_t a_stride = 0;
  size_t rows = 0;  // any
  const float* packed = nullptr;
  size_t inner = 0;  // any
  size_t columns = 0;
  float* c = nullptr;  // [rows][columns], rows c_stride floats apart; overwritten
  size_t c_stride = 0;
};

// Softmax attention of one token over tiles, K = V, one kv row shared by all heads.
struct AttendCall {
  const float* query = nullptr;  // [heads][dims], softmax scale folded in
  const float* sinks = nullptr;  // [heads] logits that take weight and give nothing
  size_t heads = 0;              // any
  size_t dims = 0;
  const TileRef* tiles = nullptr;
  size_t tile_count = 0;
  float* scores = nullptr;  // scratch, heads * tile_count * 16
  float* out = nullptr;     // [heads][dims]
};

// Index scores of one token: sum over heads of weight * max(0, q . k), heads ascending.
struct IndexCall {
  const float* query = nullptr;    // [heads][dims]
  const float* weights = nullptr;  // [heads]
  size_t heads = 0;                // any
  size_t dims = 0;                 // any
  const float* keys = nullptr;     // groups of 16 keys, each transposed [dims][16]
  size_t groups = 0;
  float* scores = nullptr;  // [groups * 16]
};

// Per channel: softmax over `count` sources of score + bias, applied to kv.
struct PoolSource {
  const float* kv = nullptr;
  const float* score = nullptr;
  const float* bias = nullptr;
};

struct Kernels {
  const char* name;
  // Writes the i < count with scores[i] > threshold to `chosen`, ascending; returns how many.
  size_t (*select_above)(const float* scores, size_t count, float threshold, uint32_t* chosen);
  size_t (*count_at_least)(const uint32_t* values, size_t count, uint32_t limit);
  void (*gemm)(const GemmCall& call);
  void (*attend)(const AttendCall& call);
  void (*index_scores)(const IndexCall& call);
  void (*pool)(const PoolSource* sources, size_t count, size_t n, float* out);
  // out = x / rms(x) * gain; gain null = 1. May run in place.
  void (*rms_norm)(const float* x, const float* gain, size_t n, float* out);
  // out = gate * sigmoid(gate) * up
  void (*silu_multiply)(const float* gate, const float* up, size_t n, float* out);
  // y += scale * x
  void (*add_scaled)(const float* x, float scale, size_t n, float* y);
};

// Fastest table this machine runs. Same answer for the life of the process.
const Kernels& best_kernels();
// Plain vector code, for any machine; also what tests compare the fast tables with.
const Kernels& portable_kernels();

}  // namespace quire::reference
