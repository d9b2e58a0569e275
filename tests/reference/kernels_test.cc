#include "model/reference/kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "model/reference/kernels_tables.h"
#include "model/reference/packed_matrix.h"
#include "tests/reference/decoder_fixture.h"

namespace quire::reference::kernels_test {
namespace {

std::vector<float> noise(size_t count, uint64_t seed) {
  std::vector<float> out(count);
  for (float& value : out) {
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    value = static_cast<float>(static_cast<int32_t>(seed >> 32)) * 0x1p-31f;
  }
  return out;
}

std::vector<const Kernels*> tables() {
  std::vector<const Kernels*> out = {&portable_kernels()};
  if (&best_kernels() != out[0]) out.push_back(&best_kernels());
  return out;
}

TEST(Kernels, GemmMatchesPlainLoops) {
  constexpr uint32_t kRows = 13, kInner = 37, kColumns = 50;
  const std::vector<float> a = noise(kRows * kInner, 1);
  const std::vector<float> b = noise(kInner * kColumns, 2);
  const PackedMatrix packed = pack_matrix(b, kInner, kColumns);
  for (const Kernels* kernels : tables()) {
    std::vector<float> c(size_t{kRows} * packed.columns);
    multiply(*kernels, a.data(), kRows, packed, c.data());
    for (uint32_t r = 0; r < kRows; ++r) {
      for (uint32_t n = 0; n < kColumns; ++n) {
        double sum = 0;
        for (uint32_t k = 0; k < kInner; ++k)
          sum += double{a[r * kInner + k]} * b[k * kColumns + n];
        ASSERT_NEAR(c[r * packed.columns + n], sum, 1e-5) << kernels->name;
      }
    }
  }
}

TEST(Kernels, GemmRowsDoNotDependOnTheirNumber) {
  constexpr uint32_t kRows = 23, kInner = 64, kColumns = 80;
  const std::vector<float> a = noise(kRows * kInner, 3);
  const PackedMatrix packed = pack_matrix(noise(kInner * kColumns, 4), kInner, kColumns);
  for (const Kernels* kernels : tables()) {
    std::vector<float> whole(kRows * kColumns);
    multiply(*kernels, a.data(), kRows, packed, whole.data());
    std::vector<float> single(kRows * kColumns);
    for (uint32_t r = 0; r < kRows; ++r) {
      multiply(*kernels, a.data() + r * kInner, 1, packed, single.data() + r * kColumns);
    }
    EXPECT_TRUE(same_bits(whole, single)) << kernels->name;
  }
}

TEST(Kernels, IndexScoresMatchPlainLoops) {
  constexpr uint32_t kHeads = 5, kDims = 32, kGroups = 7;
  const std::vector<float> query = noise(kHeads * kDims, 5);
  const std::vector<float> weights = noise(kHeads, 6);
  const std::vector<float> keys = noise(kGroups * 16 * kDims, 7);
  for (const Kernels* kernels : tables()) {
    std::vector<float> scores(kGroups * 16);
    kernels->index_scores(
        {query.data(), weights.data(), kHeads, kDims, keys.data(), kGroups, scores.data()});
    for (uint32_t key = 0; key < kGroups * 16; ++key) {
      double total = 0;
      for (uint32_t h = 0; h < kHeads; ++h) {
        double dot = 0;
        for (uint32_t d = 0; d < kDims; ++d) {
          dot += double{query[h * kDims + d]} * keys[(key / 16 * kDims + d) * 16 + key % 16];
        }
        total += weights[h] * std::max(dot, 0.0);
      }
      ASSERT_NEAR(scores[key], total, 1e-5) << kernels->name;
    }
  }
}

TEST(Kernels, PoolIsASoftmaxPerChannel) {
  constexpr uint32_t kCount = 8, kDims = 32;
  const std::vector<float> kv = noise(kCount * kDims, 8);
  const std::vector<float> score = noise(kCount * kDims, 9);
  const std::vector<float> bias = noise(kCount * kDims, 10);
  std::vector<PoolSource> sources;
  for (uint32_t i = 0; i < kCount; ++i) {
    sources.push_back({&kv[i * kDims], &score[i * kDims], &bias[i * kDims]});
  }
  for (const Kernels* kernels : tables()) {
    std::vector<float> out(kDims);
    kernels->pool(sources.data(), kCount, kDims, out.data());
    for (uint32_t d = 0; d < kDims; ++d) {
      double total = 0, weighted = 0;
      for (uint32_t i = 0; i < kCount; ++i) {
        const double weight = std::exp(double{score[i * kDims + d]} + bias[i * kDims + d]);
        total += weight;
        weighted += weight * kv[i * kDims + d];
      }
      ASSERT_NEAR(out[d], weighted / total, 1e-6) << kernels->name;
    }
  }
}

TEST(Kernels, ExponentialIsAccurateThroughSilu) {
  constexpr uint32_t kCount = 4096;
  std::vector<float> gate(kCount), up(kCount, 1.0f), out(kCount);
  for (uint32_t i = 0; i < kCount; ++i) gate[i] = (static_cast<float>(i) - 2048.0f) / 24.0f;
  for (const Kernels* kernels : tables()) {
    kernels->silu_multiply(gate.data(), up.data(), kCount, out.data());
    for (uint32_t i = 0; i < kCount; ++i) {
      const double expected = gate[i] / (1.0 + std::exp(-double{gate[i]}));
      ASSERT_NEAR(out[i], expected, 1e-6 + 1e-6 * std::fabs(expected)) << gate[i];
    }
  }
}

TEST(Kernels, SelectAboveIsStrictAndIgnoresNan) {
  std::vector<float> scores = noise(100, 11);
  scores[3] = 0.25f;
  scores[99] = std::numeric_limits<float>::quiet_NaN();
  std::vector<uint32_t> expected;
  for (uint32_t i = 0; i < 100; ++i) {
    if (scores[i] > 0.25f) expected.push_back(i);
  }
  for (const Kernels* kernels : tables()) {
    std::vector<uint32_t> chosen(100);
    chosen.resize(kernels->select_above(scores.data(), 100, 0.25f, chosen.data()));
    EXPECT_EQ(chosen, expected) << kernels->name;
  }
}

TEST(Kernels, BothFmaTablesGiveTheSameLogits) {
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("fma")) {
    GTEST_SKIP() << "needs AVX-512";
  }
  std::vector<std::vector<float>> logits;
  for (const Kernels* kernels : {&kAvx2Kernels, &kAvx512Kernels}) {
    Decoder decoder(tiny_config(), 1, *kernels);
    HeapPageSink sink;
    Sequence sequence(decoder, sink);
    logits.push_back(sequence.prefill(make_text(300)).logits);
  }
  EXPECT_TRUE(same_bits(logits[0], logits[1]));
#else
  GTEST_SKIP() << "x86-64 only";
#endif
}

TEST(Kernels, PortableTableAgreesNumerically) {
  std::vector<std::vector<float>> logits;
  for (const Kernels* kernels : {&portable_kernels(), &best_kernels()}) {
    Decoder decoder(one_layer_config(LayerKind::kHca), 1, *kernels);
    HeapPageSink sink;
    Sequence sequence(decoder, sink);
    logits.push_back(sequence.prefill(make_text(140)).logits);
  }
  for (size_t i = 0; i < logits[0].size(); ++i) EXPECT_NEAR(logits[0][i], logits[1][i], 0.05);
}

}  // namespace
}  // namespace quire::reference::kernels_test
