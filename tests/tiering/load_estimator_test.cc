#include "tiering/io/load_estimator.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <random>

namespace quire::tiering::load_estimator_test {
namespace {

constexpr uint64_t kMiB = 1 << 20;

// A device that takes latency plus bytes, give or take `noise`.
struct Device {
  double bytes_per_us = 3000;
  double latency_us = 90;
  double noise = 0;
  std::mt19937_64 random{11};

  double factor() { return std::exp(std::normal_distribution<double>(0, noise + 1e-9)(random)); }
  int64_t idle_ns(uint64_t bytes) {
    return static_cast<int64_t>(1000 * factor() *
                                (latency_us + static_cast<double>(bytes) / bytes_per_us));
  }
  int64_t busy_ns(uint64_t bytes) {
    return static_cast<int64_t>(1000 * factor() * static_cast<double>(bytes) / bytes_per_us);
  }
  double truth_us(uint64_t bytes) const {
    return latency_us + static_cast<double>(bytes) / bytes_per_us;
  }
};

double error_of(const LoadEstimator& estimator, const Device& device, uint64_t bytes) {
  const double estimated = static_cast<double>(estimator.estimate_us(bytes, 0));
  return std::abs(estimated - device.truth_us(bytes)) / device.truth_us(bytes);
}

TEST(LoadEstimator, StartsFromTheStatedGuesses) {
  const LoadEstimator estimator({.bytes_per_us = 1000, .latency_us = 200});
  EXPECT_DOUBLE_EQ(estimator.bytes_per_us(), 1000);
  EXPECT_DOUBLE_EQ(estimator.latency_us(), 200);
  EXPECT_EQ(estimator.estimate_us(1'000'000, 0), 1200u);
  EXPECT_EQ(estimator.relative_error(), 0);
  EXPECT_EQ(estimator.judged_count(), 0u);
}

TEST(LoadEstimator, WhatIsQueuedBeforeComesFirst) {
  const LoadEstimator estimator({.bytes_per_us = 1000, .latency_us = 200});
  EXPECT_EQ(estimator.estimate_us(1'000'000, 9'000'000), 10'200u);
  EXPECT_EQ(estimator.estimate_us(0, 9'000'000), 0u);
  EXPECT_EQ(estimator.estimate_us(1, 0), 201u);
}

TEST(LoadEstimator, LearnsAFastDeviceWithin16Reads) {
  for (const double guess : {100.0, 1000.0, 20'000.0}) {
    Device device;
    LoadEstimator estimator({.bytes_per_us = guess, .latency_us = 200});
    for (int i = 0; i < 16; ++i) {
      estimator.observe_idle_read(4096, device.idle_ns(4096));
      estimator.observe_busy_interval(64 * kMiB, device.busy_ns(64 * kMiB));
    }
    for (const uint64_t bytes : {uint64_t{4096}, kMiB, 256 * kMiB}) {
      EXPECT_LT(error_of(estimator, device, bytes), 0.35) << guess << " " << bytes;
    }
  }
}

TEST(LoadEstimator, ConvergesFromIdleReadsOfMixedSizesAlone) {
  Device device{.bytes_per_us = 2500, .latency_us = 60};
  LoadEstimator estimator({});
  for (int i = 0; i < 200; ++i) {
    const uint64_t bytes = i % 2 == 0 ? 8192 : 8 * kMiB;
    estimator.observe_idle_read(bytes, device.idle_ns(bytes));
  }
  EXPECT_NEAR(estimator.bytes_per_us(), 2500, 250);
  EXPECT_NEAR(estimator.latency_us(), 60, 6);
}

TEST(LoadEstimator, ASmallReadTeachesLatencyALargeOneBandwidth) {
  LoadEstimator small({.bytes_per_us = 1000, .latency_us = 200});
  small.observe_idle_read(4096, 400'000);
  EXPECT_GT(small.latency_us(), 270);
  EXPECT_NEAR(small.bytes_per_us(), 1000, 20);
  LoadEstimator large({.bytes_per_us = 1000, .latency_us = 200});
  large.observe_idle_read(100 * kMiB, 210'000'000);
  EXPECT_NEAR(large.latency_us(), 200, 2);
  EXPECT_LT(large.bytes_per_us(), 720);
}

TEST(LoadEstimator, FollowsADeviceThatSlowsDown) {
  Device device{.bytes_per_us = 3000, .latency_us = 90};
  LoadEstimator estimator({});
  for (int i = 0; i < 500; ++i) estimator.observe_busy_interval(kMiB, device.busy_ns(kMiB));
  EXPECT_NEAR(estimator.bytes_per_us(), 3000, 30);
  device.bytes_per_us = 500;
  for (int i = 0; i < 64; ++i) estimator.observe_busy_interval(kMiB, device.busy_ns(kMiB));
  EXPECT_NEAR(estimator.bytes_per_us(), 500, 50);
}

TEST(LoadEstimator, OneStallDoesNotDecide) {
  Device device{.bytes_per_us = 3000};
  LoadEstimator estimator({});
  for (int i = 0; i < 500; ++i) estimator.observe_busy_interval(kMiB, device.busy_ns(kMiB));
  estimator.observe_busy_interval(4096, 30'000'000'000);
  EXPECT_GT(estimator.bytes_per_us(), 1500);
  estimator.observe_idle_read(4096, 30'000'000'000);
  EXPECT_LT(estimator.latency_us(), 1000);
}

TEST(LoadEstimator, EstimatesWellOnANoisyDevice) {
  Device device{.bytes_per_us = 1800, .latency_us = 120, .noise = 0.3};
  LoadEstimator estimator({});
  for (int i = 0; i < 2000; ++i) {
    const uint64_t bytes = 4096 << device.random() % 12;
    estimator.observe_idle_read(bytes, device.idle_ns(bytes));
    if (i < 100) continue;
    for (const uint64_t loaded : {uint64_t{65536}, 16 * kMiB}) {
      ASSERT_LT(error_of(estimator, device, loaded), 0.5) << i;
    }
  }
}

TEST(LoadEstimator, SenselessObservationsChangeNothing) {
  LoadEstimator estimator({.bytes_per_us = 1000, .latency_us = 200});
  for (const int64_t took : {int64_t{0}, int64_t{-5}, INT64_MIN}) {
    estimator.observe_idle_read(4096, took);
    estimator.observe_busy_interval(4096, took);
  }
  estimator.observe_idle_read(0, 1000);
  estimator.observe_busy_interval(0, 1000);
  EXPECT_DOUBLE_EQ(estimator.bytes_per_us(), 1000);
  EXPECT_DOUBLE_EQ(estimator.latency_us(), 200);
}

TEST(LoadEstimator, StaysFiniteForAnyInput) {
  std::mt19937_64 random(3);
  LoadEstimator estimator({.bytes_per_us = 0, .latency_us = -1, .weight = 7});
  for (int i = 0; i < 20'000; ++i) {
    const uint64_t bytes = random() >> random() % 64;
    const auto took = static_cast<int64_t>(random() >> random() % 64);
    if (i % 2 == 0) {
      estimator.observe_idle_read(bytes, took);
    } else {
      estimator.observe_busy_interval(bytes, took);
    }
    ASSERT_TRUE(std::isfinite(estimator.bytes_per_us()) && estimator.bytes_per_us() > 0);
    ASSERT_TRUE(std::isfinite(estimator.latency_us()) && estimator.latency_us() > 0);
    ASSERT_GT(estimator.estimate_us(1, UINT64_MAX), 0u);
    ASSERT_LE(estimator.estimate_us(UINT64_MAX, UINT64_MAX), 1'000'000'000'000'000'000u);
  }
}

TEST(LoadEstimator, StaysFiniteWhenEveryObservationIsExtreme) {
  LoadEstimator slow({});
  LoadEstimator fast({});
  for (int i = 0; i < 20'000; ++i) {
    slow.observe_busy_interval(1, INT64_MAX);
    slow.observe_idle_read(1, INT64_MAX);
    fast.observe_busy_interval(UINT64_MAX, 1);
    fast.observe_idle_read(UINT64_MAX, 1);
  }
  EXPECT_GT(slow.bytes_per_us(), 0.9);
  EXPECT_LE(slow.estimate_us(UINT64_MAX, UINT64_MAX), 1'000'000'000'000'000'000u);
  EXPECT_LT(fast.bytes_per_us(), 2e7);
  EXPECT_GT(fast.estimate_us(1, 0), 0u);
}

TEST(LoadEstimator, MeasuresItsOwnError) {
  LoadEstimator estimator({});
  estimator.judge(150, 100);
  EXPECT_DOUBLE_EQ(estimator.relative_error(), 0.5);
  estimator.judge(100, 100);
  EXPECT_DOUBLE_EQ(estimator.relative_error(), 0.25);
  estimator.judge(50, 100);
  EXPECT_NEAR(estimator.relative_error(), 1.0 / 3, 1e-9);
  EXPECT_EQ(estimator.judged_count(), 3u);
  for (int i = 0; i < 200; ++i) estimator.judge(110, 100);
  EXPECT_NEAR(estimator.relative_error(), 0.1, 0.001);  // recent loads count
  estimator.judge(5, 0);
  EXPECT_TRUE(std::isfinite(estimator.relative_error()));
}

}  // namespace
}  // namespace quire::tiering::load_estimator_test
