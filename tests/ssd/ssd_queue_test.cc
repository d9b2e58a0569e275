// What finds the queue of candidates full is found again.
#include <gtest/gtest.h>

#include "tests/ssd/ssd_faults.h"

namespace quire::tests::ssd_queue_test {

namespace {

constexpr uint32_t kTokens = 40;

}  // namespace

// Candidates beyond the queue's bound, while the device takes no writes, are found again.
TEST(SsdQueue, CandidatesBeyondTheBoundAreFoundAgain) {
  constexpr uint64_t kContexts = 20;
  FaultySsd ssd(
      [](server::Options& options) { options.ssd_write_delay_ms = 1; },
      {.adjust_demotion = [](tiering::DemotionOptions& options) { options.max_queued = 16; }});
  SsdRig& rig = ssd.rig();
  const auto client = connect_lazily(ssd.daemon());
  rig.commit(*client, 100, kTokens);
  ASSERT_TRUE(rig.settle());
  ssd.add_fault({.kinds = kWrites, .action = FaultAction::kDelay, .from_then_on = true});
  // One transfer class has a bound of records: behind them the queue fills.
  for (uint64_t context = 1; context <= kContexts; ++context) {
    rig.commit(*client, context, 8 * kTokens, small_append_layout());
  }
  ASSERT_TRUE(rig.daemon().eventually([&](server::Daemon& d) {
    const SsdStatus status = ssd_status(d);
    return status.demoter.set_aside > 0 && status.queued <= 16 + 256;
  })) << rig.status().queued;
  EXPECT_LT(rig.counters().ssd_spans, rig.counters().spans);
  const auto json = client->status_json();
  ASSERT_TRUE(json.ok());
  EXPECT_NE(json->find("\"set_aside\":"), std::string::npos);
  ssd.clear_faults();
  ssd.release_held();
  ASSERT_TRUE(rig.settle());
  EXPECT_GT(rig.status().demoter.found_again, 0u);
  EXPECT_EQ(rig.status().demoter.failed, 0u);
  EXPECT_EQ(audit(rig), "");
  ssd.daemon().restart();
  EXPECT_EQ(rig.status().restored.spans, kContexts * 80 + 5);
}

}  // namespace quire::tests::ssd_queue_test
