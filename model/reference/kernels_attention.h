// Bodies of the attention and index kernels. Included by each kernels_*.cc (see lanes.h).
#pragma once

#include "model/reference/kernels.h"
#include "model/reference/lanes.h"

namespace quire::reference {
namespace {

constexpr int kHeadGroup = 4;
constexpr int kTileGroup = kParts == 1 ? 2 : 1;     // tiles scored together
constexpr int kChannelGroup = kParts == 1 ? 4 : 1;  // 16-channel vectors summed together
constexpr int kKeyGroup = kParts == 1 ? 4 : 1;      // groups of 16 index keys scored together

// q . k for kHeads heads and kTiles tiles; channels ascending.
template <int kHeads, int kTiles>
QUIRE_LANES_INLINE void score_tiles(const AttendCall& call, size_t head, size_t tile) {
  Lanes sum[kHeads][kTiles];
#pragma GCC unroll 16
  for (int h = 0; h < kHeads; ++h) {
#pragma GCC unroll 16
    for (int t = 0; t < kTiles; ++t) sum[h][t] = splat(0.0f);
  }
  const float* query = call.query + head * call.dims;
  for (size_t d = 0; d < call.dims; ++d) {
    Lanes key[kTiles];
#pragma GCC unroll 16
    for (int t = 0; t < kTiles; ++t) key[t] = load(call.tiles[tile + t].tile + d * kLanes);
#pragma GCC unroll 16
    for (int h = 0; h < kHeads; ++h) {
      const Lanes value = splat(query[h * call.dims + d]);
#pragma GCC unroll 16
      for (int t = 0; t < kTiles; ++t) sum[h][t] = fma(value, key[t], sum[h][t]);
    }
  }
#pragma GCC unroll 16
  for (int h = 0; h < kHeads; ++h) {
#pragma GCC unroll 16
    for (int t = 0; t < kTiles; ++t) {
      store(call.scores + ((head + h) * call.tile_count + tile + t) * kLanes, sum[h][t]);
    }
  }
}

template <int kHeads>
QUIRE_LANES_INLINE void score_head_group(const AttendCall& call, size_t head) {
  size_t tile = 0;
  for (; tile + kTileGroup <= call.tile_count; tile += kTileGroup) {
    score_tiles<kHeads, kTileGroup>(call, head, tile);
  }
  for (; tile < call.tile_count; ++tile) score_tiles<kHeads, 1>(call, head, tile);
}

// Lanes outside a tile's range get no weight.
QUIRE_LANES_INLINE void mask_scores(const AttendCall& call) {
  for (size_t t = 0; t < call.tile_count; ++t) {
    const TileRef& ref = call.tiles[t];
    if (ref.begin == 0 && ref.end == kLanes) continue;
    for (size_t h = 0; h < call.heads; ++h) {
      float* scores = call.scores + (h * call.tile_count + t) * kLanes;
      for (uint32_t i = 0; i < ref.begin; ++i) scores[i] = -__builtin_inff();
      for (uint32_t i = ref.end; i < kLanes; ++i) scores[i] = -__builtin_inff();
    }
  }
}

// Scores of one head to weights that sum, with the sink's, to 1.
QUIRE_LANES_INLINE void softmax_head(const AttendCall& call, size_t head) {
  float* scores = call.scores + head * call.tile_count * kLanes;
  const size_t count = call.tile_count * kLanes;
  Lanes running = splat(call.sinks[head]);
  for (size_t i = 0; i < count; i += kLanes) running = maximum(load(scores + i), running);
  const Lanes largest = splat(largest_of(running));
  Lanes total = splat(0.0f);
  for (size_t i = 0; i < count; i += kLanes) {
    const Lanes weight = exp(subtract(load(scores + i), largest));
    total = add(total, weight);
    store(scores + i, weight);
  }
  float sink[kLanes];
  store(sink, exp(subtract(splat(call.sinks[head]), largest)));
  const Lanes inverse = splat(1.0f / (sum_of(total) + sink[0]));
  for (size_t i = 0; i < count; i += kLanes) store(scores + i, multiply(load(scores + i), inverse));
}

// Weighted sum of rows for kHeads heads and kVectors * 16 channels; rows ascending.
template <int kHeads, int kVectors>
QUIRE_LANES_INLINE void mix_rows(const AttendCall& call, size_t head, size_t channel) {
  Lanes sum[kHeads][kVectors];
#pragma GCC unroll 16
  for (int h = 0; h < kHeads; ++h) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) sum[h][v] = splat(0.0f);
  }
  for (size_t t = 0; t < call.tile_count; ++t) {
    const TileRef& ref = call.tiles[t];
    const float* rows = ref.tile + call.dims * kLanes + channel;
    const float* weights = call.scores + (head * call.tile_count + t) * kLanes;
    for (size_t i = ref.begin; i < ref.end; ++i) {
      Lanes value[kVectors];
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) value[v] = load(rows + i * call.dims + v * kLanes);
#pragma GCC unroll 16
      for (int h = 0; h < kHeads; ++h) {
        const Lanes weight = splat(weights[h * call.tile_count * kLanes + i]);
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) sum[h][v] = fma(weight, value[v], sum[h][v]);
      }
    }
  }
