// Tells the estimator how fast the device reads for loads: what came while it read without a pause
// is bandwidth, what came alone in a moment is latency as well. Threads: core only. Lifetime:
// estimator and clock outlive it.
#pragma once

#include <cstdint>

#include "model/clock.h"
#include "tiering/io/load_estimator.h"

namespace quire::tiering {

class ReadPace {
 public:
  ReadPace(LoadEstimator* estimator, const model::Clock* clock)
      : estimator_(estimator), clock_(clock) {}

  void begun();
  // One that had begun; `plain_bytes`: what a load has of it, for estimates are asked for those.
  void ended(uint64_t plain_bytes);

 private:
  LoadEstimator* estimator_;
  const model::Clock* clock_;
  uint64_t in_flight_ = 0;
  int64_t busy_since_ns_ = 0;  // in flight without a pause since then
  uint64_t busy_bytes_ = 0;    // ended since then
};

}  // namespace quire::tiering
