#include "tests/sim/sim_patience.h"

#include <algorithm>
#include <string>

#include "model/clock.h"
#include "tests/sim/sim_core.h"
#include "tests/sim/sim_judge.h"

namespace quire::tests {

using model::Errc;
using model::Verb;

namespace {

// For memory, for a tier, for a copy, a parent or the check of a page; for what a tier says.
bool may_wait(Verb verb, bool searches) {
  return verb == Verb::kBeginFill || verb == Verb::kLoad || verb == Verb::kCommit ||
         (verb == Verb::kMatch && searches);
}

}  // namespace

void SimPatience::sent(const model::Submission& submission, uint32_t number) {
  asked_.push_back(
      {.user_data = submission.user_data,
       .verb = static_cast<Verb>(submission.verb),
       .number = number,
       .deadline_ms = submission.deadline_ms == 0 ? kSimDeadlineMs : submission.deadline_ms,
       .turn = stage_->core->turn_count()});
}

void SimPatience::note_taken(uint32_t first_untaken) {
  const uint64_t turn = stage_->core->turn_count();
  const int64_t now_ns = stage_->clock->now_ns();
  for (Asked& asked : asked_) {
    // Numbers wrap: what is ahead is less than half of them away.
    if (!asked.taken && static_cast<int32_t>(first_untaken - asked.number) > 0) {
      asked.taken = true;
      asked.turn = turn;
      asked.deadline_ns = now_ns + asked.deadline_ms * model::kNsPerMs;
    }
    const bool late = asked.taken && now_ns >= asked.deadline_ns;
    if (late && asked.late_since == 0) asked.late_since = turn;
  }
}

void SimPatience::answered(const model::Completion& completion) {
  const auto found = std::find_if(asked_.begin(), asked_.end(), [&](const Asked& one) {
    return one.user_data == completion.user_data;
  });
  if (found == asked_.end()) return;  // who takes it says so
  const Asked asked = *found;
  asked_.erase(found);
  if (!asked.taken) fail(asked, "is answered before it was taken");
  judge(asked);
  // A load that RAM or its tier fails says the same beside a head.
  const bool expired = static_cast<Errc>(completion.code) == Errc::kDeadlineExceeded;
  if (expired && asked.verb != Verb::kLoad && asked.late_since == 0) {
    fail(asked, "is given up before its deadline");
  }
}

uint64_t SimPatience::turns_late(Verb verb) const {
  const bool workers =
      verb == Verb::kCommit || (verb == Verb::kLoad && stage_->core->config().verify_hits);
  return workers ? kTurnsOfWorkers : kTurnsLate;
}

void SimPatience::judge() const {
  for (const Asked& asked : asked_) judge(asked);
}

void SimPatience::judge(const Asked& asked) const {
  const uint64_t turn = stage_->core->turn_count();
  const uint64_t turns = turn - asked.turn;
  if (!asked.taken) {
    if (turns > kTurnsToTake) fail(asked, "is not taken from its ring");
    return;
  }
  if (!may_wait(asked.verb, stage_->core->config().has_cluster)) {
    if (turns > kTurnsToAnswer) fail(asked, "waits for nothing, and is not answered");
    return;
  }
  if (asked.late_since == 0) return;
  if (turn - asked.late_since > turns_late(asked.verb)) {
    fail(asked, "has no answer though its deadline passed");
  }
}

void SimPatience::fail(const Asked& asked, const char* what) const {
  stage_->judge->fail("a request of verb " + std::to_string(static_cast<uint16_t>(asked.verb)) +
                      (asked.taken ? ", taken in turn " : ", sent in turn ") +
                      std::to_string(asked.turn) + ", " + what);
}

}  // namespace quire::tests
