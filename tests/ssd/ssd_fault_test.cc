// The n-th operation on the device fails, for every n there is (laws 1, 2, 9).
#include <gtest/gtest.h>

#include <cerrno>
#include <vector>

#include "tests/ssd/ssd_faults.h"

namespace quire::tests::ssd_fault_test {

using tiering::TierMode;

namespace {

constexpr uint32_t kTokens = 40;         // 5 spans and a checkpoint, or 10 spans
constexpr uint64_t kAppendContext = 10;  // contexts from here on have the append layout

model::Layout layout_of(uint64_t context) {
  return context >= kAppendContext ? small_append_layout() : small_hybrid_layout();
}

// Contexts that were committed, and may be hit.
class Oracle {
 public:
  explicit Oracle(FaultySsd& ssd) : rig_(ssd.rig()) {}

  void commit(client::Client& client, uint64_t context) {
    rig_.commit(client, context, kTokens, layout_of(context));
    contexts_.push_back(context);
  }
  // Whatever is returned is right; what was never committed is a miss. The number of whole hits.
  int hit_all(client::Client& client) {
    int whole = 0;
    for (const uint64_t context : contexts_) {
      const Hit hit = try_hit(rig_, client, context, kTokens, layout_of(context));
      EXPECT_EQ(hit.wrong, "") << "context " << context;
      whole += hit.announced_tokens == kTokens && hit.code == model::Errc::kOk ? 1 : 0;
    }
    EXPECT_EQ(try_hit(rig_, client, 7, kTokens).announced_tokens, 0u);
    return whole;
  }
  int count() const { return static_cast<int>(contexts_.size()); }

