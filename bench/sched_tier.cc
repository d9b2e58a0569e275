#include "bench/sched_tier.h"

#include "bench/measure.h"

namespace quire::bench {

namespace {

constexpr uint64_t kStepsOfAJob = 4;

}  // namespace

model::Result<uint32_t> SchedTier::read(const tiering::ReadRun& run) {
  const ThreadStopwatch watch;
  const auto count = static_cast<uint32_t>(run.objects.size());
  jobs_.push_back({run.job, count, step_ + kStepsOfAJob});
  on_read_(run.objects.front().node);
  own_us_ += watch.us();
  return count;
}

bool SchedTier::step(const tiering::StepHints&) {
  ++step_;
  while (!jobs_.empty() && jobs_.front().due_step <= step_) {
    events_.push_back({.kind = tiering::TierEvent::Kind::kRead,
                       .job = jobs_.front().number,
                       .count = jobs_.front().objects});
    jobs_.pop_front();
  }
  return !events_.empty();
}

}  // namespace quire::bench
