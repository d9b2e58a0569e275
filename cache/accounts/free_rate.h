// How fast bytes came free lately: of the last kSamples times that some did, within kWindowNs.
// Threads: core only. No allocation.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace quire::cache {

class FreeRate {
 public:
  static constexpr size_t kSamples = 32;
  static constexpr double kMostMs = 1e12;                // thirty years are no estimate
  static constexpr int64_t kWindowNs = 600'000'000'000;  // older ones say nothing of now

  void add(int64_t now_ns, uint64_t bytes) {
    samples_[next_ % kSamples] = {now_ns, bytes};
    ++next_;
  }
  // When so much will have come free, if it goes on as it did; nullopt: too little is known.
  std::optional<uint64_t> ms_for(uint64_t bytes, int64_t now_ns) const {
    uint64_t freed = 0;
    int64_t oldest_ns = now_ns;
    size_t count = 0;
    for (const Sample& sample : samples_) {
      if (sample.bytes == 0 || now_ns - sample.at_ns > kWindowNs) continue;
      freed += sample.bytes;
      if (sample.at_ns < oldest_ns) oldest_ns = sample.at_ns;
      ++count;
    }
    // One alone tells no rate.
    if (count < 2 || oldest_ns == now_ns) return std::nullopt;
    const double ns = static_cast<double>(now_ns - oldest_ns);
    const double ms = static_cast<double>(bytes) / static_cast<double>(freed) * ns / 1e6;
    if (ms > kMostMs) return std::nullopt;
    return static_cast<uint64_t>(ms);
  }

 private:
  struct Sample {
    int64_t at_ns = 0;
    uint64_t bytes = 0;  // 0: none was taken
  };
  std::array<Sample, kSamples> samples_{};
  size_t next_ = 0;
};

}  // namespace quire::cache
