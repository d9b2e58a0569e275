// A tier that reads nothing: its jobs end some steps after they began, in order, and the bytes of a
// page are whatever lay in its slot. For measuring what stands above a tier, whose time is kept
// apart. Threads: one. Lifetime: the cache outlives it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <vector>

#include "tiering/tier.h"

namespace quire::bench {

class SchedTier final : public tiering::Tier {
 public:
  // Called with the first node of each run that is read.
  explicit SchedTier(std::function<void(model::NodeId)> on_read) : on_read_(std::move(on_read)) {}

  // Spent in read(), since it was asked last.
  double take_own_us() { return std::exchange(own_us_, 0); }

  model::TierId id() const override { return model::TierId::kSsd; }
  std::string_view name() const override { return "sched"; }
  tiering::TierMode mode() const override { return tiering::TierMode::kOk; }
  tiering::TierState state() const override { return {}; }
  tiering::Fitting fits(model::NodeId) override { return {}; }
  tiering::WriteOffer reserve(std::span<const model::NodeId>) override { return {}; }
  void write(tiering::WriteRoom&&, std::span<const model::NodeId>, uint32_t) override {}
  model::Result<uint32_t> read(const tiering::ReadRun& run) override;
  void erase(std::span<const cache::GivenUpCopy>) override {}
  bool step(const tiering::StepHints& hints) override;
  std::vector<tiering::TierEvent>& events() override { return events_; }
  bool submit() override { return false; }
  bool idle() const override { return jobs_.empty(); }
  bool moves_for(model::DomainId) const override { return !jobs_.empty(); }
  int wake_fd() const override { return -1; }
  void forget_segment(const std::byte*) override {}
  tiering::LoadEstimator& estimator() override { return estimator_; }
  uint64_t largest_object_bytes() const override { return 1ull << 30; }
  void describe(model::MetricSink&, tiering::TierSection) const override {}

 private:
  struct Job {
    uint32_t number = 0;
    uint32_t objects = 0;
    uint64_t due_step = 0;
  };
  void give_back_room() override {}

  std::function<void(model::NodeId)> on_read_;
  std::deque<Job> jobs_;
  std::vector<tiering::TierEvent> events_;
  uint64_t step_ = 0;
  double own_us_ = 0;
  tiering::LoadEstimator estimator_{tiering::EstimatorOptions{}};
};

}  // namespace quire::bench
