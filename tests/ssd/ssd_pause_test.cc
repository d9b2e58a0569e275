// advise(pause_until): what is paused goes to the SSD and leaves RAM first, and is back in time.
#include <gtest/gtest.h>

#include "server/core.h"
#include "tests/ssd/ssd_rig.h"
#include "tests/support/manual_clock.h"
#include "tests/support/patience.h"

namespace quire::tests::ssd_pause_test {

using client::Session;
using model::Advice;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr uint32_t kTokens = 80;  // ten spans and a checkpoint
constexpr uint64_t kObjects = 11;
constexpr uint32_t kPauseMs = 3'600'000;

// Write-back with wide RAM: by itself nothing goes to the SSD.
class SsdPause : public testing::Test {
 protected:
  SsdPause()
      : rig_({.clock = &clock_}, [](server::Options& options) {
          options.ssd_write = "back";
          options.spin_us = 0;
        }) {}

  // A daemon that stops waits for its tier by its clock, which stands still then.
  void TearDown() override {
    EXPECT_TRUE(eventually([&] {
      bool idle = false;
      rig_.daemon().on_core([&](server::Daemon& d) { idle = d.tiers()->idle(); });
      return idle;
    }));
  }

  // Nodes of everything that has a copy; of what is on SSD only.
  uint64_t copies() {
    const CacheCounters counters = rig_.counters();
    return counters.ssd_spans + counters.ssd_checkpoints;
  }
  uint64_t away() { return rig_.counters().ssd_only; }
  // The daemon's time goes on a little while it is waited for: a device that is asked again later
  // needs that. A minute at the most, of the hour's pause; the machine's own device may take
  // longer.
  template <typename Condition>
  bool eventually(Condition condition) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; std::chrono::steady_clock::now() - start < kPatience; ++i) {
      if (condition()) return true;
      if (i < 60'000) clock_.advance(milliseconds(1));
    }
    return false;
  }

  ManualClock clock_;
  SsdRig rig_;
  std::unique_ptr<client::Client> client_ = rig_.daemon().connect();
};

}  // namespace

TEST_F(SsdPause, WhatIsPausedGoesToTheSsdLeavesRamFirstAndIsBackInTime) {
  rig_.commit(*client_, 1, kTokens);
  const auto paused = rig_.session(*client_, 2, kTokens);  // stays open, as an engine's would
  ASSERT_TRUE(commit_context(*paused, kTokens + 1).ok());  // used last of all
  EXPECT_EQ(copies(), 0u);
  const int64_t start_ns = clock_.now_ns();
  ASSERT_TRUE(paused->advise(Advice::kPauseUntil, kTokens, kPauseMs).ok());
  ASSERT_TRUE(eventually([&] { return copies() == kObjects; })) << copies();

  EXPECT_EQ(*client_->evict(kObjects), kObjects);
  EXPECT_EQ(away(), kObjects);
  EXPECT_EQ(rig_.hit_tokens(*client_, 1, kTokens), 80) << "the other one stayed in RAM";
  EXPECT_EQ(away(), kObjects);

  // A minute before it is needed it is still away.
  const auto at = [&](std::chrono::nanoseconds since) {
    clock_.advance(std::chrono::nanoseconds(start_ns) + since -
                   std::chrono::nanoseconds(clock_.now_ns()));
  };
  at(milliseconds(kPauseMs) - seconds(60));
  for (int turn = 0; turn < 100; ++turn) EXPECT_EQ(away(), kObjects);
  // And just before, nobody having asked, it is all there.
  at(milliseconds(kPauseMs) - seconds(1));
  EXPECT_TRUE(rig_.daemon().eventually(
      [](server::Daemon& d) { return inspect(d).counters().ssd_only == 0; }));
  EXPECT_LT(clock_.now_ns(), start_ns + int64_t{kPauseMs} * 1'000'000);
  EXPECT_EQ(rig_.hit_tokens(*client_, 2, kTokens), 80);
  rig_.daemon().on_core([](server::Daemon& d) { d.cache().check_invariants(); });
}

TEST_F(SsdPause, APausedSessionGoesOnWhereItWas) {
  const auto session = rig_.session(*client_, 1, 2 * kTokens);
  ASSERT_TRUE(commit_context(*session, kTokens + 1).ok());
  ASSERT_TRUE(session->advise(Advice::kPauseUntil, kTokens, kPauseMs).ok());
  ASSERT_TRUE(eventually([&] { return copies() == kObjects; }));
  rig_.empty_ram();
  EXPECT_EQ(away(), kObjects);
  // Its parent is on the SSD only.
  ASSERT_TRUE(commit_object(*session, model::FillKind::kSpan, kTokens + 8).ok());
  EXPECT_EQ(session->match(2 * kTokens + 1)->span_tokens, kTokens + 8);
}

TEST_F(SsdPause, ALaterPauseOfAPositionTakesTheEarlierOnesPlace) {
  const auto session = rig_.session(*client_, 1, kTokens);
  ASSERT_TRUE(commit_context(*session, kTokens + 1).ok());
  for (const uint32_t pause_ms : {kPauseMs, 2 * kPauseMs}) {
    ASSERT_TRUE(session->advise(Advice::kPauseUntil, kTokens, pause_ms).ok());
  }
  const auto paused = [&] {
    size_t count = 0;
    rig_.daemon().on_core([&](server::Daemon& d) { count = d.core().dispatcher().paused_count(); });
    return count;
  };
  EXPECT_EQ(paused(), 1u);
  clock_.advance(milliseconds(kPauseMs));
  for (int turn = 0; turn < 100; ++turn) EXPECT_EQ(paused(), 1u);
  clock_.advance(milliseconds(kPauseMs));
  EXPECT_TRUE(rig_.daemon().eventually(
      [](server::Daemon& d) { return d.core().dispatcher().paused_count() == 0; }));
}

TEST_F(SsdPause, WhatOneDomainPausesIsBounded) {
  const auto session = rig_.session(*client_, 1, 4000);
  ASSERT_TRUE(commit_context(*session, 4001).ok());
  for (int round = 0; round < 3; ++round) {
    for (uint32_t end = 8; end <= 4000; end += 4) {
      ASSERT_TRUE(session->advise(Advice::kPauseUntil, end, kPauseMs).ok());
    }
  }
  rig_.daemon().on_core([](server::Daemon& d) {
    EXPECT_LE(d.core().dispatcher().paused_count(), server::Advisor::kMaxPausesOfDomain);
  });
}

}  // namespace quire::tests::ssd_pause_test
