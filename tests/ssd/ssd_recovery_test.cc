// A device that failed and works again: nothing is lost that need not be, nothing is acknowledged
// that was not made durable (law 9).
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "tests/ssd/ssd_faults.h"
#include "tests/ssd/stepped_ssd.h"
#include "tests/support/faulty_file_system.h"

namespace quire::tests::ssd_recovery_test {

using tiering::IoKind;
using tiering::IoOp;
using tiering::TierMode;

namespace {

constexpr uint32_t kTokens = 40;

bool whole(const Hit& hit) {
  return hit.announced_tokens == kTokens && hit.code == model::Errc::kOk && hit.wrong.empty();
}

OptionsChange capacity(uint64_t bytes) {
  return [bytes](server::Options& options) { options.ssd_bytes = bytes; };
}

// Of a daemon in this process: syncs of the names in its directory and what is appended to its
// manifest, in the order in which they happen. Fails the syncs of one directory on demand. Data
// files and logs are synced by fdatasync and not seen here. Outlives the daemon.
class NameWatch {
 public:
  NameWatch() {
    current_.store(this);
    file_system_.set_hook([this](const FileEvent& event) {
      if (event.operation != FileOperation::kAppend || !event.path.ends_with(".log")) return;
      const std::lock_guard lock(mutex_);
      const bool root = event.data.find(root_mark_) != std::string_view::npos;
      add(root ? "root" : "append");
    });
  }
  ~NameWatch() { current_.store(nullptr); }
  server::DaemonSeams seams() { return {.manifest_env = file_system_.env()}; }

  void watch(const std::string& ssd_path) {
    const std::lock_guard lock(mutex_);
    names_ = {{ssd_path, "names"}, {ssd_path + "/layouts", "layouts"}};
  }
  // Records of roots with this layout are told as "root".
  void mark(const model::Layout& layout) {
    const std::lock_guard lock(mutex_);
    const model::Hash256 digest = model::layout_digest(layout);
    root_mark_.assign(digest.bytes.begin(), digest.bytes.end());
  }
  // Syncs of this name fail; of an empty one: none.
  void fail(const std::string& name, int error) {
    const std::lock_guard lock(mutex_);
    failing_ = name;
    error_ = error;
  }
  // Since the last call; equal neighbours are told once.
  std::vector<std::string> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(events_, {});
  }
  uint64_t count(std::thread::id thread) {
    const std::lock_guard lock(mutex_);
    return counts_[thread];
  }

  static int on_fsync(int fd) {
    NameWatch* watch = current_.load();
    if (watch != nullptr && !watch->allow(fd)) return -1;
    return static_cast<int>(::syscall(SYS_fsync, fd));
  }

 private:
  bool allow(int fd) {
    std::error_code ignored;
    const auto path =
        std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), ignored).string();
    const std::lock_guard lock(mutex_);
    ++counts_[std::this_thread::get_id()];
    const auto name = names_.find(path);
    if (name == names_.end()) return true;
    if (name->second != failing_) {
      add(name->second);
      return true;
    }
    add(name->second + " failed");
    errno = error_;
    return false;
  }
  void add(const std::string& event) {
    if (events_.empty() || events_.back() != event) events_.push_back(event);
  }

  inline static std::atomic<NameWatch*> current_{nullptr};
  std::mutex mutex_;  // of all below but file_system_
  std::map<std::string, std::string> names_;
  std::string root_mark_ = "no root";
  std::string failing_;
  int error_ = 0;
  std::vector<std::string> events_;
  std::map<std::thread::id, uint64_t> counts_;
  FaultyFileSystem file_system_;
};

bool has(const std::vector<std::string>& events, const std::string& event) {
  return std::find(events.begin(), events.end(), event) != events.end();
}

// Of the syncs that follow the second is of the probe that finds the device whole again, when the
// first is of a cycle that fails: held, so that the state in between lasts until recover().
void hold_probe(FaultyEngine& engine) {
  engine.add_fault({.kinds = kSyncs, .nth = 1, .action = FaultAction::kHold, .from_then_on = true});
}

void fail_sync_once(FaultyEngine& engine) {
  engine.add_fault({.kinds = kSyncs});
  hold_probe(engine);
}

bool recover(FaultySsd& ssd) {
  ssd.clear_faults();
  ssd.release_held();
  return wait_for_state(ssd.rig(), TierMode::kOk);
}

// What reaches the file whose sync failed, once that is known.
struct SealWatch {
  tiering::FileIndex file;
  uint64_t syncs = 0;
  uint64_t writes = 0;

