// Both tiers below RAM fail in turns, by a seeded schedule: one is off, read-only, slow, forgets or
// damages while the other works, and the next moment it is the other way round.
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <random>
#include <vector>

#include "tests/tiering/tier_rig.h"

namespace quire::tests::two_tiers_faults_test {
namespace {

using model::Errc;
using model::NodeId;
using tiering::TierMode;

constexpr uint64_t kSeeds = 8;
constexpr uint32_t kRounds = 40;
constexpr uint64_t kConversations = 5;
constexpr uint64_t kMostSpans = 6;  // of a conversation: a load of all of it fits beside the rest
constexpr auto kPatience = std::chrono::milliseconds(20);

struct Coverage {
  std::map<Errc, uint32_t> loads;
  uint64_t passed_on = 0;
  uint64_t ssd_corrupt = 0;
  uint64_t cluster_corrupt = 0;
  uint64_t found = 0;
};

MemoryTierOptions slow_tier(uint64_t seed) {
  return {.seed = seed, .most_steps = 8, .max_jobs = 3, .job_objects = 3};
}

class Schedule {
 public:
  Schedule(uint64_t seed, Coverage* coverage)
      : random_(seed),
        coverage_(coverage),
        rig_({.tier = slow_tier(seed),
              .page_bytes = 8 << 10,
              .segment_bytes = 2 << 20,
              .cluster = slow_tier(seed + 1000)}) {
    for (uint64_t c = 0; c < kConversations; ++c) chains_[c] = {};
  }

  void run() {
    for (uint32_t round = 0; round < kRounds && !testing::Test::HasFailure(); ++round) {
      mend();
      work(20);
      round % 2 == 0 ? fail(rig_.tier()) : fail(rig_.cluster());
      for (uint64_t i = below(4); i > 0; --i) grow(below(kConversations));
      work(below(60));
      if (below(4) > 0) rig_.meddle().evict();
      for (uint64_t i = below(4); i > 0 && rig_.meddle().evict_from_ssd(); --i) {
      }
      if (below(3) == 0) forget_and_search(below(kConversations));
      for (uint64_t c = 0; c < kConversations; ++c) load(c);
      judge();
    }
    mend();
    ASSERT_TRUE(rig_.until([&] { return rig_.set().idle() && rig_.set().queued() == 0; }));
    for (uint64_t c = 0; c < kConversations; ++c) judge_end_of(c);
    EXPECT_TRUE(rig_.is_clean());
    const tiering::LoadCounters& ssd = rig_.loads().counters(model::TierId::kSsd);
    coverage_->passed_on += ssd.passed_on;
    coverage_->ssd_corrupt += ssd.corrupt;
    coverage_->cluster_corrupt += rig_.loads().counters(model::TierId::kCluster).corrupt;
    coverage_->found += rig_.set().searches().counters().found;
  }

 private:
  uint64_t below(uint64_t bound) { return random_() % bound; }
  void work(uint64_t steps) {
    for (; steps > 0; --steps) {
      rig_.clock.advance(std::chrono::microseconds(100));
      rig_.step();
    }
  }

  void mend() {
    for (MemoryTier* tier : {&rig_.tier(), &rig_.cluster()}) {
      tier->clear_faults();
      tier->hold(false);
      tier->set_mode(TierMode::kOk);
    }
  }
  void fail(MemoryTier& tier) {
    switch (below(7)) {
      case 0:
        return tier.set_mode(TierMode::kOff);
      case 1:
        return tier.set_mode(TierMode::kReadOnly);
      case 2:
        return tier.hold(true);
      case 3:
        return tier.fail_write(below(4), below(2) == 0);
      case 4:
        return tier.fail_read(below(3), TierFault::kFail);
      case 5:
        return tier.fail_read(below(3), TierFault::kDamage);
      default:
        return tier.fail_read(below(3), TierFault::kForget);
    }
  }

