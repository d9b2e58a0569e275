// Which conversations a group of ghosts sees: one in 2^n, whole ones, never single blocks. Whether
// one is in the sample the hash of its anchor says, so that the answer is always the same, and what
// is in a smaller sample was in the larger one.
#pragma once

#include <cstdint>

namespace quire::cache {

class SampleRule {
 public:
  static constexpr uint32_t kParts = 8;

  explicit SampleRule(uint32_t halvings = 0) : halvings_(halvings) {}

  bool is_sampled(uint32_t hash) const { return hash >> kPartBits < threshold(); }
  // One of kParts sub-samples, by which errors are told.
  static uint32_t part_of(uint32_t hash) { return hash & (kParts - 1); }
  double rate() const { return 1.0 / static_cast<double>(1u << halvings_); }
  // False: the sample is as small as it gets.
  bool halve() {
    if (halvings_ == kMostHalvings) return false;
    ++halvings_;
    return true;
  }

 private:
  static constexpr uint32_t kPartBits = 3;
  static constexpr uint32_t kMostHalvings = 16;
  uint32_t threshold() const { return 1u << (32 - kPartBits - halvings_); }

  uint32_t halvings_;
};

}  // namespace quire::cache
