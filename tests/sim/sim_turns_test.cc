#include "tests/sim/sim_turns.h"

#include <gtest/gtest.h>

#include "tests/sim/sim_judge.h"

namespace quire::tests::sim_turns_test {
namespace {

constexpr uint64_t kSession = 7;
constexpr uint32_t kBlockTokens = 4;

class SimTurnsTest : public testing::Test {
 protected:
  SimTurnsTest() { stage_.judge = &judge_; }
  bool is_content() const { return judge_.failure().empty(); }
  void match(uint64_t request_id, uint64_t lease) {
    model::MatchArgs args{};
    args.request_id = request_id;
    model::MatchResult result{};
    result.lease = lease;
    count_.matched(args, result);
  }
  void load(uint64_t lease, uint32_t first, uint32_t count, uint32_t tail_tokens = 0) {
    model::LoadArgs args{};
    args.lease = lease;
    args.first_block = first;
    model::LoadResult result{};
    result.block_count = count;
    result.checkpoint_count = tail_tokens > 0 ? 1 : 0;
    count_.loaded(args, result, tail_tokens);
  }
  static server::TurnRecord record(uint32_t turn, uint32_t delivered) {
    server::TurnRecord record;
    record.session = kSession;
    record.turn = turn;
    record.delivered[model::TierId::kRam] = delivered;
    return record;
  }

  SimStage stage_;
  SimJudge judge_{nullptr, nullptr};
  SimTurns turns_{&stage_};
  SimTurnCount count_{&turns_, kSession, kBlockTokens};
};

TEST_F(SimTurnsTest, BlocksAreCountedOnceWhoeverComesFirst) {
  match(0, 1);
  load(1, 0, 3);
  load(1, 2, 2, 3);
  turns_.on_turn(record(1, 4 * kBlockTokens + 3));
  count_.end();
  match(0, 2);
  load(2, 0, 1);
  count_.end();
  turns_.on_turn(record(2, kBlockTokens));
  turns_.judge_end();
  EXPECT_TRUE(is_content()) << judge_.failure();
  EXPECT_EQ(turns_.compared_count(), 2u);
}

TEST_F(SimTurnsTest, BillThatDiffersIsNoticed) {
  match(0, 1);
  load(1, 0, 3);
  count_.end();
  turns_.on_turn(record(1, 2 * kBlockTokens));
  EXPECT_FALSE(is_content());
}

TEST_F(SimTurnsTest, LoadsOfAnEarlierTurnsLeaseAreInNoBill) {
  match(1, 1);
  match(1, 2);  // the same request
  load(1, 0, 1);
  match(2, 3);
  load(2, 0, 5);
  count_.end();
  turns_.on_turn(record(1, kBlockTokens));
  turns_.on_turn(record(2, 0));
  EXPECT_TRUE(is_content()) << judge_.failure();
}

TEST_F(SimTurnsTest, TurnThatIsRecordedTwiceOrNeverIsNoticed) {
  match(0, 1);
  count_.end();
  turns_.judge_end();
  EXPECT_FALSE(is_content()) << "not recorded";
  SimJudge judge(nullptr, nullptr);
  stage_.judge = &judge;
  turns_.on_turn(record(2, 0));
  turns_.on_turn(record(2, 0));
  EXPECT_FALSE(judge.failure().empty()) << "twice";
}

TEST_F(SimTurnsTest, SumsThatDoNotCloseAreNoticed) {
  server::TurnRecord open = record(1, 0);
  open.prompt_tokens = 10;
  open.hit_tokens = 4;
  open.missed_tokens = 5;
  turns_.on_turn(open);
  EXPECT_FALSE(is_content());
}

TEST_F(SimTurnsTest, SessionThatIsForgottenCountsForNobody) {
  match(0, 1);
  load(1, 0, 3);
  count_.forget();
  match(0, 2);
  count_.end();
  turns_.on_turn(record(1, 0));
  turns_.judge_end();
  EXPECT_TRUE(is_content()) << judge_.failure();
}

}  // namespace
}  // namespace quire::tests::sim_turns_test
