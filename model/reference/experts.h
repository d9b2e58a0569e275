// The last part of a layer: one shared expert and the routed ones (arXiv 2606.19348: scores are
// sqrt(softplus(logit)); a bias moves the choice but not the weight; chosen weights are normalised,
// then scaled).
#pragma once

#include <cstdint>
#include <span>

#include "model/reference/step.h"

namespace quire::reference {

struct ExpertChoice {
  uint32_t expert = 0;
  float weight = 0.0f;
};

// Chooses choices.size() experts of logits.size(), ascending; equal scores: lower number wins.
void route_token(std::span<const float> logits, std::span<const float> bias, float scaling,
                 std::span<ExpertChoice> choices);

// Adds the experts' output to the run's hidden rows. A token sums shared expert first, then routed
// experts ascending, whoever shares the run. Threads: different runs at once.
void apply_experts(const LayerWork& work, const TokenRun& run, WorkerScratch* scratch);

}  // namespace quire::reference
