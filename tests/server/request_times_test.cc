// By which turns a request is timed, and that each is counted once.
#include "server/rings/request_times.h"

#include <gtest/gtest.h>

namespace quire::server::request_times_test {
namespace {

constexpr size_t kOne = 0;
constexpr size_t kOther = 1;

TEST(RequestTimes, WhatIsAnsweredAtOnceTookItsTurn) {
  RequestTimes times(2);
  times.begin_turn(1'000'000);
  times.took(kOne);
  times.took(kOne);
  times.took(kOther);
  EXPECT_EQ(times.of(kOne).count(), 0u) << "the turn is not over";
  times.begin_turn(1'003'000);
  times.begin_turn(9'000'000);
  EXPECT_EQ(times.of(kOne).count(), 2u);
  EXPECT_EQ(times.of(kOne).sum_ns(), 6'000u);
  EXPECT_EQ(times.of(kOther).count(), 1u);
  EXPECT_EQ(times.of(kOther).sum_ns(), 3'000u);
}

TEST(RequestTimes, WhatWaitsTookUntilTheTurnThatAnswersIt) {
  RequestTimes times(2);
  times.begin_turn(1'000'000);
  times.took(kOne);
  times.kept(kOne);
  const int64_t taken_ns = times.turn_ns();
  times.begin_turn(1'003'000);
  EXPECT_EQ(times.of(kOne).count(), 0u);
  times.begin_turn(7'000'000);
  times.ended(kOne, taken_ns);
  EXPECT_EQ(times.of(kOne).count(), 1u);
  EXPECT_EQ(times.of(kOne).sum_ns(), 6'000'000u);
}

TEST(RequestTimes, WhatWaitedForLessThanATurnTookThat) {
  RequestTimes times(2);
  times.begin_turn(1'000'000);
  times.took(kOne);
  times.kept(kOne);
  times.ended(kOne, times.turn_ns());
  times.begin_turn(1'040'000);
  EXPECT_EQ(times.of(kOne).count(), 1u);
  EXPECT_EQ(times.of(kOne).sum_ns(), 40'000u);
}

}  // namespace
}  // namespace quire::server::request_times_test
