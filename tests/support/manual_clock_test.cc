#include "tests/support/manual_clock.h"

#include <gtest/gtest.h>

#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::manual_clock_test {

TEST(ManualClock, StandsStillUntilItIsMoved) {
  ManualClock clock(7);
  EXPECT_EQ(clock.now_ns(), 7);
  EXPECT_EQ(clock.now_ns(), 7);
  clock.advance(std::chrono::milliseconds(2));
  EXPECT_EQ(clock.now_ns(), 2'000'007);
  clock.advance(std::chrono::nanoseconds(0));
  EXPECT_EQ(clock.now_ns(), 2'000'007);
}

TEST(ManualClockDeathTest, NeverGoesBack) {
  ManualClock clock;
  EXPECT_DEATH(clock.advance(std::chrono::nanoseconds(-1)), "by.count");
}

// A daemon serves while its time stands still.
TEST(ManualClock, IsTheOnlyClockOfADaemonThatGotIt) {
  const ManualClock clock;
  server::Options options = small_options();
  options.spin_us = 0;
  TestDaemon daemon(options, {.clock = &clock});
  const auto client = daemon.connect();
  const auto session = open_session(*client, session_options(small_append_layout()));
  ASSERT_TRUE(session->append_tokens(context_tokens(9, 1)).ok());
  ASSERT_TRUE(commit_context(*session, 8).ok());
  EXPECT_EQ(session->match(9)->exact_tokens, 8u);
}

}  // namespace quire::tests::manual_clock_test
