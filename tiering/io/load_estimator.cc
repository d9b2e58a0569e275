#include "tiering/io/load_estimator.h"

#include <algorithm>
#include <cmath>

namespace quire::tiering {
namespace {

constexpr double kFarOff = 8;
// Outside of these no device is; inside, everything stays finite.
constexpr double kLeastUsPerByte = 1e-7;  // 10 TB/s
constexpr double kMostUsPerByte = 1;      // 1 MB/s
constexpr double kLeastLatencyUs = 0.1;
constexpr double kMostLatencyUs = 60e6;
constexpr double kMostUs = 1e18;

double us_of(int64_t ns) { return static_cast<double>(ns) / 1000; }

// Observed to expected.
double ratio_of(double observed, double expected) {
  return std::clamp(observed / expected, 1 / kFarOff, kFarOff);
}

}  // namespace

LoadEstimator::LoadEstimator(const EstimatorOptions& options)
    : us_per_byte_(std::clamp(1 / options.bytes_per_us, kLeastUsPerByte, kMostUsPerByte)),
      latency_us_(std::clamp(options.latency_us, kLeastLatencyUs, kMostLatencyUs)),
      weight_(std::clamp(options.weight, 0.0, 1.0)) {}

double LoadEstimator::next_weight(uint64_t& count) const {
  ++count;
  return std::max(weight_, 1 / static_cast<double>(count + 1));
}

void LoadEstimator::learn_us_per_byte(double ratio, double weight) {
  us_per_byte_ *= std::pow(ratio, weight);
  us_per_byte_ = std::clamp(us_per_byte_, kLeastUsPerByte, kMostUsPerByte);
}

void LoadEstimator::observe_idle_read(uint64_t bytes, int64_t took_ns) {
  if (bytes == 0 || took_ns <= 0) return;
  const double expected = latency_us_ + static_cast<double>(bytes) * us_per_byte_;
  const double latency_share = latency_us_ / expected;
  const double ratio = ratio_of(us_of(took_ns), expected);
  const double weight = next_weight(idle_count_);
  learn_us_per_byte(ratio, weight * (1 - latency_share));
  latency_us_ *= std::pow(ratio, weight * latency_share);
  latency_us_ = std::clamp(latency_us_, kLeastLatencyUs, kMostLatencyUs);
}

void LoadEstimator::observe_busy_interval(uint64_t bytes, int64_t took_ns) {
  if (bytes == 0 || took_ns <= 0) return;
  const double expected = static_cast<double>(bytes) * us_per_byte_;
  learn_us_per_byte(ratio_of(us_of(took_ns), expected), next_weight(busy_count_));
}

uint64_t LoadEstimator::estimate_us(uint64_t bytes, uint64_t queued_bytes) const {
  if (bytes == 0) return 0;
  const double all_bytes = static_cast<double>(bytes) + static_cast<double>(queued_bytes);
  return static_cast<uint64_t>(
      std::min(std::ceil(latency_us_ + all_bytes * us_per_byte_), kMostUs));
}

void LoadEstimator::judge(uint64_t estimated_us, uint64_t actual_us) {
  const double actual = static_cast<double>(std::max<uint64_t>(actual_us, 1));
  const double error = std::abs(static_cast<double>(estimated_us) - actual) / actual;
  ++judged_count_;
  const double weight = std::max(weight_, 1 / static_cast<double>(judged_count_));
  relative_error_ += weight * (error - relative_error_);
}

}  // namespace quire::tiering
