#include "model/reference/decoder.h"

#include "model/check.h"

namespace quire::reference {
namespace {

const DecoderConfig& checked(const DecoderConfig& config) {
  QUIRE_CHECK(!config_error(config).has_value());
  return config;
}

}  // namespace

Decoder::Decoder(const DecoderConfig& config, uint32_t threads, const Kernels& kernels)
    : config_(checked(config)),
      geometry_(config_),
      weights_(generate_weights(config_)),
      kernels_(kernels),
      window_rope_(config_.rope_dims, config_.window_rope_theta),
      compress_rope_(config_.rope_dims, config_.compress_rope_theta),
      team_(threads) {}

}  // namespace quire::reference