#pragma GCC unroll 16
  for (int h = 0; h < kHeads; ++h) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      store(call.out + (head + h) * call.dims + channel + v * kLanes, sum[h][v]);
    }
  }
}

template <int kHeads>
QUIRE_LANES_INLINE void mix_head_group(const AttendCall& call, size_t head) {
  size_t channel = 0;
  for (; channel + kChannelGroup * kLanes <= call.dims; channel += kChannelGroup * kLanes) {
    mix_rows<kHeads, kChannelGroup>(call, head, channel);
  }
  for (; channel < call.dims; channel += kLanes) mix_rows<kHeads, 1>(call, head, channel);
}

void attend(const AttendCall& call) {
  size_t head = 0;
  for (; head + kHeadGroup <= call.heads; head += kHeadGroup) {
    score_head_group<kHeadGroup>(call, head);
  }
  for (; head < call.heads; ++head) score_head_group<1>(call, head);
  mask_scores(call);
  for (size_t h = 0; h < call.heads; ++h) softmax_head(call, h);
  head = 0;
  for (; head + kHeadGroup <= call.heads; head += kHeadGroup) {
    mix_head_group<kHeadGroup>(call, head);
  }
  for (; head < call.heads; ++head) mix_head_group<1>(call, head);
}

template <int kHeads, int kGroups>
QUIRE_LANES_INLINE void index_heads(const IndexCall& call, size_t head, size_t group,
                                    Lanes (&total)[kGroups]) {
  Lanes sum[kHeads][kGroups];
#pragma GCC unroll 16
  for (int h = 0; h < kHeads; ++h) {
#pragma GCC unroll 16
    for (int g = 0; g < kGroups; ++g) sum[h][g] = splat(0.0f);
  }
  const float* query = call.query + head * call.dims;
  const float* keys = call.keys + group * call.dims * kLanes;
  for (size_t d = 0; d < call.dims; ++d) {
    Lanes key[kGroups];
#pragma GCC unroll 16
    for (int g = 0; g < kGroups; ++g) key[g] = load(keys + (g * call.dims + d) * kLanes);
#pragma GCC unroll 16
    for (int h = 0; h < kHeads; ++h) {
      const Lanes value = splat(query[h * call.dims + d]);
#pragma GCC unroll 16
      for (int g = 0; g < kGroups; ++g) sum[h][g] = fma(value, key[g], sum[h][g]);
    }
  }
#pragma GCC unroll 16
  for (int h = 0; h < kHeads; ++h) {
    const Lanes weight = splat(call.weights[head + h]);
#pragma GCC unroll 16
    for (int g = 0; g < kGroups; ++g) {
      total[g] = fma(weight, maximum(sum[h][g], splat(0.0f)), total[g]);
    }
  }
}

template <int kGroups>
QUIRE_LANES_INLINE void index_groups(const IndexCall& call, size_t group) {
  Lanes total[kGroups];
#pragma GCC unroll 16
  for (int g = 0; g < kGroups; ++g) total[g] = splat(0.0f);
  size_t head = 0;
  for (; head + kHeadGroup <= call.heads; head += kHeadGroup) {
    index_heads<kHeadGroup, kGroups>(call, head, group, total);
  }
  for (; head < call.heads; ++head) index_heads<1, kGroups>(call, head, group, total);
#pragma GCC unroll 16
  for (int g = 0; g < kGroups; ++g) store(call.scores + (group + g) * kLanes, total[g]);
}

void index_scores(const IndexCall& call) {
  size_t group = 0;
  for (; group + kKeyGroup <= call.groups; group += kKeyGroup) index_groups<kKeyGroup>(call, group);
  for (; group < call.groups; ++group) index_groups<1>(call, group);
}

size_t count_at_least(const uint32_t* values, size_t count, uint32_t limit) {
  uint32_t found = 0;
  for (size_t i = 0; i < count; ++i) found += values[i] >= limit ? 1 : 0;
  return found;
}

size_t select_above(const float* scores, size_t count, float threshold, uint32_t* chosen) {
  size_t found = 0;
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    uint32_t bits = above(load(scores + i), threshold);
    for (; bits != 0; bits &= bits - 1) {
      chosen[found++] = static_cast<uint32_t>(i) + static_cast<uint32_t>(__builtin_ctz(bits));
    }
  }
  for (; i < count; ++i) {
    if (scores[i] > threshold) chosen[found++] = static_cast<uint32_t>(i);
  }
  return found;
}

}  // namespace
}  // namespace quire::reference
