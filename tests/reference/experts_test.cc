#include "model/reference/experts.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "tests/reference/decoder_fixture.h"

namespace quire::reference::experts_test {
namespace {

double affinity(double logit) { return std::sqrt(std::log1p(std::exp(logit))); }

TEST(Experts, RoutesToTheHighestAndNormalises) {
  const std::array<float, 5> logits = {0.5f, -2.0f, 3.0f, 1.0f, 0.0f};
  const std::array<float, 5> bias = {};
  std::array<ExpertChoice, 2> choices;
  route_token(logits, bias, 1.5f, choices);

  EXPECT_EQ(choices[0].expert, 2u);
  EXPECT_EQ(choices[1].expert, 3u);
  const double total = affinity(3.0) + affinity(1.0);
  EXPECT_NEAR(choices[0].weight, 1.5 * affinity(3.0) / total, 1e-6);
  EXPECT_NEAR(choices[0].weight + choices[1].weight, 1.5, 1e-6);
}

TEST(Experts, BiasMovesTheChoiceButNotTheWeight) {
  const std::array<float, 3> logits = {1.0f, 0.0f, 2.0f};
  const std::array<float, 3> bias = {0.0f, 9.0f, 0.0f};
  std::array<ExpertChoice, 2> choices;
  route_token(logits, bias, 1.0f, choices);

  EXPECT_EQ(choices[0].expert, 1u);
  EXPECT_EQ(choices[1].expert, 2u);
  EXPECT_NEAR(choices[0].weight, affinity(0.0) / (affinity(0.0) + affinity(2.0)), 1e-6);
}

TEST(Experts, EqualScoresChooseTheLowerNumber) {
  const std::array<float, 8> logits = {};
  const std::array<float, 8> bias = {};
  std::array<ExpertChoice, 6> choices;
  route_token(logits, bias, 1.0f, choices);
  for (uint32_t i = 0; i < 6; ++i) EXPECT_EQ(choices[i].expert, i);
}

TEST(Experts, NanLogitsStillGiveDistinctExperts) {
  std::array<float, 8> logits;
  logits.fill(std::nanf(""));
  const std::array<float, 8> bias = {};
  std::array<ExpertChoice, 6> choices;
  route_token(logits, bias, 1.0f, choices);
  for (uint32_t i = 1; i < 6; ++i) EXPECT_LT(choices[i - 1].expert, choices[i].expert);
}

std::vector<double> naive_multiply(const std::vector<double>& in, const PackedMatrix& matrix) {
  std::vector<double> out(matrix.columns, 0.0);
  for (uint32_t n = 0; n < matrix.columns; ++n) {
    for (uint32_t k = 0; k < matrix.inner; ++k) {
      out[n] += in[k] * matrix.panels[(size_t{n / 16} * matrix.inner + k) * 16 + n % 16];
    }
  }
  return out;
}

std::vector<double> naive_expert(const std::vector<double>& in, const ExpertWeights& expert) {
  const std::vector<double> gate_up = naive_multiply(in, expert.gate_up);
  const size_t dim = gate_up.size() / 2;
  std::vector<double> activated(dim);
  for (size_t i = 0; i < dim; ++i) {
    activated[i] = gate_up[i] / (1.0 + std::exp(-gate_up[i])) * gate_up[dim + i];
  }
  return naive_multiply(activated, expert.down);
}

std::vector<double> naive_norm(const float* x, const std::vector<float>& gain) {
  double squares = 0;
  for (size_t i = 0; i < gain.size(); ++i) squares += double{x[i]} * x[i];
  const double scale = 1.0 / std::sqrt(squares / static_cast<double>(gain.size()) + 1e-6);
  std::vector<double> out(gain.size());
  for (size_t i = 0; i < gain.size(); ++i) out[i] = x[i] * scale * gain[i];
  return out;
}

TEST(Experts, OutputMatchesPlainLoops) {
  const Decoder decoder(one_layer_config(LayerKind::kWindow), 1);
  const DecoderConfig& config = decoder.config();
  LayerCache cache(config, LayerKind::kWindow);
  AppendPages pages(0);
  StepBuffers step(config);
  WorkerScratch scratch(config);
  step.end = 9;
  for (size_t i = 0; i < step.hidden.size(); ++i) step.hidden[i] = std::sin(float(i) * 1.3f);
  const std::vector<float> before = step.hidden;
  const LayerWork work{decoder, 0, cache, pages, step};

  apply_experts(work, {0, 9}, &scratch);

  const LayerWeights& weights = decoder.weights().layers[0];
  for (uint32_t token = 0; token < 9; ++token) {
    const float* x = before.data() + token * config.hidden;
    const std::vector<double> norm = naive_norm(x, weights.expert_norm);
    const std::vector<double> logits = naive_multiply(norm, weights.router);
    const std::vector<float> narrow(logits.begin(), logits.begin() + config.experts);
    std::vector<ExpertChoice> choices(config.experts_active);
    route_token(narrow, weights.router_bias, config.routed_scaling, choices);
    std::vector<double> expected = naive_expert(norm, weights.shared_expert);
    for (const ExpertChoice& choice : choices) {
      const std::vector<double> out = naive_expert(norm, weights.experts[choice.expert]);
      for (size_t i = 0; i < expected.size(); ++i) expected[i] += choice.weight * out[i];
    }
    for (uint32_t i = 0; i < config.hidden; ++i) {
      EXPECT_NEAR(step.hidden[token * config.hidden + i], x[i] + expected[i], 1e-4);
    }
  }
}

}  // namespace
}  // namespace quire::reference::experts_test
