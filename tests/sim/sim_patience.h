// Judges how long the requests of one process wait (laws 6 and 15), in turns and by the manual
// clock. It is asked after every turn, also for a client that takes none of its answers: no other
// client, however it stalls, is a reason to be late.
//
//   sent --some turns--> taken from the ring --some turns--> answered: what waits for nothing
//                                  \--deadline, and some turns--> answered: what may wait
//
// The deadline counts from the turn in which the daemon took the request, as the daemon's own does:
// so a late answer is late by what the daemon did. Lifetime: its session's.
#pragma once

#include <cstdint>
#include <vector>

#include "model/ring_frames.h"
#include "tests/sim/sim_stage.h"

namespace quire::tests {

class SimPatience {
 public:
  // A request that is taken has a turn; these many more are no reason to complain.
  static constexpr uint64_t kTurnsToTake = 4;
  // What waits for nothing: its domain's other requests may use up a turn before it.
  static constexpr uint64_t kTurnsToAnswer = 8;
  // Past a deadline: it is kept in the turn that meets it.
  static constexpr uint64_t kTurnsLate = 4;
  // A copy or a check that runs is not stopped by a deadline: workers end it in their time.
  static constexpr uint64_t kTurnsOfWorkers = 64;

  explicit SimPatience(const SimStage* stage) : stage_(stage) {}

  // `number`: the ring's, of this submission.
  void sent(const model::Submission& submission, uint32_t number);
  // After a turn: those before `first_untaken` were taken in it, or earlier.
  void note_taken(uint32_t first_untaken);
  // In this turn. Law 15: nothing is given up before its deadline.
  void answered(const model::Completion& completion);
  // Fails when something waits longer than it may.
  void judge() const;

 private:
  struct Asked {
    uint64_t user_data = 0;
    model::Verb verb{};
    uint32_t number = 0;
    uint32_t deadline_ms = 0;
    bool taken = false;
    uint64_t turn = 0;  // sent, or taken
    int64_t deadline_ns = 0;
    uint64_t late_since = 0;  // turn; 0: it is not
  };
  void judge(const Asked& asked) const;
  uint64_t turns_late(model::Verb verb) const;
  void fail(const Asked& asked, const char* what) const;

  const SimStage* stage_;
  std::vector<Asked> asked_;
};

}  // namespace quire::tests
