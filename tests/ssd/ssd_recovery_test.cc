// A device that failed and works again: nothing is lost that need not be, nothing is acknowledged
// that was not made durable (law 9).
#include <gtest/gtest.h>

#include <cerrno>

#include "tests/ssd/ssd_faults.h"

namespace quire::tests {

using tiering::IoKind;
using tiering::IoOp;
using tiering::SsdState;

namespace {

constexpr uint32_t kTokens = 40;

bool whole(const Hit& hit) {
  return hit.announced_tokens == kTokens && hit.code == model::Errc::kOk && hit.wrong.empty();
}

OptionsChange capacity(uint64_t bytes) {
  return [bytes](server::Options& options) { options.ssd_bytes = bytes; };
}

// What reaches the file whose sync failed, once that is known.
struct SealWatch {
  tiering::FileIndex file;
  uint64_t syncs = 0;
  uint64_t writes = 0;

  // Fails the next sync.
  void fail_sync(FaultyEngine& engine) {
    engine.add_fault({.kinds = kSyncs});
    engine.set_hook([this](const IoOp& op, uint64_t) {
      if (op.kind == IoKind::kSync && !file.valid()) file = op.file;
    });
  }
  void count(FaultyEngine& engine) {
    engine.set_hook([this](const IoOp& op, uint64_t) {
      if (op.file != file) return;
      syncs += op.kind == IoKind::kSync ? 1 : 0;
      writes += op.kind == IoKind::kWrite ? 1 : 0;
    });
  }
};

}  // namespace

TEST(SsdRecovery, Law09_WhatCouldNotBeWrittenIsDemotedWhenTheDeviceWorksAgain) {
  FaultySsd ssd([](server::Options& options) { options.ssd_write_delay_ms = 300; });
  SsdRig& rig = ssd.rig();
  const auto client = connect_lazily(ssd.daemon());
  ssd.add_fault({.kinds = kWrites, .from_then_on = true, .error = EIO});
  rig.commit(*client, 1, kTokens);
  ASSERT_TRUE(wait_for_state(rig, SsdState::kReadOnly));
  EXPECT_NE(rig.status().reason.find("Input/output error"), std::string::npos);
  EXPECT_EQ(audit(rig), "");
  EXPECT_EQ(rig.counters().ssd_spans, 0u);
  ssd.clear_faults();
  ASSERT_TRUE(wait_for_state(rig, SsdState::kOk));
  ASSERT_TRUE(rig.settle());
  EXPECT_GT(rig.empty_ram(), 0u);
  EXPECT_TRUE(whole(try_hit(rig, *client, 1, kTokens)));
  EXPECT_EQ(audit(rig), "");
}

TEST(SsdRecovery, Law09_FileWhoseSyncFailedIsNeitherSyncedNorWrittenAgain) {
  FaultySsd ssd;
  SsdRig& rig = ssd.rig();
  SealWatch watch;
  const auto client = connect_lazily(ssd.daemon());
  rig.commit(*client, 1, kTokens);
  ASSERT_TRUE(rig.settle());
  ssd.with_engine([&](FaultyEngine& engine) { watch.fail_sync(engine); });
  rig.commit(*client, 2, kTokens);
  ASSERT_TRUE(wait_for_state(rig, SsdState::kReadOnly));
  EXPECT_EQ(rig.status().sealed_files, 1u);
  EXPECT_EQ(rig.status().health.sync_errors, 1u);
  EXPECT_EQ(audit(rig), "");
  ssd.with_engine([&](FaultyEngine& engine) { watch.count(engine); });
  rig.empty_ram();
  const Hit old = try_hit(rig, *client, 1, kTokens);
  EXPECT_TRUE(whole(old));
  EXPECT_EQ(old.tokens_ssd, kTokens);

  ASSERT_TRUE(wait_for_state(rig, SsdState::kOk));
  rig.commit(*client, 3, kTokens);
  ASSERT_TRUE(rig.settle());
  EXPECT_EQ(audit(rig), "");
  ssd.with_engine([](FaultyEngine& engine) { engine.set_hook({}); });
  EXPECT_EQ(watch.syncs, 0u);
  EXPECT_EQ(watch.writes, 0u);
  ssd.daemon().restart();
  const auto later = connect_lazily(ssd.daemon());
  EXPECT_TRUE(whole(try_hit(rig, *later, 1, kTokens)));
  EXPECT_TRUE(whole(try_hit(rig, *later, 3, kTokens)));
  EXPECT_EQ(rig.status().restored.orphans, 0u);
}

// Writes that were done while the sync that failed was under way are as lost as those before it.
TEST(SsdRecovery, Law09_WhatWasWrittenDuringTheFailedSyncIsNotAcknowledged) {
  FaultySsd ssd;
  SsdRig& rig = ssd.rig();
  SealWatch watch;
  const auto client = connect_lazily(ssd.daemon());
  rig.commit(*client, 1, kTokens);
  ASSERT_TRUE(rig.settle());
  // The failing sync is told late.
  ssd.with_engine([&](FaultyEngine& engine) {
    engine.add_fault({.kinds = kSyncs});
    engine.set_hook([&](const IoOp& op, uint64_t) {
      if (op.kind != IoKind::kSync) return;
      watch.file = op.file;
      engine.hold_all(true);
    });
  });
  rig.commit(*client, 2, kTokens);
  ASSERT_TRUE(ssd.wait_for_held(1));
  ssd.with_engine([&](FaultyEngine& engine) {
    engine.hold_all(false);
    engine.set_hook([&](const IoOp& op, uint64_t) {
      // Writes that were decided on before the sync was told still go there.
      watch.syncs += op.kind == IoKind::kSync && op.file == watch.file ? 1 : 0;
    });
  });
  rig.commit(*client, 3, kTokens);
  // Written: all that was started, and nothing else can go on before the sync is told.
  ASSERT_TRUE(ssd.daemon().eventually([&](server::Daemon& daemon) {
    const auto status = daemon.tier()->status();
    return status.queued == 0 && status.transfers > 1 && ssd.all_held_on_core();
  }));
  const uint64_t durable = rig.status().committer.durable_objects;
  ssd.release_held();
  ASSERT_TRUE(wait_for_state(rig, SsdState::kReadOnly));
  EXPECT_EQ(audit(rig), "");
  EXPECT_EQ(rig.counters().ssd_spans, kTokens / 8);  // of the first context
  EXPECT_EQ(rig.status().committer.durable_objects, durable);
  ASSERT_TRUE(wait_for_state(rig, SsdState::kOk));
  ASSERT_TRUE(rig.settle());
  ssd.with_engine([](FaultyEngine& engine) { engine.set_hook({}); });
  EXPECT_EQ(watch.syncs, 0u);
}

// One data file, and that is sealed: nothing can be written, but nothing readable is given up.
TEST(SsdRecovery, Law09_SealedFileKeepsWhatItHoldsWhenThereIsNoOther) {
  FaultySsd ssd(capacity(4ull << 20));
  SsdRig& rig = ssd.rig();
  const auto client = connect_lazily(ssd.daemon());
  rig.commit(*client, 1, kTokens);
  ASSERT_TRUE(rig.settle());
  ssd.add_fault({.kinds = kSyncs});
  rig.commit(*client, 2, kTokens);
  ASSERT_TRUE(wait_for_state(rig, SsdState::kReadOnly));
  ASSERT_TRUE(wait_for_state(rig, SsdState::kOk));
  ASSERT_TRUE(ssd.daemon().eventually(
      [](server::Daemon& daemon) { return !daemon.tier()->status().blocked_by.empty(); }));
  for (uint64_t context = 3; context <= 6; ++context) rig.commit(*client, context, kTokens);
  EXPECT_TRUE(serves_ram(rig, *client, 99));
  EXPECT_EQ(rig.counters().ssd_evicted, 0u);
  rig.empty_ram();
  EXPECT_TRUE(whole(try_hit(rig, *client, 1, kTokens)));
}

// A hung read switches the tier off, and quarantines nothing.
TEST(SsdRecovery, WhatIsCommittedAgainWhileTheTierIsOffIsNoDuplicate) {
  FaultySsd ssd([](server::Options& options) { options.ssd_hang_ms = 100; });
  SsdRig& rig = ssd.rig();
  const auto client = connect_lazily(ssd.daemon());
  for (uint64_t context = 1; context <= 3; ++context) rig.commit(*client, context, kTokens);
  ASSERT_TRUE(rig.settle());
  const cache::StoreCounters before = rig.counters();
  rig.empty_ram();
  ssd.add_fault({.kinds = kReads, .action = FaultAction::kHold, .from_then_on = true});
  EXPECT_EQ(try_hit(rig, *client, 1, kTokens).code, model::Errc::kIoError);
  ASSERT_TRUE(wait_for_state(rig, SsdState::kOff));

  EXPECT_EQ(try_hit(rig, *client, 2, kTokens).announced_tokens, 0u);
  rig.commit(*client, 2, kTokens);
  const Hit again = try_hit(rig, *client, 2, kTokens);
  EXPECT_TRUE(whole(again));
  EXPECT_EQ(again.tokens_ssd, 0u);
  rig.commit(*client, 4, kTokens);
  EXPECT_TRUE(whole(try_hit(rig, *client, 4, kTokens)));
  EXPECT_EQ(rig.counters().spans, before.spans + kTokens / 8);

  ssd.clear_faults();
  ssd.release_held();
  ASSERT_TRUE(wait_for_state(rig, SsdState::kOk));
  ASSERT_TRUE(rig.settle());
  EXPECT_EQ(audit(rig), "");
  for (const bool restarted : {false, true}) {
    if (restarted) ssd.daemon().restart();
    const auto reader = connect_lazily(ssd.daemon());
    rig.empty_ram();
    for (uint64_t context = 1; context <= 4; ++context) {
      EXPECT_TRUE(whole(try_hit(rig, *reader, context, kTokens))) << context << restarted;
    }
  }
}

}  // namespace quire::tests
