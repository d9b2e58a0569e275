#include "model/reference/experts.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace quire::reference {
namespace {

float affinity(float logit) {
  const float softplus = std::max(logit, 0.0f) + std::log1p(std::exp(-std::fabs(logit)));
  return std::sqrt(softplus);
}

// scratch->projected[rows][hidden] = expert(in[rows][hidden])
void run_expert(const LayerWork& work, const ExpertWeights& expert, const float* in, uint32_t rows,
                WorkerScratch* scratch) {
  const Kernels& kernels = work.decoder.kernels();
  const uint32_t dim = work.config().expert_dim;
  multiply(kernels, in, rows, expert.gate_up, scratch->gate_up.data());
  for (uint32_t i = 0; i < rows; ++i) {
    const float* gate = scratch->gate_up.data() + size_t{i} * 2 * dim;
    kernels.silu_multiply(gate, gate + dim, dim, scratch->activated.data() + size_t{i} * dim);
  }
  multiply(kernels, scratch->activated.data(), rows, expert.down, scratch->projected.data());
}

// Weight of each of the run's tokens for one expert; rows and weights of those that chose it.
struct ExpertLoad {
  uint32_t count = 0;
  std::array<uint32_t, kRunTokens> token;
  std::array<float, kRunTokens> weight;
};

// Lists, per expert, the tokens that chose it, in token order.
std::vector<ExpertLoad> route_run(const LayerWork& work, const TokenRun& run,
                                  WorkerScratch* scratch) {
  const DecoderConfig& config = work.config();
  const LayerWeights& weights = work.weights();
  multiply(work.decoder.kernels(), scratch->norm.data(), run.count(), weights.router,
           scratch->router.data());
  std::vector<ExpertLoad> loads(config.experts);
  std::vector<ExpertChoice> choices(config.experts_active);
  for (uint32_t i = 0; i < run.count(); ++i) {
    const float* logits = scratch->router.data() + size_t{i} * weights.router.columns;
    route_token({logits, config.experts}, weights.router_bias, config.routed_scaling, choices);
    for (const ExpertChoice& choice : choices) {
      ExpertLoad& load = loads[choice.expert];
      load.token[load.count] = i;
      load.weight[load.count] = choice.weight;
      ++load.count;
    }
  }
  return loads;
}

}  // namespace

void route_token(std::span<const float> logits, std::span<const float> bias, float scaling,
                 std::span<ExpertChoice> choices) {
  std::vector<float> score(logits.size());
  std::vector<bool> taken(logits.size(), false);
  for (size_t e = 0; e < logits.size(); ++e) score[e] = affinity(logits[e]);
  for (ExpertChoice& choice : choices) {
    size_t best = static_cast<size_t>(std::find(taken.begin(), taken.end(), false) - taken.begin());
    for (size_t e = best + 1; e < score.size(); ++e) {
      if (!taken[e] && score[e] + bias[e] > score[best] + bias[best]) best = e;
    }
    taken[best] = true;
    choice = {static_cast<uint32_t>(best), score[best]};
  }
  std::sort(choices.begin(), choices.end(),
            [](const ExpertChoice& a, const ExpertChoice& b) { return a.expert < b.expert; });
  float total = 1e-20f;
  for (const ExpertChoice& choice : choices) total += choice.weight;
  for (ExpertChoice& choice : choices) choice.weight = choice.weight / total * scaling;
}

void apply_experts(const LayerWork& work, const TokenRun& run, WorkerScratch* scratch) {
  const Kernels& kernels = work.decoder.kernels();
  const size_t hidden = work.config().hidden;
  float* residual = work.step.hidden.data() + work.step.index_of(run.begin) * hidden;
  for (uint32_t i = 0; i < run.count(); ++i) {
    kernels.rms_norm(residual + i * hidden, work.weights().expert_norm.data(), hidden,
                     scratch->norm.data() + i * hidden);
  }
  run_expert(work, work.weights().shared_expert, scratch->norm.data(), run.count(), scratch);
  kernels.add_scaled(scratch->projected.data(), 1.0f, run.count() * hidden, residual);
  const std::vector<ExpertLoad> loads = route_run(work, run, scratch);
  for (size_t e = 0; e < loads.size(); ++e) {
    const ExpertLoad& load = loads[e];
    for (uint32_t i = 0; i < load.count; ++i) {
      std::copy_n(scratch->norm.data() + load.token[i] * hidden, hidden,
                  scratch->gathered.data() + i * hidden);
    }
    run_expert(work, work.weights().experts[e], scratch->gathered.data(), load.count, scratch);
    for (uint32_t i = 0; i < load.count; ++i) {
      kernels.add_scaled(scratch->projected.data() + i * hidden, load.weight[i], hidden,
                         residual + load.token[i] * hidden);
    }
  }
}

}  // namespace quire::reference