  std::optional<NodeId> node(uint64_t number) {
    return rig_.inspect().find(model::FillKind::kSpan, TierRig::key_of(number));
  }
  // As far as it is known here, also by a search that came late.
  std::vector<NodeId> path(uint64_t conversation) {
    std::vector<NodeId> nodes;
    for (const uint64_t number : chains_[conversation]) {
      const std::optional<NodeId> known = node(number);
      if (!known) break;
      rig_.number(*known, number);
      nodes.push_back(*known);
    }
    return nodes;
  }
  // Behind what is left of it.
  void grow(uint64_t conversation) {
    std::vector<uint64_t>& chain = chains_[conversation];
    const std::vector<NodeId> nodes = path(conversation);
    chain.resize(nodes.size());
    if (chain.size() == kMostSpans) chain.clear();
    const NodeId parent = chain.empty() ? rig_.root() : nodes.back();
    rig_.add_span(parent, next_number_, 0);
    chain.push_back(next_number_++);
  }
  // What the cluster holds of it is asked for again, as a match does.
  void forget_and_search(uint64_t conversation) {
    const std::vector<uint64_t> numbers = chains_[conversation];
    if (numbers.empty()) return;
    rig_.forget_cluster();
    std::vector<model::Hash256> keys;
    for (const uint64_t number : numbers) keys.push_back(TierRig::key_of(number));
    const auto known = static_cast<uint32_t>(path(conversation).size());
    if (known == keys.size()) return;
    const uint64_t tag = ++last_tag_;
    const auto asked =
        rig_.set().searches().ask({.tag = tag,
                                   .root = rig_.root_id(),
                                   .chain = {keys.data(), static_cast<uint32_t>(keys.size())},
                                   .known_units = known});
    if (!asked.ok()) return;
    work(20);
    rig_.set().searches().answered().clear();
  }

  // Ends, whatever tiers do, and what it says is so.
  Errc load(uint64_t conversation) {
    std::vector<NodeId> missing;
    for (const NodeId one : path(conversation)) {
      if (!rig_.inspect().in_ram(one)) missing.push_back(one);
    }
    if (missing.empty()) return Errc::kOk;
    const int64_t deadline_ns = rig_.clock.now_ns() + std::chrono::nanoseconds(kPatience).count();
    const uint64_t tag = ++last_tag_;
    const auto started =
        rig_.loads().start({.tag = tag, .deadline_ns = deadline_ns, .nodes = missing});
    const Errc code = started.ok() ? rig_.end_of(tag) : started.code();
    ++coverage_->loads[code];
    if (code == Errc::kOk) {
      for (const NodeId one : missing) EXPECT_TRUE(rig_.is_right(one));
    }
    return code;
  }
  // No wrong byte is anywhere in RAM.
  void judge() {
    for (const auto& [conversation, chain] : chains_) {
      for (const NodeId one : path(conversation)) {
        const bool serves = rig_.inspect().in_ram(one) && !rig_.inspect().object(one).quarantined;
        EXPECT_TRUE(!serves || rig_.is_right(one));
      }
    }
  }
  // Each load that fails takes what it could not have out of the index, and both tiers work: soon
  // what is left can be had.
  void judge_end_of(uint64_t conversation) {
    for (uint64_t i = 0; i <= kMostSpans; ++i) {
      if (load(conversation) == Errc::kOk) return judge();
    }
    ADD_FAILURE() << "something is told of, and cannot be had";
  }

  std::mt19937_64 random_;
  Coverage* coverage_;
  TierRig rig_;
  std::map<uint64_t, std::vector<uint64_t>> chains_;  // numbers of spans
  uint64_t next_number_ = 10;
  uint64_t last_tag_ = 0;
};

TEST(TwoTiersFaults, Law09_BothFailInTurnsAndNothingWrongIsServed) {
  Coverage coverage;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Schedule(seed, &coverage).run();
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(coverage.loads[Errc::kOk], 50u);
  EXPECT_GT(coverage.loads[Errc::kIoError], 0u);
  EXPECT_GT(coverage.loads[Errc::kDeadlineExceeded], 0u);
  EXPECT_GT(coverage.passed_on, 0u);
  EXPECT_GT(coverage.ssd_corrupt, 0u);
  EXPECT_GT(coverage.cluster_corrupt, 0u);
  EXPECT_GT(coverage.found, 0u);
}

}  // namespace
}  // namespace quire::tests::two_tiers_faults_test
