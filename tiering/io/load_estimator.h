// How long a load from the device will take, from what loads have taken: bandwidth and first-byte
// latency as exponential averages (geometric: a guess may be off by powers of ten) of finished
// reads, plus what stands in the queue before it.
// Starts from stated guesses, learns within some 16 reads, and measures its own error. The first
// observations weigh more, as in a plain average that counts the guess once; one that is far off
// counts as 8 times off, so that a single stall does not decide. Threads: core only.
#pragma once

#include <cstdint>

namespace quire::tiering {

struct EstimatorOptions {
  double bytes_per_us = 1000;  // first guess: 1 GB/s
  double latency_us = 200;
  double weight = 1.0 / 16;  // of a new observation
};

class LoadEstimator {
 public:
  explicit LoadEstimator(const EstimatorOptions& options);

  // A read finished alone in an idle queue: its time is latency plus bytes. What it teaches goes to
  // each of the two by its share of the time: a small read is about latency, a large one about
  // bandwidth.
  void observe_idle_read(uint64_t bytes, int64_t took_ns);
  // The device was busy reading for the whole of this interval.
  void observe_busy_interval(uint64_t bytes, int64_t took_ns);

  // Microseconds until `bytes` are there when `queued_bytes` are read before them. 0 bytes: 0.
  uint64_t estimate_us(uint64_t bytes, uint64_t queued_bytes) const;
  // A load that was estimated has finished. Keeps the averages that status shows.
  void judge(uint64_t estimated_us, uint64_t actual_us);

  double bytes_per_us() const { return 1 / us_per_byte_; }
  double latency_us() const { return latency_us_; }
  uint64_t judged_count() const { return judged_count_; }
  // Average of |estimated - actual| / actual over recent loads; 0 before the first.
  double relative_error() const { return relative_error_; }

 private:
  double next_weight(uint64_t& count) const;
  void learn_us_per_byte(double ratio, double weight);

  double us_per_byte_;
  double latency_us_;
  double weight_;
  uint64_t idle_count_ = 0;
  uint64_t busy_count_ = 0;
  uint64_t judged_count_ = 0;
  double relative_error_ = 0;
};

}  // namespace quire::tiering
