#include "tests/sim/sim_turns.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "tests/sim/sim_judge.h"

namespace quire::tests {

void SimTurns::on_turn(const server::TurnRecord& record) {
  const uint64_t billed = uint64_t{record.hit_tokens} + record.replayed_tokens;
  if (billed + record.missed_tokens != record.prompt_tokens) {
    stage_->judge->fail("hit, replayed and missed tokens of a turn are not its prompt");
  }
  const uint64_t delivered =
      std::accumulate(record.delivered.of.begin(), record.delivered.of.end(), uint64_t{0});
  // What was written before the first match is no turn of anybody's prompt.
  if (record.turn == 0) {
    if (delivered > 0) stage_->judge->fail("tokens are delivered before the first match");
    return;
  }
  if (forgotten_.contains(record.session)) return;
  const TurnOf turn{record.session, record.turn};
  if (const auto expected = expected_.find(turn); expected != expected_.end()) {
    compare(turn, delivered, expected->second);
    expected_.erase(expected);
  } else if (!recorded_.emplace(turn, delivered).second) {
    stage_->judge->fail("a turn is recorded twice");
  }
}

void SimTurns::expect(uint64_t session, uint32_t turn, uint64_t delivered_tokens) {
  if (forgotten_.contains(session)) return;
  const auto recorded = recorded_.find({session, turn});
  if (recorded == recorded_.end()) {
    expected_[{session, turn}] = delivered_tokens;
    return;
  }
  compare(recorded->first, recorded->second, delivered_tokens);
  recorded_.erase(recorded);
}

void SimTurns::compare(TurnOf turn, uint64_t recorded, uint64_t expected) {
  ++compared_;
  if (recorded == expected) return;
  stage_->judge->fail("turn " + std::to_string(turn.second) + " of session " +
                      std::to_string(turn.first) + " bills " + std::to_string(recorded) +
                      " tokens, and " + std::to_string(expected) + " were delivered");
}

void SimTurns::forget(uint64_t session) {
  forgotten_.insert(session);
  const auto is_its = [session](const auto& entry) { return entry.first.first == session; };
  std::erase_if(recorded_, is_its);
  std::erase_if(expected_, is_its);
}

void SimTurns::begin_life() {
  recorded_.clear();
  expected_.clear();
  forgotten_.clear();
}

void SimTurns::judge_end() const {
  if (!expected_.empty()) stage_->judge->fail("a turn that ended is in no record");
  if (recorded_.empty()) return;
  stage_->judge->fail("turn " + std::to_string(recorded_.begin()->first.second) + " of session " +
                      std::to_string(recorded_.begin()->first.first) +
                      " is recorded, and no match opened it");
}

void SimTurnCount::matched(const model::MatchArgs& args, const model::MatchResult& result) {
  const bool same = args.request_id != 0 && turn_ > 0 && args.request_id == request_id_;
  if (!same) {
    end();
    has_ended_ = false;
    ++turn_;
    request_id_ = args.request_id;
    leases_.clear();
    blocks_.clear();
    tail_tokens_ = 0;
  }
  if (result.lease != 0) leases_.insert(result.lease);
}

void SimTurnCount::loaded(const model::LoadArgs& args, const model::LoadResult& result,
                          uint32_t tail_tokens) {
  if (!leases_.contains(args.lease)) return;
  for (uint32_t b = 0; b < result.block_count; ++b) blocks_.insert(args.first_block + b);
  if (result.checkpoint_count > 0) tail_tokens_ = std::max(tail_tokens_, tail_tokens);
}

void SimTurnCount::end() {
  if (turn_ == 0 || has_ended_) return;
  has_ended_ = true;
  turns_->expect(session_, turn_, blocks_.size() * block_tokens_ + tail_tokens_);
}

void SimTurnCount::forget() {
  has_ended_ = true;
  turns_->forget(session_);
}

}  // namespace quire::tests
