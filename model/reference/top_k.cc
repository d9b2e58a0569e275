#include "model/reference/top_k.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>

namespace quire::reference {
namespace {

constexpr uint32_t kSlice = 256;  // scores judged by one threshold
constexpr size_t kSlack = 4;      // candidates are cut back to k at kSlack * k

constexpr uint32_t kSignBit = 0x80000000u;

// An integer that sorts like the score. -0 ranks as +0.
uint32_t rank_of(float score) {
  if (score != score) [[unlikely]] {
    score = -std::numeric_limits<float>::infinity();
  }
  const uint32_t bits = std::bit_cast<uint32_t>(score + 0.0f);
  return (bits & kSignBit) != 0 ? ~bits : bits | kSignBit;
}

float score_of(uint32_t rank) {
  return std::bit_cast<float>((rank & kSignBit) != 0 ? rank & ~kSignBit : ~rank);
}

}  // namespace

void TopK::reset(uint32_t k) {
  k_ = k;
  full_ = false;
  ranks_.clear();
  indices_.clear();
  ranks_.reserve(kSlack * k + kSlice);
  indices_.reserve(kSlack * k + kSlice);
}

// A later score must be strictly above the k-th best: at a tie the earlier index stays.
void TopK::feed(const Kernels& kernels, const float* scores, uint32_t count, uint32_t first_index) {
  uint32_t i = 0;
  for (; !full_ && i < count; ++i) {
    ranks_.push_back(rank_of(scores[i]));
    indices_.push_back(first_index + i);
    if (ranks_.size() == k_) keep_best(kernels);
  }
  std::array<uint32_t, kSlice> chosen;
  for (; i < count; i += kSlice) {
    const uint32_t slice = std::min(kSlice, count - i);
    const size_t found = kernels.select_above(scores + i, slice, threshold_, chosen.data());
    const size_t base = ranks_.size();
    ranks_.resize(base + found);
    indices_.resize(base + found);
    for (size_t c = 0; c < found; ++c) {
      ranks_[base + c] = rank_of(scores[i + chosen[c]]);
      indices_[base + c] = first_index + i + chosen[c];
    }
    if (ranks_.size() >= kSlack * k_) keep_best(kernels);
  }
}

// Finds the k-th best rank bit by bit (counting has no branches to mispredict, unlike a
// partition), then keeps what is above it and the earliest of what equals it, in order.
void TopK::keep_best(const Kernels& kernels) {
  if (ranks_.size() < k_) return;
  uint32_t kth = 0;
  for (uint32_t bit = kSignBit; bit != 0; bit >>= 1) {
    if (kernels.count_at_least(ranks_.data(), ranks_.size(), kth | bit) >= k_) kth |= bit;
  }
  const size_t above = kernels.count_at_least(ranks_.data(), ranks_.size(), kth + 1);
  uint32_t equals = k_ - static_cast<uint32_t>(above);  // still wanted
  size_t kept = 0;
  for (size_t i = 0; i < ranks_.size(); ++i) {
    const uint32_t rank = ranks_[i];
    const uint32_t takes_equal = static_cast<uint32_t>(rank == kth) & (equals > 0 ? 1u : 0u);
    ranks_[kept] = rank;
    indices_[kept] = indices_[i];
    equals -= takes_equal;
    kept += static_cast<uint32_t>(rank > kth) | takes_equal;
  }
  ranks_.resize(k_);
  indices_.resize(k_);
  threshold_ = score_of(kth);
  full_ = true;
}

const std::vector<uint32_t>& TopK::finish(const Kernels& kernels) {
  keep_best(kernels);
  return indices_;
}

}  // namespace quire::reference
