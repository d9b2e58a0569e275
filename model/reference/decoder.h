// A V4-shaped decoder for a CPU: config, weights, page geometry and the threads that compute. One
// decoder serves many sequences (sequence.h), one computing at a time: the thread team has one
// caller. Everything but the team is immutable after construction.
#pragma once

#include <cstdint>

#include "model/reference/decoder_config.h"
#include "model/reference/kernels.h"
#include "model/reference/kv_geometry.h"
#include "model/reference/rope.h"
#include "model/reference/thread_team.h"
#include "model/reference/weights.h"

namespace quire::reference {

class Decoder {
 public:
  // `config` must pass config_error(); threads >= 1, the caller's included. `kernels` is for tests
  // that compare tables.
  Decoder(const DecoderConfig& config, uint32_t threads, const Kernels& kernels = best_kernels());
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  const DecoderConfig& config() const { return config_; }
  const KvGeometry& geometry() const { return geometry_; }
  const Weights& weights() const { return weights_; }
  const Kernels& kernels() const { return kernels_; }
  const Rope& rope(LayerKind kind) const {
    return kind == LayerKind::kWindow ? window_rope_ : compress_rope_;
  }
  ThreadTeam& team() { return team_; }

 private:
  DecoderConfig config_;
  KvGeometry geometry_;
  Weights weights_;
  const Kernels& kernels_;
  Rope window_rope_;
  Rope compress_rope_;
  ThreadTeam team_;
};

}  // namespace quire::reference
