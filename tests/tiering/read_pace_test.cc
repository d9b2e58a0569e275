#include "tiering/transfer/read_pace.h"

#include <gtest/gtest.h>

#include <chrono>

#include "tests/support/manual_clock.h"

namespace quire::tiering::read_pace_test {
namespace {

using std::chrono::milliseconds;

constexpr uint64_t kMiB = 1 << 20;

class ReadPaceTest : public testing::Test {
 protected:
  tests::ManualClock clock_;
  LoadEstimator estimator_{EstimatorOptions{}};
  ReadPace pace_{&estimator_, &clock_};
  const double guessed_latency_us_ = estimator_.latency_us();
  const double guessed_bytes_per_us_ = estimator_.bytes_per_us();
};

TEST_F(ReadPaceTest, AMomentSpeaksOfLatency) {
  pace_.begun();
  clock_.advance(milliseconds(4));
  pace_.ended(4096);
  EXPECT_GT(estimator_.latency_us(), guessed_latency_us_);
}

TEST_F(ReadPaceTest, ALongIntervalSpeaksOfBandwidthAlone) {
  for (int i = 0; i < 2; ++i) pace_.begun();
  clock_.advance(milliseconds(10));
  pace_.ended(kMiB);
  EXPECT_EQ(estimator_.bytes_per_us(), guessed_bytes_per_us_) << "the interval is not at its end";
  clock_.advance(milliseconds(10));
  pace_.ended(kMiB);
  EXPECT_LT(estimator_.bytes_per_us(), guessed_bytes_per_us_);
  EXPECT_EQ(estimator_.latency_us(), guessed_latency_us_);
}

// A device that never pauses would otherwise never be measured.
TEST_F(ReadPaceTest, AnIntervalWithoutAnEndIsCut) {
  for (int i = 0; i < 3; ++i) pace_.begun();
  clock_.advance(milliseconds(60));
  pace_.ended(kMiB);
  const double learned = estimator_.bytes_per_us();
  EXPECT_LT(learned, guessed_bytes_per_us_);
  clock_.advance(milliseconds(10));
  pace_.ended(kMiB);
  EXPECT_EQ(estimator_.bytes_per_us(), learned) << "the next one has begun";
  pace_.ended(0);
}

TEST_F(ReadPaceTest, APauseIsNoPartOfAnInterval) {
  pace_.begun();
  clock_.advance(milliseconds(10));
  pace_.ended(20 * kMiB);
  const double before = estimator_.bytes_per_us();
  EXPECT_GT(before, guessed_bytes_per_us_);
  clock_.advance(std::chrono::hours(1));
  pace_.begun();
  clock_.advance(milliseconds(10));
  pace_.ended(20 * kMiB);
  EXPECT_GT(estimator_.bytes_per_us(), before);
}

}  // namespace
}  // namespace quire::tiering::read_pace_test
