// The lowest index whose value is at least a given one, in O(log n): a tournament tree of maxima.
// A domain finds a segment with enough room by it. Values start at 0. Core thread only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace quire::allocator {

class MaxTree {
 public:
  uint32_t max() const { return nodes_[1]; }
  uint32_t value(uint32_t index) const { return nodes_[leaf_count_ + index]; }

  // Grows as needed: allocates when `index` passes a power of two.
  void set(uint32_t index, uint32_t value) {
    while (index >= leaf_count_) grow();
    size_t node = leaf_count_ + index;
    nodes_[node] = value;
    while ((node /= 2) >= 1) nodes_[node] = std::max(nodes_[2 * node], nodes_[2 * node + 1]);
  }

  // `minimum` > 0.
  std::optional<uint32_t> find_at_least(uint32_t minimum) const {
    if (max() < minimum) return std::nullopt;
    size_t node = 1;
    while (node < leaf_count_) node = 2 * node + (nodes_[2 * node] >= minimum ? 0 : 1);
    return static_cast<uint32_t>(node - leaf_count_);
  }

 private:
  void grow() {
    MaxTree larger;
    larger.leaf_count_ = 2 * leaf_count_;
    larger.nodes_.assign(2 * larger.leaf_count_, 0);
    for (uint32_t index = 0; index < leaf_count_; ++index) larger.set(index, value(index));
    *this = std::move(larger);
  }

  size_t leaf_count_ = 1;
  std::vector<uint32_t> nodes_ = {0, 0};  // [1] is the root, [leaf_count_ + i] is value i
};

}  // namespace quire::allocator
