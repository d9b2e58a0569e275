// A daemon with a faulty device on memory, whose time goes on only where a test lets it: how quick
// machine and device are makes no difference to delays, hangs and probes.
#pragma once

#include <functional>

#include "tests/ssd/ssd_faults.h"
#include "tests/support/manual_clock.h"
#include "tests/support/ssd_status.h"

namespace quire::tests {

// What outlives the daemon.
struct SteppedSurroundings {
  ManualClock clock;
  MemoryDirectory directory;
};

class SteppedSsd : private SteppedSurroundings, public FaultySsd {
 public:
  // Of the daemon's time: far more than passes while something is waited for, and less than a
  // load's longest deadline.
  static constexpr std::chrono::minutes kHang{9};

  // Of the seams: manifest_env.
  explicit SteppedSsd(const OptionsChange& change = {}, server::DaemonSeams seams = {});
  // A daemon that stops waits for its tier by its clock, which stands still then: not before the
  // tier is idle.
  ~SteppedSsd();

  // Everything under way has now been so for too long.
  void hang() { clock.advance(kHang); }
  void pass(std::chrono::nanoseconds time) { clock.advance(time); }
  // Its time goes on a little with each look. Must come within a minute of ours.
  bool comes(const std::function<bool(server::Daemon&)>& condition);
  bool settle();  // as SsdRig's
  bool comes_to(tiering::TierMode state);
  // All that was submitted is held back, and nothing that came is still checked: the next step is
  // the test's.
  bool stands_still();
  // A load whose reads the device holds back until it hangs. How it ended.
  model::Errc load_that_hangs(client::Client& client, uint64_t context, uint32_t tokens);
};

}  // namespace quire::tests