 private:
  SsdRig& rig_;
  std::vector<uint64_t> contexts_;
};

void expect_failure_is_told(const SsdStatus& status, KindMask kinds) {
  const tiering::SsdHealthCounters& health = status.health;
  EXPECT_GT(health.read_errors + health.write_errors + health.sync_errors + health.space_errors,
            0u);
  if (kinds == kReads || health.recoveries > 0) return;
  // A tier that cannot grow goes on with what it has.
  if (kinds == kAllocates && status.state == TierMode::kOk) return;
  EXPECT_EQ(status.state, TierMode::kReadOnly);
  EXPECT_NE(status.reason, "");
  EXPECT_NE(status.action, "");
}

// Commits, demotion, promotion, more commits, a restart. False: the fault never came to act.
bool survives(const OptionsChange& change, const Fault& fault) {
  FaultySsd ssd(change);
  SsdRig& rig = ssd.rig();
  Oracle oracle(ssd);
  bool acted = false;
  {
    const auto client = connect_lazily(ssd.daemon());
    ssd.add_fault(fault);
    oracle.commit(*client, 1);
    EXPECT_EQ(audit(rig), "");
    oracle.commit(*client, kAppendContext);
    EXPECT_EQ(audit(rig), "");
    rig.empty_ram();
    oracle.hit_all(*client);
    oracle.commit(*client, 2);
    EXPECT_EQ(audit(rig), "");
    rig.empty_ram();
    oracle.hit_all(*client);
    EXPECT_TRUE(serves_ram(rig, *client, 99));
    EXPECT_EQ(audit(rig), "");
    acted = ssd.faults_acted() > 0;
    if (acted) expect_failure_is_told(rig.status(), fault.kinds);
    EXPECT_EQ(rig.status().sealed_files, acted && fault.kinds == kSyncs ? 1u : 0u);
    if (!acted) {
      EXPECT_EQ(oracle.hit_all(*client), oracle.count());
    }
  }
  ssd.daemon().restart();
  const auto client = connect_lazily(ssd.daemon());
  EXPECT_EQ(rig.status().state, TierMode::kOk);
  oracle.hit_all(*client);
  oracle.commit(*client, 3);
  EXPECT_TRUE(rig.settle());
  rig.empty_ram();
  EXPECT_GT(oracle.hit_all(*client), 0);
  EXPECT_EQ(audit(rig), "");
  return acted;
}

// As SQLite's I/O loop: n = 0, 1, .. until a run is clean, once with each failing alone, once with
// all after it. The engines take turns.
void fail_each(Fault fault) {
  for (const bool from_then_on : {false, true}) {
    uint64_t n = 0;
    for (bool acted = true; acted; ++n) {
      const char* engine = (n % 2 == 0) != from_then_on ? "io_uring" : "pread";
      SCOPED_TRACE("operation " + std::to_string(n) + (from_then_on ? " and all after, " : ", ") +
                   engine);
      const MemoryDirectory memory;
      fault.nth = n;
      fault.from_then_on = from_then_on;
      acted = survives(memory.use(engine), fault);
      if (testing::Test::HasFailure()) return;
      ASSERT_LT(n, 100u);
    }
    EXPECT_GT(n, 1u);  // the loop met something
  }
}

}  // namespace

TEST(SsdFault, Law09_EveryReadFails) { fail_each({.kinds = kReads}); }
TEST(SsdFault, Law09_EveryWriteFails) { fail_each({.kinds = kWrites}); }
TEST(SsdFault, Law09_EverySyncFails) { fail_each({.kinds = kSyncs}); }
TEST(SsdFault, Law09_EveryAllocationFails) { fail_each({.kinds = kAllocates, .error = ENOSPC}); }

TEST(SsdFault, Law09_ShortTransfersAreFailures) {
  for (const char* engine : {"io_uring", "pread"}) {
    for (const KindMask kinds : {kReads, kWrites}) {
      SCOPED_TRACE(engine);
      const MemoryDirectory memory;
      EXPECT_TRUE(
          survives(memory.use(engine),
                   {.kinds = kinds, .nth = 1, .action = FaultAction::kShorten, .amount = 4096}));
    }
  }
}

TEST(SsdFault, Law09_WritesFailForWantOfSpace) {
  const MemoryDirectory memory;
  EXPECT_TRUE(survives(memory.use(), {.kinds = kWrites, .from_then_on = true, .error = ENOSPC}));
}

// A bit that flips on the way in is a miss, like one that flipped on the device.
TEST(SsdFault, Law04_BitsFlippedInReadsAreNeverDelivered) {
  FaultySsd ssd;
  SsdRig& rig = ssd.rig();
  const auto client = connect_lazily(ssd.daemon());
  Oracle oracle(ssd);
  for (uint64_t context = 1; context <= 4; ++context) oracle.commit(*client, context);
  ASSERT_TRUE(rig.settle());
  rig.empty_ram();
  ssd.add_fault({.kinds = kReads,
                 .action = FaultAction::kFlipBit,
                 .from_then_on = true,
                 .amount = 8 * 1000 + 3});
  EXPECT_LT(oracle.hit_all(*client), oracle.count());
  EXPECT_GT(rig.status().loader.corrupt, 0u);
  EXPECT_EQ(audit(rig), "");
}

TEST(SsdFault, CompletionsInAnyOrderAreTakenForWhatTheyAre) {
  FaultySsd ssd;
  SsdRig& rig = ssd.rig();
  const auto client = connect_lazily(ssd.daemon());
  Oracle oracle(ssd);
  ssd.with_engine([](FaultyEngine& engine) { engine.hold_all(true); });
  for (uint64_t context = 1; context <= 6; ++context) oracle.commit(*client, context);
  ASSERT_TRUE(ssd.daemon().eventually([&](server::Daemon& daemon) {
    ssd.release_on_core(1);
    const CacheCounters counters = inspect(daemon).counters();
    return counters.ssd_spans == counters.spans && daemon.tiers()->idle();
  }));
  rig.empty_ram();
  std::vector<std::unique_ptr<client::Session>> readers;
  std::vector<model::MatchResult> matches;
  for (uint64_t context = 1; context <= 6; ++context) {
    readers.push_back(rig.session(*client, context, kTokens));
    matches.push_back(*readers.back()->match(kTokens + 1));
  }
  std::vector<client::RequestId> loads;
  for (size_t i = 0; i < readers.size(); ++i) {
    loads.push_back(*readers[i]->submit_load(matches[i].lease));
    readers[i]->flush();
  }
  ASSERT_TRUE(ssd.daemon().eventually([&](server::Daemon& daemon) {
    ssd.release_on_core(1);
    return ssd_status(daemon).loader.finished == readers.size() && daemon.tiers()->idle();
  }));
  for (size_t i = 0; i < readers.size(); ++i) {
    EXPECT_EQ(finish_load(*readers[i], matches[i], loads[i]), "");
  }
  readers.clear();
  EXPECT_EQ(audit(rig), "");
}

}  // namespace quire::tests::ssd_fault_test
