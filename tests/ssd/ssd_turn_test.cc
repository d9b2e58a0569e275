// Law 12 with an SSD below: tokens are counted by the tier that delivered them, at delivery.
#include <gtest/gtest.h>

#include "tests/ssd/ssd_rig.h"
#include "tests/support/recording_sink.h"

namespace quire::tests::ssd_turn_test {

using client::Session;
using model::TierId;

namespace {

constexpr uint32_t kTokens = 400;  // 50 blocks of 8

class SsdTurns : public testing::Test {
 protected:
  void SetUp() override {
    client_ = rig_.daemon().connect();
    rig_.commit(*client_, 1, kTokens);
    ASSERT_TRUE(rig_.settle());
  }
  // The record of the session's turn, once the session has ended.
  server::TurnRecord end(std::unique_ptr<Session> session) {
    const size_t before = count();
    QUIRE_CHECK(session->close().ok());
    QUIRE_CHECK(
        rig_.daemon().eventually([&](server::Daemon&) { return sink_.turns.size() > before; }));
    server::TurnRecord record;
    rig_.daemon().on_core([&](server::Daemon&) { record = sink_.turns.back().record; });
    EXPECT_EQ(record.hit_tokens + record.replayed_tokens + record.missed_tokens,
              record.prompt_tokens);
    return record;
  }
  size_t count() {
    size_t turns = 0;
    rig_.daemon().on_core([&](server::Daemon&) { turns = sink_.turns.size(); });
    return turns;
  }

  RecordingSink sink_;
  SsdRig rig_{{.turn_sink = &sink_}};
  std::unique_ptr<client::Client> client_;
};

}  // namespace

TEST_F(SsdTurns, Law12_TokensAreOfTheTierThatDeliveredThem) {
  ASSERT_EQ(rig_.empty_ram(), 51u);
  auto session = rig_.session(*client_, 1, kTokens);
  const auto match = session->match(kTokens + 1, 0, {}, 5);
  ASSERT_TRUE(match.ok());
  // Ten blocks come first; by the time of the whole load they are in RAM, and counted already.
  ASSERT_TRUE(session->load(match->lease, {.block_count = 10, .include_checkpoint = false}).ok());
  ASSERT_TRUE(session->load(match->lease).ok());
  const server::TurnRecord first = end(std::move(session));
  EXPECT_EQ(first.announced[TierId::kSsd], kTokens);
  EXPECT_EQ(first.delivered[TierId::kSsd], kTokens);
  EXPECT_EQ(first.delivered[TierId::kRam], 0u);
  EXPECT_EQ(first.hit_tokens, kTokens);

  session = rig_.session(*client_, 1, kTokens);
  const auto again = session->match(kTokens + 1, 0, {}, 6);
  ASSERT_TRUE(session->load(again->lease).ok());
  const server::TurnRecord second = end(std::move(session));
  EXPECT_EQ(second.delivered[TierId::kRam], kTokens);
  EXPECT_EQ(second.delivered[TierId::kSsd], 0u);
}

// Positions tell beforehand what the loads then deliver.
TEST_F(SsdTurns, PositionsSayWhatComesFromWhere) {
  ASSERT_EQ(rig_.empty_ram(), 51u);
  auto session = rig_.session(*client_, 1, kTokens);
  const auto found = session->positions(kTokens + 1);
  ASSERT_TRUE(found.ok());
  ASSERT_FALSE(found->positions.empty());
  EXPECT_EQ(found->positions[0].tokens, kTokens);
  EXPECT_EQ(found->positions[0].tier_tokens[TierId::kSsd], kTokens);
  EXPECT_GT(found->positions[0].load_estimate_us, 0u);
  EXPECT_EQ(session->locate(kTokens)->tokens[TierId::kSsd], kTokens);
  const auto held = session->positions(kTokens + 1, {.have_tokens = kTokens / 2});
  EXPECT_LT(held->positions[0].load_estimate_us, found->positions[0].load_estimate_us)
      << "what the engine holds is not loaded";
  EXPECT_EQ(rig_.status().mover.read_bytes, 0u) << "asking moves nothing";
}

}  // namespace quire::tests::ssd_turn_test
