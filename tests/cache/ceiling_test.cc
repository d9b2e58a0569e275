// The sampled ceiling and the windows in which hits are counted.
#include "cache/ghosts/ceiling.h"

#include <gtest/gtest.h>

#include <random>
#include <span>
#include <vector>

#include "cache/ghosts/hit_windows.h"

namespace quire::cache::ceiling_test {
namespace {

constexpr int64_t kMinuteUs = 60'000'000;
constexpr int64_t kHourUs = 60 * kMinuteUs;

std::vector<uint64_t> random_keys(uint64_t seed, size_t count) {
  std::mt19937_64 random(seed);
  std::vector<uint64_t> keys(count);
  for (uint64_t& key : keys) key = random();
  return keys;
}

TEST(Ceiling, IsExactUntilItsTableIsFull) {
  Ceiling ceiling;
  const auto keys = random_keys(1, 50'000);
  EXPECT_EQ(ceiling.add(keys, 0), keys.size());
  EXPECT_EQ(ceiling.add(keys, 1), 0u) << "all of them came before";
  EXPECT_EQ(ceiling.rate(), 1);
  const std::vector<uint64_t> others = random_keys(77, 100);
  EXPECT_EQ(ceiling.add(others, 2, 60), 40u) << "what the tier has came before";
  EXPECT_EQ(ceiling.add(others, 3), 0u);
}

TEST(Ceiling, SampledCountOfNewKeysIsWithinOnePointOfAMillion) {
  Ceiling ceiling;
  constexpr size_t kCount = 1'000'000;
  uint64_t fresh = 0;
  for (uint64_t seed = 1; seed <= 10; ++seed)
    fresh += ceiling.add(random_keys(seed, kCount / 10), 0);
  EXPECT_LT(ceiling.rate(), 0.1);
  EXPECT_NEAR(static_cast<double>(fresh), kCount, kCount * 0.01);
  const uint64_t again = ceiling.add(random_keys(10, kCount / 10), 0);
  EXPECT_EQ(again, 0u) << "what is in the sample now was in every larger one";
  EXPECT_LT(ceiling.held_bytes(), 1u << 20);
}

TEST(Ceiling, ForgetsWhatDidNotComeForADayBeforeItHalves) {
  Ceiling ceiling;
  const auto old = random_keys(1, 40'000);
  ceiling.add(old, 0);
  const auto kept = random_keys(2, 10'000);
  ceiling.add(kept, 20 * kHourUs);
  ceiling.add(random_keys(3, 12'000), 30 * kHourUs);
  EXPECT_EQ(ceiling.rate(), 1);
  EXPECT_EQ(ceiling.add(kept, 30 * kHourUs), 0u);
  const std::span<const uint64_t> half(old.data(), 20'000);
  EXPECT_EQ(ceiling.add(half, 30 * kHourUs), half.size());
}

TEST(HitWindows, EachWindowEndsWhereItSays) {
  HitWindows windows(1);
  for (int64_t minute = 0; minute < 180; ++minute) {
    windows.add({.time_us = minute * kMinuteUs, .prompt = 100, .hit = 10, .fresh = 60});
  }
  const int64_t now = 179 * kMinuteUs;
  EXPECT_EQ(windows.totals(HitWindow::kQuarter, now).prompt_tokens, 15 * 100);
  EXPECT_EQ(windows.totals(HitWindow::kHour, now).hit_tokens, 60 * 10);
  EXPECT_EQ(windows.totals(HitWindow::kDay, now).ceiling_tokens, 180 * 40);
  EXPECT_EQ(windows.totals(HitWindow::kSinceStart, now).prompt_tokens, 180 * 100);
  EXPECT_EQ(windows.totals(HitWindow::kHour, now + 2 * kHourUs).prompt_tokens, 0);
}

TEST(HitWindows, WhatIsSampledWholeIsCountedWithoutError) {
  HitWindows windows(2);
  for (uint32_t part = 0; part < 8; ++part) {
    const PromptHits prompt{.time_us = 1, .prompt = 100, .hit = 10};
    windows.add(prompt);
    const uint32_t hits[] = {part * 10, 100};
    windows.add_sampled(prompt, part, hits);
  }
  const HitEstimate some = windows.estimate(HitWindow::kHour, 0, 1);
  EXPECT_DOUBLE_EQ(some.percent, 35);
  EXPECT_DOUBLE_EQ(some.hit_tokens, 280);
  EXPECT_DOUBLE_EQ(some.error_points, 0);
  EXPECT_DOUBLE_EQ(windows.estimate(HitWindow::kHour, 1, 1).percent, 100);
}

// The sample's conversations repeat twice as much as all do; the tier's own hits tell so.
TEST(HitWindows, EstimateIsTheTiersShareAndWhatTheGhostHitMoreInTheSample) {
  HitWindows windows(1);
  for (uint32_t i = 0; i < 64; ++i) {
    const bool sampled = i % 4 == 0;
    const PromptHits prompt{.time_us = 1, .prompt = 100, .hit = sampled ? 40u : 20u};
    windows.add(prompt);
    const uint32_t hits[] = {50 + i % 3};
    if (sampled) windows.add_sampled(prompt, i / 4 % 8, hits);
  }
  const HitEstimate estimate = windows.estimate(HitWindow::kHour, 0, 1);
  EXPECT_NEAR(estimate.percent, 25 + 11, 0.5);
  EXPECT_GT(estimate.error_points, 0);
  EXPECT_LT(estimate.error_points, 1);
}

}  // namespace
}  // namespace quire::cache::ceiling_test
