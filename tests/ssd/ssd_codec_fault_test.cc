// A device that fails, and a daemon that is killed, while objects are stored encoded (laws 8, 9).
// The same for pages as they are, at every step: ssd_fault_test, ssd_crash_test.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <vector>

#include "tests/ssd/crash_workload.h"
#include "tests/ssd/packed_ssd.h"
#include "tests/ssd/ssd_child.h"

namespace quire::tests::ssd_codec_fault_test {

using tiering::TierMode;

namespace {

constexpr uint32_t kTokens = 40;  // 5 spans and a checkpoint

// Whatever is returned is right. The number of whole hits.
int hit_all(PackedSsd& packed, const std::vector<uint64_t>& contexts) {
  int whole = 0;
  for (const uint64_t context : contexts) {
    const Hit hit = packed.hit(context, kTokens);
    EXPECT_EQ(hit.wrong, "") << "context " << context;
    whole += hit.announced_tokens == kTokens && hit.code == model::Errc::kOk ? 1 : 0;
  }
  EXPECT_EQ(packed.hit(77, kTokens).announced_tokens, 0u);
  return whole;
}

// Commits, demotion, promotion, and after a restart the same without the fault. False: the fault
// never came to act.
bool survives(const std::string& engine, const Fault& fault) {
  PackedSsd packed({}, engine);
  SsdRig& rig = packed.rig();
  EXPECT_TRUE(packed.learn());
  packed.ssd().add_fault(fault);
  std::vector<uint64_t> contexts;
  for (const uint64_t context : {1, 2}) {
    EXPECT_TRUE(packed.put(context, kTokens));
    contexts.push_back(context);
    EXPECT_EQ(audit(rig), "");
    rig.empty_ram();
    hit_all(packed, contexts);
  }
  EXPECT_TRUE(serves_ram(rig, packed.client(), 99));
  EXPECT_EQ(audit(rig), "");
  EXPECT_GT(packed.demoter().encoded_objects, 0u);
  const bool acted = packed.ssd().faults_acted() > 0;
  const tiering::SsdHealthCounters health = rig.status().health;
  EXPECT_EQ(acted, health.read_errors + health.write_errors + health.sync_errors > 0);
  packed.restart();
  EXPECT_EQ(rig.status().state, TierMode::kOk);
  hit_all(packed, contexts);
  EXPECT_TRUE(packed.learn(small_packing_layout(), 950));
  EXPECT_TRUE(packed.commit(3, kTokens));
  contexts.push_back(3);
  rig.empty_ram();
  EXPECT_GT(hit_all(packed, contexts), 0);
  EXPECT_EQ(rig.status().loader.corrupt, 0u);
  EXPECT_EQ(audit(rig), "");
  return acted;
}

void fail_some(Fault fault, const std::vector<uint64_t>& once, const std::vector<uint64_t>& ever) {
  bool io_uring = true;
  for (const bool from_then_on : {false, true}) {
    for (const uint64_t nth : from_then_on ? ever : once) {
      SCOPED_TRACE("operation " + std::to_string(nth) + (from_then_on ? " and all after" : ""));
      fault.nth = nth;
      fault.from_then_on = from_then_on;
      EXPECT_TRUE(survives(io_uring ? "io_uring" : "pread", fault));
      io_uring = !io_uring;
      if (testing::Test::HasFailure()) return;
    }
  }
}

// Kills before the n-th operation on the device after contexts were given up.
ChildRole works_until_killed("crash-encoded", [](const std::vector<std::string>& arguments) {
  const uint64_t step = std::stoull(arguments[1]);
  std::atomic<bool> dropping{false};
  std::atomic<uint64_t> count{0};
  server::DaemonSeams seams;
  seams.wrap_engine = [&](std::unique_ptr<tiering::IoEngine> inner) {
    auto engine = std::make_unique<FaultyEngine>(std::move(inner));
    engine->set_hook([&](const tiering::IoOp&, uint64_t) {
      if (dropping && ++count == step) ::raise(SIGKILL);
    });
    return engine;
  };
  const auto tell = [&](const std::string& line) {
    report_to_parent(line);
    if (line.starts_with("dropping")) dropping = true;
  };
  run_crash_workload(arguments[0], seams, tell, CrashContent::kEncoded);
  return 0;
});

}  // namespace

TEST(SsdCodecFault, Law09_ReadsFail) { fail_some({.kinds = kReads}, {0, 1, 3}, {0, 2}); }
TEST(SsdCodecFault, Law09_WritesFail) { fail_some({.kinds = kWrites}, {0, 1, 3}, {0, 2}); }
TEST(SsdCodecFault, Law09_SyncsFail) { fail_some({.kinds = kSyncs}, {0}, {0}); }
TEST(SsdCodecFault, Law09_ShortReadsAreFailures) {
  fail_some({.kinds = kReads, .action = FaultAction::kShorten, .amount = 4096}, {1}, {});
}

TEST(SsdCodecFault, Law04_BitsFlippedInReadsAreNeverDelivered) {
  PackedSsd packed;
  SsdRig& rig = packed.rig();
  ASSERT_TRUE(packed.learn());
  std::vector<uint64_t> contexts;
  for (uint64_t context = 1; context <= 4; ++context) {
    ASSERT_TRUE(packed.put(context, kTokens));
    contexts.push_back(context);
  }
  ASSERT_TRUE(rig.settle());
  rig.empty_ram();
  packed.ssd().add_fault({.kinds = kReads,
                          .action = FaultAction::kFlipBit,
                          .from_then_on = true,
                          .amount = 8 * 3000 + 3});
  EXPECT_EQ(hit_all(packed, contexts), 0);
  EXPECT_GT(rig.status().loader.corrupt, 0u);
  EXPECT_EQ(audit(rig), "");
}

TEST(SsdCodecFault, CompletionsInAnyOrderAreTakenForWhatTheyAre) {
  PackedSsd packed;
  SsdRig& rig = packed.rig();
  ASSERT_TRUE(packed.learn());
  packed.ssd().with_engine([](FaultyEngine& engine) { engine.hold_all(true); });
  std::vector<uint64_t> contexts;
  for (uint64_t context = 1; context <= 4; ++context) {
    ASSERT_TRUE(packed.put(context, kTokens));
    contexts.push_back(context);
  }
  ASSERT_TRUE(packed.ssd().daemon().eventually([&](server::Daemon& daemon) {
    packed.ssd().release_on_core(1);
    const CacheCounters counters = inspect(daemon).counters();
    return counters.ssd_spans == counters.spans && daemon.tiers()->idle();
  }));
  packed.ssd().with_engine([](FaultyEngine& engine) { engine.hold_all(false); });
  packed.ssd().release_held();
  ASSERT_TRUE(rig.settle());
  rig.empty_ram();
  EXPECT_EQ(hit_all(packed, contexts), 4);
  EXPECT_EQ(audit(rig), "");
}

// At every third operation, until a run comes to its end.
TEST(SsdCodecFault, Law08_KilledBeforeOperationsOnTheDevice) {
  uint64_t step = 1;
  for (int end = -SIGKILL; end == -SIGKILL; step += 3) {
    const ScratchDirectory scratch(memory_directory());
    ChildProcess child("crash-encoded", {scratch / "ssd", std::to_string(step)});
    end = child.wait();
    std::set<uint64_t> durable;
    for (std::string line; !(line = child.next_line()).empty();) note_told(durable, line);
    EXPECT_EQ(check_after_crash(scratch / "ssd", durable, CrashContent::kEncoded), "") << step;
    ASSERT_TRUE(end == 0 || end == -SIGKILL) << end;
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_GT(step, 10u);
}

}  // namespace quire::tests::ssd_codec_fault_test
