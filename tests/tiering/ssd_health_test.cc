#include "tiering/transfer/ssd_health.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <random>
#include <string>
#include <vector>

namespace quire::tiering::ssd_health_test {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr SsdHealthOptions kOptions = {
    .reads_failed_to_off = 3, .first_probe_ns = kSecond, .last_probe_ns = 8 * kSecond};

void fail_reads(SsdHealth& health, int count, int64_t now_ns = 0) {
  for (int i = 0; i < count; ++i) {
    health.read_failed(EIO, "read of data.000003: Input/output error", now_ns);
  }
}

void fail_write(SsdHealth& health, int64_t now_ns = 0) {
  health.write_failed(EIO, "write of data.000001: Input/output error", now_ns);
}

// Steps the clock to the next probe and reports it; returns its time.
int64_t probe(SsdHealth& health, bool read_worked, bool write_worked, int64_t now_ns) {
  while (!health.probe_due(now_ns)) now_ns += kSecond / 4;
  health.probe_finished(read_worked, write_worked, now_ns);
  return now_ns;
}

SsdHealth in_state(TierMode state) {
  SsdHealth health(kOptions);
  if (state == TierMode::kReadOnly) fail_write(health);
  if (state == TierMode::kOff) health.hung("read of data.000000: no answer for 30 s", 0);
  EXPECT_EQ(health.state(), state);
  return health;
}

constexpr TierMode kStates[] = {TierMode::kOk, TierMode::kReadOnly, TierMode::kOff};

TEST(SsdHealth, StartsOkAndSilent) {
  SsdHealth health(kOptions);
  EXPECT_EQ(health.state(), TierMode::kOk);
  EXPECT_TRUE(health.may_read());
  EXPECT_TRUE(health.may_write());
  EXPECT_EQ(health.reason(), "");
  EXPECT_EQ(health.action(), "");
  EXPECT_FALSE(health.probe_due(INT64_MAX));
}

TEST(SsdHealth, NamesAreThoseOfTheLaw) {
  EXPECT_EQ(tier_mode_name(TierMode::kOk), "ok");
  EXPECT_EQ(tier_mode_name(TierMode::kReadOnly), "read-only");
  EXPECT_EQ(tier_mode_name(TierMode::kOff), "off");
}

// Every state and every event: where it leads.
TEST(SsdHealth, Law09_EachEventInEachState) {
  using enum TierMode;
  for (const TierMode from : kStates) {
    SCOPED_TRACE(tier_mode_name(from));
    SsdHealth write = in_state(from);
    fail_write(write);
    EXPECT_EQ(write.state(), std::max(from, kReadOnly));
    SsdHealth sync = in_state(from);
    sync.sync_failed(EIO, "sync of data.000001: Input/output error", 0);
    EXPECT_EQ(sync.state(), std::max(from, kReadOnly));
    SsdHealth one_read = in_state(from);
    fail_reads(one_read, 2);
    EXPECT_EQ(one_read.state(), from);
    SsdHealth reads = in_state(from);
    fail_reads(reads, 3);
    EXPECT_EQ(reads.state(), kOff);
    SsdHealth hang = in_state(from);
    hang.hung("read of data.000001: no answer for 30 s", 0);
    EXPECT_EQ(hang.state(), kOff);
    SsdHealth success = in_state(from);
    success.read_succeeded();
    EXPECT_EQ(success.state(), from);
  }
}

TEST(SsdHealth, Law09_EachProbeInEachState) {
  using enum TierMode;
  struct Case {
    TierMode from;
    bool read_worked;
    bool write_worked;
    TierMode to;
  };
  for (const Case& c : std::vector<Case>{{kReadOnly, true, true, kOk},
                                         {kReadOnly, true, false, kReadOnly},
                                         {kReadOnly, false, true, kReadOnly},
                                         {kReadOnly, false, false, kReadOnly},
                                         {kOff, true, true, kOk},
                                         {kOff, true, false, kReadOnly},
                                         {kOff, false, true, kOff},
                                         {kOff, false, false, kOff}}) {
    SsdHealth health = in_state(c.from);
    probe(health, c.read_worked, c.write_worked, 0);
    EXPECT_EQ(health.state(), c.to) << tier_mode_name(c.from) << c.read_worked << c.write_worked;
    EXPECT_EQ(health.counters().recoveries, c.to == c.from ? 0u : 1u);
    EXPECT_EQ(health.reason().empty(), c.to == kOk);
    EXPECT_EQ(health.action().empty(), c.to == kOk);
  }
}

TEST(SsdHealth, StateDecidesWhatMayBeDone) {
  EXPECT_TRUE(in_state(TierMode::kReadOnly).may_read());
  EXPECT_FALSE(in_state(TierMode::kReadOnly).may_write());
  EXPECT_FALSE(in_state(TierMode::kOff).may_read());
  EXPECT_FALSE(in_state(TierMode::kOff).may_write());
}

TEST(SsdHealth, OnlyReadsInARowCount) {
  SsdHealth health(kOptions);
  for (int i = 0; i < 10; ++i) {
    fail_reads(health, 2);
    health.read_succeeded();
  }
  EXPECT_EQ(health.state(), TierMode::kOk);
  EXPECT_EQ(health.counters().read_errors, 20u);
  fail_reads(health, 3);
  EXPECT_EQ(health.state(), TierMode::kOff);
}

TEST(SsdHealth, ReadsAreCountedAnewAfterARecovery) {
  SsdHealth health(kOptions);
  fail_reads(health, 5);
  const int64_t now = probe(health, true, true, 0);
  fail_reads(health, 2, now);
  EXPECT_EQ(health.state(), TierMode::kOk);
  fail_reads(health, 1, now);
  EXPECT_EQ(health.state(), TierMode::kOff);
}

TEST(SsdHealth, ProbesAreSpacedByADoublingInterval) {
  SsdHealth health(kOptions);
  fail_write(health, 100 * kSecond);
  std::vector<int64_t> gaps;
  int64_t last = 100 * kSecond;
  for (int i = 0; i < 6; ++i) {
    const int64_t now = probe(health, true, false, last);
    gaps.push_back((now - last) / kSecond);
    last = now;
  }
  EXPECT_EQ(gaps, (std::vector<int64_t>{1, 2, 4, 8, 8, 8}));
  EXPECT_EQ(health.counters().probes, 6u);
  EXPECT_EQ(health.counters().recoveries, 0u);
}

TEST(SsdHealth, AProbeIsDueOnceAndExactlyOnTime) {
  SsdHealth health(kOptions);
  fail_write(health, 0);
  EXPECT_FALSE(health.probe_due(kSecond - 1));
  EXPECT_TRUE(health.probe_due(kSecond));
  EXPECT_FALSE(health.probe_due(kSecond));
  EXPECT_FALSE(health.probe_due(100 * kSecond));  // it has not finished
  health.probe_finished(false, false, 100 * kSecond);
  EXPECT_FALSE(health.probe_due(102 * kSecond - 1));
  EXPECT_TRUE(health.probe_due(102 * kSecond));
}

TEST(SsdHealth, FailuresThatFollowDoNotPutOffTheProbe) {
  SsdHealth health(kOptions);
  for (int64_t now = 0; now < kSecond; now += kSecond / 8) fail_write(health, now);
  EXPECT_TRUE(health.probe_due(kSecond));
}

TEST(SsdHealth, AClockThatStepsBackOnlyDelays) {
  SsdHealth health(kOptions);
  fail_write(health, 10 * kSecond);
  EXPECT_FALSE(health.probe_due(0));
  EXPECT_TRUE(health.probe_due(11 * kSecond));
  health.probe_finished(true, true, 5 * kSecond);
  EXPECT_EQ(health.state(), TierMode::kOk);
}

TEST(SsdHealth, ReadsThatWorkAgainAreProbedForWritesSoon) {
  SsdHealth health(kOptions);
  health.hung("write of data.000001: no answer for 30 s", 0);
  int64_t now = 0;
  for (int i = 0; i < 5; ++i) now = probe(health, false, false, now);
  now = probe(health, true, false, now);
  EXPECT_EQ(health.state(), TierMode::kReadOnly);
  EXPECT_NE(health.reason().find("write"), std::string::npos);
  EXPECT_TRUE(health.probe_due(now + kSecond));
}

// A device whose probe works and whose writes fail must not flap every second.
TEST(SsdHealth, ARelapseGoesOnWithTheInterval) {
  SsdHealth health(kOptions);
  std::vector<int64_t> gaps;
  int64_t now = 0;
  for (int i = 0; i < 5; ++i) {
    fail_write(health, now);
    const int64_t probed = probe(health, true, true, now);
    gaps.push_back((probed - now) / kSecond);
    now = probed + kSecond;
  }
  EXPECT_EQ(gaps, (std::vector<int64_t>{1, 2, 4, 8, 8}));
  fail_write(health, now + 8 * kSecond);  // healthy for long enough
  EXPECT_TRUE(health.probe_due(now + 9 * kSecond));
}

TEST(SsdHealth, FailuresAreToldApartByWhatTheSystemSaid) {
  SsdHealth health(kOptions);
  for (const int error : {EIO, EROFS, ENOSPC, EDQUOT, EFBIG, EACCES, ENOSPC}) {
    health.write_failed(error, "w", 0);
  }
  health.note_no_room();
  health.read_failed(EIO, "r", 0);
  health.read_failed(EBADF, "r", 0);
  health.sync_failed(EDQUOT, "s", 0);
  health.sync_failed(EIO, "s", 0);
  const SsdErrnoCounters& counted = health.by_errno();
  EXPECT_EQ(counted.write_io, 1u);
  EXPECT_EQ(counted.write_read_only, 1u);
  EXPECT_EQ(counted.write_space, 3u);
  EXPECT_EQ(counted.write_quota, 1u);
  EXPECT_EQ(counted.write_file_size, 1u);
  EXPECT_EQ(counted.write_other, 1u);
  EXPECT_EQ(counted.read_io, 1u);
  EXPECT_EQ(counted.read_other, 1u);
  EXPECT_EQ(counted.sync_quota, 1u);
  EXPECT_EQ(counted.sync_io, 1u);
  EXPECT_EQ(counted.sync_space + counted.sync_other, 0u);
}

TEST(SsdHealth, EachFailureCountsOnce) {
  SsdHealth health(kOptions);
  health.read_failed(EIO, "r", 0);
  health.write_failed(EIO, "w", 0);
  health.write_failed(ENOSPC, "w", 0);
  health.write_failed(EDQUOT, "w", 0);
  health.sync_failed(EIO, "s", 0);
  health.sync_failed(EIO, "s", 0);
  health.sync_failed(ENOSPC, "s", 0);
  health.hung("h", 0);
  EXPECT_EQ(health.counters().read_errors, 1u);
  EXPECT_EQ(health.counters().write_errors, 1u);
  EXPECT_EQ(health.counters().sync_errors, 2u);
  EXPECT_EQ(health.counters().space_errors, 3u);
  EXPECT_EQ(health.counters().hangs, 1u);
}

TEST(SsdHealth, TheReasonIsTheFirstOfItsStateAndOneLine) {
  SsdHealth health(kOptions);
  health.write_failed(ENOSPC, "write of data.000003:\nNo space left on device", 0);
  fail_write(health);
  EXPECT_EQ(health.reason(), "write of data.000003: No space left on device");
  EXPECT_NE(health.action().find("make room"), std::string::npos);
  health.hung("read of data.000004: no answer for 30 s", 0);
  EXPECT_EQ(health.reason(), "read of data.000004: no answer for 30 s");
  fail_reads(health, 10);
  EXPECT_EQ(health.reason(), "read of data.000004: no answer for 30 s");
}

TEST(SsdHealth, TheActionDependsOnTheError) {
  std::vector<std::string> actions;
  for (const int error : {ENOSPC, EDQUOT, EROFS, EACCES, EIO}) {
    SsdHealth health(kOptions);
    health.write_failed(error, "w", 0);
    for (const std::string& other : actions) EXPECT_NE(health.action(), other);
    actions.push_back(health.action());
  }
}

TEST(SsdHealth, APinnedStateIsNeverProbedOrHealed) {
  SsdHealth health(kOptions);
  health.pin_state(TierMode::kReadOnly, "an unknown feature", "upgrade the daemon");
  EXPECT_EQ(health.reason(), "an unknown feature");
  EXPECT_EQ(health.action(), "upgrade the daemon");
  EXPECT_FALSE(health.probe_due(INT64_MAX));
  health.probe_finished(true, true, 0);
  EXPECT_EQ(health.state(), TierMode::kReadOnly);
  fail_reads(health, 3);
  EXPECT_EQ(health.state(), TierMode::kOff);
  EXPECT_FALSE(health.probe_due(INT64_MAX));
}

TEST(SsdHealth, APinDuringAProbeHolds) {
  SsdHealth health = in_state(TierMode::kReadOnly);
  EXPECT_TRUE(health.probe_due(kSecond));
  health.pin_state(TierMode::kReadOnly, "chosen", "nothing");
  health.probe_finished(true, true, kSecond);
  EXPECT_EQ(health.state(), TierMode::kReadOnly);
  EXPECT_EQ(health.reason(), "chosen");
}

TEST(SsdHealth, APinDoesNotHeal) {
  SsdHealth health = in_state(TierMode::kOff);
  health.pin_state(TierMode::kReadOnly, "chosen", "nothing");
  EXPECT_EQ(health.state(), TierMode::kOff);
  EXPECT_FALSE(health.probe_due(INT64_MAX));
}

TEST(SsdHealth, AReportWithoutAProbeChangesNothing) {
  for (const TierMode state : kStates) {
    SsdHealth health = in_state(state);
    health.probe_finished(true, true, 0);
    EXPECT_EQ(health.state(), state);
  }
}

// Any events in any order: a state has its reason and its way out.
TEST(SsdHealth, RandomEventsKeepStateAndReasonTogether) {
  std::mt19937_64 random(7);
  SsdHealth health(kOptions);
  int64_t now = 0;
  uint64_t recovered = 0;
  for (int i = 0; i < 20'000; ++i) {
    now += static_cast<int64_t>(random() % kSecond);
    const TierMode before = health.state();
    switch (random() % 8) {
      case 0:
        fail_write(health, now);
        break;
      case 1:
        fail_reads(health, 1, now);
        break;
      case 2:
        health.sync_failed(ENOSPC, "s", now);
        break;
      case 3:
        health.read_succeeded();
        break;
      case 4:
        if (random() % 4 == 0) health.hung("h", now);
        break;
      default:
        if (health.probe_due(now)) health.probe_finished(random() % 2, random() % 2, now);
        recovered += health.state() < before ? 1 : 0;
        continue;
    }
    ASSERT_GE(health.state(), before);
    ASSERT_EQ(health.reason().empty(), health.state() == TierMode::kOk);
    ASSERT_EQ(health.action().empty(), health.state() == TierMode::kOk);
  }
  EXPECT_GT(recovered, 100u);
  EXPECT_EQ(health.counters().recoveries, recovered);
}

}  // namespace
}  // namespace quire::tiering::ssd_health_test
