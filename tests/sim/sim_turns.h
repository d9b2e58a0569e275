// Judges what the daemon meters (laws 12 and 15): each turn of a session is recorded once, its sums
// close, and the tokens that it bills as delivered are those that answers to loads delivered.
//
// A session counts by itself from the answers in its ring (SimTurnCount), and tells what it
// expects; whichever comes second, record or expectation, is compared with the other. Sessions of
// several processes, and those that scribbled, count for nobody. Lifetime: the run.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <unordered_set>
#include <utility>

#include "model/ring_frames.h"
#include "server/rings/turn.h"
#include "tests/sim/sim_stage.h"

namespace quire::tests {

class SimTurns final : public server::TurnSink {
 public:
  explicit SimTurns(const SimStage* stage) : stage_(stage) {}

  void on_turn(const server::TurnRecord& record) override;
  // Of a turn that ended, or ends with its session.
  void expect(uint64_t session, uint32_t turn, uint64_t delivered_tokens);
  // Nobody can tell what its turns are from now on.
  void forget(uint64_t session);
  // A crash: what was open is in no record.
  void begin_life();
  // Every session ended: every turn is recorded.
  void judge_end() const;
  uint64_t compared_count() const { return compared_; }

 private:
  using TurnOf = std::pair<uint64_t, uint32_t>;  // session, number
  void compare(TurnOf turn, uint64_t recorded, uint64_t expected);

  const SimStage* stage_;
  std::map<TurnOf, uint64_t> recorded_;  // not expected yet: delivered tokens
  std::map<TurnOf, uint64_t> expected_;  // not recorded yet
  std::unordered_set<uint64_t> forgotten_;
  uint64_t compared_ = 0;
};

// What one session, of one process, expects its present turn to be. A rule of its own, so that it
// can disagree with server::Turn.
class SimTurnCount {
 public:
  // `block_tokens` of its layout. `session`: the daemon's number.
  SimTurnCount(SimTurns* turns, uint64_t session, uint32_t block_tokens)
      : turns_(turns), session_(session), block_tokens_(block_tokens) {}

  void matched(const model::MatchArgs& args, const model::MatchResult& result);
  // A load delivered: `tail_tokens` stand behind its last block, in its checkpoint.
  void loaded(const model::LoadArgs& args, const model::LoadResult& result, uint32_t tail_tokens);
  void end();
  void forget();

 private:
  SimTurns* turns_;
  uint64_t session_;
  uint32_t block_tokens_;
  uint32_t turn_ = 0;  // 0: none was opened
  uint64_t request_id_ = 0;
  std::set<uint64_t> leases_;  // of this turn's matches: no other's loads count
  std::set<uint32_t> blocks_;  // delivered
  uint32_t tail_tokens_ = 0;
  bool has_ended_ = false;
};

}  // namespace quire::tests
