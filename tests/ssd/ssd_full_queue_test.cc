// An operation that finds every place of the engine taken waits for one. That is no failure:
// nothing is given up, written twice or counted as an error.
#include <gtest/gtest.h>

#include <atomic>
#include <map>

#include "tests/ssd/stepped_ssd.h"
#include "tests/support/faulty_file_system.h"

namespace quire::tests::ssd_full_queue_test {

using tiering::IoKind;
using tiering::TierMode;

namespace {

constexpr uint32_t kDepth = 4;
constexpr uint32_t kTokens = 800;  // 100 spans: far more reads than places
constexpr uint32_t kForeverMs = 0xffffffff;

// Context 1 is on the SSD only.
class SsdFullQueue : public testing::Test {
 protected:
  SsdFullQueue() {
    file_system_.set_hook([this](const FileEvent& event) {
      // Batches come by the database's log.
      if (event.operation == FileOperation::kAppend && event.path.ends_with(".log")) {
        batch_is_there_ = true;
      }
      manifest_waits_.wait(true);
    });
    rig().commit(*client_, 1, kTokens);
    QUIRE_CHECK(ssd_.settle());
    rig().empty_ram();
    bytes_of_one_ = rig().status().mover.written_bytes;
  }
  SsdRig& rig() { return ssd_.rig(); }

  // Its reads, which the device holds back, take every place and wait for more.
  void load_fills_the_queue() {
    ssd_.add_fault({.kinds = kReads, .action = FaultAction::kHold, .from_then_on = true});
    reader_ = rig().session(*client_, 1, kTokens);
    match_ = reader_->match(kTokens + 1).value();
    request_ = reader_->submit_load(match_.lease, {.deadline_ms = kForeverMs}).value();
    reader_->flush();
    ASSERT_TRUE(ssd_.wait_for_held(kDepth));
    ssd_.with_engine([&](FaultyEngine& engine) {
      for (const IoKind kind : {IoKind::kSync, IoKind::kAllocate, IoKind::kDeallocate}) {
        refused_before_[kind] = engine.refused_count(kind);
      }
    });
  }
  bool finds_no_place(IoKind kind) {
    return ssd_.comes(
        [&](server::Daemon&) { return ssd_.refused_on_core(kind) > refused_before_[kind]; });
  }
  void manifest_waits(bool waits) {
    batch_is_there_ = false;
    manifest_waits_ = waits;
    manifest_waits_.notify_all();
  }
  void expect_nothing_failed() {
    const SsdStatus status = rig().status();
    EXPECT_EQ(status.state, TierMode::kOk) << status.reason;
    EXPECT_EQ(status.demoter.failed, 0u);
    const tiering::SsdHealthCounters& health = status.health;
    EXPECT_EQ(health.read_errors + health.write_errors + health.sync_errors + health.space_errors,
              0u);
    EXPECT_EQ(health.hangs, 0u);
  }
  void expect_all_goes_on() {
    ssd_.clear_faults();
    ssd_.release_held();
    EXPECT_EQ(finish_load(*reader_, match_, request_), "");
    EXPECT_TRUE(ssd_.settle());
    EXPECT_EQ(audit(rig()), "");
  }

  std::atomic<bool> manifest_waits_ = false;
  std::atomic<bool> batch_is_there_ = false;  // since then
  FaultyFileSystem file_system_;
  SteppedSsd ssd_{[](server::Options& options) { options.ssd_queue_depth = kDepth; },
                  {.manifest_env = file_system_.env()}};
  std::unique_ptr<client::Client> client_ = connect_lazily(ssd_.daemon());
  uint64_t bytes_of_one_ = 0;
  std::map<IoKind, uint64_t> refused_before_;
  std::unique_ptr<client::Session> reader_;
  model::MatchResult match_{};
  client::RequestId request_ = 0;
};

}  // namespace

// One batch is with the manifest, so that what is written next waits for its sync until then.
TEST_F(SsdFullQueue, Law09_SyncThatFindsNoPlaceWaits) {
  manifest_waits(true);
  rig().commit(*client_, 2, kTokens);
  EXPECT_TRUE(ssd_.comes([&](server::Daemon&) { return batch_is_there_.load(); }));
  rig().commit(*client_, 3, kTokens);
  EXPECT_TRUE(ssd_.comes([&](server::Daemon& daemon) {
    return ssd_status(daemon).mover.written_bytes == 3 * bytes_of_one_;
  }));
  load_fills_the_queue();
  manifest_waits(false);
  EXPECT_TRUE(finds_no_place(IoKind::kSync));
  expect_nothing_failed();
  expect_all_goes_on();
  expect_nothing_failed();
  EXPECT_EQ(rig().status().mover.written_bytes, 3 * bytes_of_one_) << "none of them twice";
}

TEST_F(SsdFullQueue, Law09_AllocationThatFindsNoPlaceWaits) {
  load_fills_the_queue();
  const uint64_t allocated = rig().status().space.allocated_bytes;
  rig().commit(*client_, 2, kTokens, small_append_layout());  // of another slot size
  EXPECT_TRUE(finds_no_place(IoKind::kAllocate));
  expect_nothing_failed();
  expect_all_goes_on();
  expect_nothing_failed();
  EXPECT_GT(rig().status().space.allocated_bytes, allocated);
}

TEST_F(SsdFullQueue, Law09_ProbeThatFindsNoPlaceWaits) {
  ssd_.add_fault({.kinds = kWrites, .action = FaultAction::kFail});
  rig().commit(*client_, 2, kTokens);
  ASSERT_TRUE(ssd_.comes_to(TierMode::kReadOnly));
  ASSERT_TRUE(ssd_.comes([](server::Daemon& daemon) { return daemon.tiers()->idle(); }));
  load_fills_the_queue();
  EXPECT_TRUE(finds_no_place(IoKind::kAllocate));
  EXPECT_EQ(rig().status().state, TierMode::kReadOnly) << "no failure, and no end of the probe";
  expect_all_goes_on();
  EXPECT_EQ(rig().status().state, TierMode::kOk);
  EXPECT_EQ(rig().status().health.probes, 1u) << "the one that waited";
}

}  // namespace quire::tests::ssd_full_queue_test
