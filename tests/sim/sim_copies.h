// Copy workers without a thread: a task that was submitted is worked on at some later poll(), all
// at once, in an order that the seed decides; those of one client in the order they came, as every
// CopyEngine keeps it. So a client can die, or a fill be aborted, before its bytes were read.
#pragma once

#include <cstddef>
#include <deque>
#include <span>

#include "tests/sim/sim_world.h"
#include "tiering/io/copy_engine.h"

namespace quire::tests {

class SimCopies final : public tiering::CopyEngine {
 public:
  // `random` outlives it. Bound: `queue_entries` tasks submitted and not yet returned.
  SimCopies(SimRandom* random, size_t queue_entries)
      : random_(random), queue_entries_(queue_entries) {}

  bool submit(tiering::CopyTask* task) override;
  size_t poll(std::span<tiering::CopyTask*> done) override;
  size_t in_flight() const override { return waiting_.size(); }
  // Every poll() finishes all that it has room for: to bring a run to its end.
  void hurry() { hurry_ = true; }

 private:
  size_t next();

  SimRandom* random_;
  size_t queue_entries_;
  std::deque<tiering::CopyTask*> waiting_;  // in the order they came
  bool hurry_ = false;
};

}  // namespace quire::tests
