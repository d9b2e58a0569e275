#include "model/reference/top_k.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>

namespace quire::reference::top_k_test {
namespace {

std::vector<uint32_t> choose(const std::vector<float>& scores, uint32_t k, uint32_t slice) {
  TopK top_k;
  top_k.reset(k);
  for (uint32_t at = 0; at < scores.size(); at += slice) {
    const uint32_t count = std::min<uint32_t>(slice, static_cast<uint32_t>(scores.size()) - at);
    top_k.feed(best_kernels(), scores.data() + at, count, at);
  }
  return top_k.finish(best_kernels());
}

// The slow truth: sort everything.
std::vector<uint32_t> sorted_choice(const std::vector<float>& scores, uint32_t k) {
  std::vector<uint32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return scores[a] > scores[b]; });
  order.resize(std::min<size_t>(k, order.size()));
  std::sort(order.begin(), order.end());
  return order;
}

// Few distinct values: many ties.
std::vector<float> coarse_scores(size_t count, uint32_t distinct) {
  std::vector<float> scores(count);
  uint64_t state = 5;
  for (float& score : scores) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    score = static_cast<float>((state >> 40) % distinct) - static_cast<float>(distinct / 2);
  }
  return scores;
}

TEST(TopK, MatchesASortWhateverTheSlices) {
  for (uint32_t distinct : {3u, 50u, 1000000u}) {
    const std::vector<float> scores = coarse_scores(5000, distinct);
    for (uint32_t k : {1u, 7u, 64u}) {
      const std::vector<uint32_t> expected = sorted_choice(scores, k);
      for (uint32_t slice : {1u, 100u, 1024u, 5000u}) {
        EXPECT_EQ(choose(scores, k, slice), expected) << distinct << " " << k << " " << slice;
      }
    }
  }
}

TEST(TopK, EqualScoresKeepTheLowerIndex) {
  EXPECT_EQ(choose(std::vector<float>(500, 2.5f), 3, 64), (std::vector<uint32_t>{0, 1, 2}));
  EXPECT_EQ(choose({-0.0f, 0.0f, -0.0f}, 2, 3), (std::vector<uint32_t>{0, 1}));
}

TEST(TopK, AscendingScoresKeepTheLast) {
  std::vector<float> scores(3000);
  std::iota(scores.begin(), scores.end(), -1500.0f);
  EXPECT_EQ(choose(scores, 2, 512), (std::vector<uint32_t>{2998, 2999}));
}

TEST(TopK, FewerThanKAreAllChosen) {
  EXPECT_EQ(choose({1.0f, 3.0f, 2.0f}, 8, 2), (std::vector<uint32_t>{0, 1, 2}));
}

TEST(TopK, NanRanksLast) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(choose({nan, 1.0f, nan, -5.0f, nan}, 2, 5), (std::vector<uint32_t>{1, 3}));
}

}  // namespace
}  // namespace quire::reference::top_k_test