  // Fails the next sync.
  void fail_sync(FaultyEngine& engine) {
    fail_sync_once(engine);
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
}  // namespace quire::tests::ssd_recovery_test

// In place of the C library's, for the whole program.
extern "C" int fsync(int fd) { return quire::tests::ssd_recovery_test::NameWatch::on_fsync(fd); }

namespace quire::tests::ssd_recovery_test {

// Once in a process for each file and layout, by the manifest's writer, and before a record says
// what lies behind them.
TEST(SsdRecovery, Law08_NamesAreDurableBeforeTheManifestReliesOnThem) {
  using Events = std::vector<std::string>;
  NameWatch watch;
  watch.mark(small_hybrid_layout());
  SsdRig rig(watch.seams());
  watch.watch(rig.ssd_path());
  for (const bool restarted : {false, true}) {
    if (restarted) rig.daemon().restart();
    std::thread::id core;
    rig.daemon().on_core([&](server::Daemon&) { core = std::this_thread::get_id(); });
    const auto client = connect_lazily(rig.daemon());
    const uint64_t context = restarted ? 11 : 1;
    watch.take();
    rig.commit(*client, context, kTokens);
    ASSERT_TRUE(rig.settle());
    const Events events = watch.take();
    ASSERT_GE(events.size(), 3u);
    EXPECT_EQ(events[0], "layouts");
    EXPECT_EQ(events[1], "names");
    EXPECT_EQ(std::count(events.begin(), events.end(), "layouts"), 1);
    EXPECT_EQ(std::count(events.begin(), events.end(), "names"), 1);
    // After the restart the root is known; whether the names were made durable is not.
    EXPECT_EQ(has(events, "root"), !restarted);
    rig.commit(*client, context + 1, kTokens);
    ASSERT_TRUE(rig.settle());
    EXPECT_EQ(watch.take(), Events{"append"});
    rig.commit(*client, context + 2, kTokens, small_append_layout());
    ASSERT_TRUE(rig.settle());
    EXPECT_EQ(watch.take(), (Events{"layouts", "append"}));
    EXPECT_EQ(watch.count(core), 0u);
  }
}

TEST(SsdRecovery, Law08_EachNewDataFilesNameIsMadeDurable) {
  NameWatch watch;
  SsdRig rig(watch.seams());
  watch.watch(rig.ssd_path());
  const auto client = connect_lazily(rig.daemon());
  uint32_t files = 0;
  for (uint64_t context = 1; files < 3; ++context) {
    ASSERT_LT(context, 100u);
    watch.take();
    rig.commit(*client, context, 400);
    ASSERT_TRUE(rig.settle());
    const bool made =
        std::filesystem::exists(rig.ssd_path() + "/data.00000" + std::to_string(files));
    files += made ? 1 : 0;
    EXPECT_EQ(has(watch.take(), "names"), made);
  }
}

// Nothing is acknowledged or named by the manifest; when the syncs work all is written again.
TEST(SsdRecovery, Law09_FailedSyncOfNamesFailsTheBatch) {
  const model::Layout layout = small_append_layout();
  const std::vector<std::pair<std::string, int>> faults = {
      {"names", EIO}, {"names", ENOSPC}, {"layouts", EIO}};
  for (const auto& [name, error] : faults) {
    SCOPED_TRACE(name + " " + std::strerror(error));
    NameWatch watch;
    watch.mark(layout);
    FaultySsd ssd({}, watch.seams());
    SsdRig& rig = ssd.rig();
    watch.watch(rig.ssd_path());
    rig.commit(*connect_lazily(rig.daemon()), 1, kTokens);
    ASSERT_TRUE(rig.settle());
    rig.daemon().restart();
    const auto client = connect_lazily(rig.daemon());
    const uint64_t copies = rig.counters().ssd_spans;
    watch.take();
    watch.fail(name, error);
    ssd.with_engine(hold_probe);
    rig.commit(*client, 2, kTokens, layout);
    ASSERT_TRUE(wait_for_state(rig, TierMode::kReadOnly));
    watch.fail("", 0);
    const SsdStatus status = rig.status();
    EXPECT_NE(status.reason.find(std::strerror(error)), std::string::npos) << status.reason;
    EXPECT_EQ(status.health.space_errors, error == ENOSPC ? 1u : 0u);
    EXPECT_EQ(status.committer.failed_batches, 1u);
    EXPECT_EQ(status.committer.durable_objects, 0u);
    EXPECT_EQ(status.sealed_files, 0u);
    EXPECT_EQ(rig.counters().ssd_spans, copies);
    EXPECT_FALSE(has(watch.take(), "root"));
    EXPECT_EQ(audit(rig), "");
    EXPECT_TRUE(whole(try_hit(rig, *client, 1, kTokens)));  // from the device
    EXPECT_EQ(try_hit(rig, *client, 2, kTokens, layout).tokens_ssd, 0u);

    ASSERT_TRUE(recover(ssd));
    ASSERT_TRUE(rig.settle());
    const std::vector<std::string> events = watch.take();
    const auto root = std::find(events.begin(), events.end(), "root");
    EXPECT_NE(root, events.end());
    EXPECT_TRUE(has({events.begin(), root}, name));
    EXPECT_EQ(audit(rig), "");
    rig.daemon().restart();
    const auto later = connect_lazily(rig.daemon());
    EXPECT_TRUE(whole(try_hit(rig, *later, 1, kTokens)));
    EXPECT_TRUE(whole(try_hit(rig, *later, 2, kTokens, layout)));
    EXPECT_EQ(rig.status().restored.orphans, 0u);
  }
}

TEST(SsdRecovery, Law09_WhatCouldNotBeWrittenIsDemotedWhenTheDeviceWorksAgain) {
  FaultySsd ssd([](server::Options& options) { options.ssd_write_delay_ms = 300; });
  SsdRig& rig = ssd.rig();
  const auto client = connect_lazily(ssd.daemon());
  ssd.add_fault({.kinds = kWrites, .from_then_on = true, .error = EIO});
  rig.commit(*client, 1, kTokens);
  ASSERT_TRUE(wait_for_state(rig, TierMode::kReadOnly));
  EXPECT_NE(rig.status().reason.find("Input/output error"), std::string::npos);
  EXPECT_EQ(audit(rig), "");
  EXPECT_EQ(rig.counters().ssd_spans, 0u);
  ssd.clear_faults();
  ASSERT_TRUE(wait_for_state(rig, TierMode::kOk));
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
  ASSERT_TRUE(wait_for_state(rig, TierMode::kReadOnly));
  EXPECT_EQ(rig.status().sealed_files, 1u);
  EXPECT_EQ(rig.status().health.sync_errors, 1u);
  EXPECT_EQ(audit(rig), "");
  ssd.with_engine([&](FaultyEngine& engine) { watch.count(engine); });
  rig.empty_ram();
  const Hit old = try_hit(rig, *client, 1, kTokens);
  EXPECT_TRUE(whole(old));
  EXPECT_EQ(old.tokens_ssd, kTokens);

  ASSERT_TRUE(recover(ssd));
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
    fail_sync_once(engine);
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
    const auto status = ssd_status(daemon);
    return status.queued == 0 && status.transfers > 1 && ssd.all_held_on_core();
  }));
  const uint64_t durable = rig.status().committer.durable_objects;
  ssd.release_held();
  ASSERT_TRUE(wait_for_state(rig, TierMode::kReadOnly));
  EXPECT_EQ(audit(rig), "");
  EXPECT_EQ(rig.counters().ssd_spans, kTokens / 8);  // of the first context
  EXPECT_EQ(rig.status().committer.durable_objects, durable);
  ASSERT_TRUE(recover(ssd));
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
  ssd.with_engine(fail_sync_once);
  rig.commit(*client, 2, kTokens);
  ASSERT_TRUE(wait_for_state(rig, TierMode::kReadOnly));
  ASSERT_TRUE(recover(ssd));
  ASSERT_TRUE(ssd.daemon().eventually(
      [](server::Daemon& daemon) { return !ssd_status(daemon).blocked_by.empty(); }));
  for (uint64_t context = 3; context <= 6; ++context) rig.commit(*client, context, kTokens);
  EXPECT_TRUE(serves_ram(rig, *client, 99));
  EXPECT_EQ(rig.counters().ssd_evicted, 0u);
  rig.empty_ram();
  EXPECT_TRUE(whole(try_hit(rig, *client, 1, kTokens)));
}

// A hung read switches the tier off, and quarantines nothing.
TEST(SsdRecovery, WhatIsCommittedAgainWhileTheTierIsOffIsNoDuplicate) {
  SteppedSsd ssd;
  SsdRig& rig = ssd.rig();
  const auto client = connect_lazily(ssd.daemon());
  for (uint64_t context = 1; context <= 3; ++context) rig.commit(*client, context, kTokens);
  ASSERT_TRUE(ssd.settle());
  const CacheCounters before = rig.counters();
  rig.empty_ram();
  ssd.add_fault({.kinds = kReads, .action = FaultAction::kHold, .from_then_on = true});
  EXPECT_EQ(ssd.load_that_hangs(*client, 1, kTokens), model::Errc::kIoError);
  ASSERT_TRUE(wait_for_state(rig, TierMode::kOff));

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
  ASSERT_TRUE(ssd.comes_to(TierMode::kOk));
  ASSERT_TRUE(ssd.settle());
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

}  // namespace quire::tests::ssd_recovery_test
