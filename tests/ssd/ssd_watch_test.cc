// When a device is asked whether it works again, and what follows from its answer.
#include "tiering/ssd/ssd_watch.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>

#include "tests/ssd/mover_rig.h"

namespace quire::tiering::ssd_watch_test {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using tests::MoverRig;

constexpr SsdHealthOptions kHealth;

class Watched {
 public:
  explicit Watched(bool waits = false)
      : rig(MoverOptions{}, waits),
        watch({.contents = &rig.contents(),
               .mover = &rig.mover(),
               .health = &rig.health(),
               .io = &rig.io(),
               .engine = &rig.device()},
              kHealth.hang_ns) {}

  // A turn of the tier, later than the look before.
  bool step() {
    rig.clock.advance(nanoseconds(SsdWatch::kLookNs));
    const bool late = watch.step(rig.clock.now_ns());
    rig.turn();
    if (rig.device().in_flight() > 0) QUIRE_CHECK(tests::wait_readable(rig.device().wake_fd()));
    rig.io().poll();
    return late;
  }
  // A probe has a handful of operations, and the first comes after first_probe_ns.
  bool comes(const std::function<bool()>& condition) {
    for (int i = 0; i < 200 && !condition(); ++i) late_starts += step() ? 1 : 0;
    return condition();
  }
  void fail_write() { rig.health().write_failed(EIO, "a write", rig.clock.now_ns()); }

  MoverRig rig;
  SsdWatch watch;
  int late_starts = 0;
};

TEST(SsdWatch, ADeviceThatWorksIsAskedNothing) {
  Watched watched;
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(watched.step());
  EXPECT_EQ(watched.rig.device().total_count(), 0u);
}

TEST(SsdWatch, AProbeThatWorksHealsWhatFailed) {
  Watched watched;
  watched.fail_write();
  watched.rig.clock.advance(nanoseconds(kHealth.first_probe_ns) - milliseconds(200));
  watched.step();
  EXPECT_EQ(watched.rig.health().counters().probes, 0u) << "not due";
  ASSERT_TRUE(watched.comes([&] { return watched.rig.health().may_write(); }));
  EXPECT_EQ(watched.rig.health().counters().probes, 1u);
  EXPECT_EQ(watched.late_starts, 0) << "it had begun";
}

TEST(SsdWatch, Law09_WhileProbesFailItStaysReadOnly) {
  Watched watched;
  watched.fail_write();
  watched.rig.device().add_fault({.kinds = tests::kWrites, .from_then_on = true});
  ASSERT_TRUE(watched.comes([&] { return watched.rig.health().counters().probes >= 3; }));
  EXPECT_FALSE(watched.rig.health().may_write());
  EXPECT_TRUE(watched.rig.health().may_read());
  watched.rig.device().clear_faults();
  EXPECT_TRUE(watched.comes([&] { return watched.rig.health().may_write(); }));
}

// The manifest does, not the device: the probe finds nothing.
TEST(SsdWatch, Law09_AManifestThatDoesNotResumeIsAFailedProbe) {
  Watched watched(true);
  ASSERT_FALSE(watched.rig.health().may_write());
  ASSERT_TRUE(watched.comes([&] { return watched.rig.health().counters().probes >= 2; }));
  EXPECT_FALSE(watched.rig.health().may_write());
  EXPECT_TRUE(watched.rig.contents().waits_for_writes());
  EXPECT_EQ(watched.late_starts, 0);
}

// Its files are opened anew, which nobody may be using.
TEST(SsdWatch, ALateStartWaitsForWhatIsUnderWay) {
  Watched watched(true);
  watched.rig.file_system().lift();
  Transfer* busy = watched.rig.mover().take(TransferKind::kPromote, TransferClass::kInteractive);
  EXPECT_FALSE(watched.comes([&] { return watched.late_starts > 0; }));
  EXPECT_EQ(watched.rig.health().counters().probes, 1u) << "its verdict waits";
  EXPECT_TRUE(watched.rig.contents().waits_for_writes());
  watched.rig.mover().give_back(busy);
  ASSERT_TRUE(watched.comes([&] { return watched.late_starts > 0; }));
  EXPECT_TRUE(watched.rig.health().may_write());
  EXPECT_FALSE(watched.rig.contents().waits_for_writes());
  EXPECT_FALSE(watched.comes([&] { return watched.late_starts > 1; })) << "counted once";
}

TEST(SsdWatch, Law09_WhatHangsIsTold) {
  Watched watched;
  const auto chain = watched.rig.add_chain(1, 1);
  watched.rig.device().hold_all(true);
  watched.rig.mover().start(watched.rig.begin_write(chain));
  watched.rig.turn();
  watched.watch.step(watched.rig.clock.now_ns());
  EXPECT_EQ(watched.rig.health().counters().hangs, 0u);
  watched.rig.clock.advance(nanoseconds(kHealth.hang_ns) + seconds(1));
  watched.watch.step(watched.rig.clock.now_ns());
  EXPECT_EQ(watched.rig.health().counters().hangs, 1u);
  EXPECT_FALSE(watched.rig.health().may_read());
}

}  // namespace
}  // namespace quire::tiering::ssd_watch_test
