#include "model/clock.h"

#include <ctime>

namespace quire::model {

int64_t SystemClock::now_ns() const {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace quire::model
