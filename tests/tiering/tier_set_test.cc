#include "tiering/tier_set.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "tests/tiering/tier_rig.h"
#include "tiering/job_table.h"

namespace quire::tests::tier_set_test {

namespace {

using model::NodeId;
using tiering::TierMode;

// What is said, whatever section it stands in.
class Figures final : public model::MetricSink {
 public:
  std::map<std::string, uint64_t> numbers;
  std::map<std::string, std::string> words;

  void metric(const model::Metric& metric) override {
    if (metric.kind() != model::MetricKind::kRatio) {
      numbers[std::string(metric.key())] = metric.whole();
    }
  }
  void text(const char* key, std::string_view value) override { words[key] = value; }
  void state(const char* key, const model::MetricState& value, const char*) override {
    words[key] = value.word;
  }
  void summary(const model::MetricSummary& what, std::span<const int64_t> samples_ns) override {
    numbers[what.key] = samples_ns.size();
  }
  void histogram(const model::MetricSummary&, const model::TimeHistogram&) override {}

 private:
  void enter_section(const char*) override {}
  void enter_list(const model::MetricList&) override {}
  void enter_row(std::span<const model::MetricLabel> labels) override {
    words["row"] = labels.front().text;
  }
  void leave() override {}
};

TEST(TierSet, WhatEvictionGivesUpIsErasedBelow) {
  TierRig rig;
  const std::vector<NodeId> chain = rig.add_below(4, 1);
  ASSERT_EQ(rig.tier().object_count(), 4u);
  ASSERT_TRUE(rig.meddle().drop(chain.back()));
  rig.step();
  EXPECT_EQ(rig.tier().object_count(), 3u);
  EXPECT_EQ(rig.tier().held_bytes(), 3 * TierRig::kPageBytes);
}

TEST(TierSet, TheWholeIsAsGoodAsItsTiers) {
  TierRig rig;
  EXPECT_TRUE(rig.set().is_whole());
  rig.tier().set_mode(TierMode::kReadOnly);
  EXPECT_FALSE(rig.set().is_whole());
}

// A match asks: with the tier off, what is there only is out of reach; then it is back.
TEST(TierSet, TheCacheKnowsWhatCanBeRead) {
  TierRig rig;
  rig.add_below(3, 1);
  EXPECT_FALSE(rig.cache_has_unreachable());
  rig.tier().set_mode(TierMode::kOff);
  rig.step();
  EXPECT_TRUE(rig.cache_has_unreachable());
  rig.tier().set_mode(TierMode::kReadOnly);
  rig.step();
  EXPECT_FALSE(rig.cache_has_unreachable());
}

TEST(TierSet, IsIdleOnceNothingMoves) {
  TierRig rig;
  EXPECT_TRUE(rig.set().idle());
  rig.add_chain(1, 1);
  rig.tier().hold(true);
  rig.step(2);
  EXPECT_FALSE(rig.set().idle());
  rig.tier().hold(false);
  rig.step(2);
  EXPECT_TRUE(rig.set().idle());
  EXPECT_EQ(rig.set().queued(), 0u);
}

TEST(TierSet, ARowSaysWhatStandsAboveTheTierToo) {
  TierRig rig;
  rig.add_below(3, 1);
  Figures said;
  rig.set().describe(said);
  EXPECT_EQ(said.words["row"], "memory");
  EXPECT_EQ(said.words["state"], "ok");
  EXPECT_EQ(said.numbers["used_bytes"], 3 * TierRig::kPageBytes);
  EXPECT_EQ(said.numbers["started_objects"], 3u);
  EXPECT_EQ(said.numbers["admitted_bytes"], 3 * TierRig::kPageBytes);
  EXPECT_EQ(said.numbers["durable_lag"], 3u);
  EXPECT_EQ(said.numbers["only_here"], 3u);
  EXPECT_TRUE(said.numbers.contains("loads_finished"));
  EXPECT_TRUE(said.numbers.contains("corrupt_in_ram"));
  rig.tier().set_mode(TierMode::kReadOnly);
  rig.set().describe(said);
  EXPECT_EQ(said.words["state"], "read-only");
  EXPECT_NE(said.words["reason"], "");
}

TEST(JobTable, ANumberIsUsedAgainAndItsJobIsNew) {
  tiering::JobTable<int> jobs;
  const uint32_t first = jobs.take();
  const uint32_t second = jobs.take();
  EXPECT_NE(first, second);
  int* const address = &jobs[first];
  jobs[first] = 7;
  for (int i = 0; i < 1000; ++i) (void)jobs.take();
  EXPECT_EQ(&jobs[first], address);
  EXPECT_EQ(jobs.in_use(), 1002u);
  jobs.give_back(first);
  EXPECT_EQ(jobs.take(), first);
  EXPECT_EQ(jobs[first], 0);
}

}  // namespace

}  // namespace quire::tests::tier_set_test
