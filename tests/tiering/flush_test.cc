// A flush writes all that is in RAM only, says what it could not write, and ends under load.
#include "tiering/demotion/flush.h"

#include <gtest/gtest.h>

#include "tests/tiering/tier_rig.h"

namespace quire::tests::flush_test {
namespace {

using model::Errc;
using model::NodeId;
using tiering::FlushCounts;
using tiering::TierMode;
using tiering::WritePolicy;

const tiering::Flush& flush_of(TierRig& rig) { return rig.demotion().flush(); }
bool ends(TierRig& rig) {
  return rig.until([&] { return !flush_of(rig).is_running(); });
}

TEST(Flush, WritesWhatWriteBackWouldKeepInRam) {
  TierRig rig({.demotion = {.policy = WritePolicy::kBack, .delay_ms = 60'000}});
  const std::vector<NodeId> chain = rig.add_chain(8, 1);
  rig.add_span(chain[3], 100);
  rig.step(20);
  ASSERT_EQ(rig.tier().object_count(), 0u);
  ASSERT_TRUE(rig.set().flush().ok());
  ASSERT_TRUE(ends(rig));
  EXPECT_TRUE(flush_of(rig).is_complete());
  EXPECT_EQ(flush_of(rig).counts().written_objects, 9u);
  EXPECT_EQ(flush_of(rig).counts().written_bytes, 9 * TierRig::kPageBytes);
  EXPECT_TRUE(rig.inspect().counters().all_on_ssd());
  for (const NodeId node : chain) EXPECT_TRUE(rig.inspect().in_ram(node)) << "a copy, no move";
  rig.add_span(chain.back(), 200);
  rig.step(100);
  EXPECT_EQ(rig.tier().object_count(), 9u) << "write-back again";
  EXPECT_TRUE(rig.is_clean());
}

TEST(Flush, WaitsForNoDelayAndForWhatIsUnderWay) {
  TierRig rig({.demotion = {.delay_ms = 60'000}});
  rig.add_chain(4, 1);
  rig.step(5);
  rig.tier().hold(true);
  ASSERT_TRUE(rig.set().flush().ok());
  rig.step(50);
  EXPECT_TRUE(flush_of(rig).is_running()) << "nothing is durable yet";
  EXPECT_EQ(rig.set().flush().code(), Errc::kBusy) << "one at a time";
  rig.tier().hold(false);
  ASSERT_TRUE(ends(rig));
  EXPECT_TRUE(rig.inspect().counters().all_on_ssd());
}

// What comes while it runs waits as ever; without that a flush would have no end under load.
TEST(Flush, EndsHoweverMuchIsCommitted) {
  TierRig rig({.tier = {.least_steps = 5, .most_steps = 20}, .demotion = {.delay_ms = 0}});
  NodeId end = rig.add_chain(4, 1).back();
  rig.step(2);
  ASSERT_TRUE(rig.set().flush().ok());
  uint32_t steps = 0;
  for (uint64_t number = 100; flush_of(rig).is_running(); ++steps) {
    rig.clock.advance(std::chrono::milliseconds(1));
    if (number < 108) end = rig.add_span(end, number++);
    rig.step();
    ASSERT_LT(steps, 1000u);
  }
  EXPECT_TRUE(flush_of(rig).is_complete());
  EXPECT_GE(flush_of(rig).counts().written_objects, 4u);
  EXPECT_TRUE(rig.is_clean());
}

TEST(Flush, SaysWhatItCouldNotWrite) {
  TierRig rig({.tier = {.largest_object_bytes = TierRig::kPageBytes / 2},
               .demotion = {.policy = WritePolicy::kBack}});
  rig.add_chain(3, 1);
  ASSERT_TRUE(rig.set().flush().ok());
  ASSERT_TRUE(ends(rig));
  EXPECT_FALSE(flush_of(rig).is_complete());
  EXPECT_EQ(flush_of(rig).counts().too_large, 3u);
  EXPECT_EQ(flush_of(rig).counts().written_objects, 0u);
}

TEST(Flush, TheBudgetOfADayHoldsForItToo) {
  TierRig rig({.demotion = {.policy = WritePolicy::kBack,
                            .admission = {.bytes_per_day = 24 * TierRig::kPageBytes}}});
  rig.add_span(rig.root(), 1);
  rig.add_span(rig.root(), 2);
  ASSERT_TRUE(rig.set().flush().ok());
  ASSERT_TRUE(ends(rig));
  EXPECT_EQ(flush_of(rig).counts().written_objects, 1u) << "an hour's worth";
  EXPECT_EQ(flush_of(rig).counts().by_budget, 1u);
}

TEST(Flush, EndsWhenTheTierTakesNoWrites) {
  TierRig rig({.demotion = {.policy = WritePolicy::kBack}});
  rig.add_chain(3, 1);
  rig.tier().hold(true);
  ASSERT_TRUE(rig.set().flush().ok());
  rig.step(10);
  rig.tier().set_mode(TierMode::kReadOnly);
  rig.step();
  EXPECT_FALSE(flush_of(rig).is_running());
  EXPECT_FALSE(flush_of(rig).is_complete());
  const auto refused = rig.set().flush();
  EXPECT_EQ(refused.code(), Errc::kBusy);
  EXPECT_NE(refused.error().text.find("read-only"), std::string::npos) << refused.error().text;
  rig.tier().hold(false);
}

TEST(Flush, FailedWritesAreTriedAgain) {
  TierRig rig({.demotion = {.policy = WritePolicy::kBack}});
  rig.add_chain(3, 1);
  rig.tier().fail_write(2);
  ASSERT_TRUE(rig.set().flush().ok());
  ASSERT_TRUE(ends(rig));
  EXPECT_TRUE(flush_of(rig).is_complete());
  EXPECT_TRUE(rig.inspect().counters().all_on_ssd());
}

}  // namespace
}  // namespace quire::tests::flush_test
