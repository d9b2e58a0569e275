#include "tests/sim/simulation.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <functional>
#include <string>

#include "server/runtime/log.h"
#include "tests/support/meddler.h"

namespace quire::tests::simulation_test {
namespace {

constexpr uint64_t kSteps = 2000;

// Failed once, each for a defect that is mended. They come first.
constexpr std::array<uint64_t, 5> kRegressionSeeds{368, 854, 3496, 3722, 6121};

// QUIRE_SIM_SEEDS and QUIRE_SIM_STEPS lengthen the run; QUIRE_SIM_SEED repeats one.
uint64_t from_environment(const char* name, uint64_t fallback) {
  const char* text = std::getenv(name);
  return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

// Empty: all was right. Otherwise what was wrong, and how to see it again.
std::string run(uint64_t seed, uint64_t steps, SimCoverage* total) {
  Simulation simulation(seed);
  const std::string again = "QUIRE_SIM_SEED=" + std::to_string(seed) + " ";
  for (uint64_t s = 0; s < steps; ++s) {
    if (!simulation.step())
      return again + "step " + std::to_string(s) + ", " + simulation.failure();
  }
  if (!simulation.finish()) return again + "at its end, " + simulation.failure();
  total->add(simulation.coverage());
  return {};
}

class SimulationTest : public testing::Test {
 protected:
  // What clients and disks do here would fill a log.
  void SetUp() override { server::set_log_level("critical"); }
  void TearDown() override { server::set_log_level("info"); }
};

void expect_covered(const SimCoverage& total) {
  EXPECT_GT(total.hits, 1000u);
  EXPECT_GT(total.pages, 10'000u);
  EXPECT_GT(total.heads, 0u);
  EXPECT_GT(total.commits, 1000u);
  EXPECT_GT(total.duplicates, 100u);
  EXPECT_GT(total.joint, 10u);
  EXPECT_GT(total.no_parent, 100u);
  EXPECT_GT(total.no_memory, 10u);
  EXPECT_GT(total.expired, 10u);
  EXPECT_GT(total.superseded, 10u);
  EXPECT_GT(total.vanished, 300u);
  EXPECT_GT(total.deaths, 100u);
  EXPECT_GT(total.scribbles, 0u);
  EXPECT_GT(total.crashes, 10u);
  EXPECT_GT(total.stops, 10u);
  EXPECT_GT(total.restored, 100u);
  EXPECT_GT(total.from_ssd, 1000u);
  EXPECT_GT(total.from_cluster, 200u);
  EXPECT_GT(total.found, 200u);
  EXPECT_GT(total.retired, 0u);
  EXPECT_GT(total.faults, 10u);
  EXPECT_GT(total.queued, 100u);
  EXPECT_GT(total.admitted, 100u);
}

void run_seeds(uint64_t first, uint64_t count) {
  const uint64_t only = from_environment("QUIRE_SIM_SEED", 0);
  const uint64_t steps = from_environment("QUIRE_SIM_STEPS", kSteps);
  SimCoverage total;
  if (only != 0) {
    EXPECT_EQ(run(only, steps, &total), "");
    return;
  }
  for (uint64_t seed = first; seed < first + count; ++seed) {
    ASSERT_EQ(run(seed, steps, &total), "");
  }
  if (count >= 100 && steps >= kSteps) expect_covered(total);
}

TEST_F(SimulationTest, SeedsThatFailedOnceAgreeWithAPlainMap) {
  SimCoverage total;
  for (const uint64_t seed : kRegressionSeeds) EXPECT_EQ(run(seed, kSteps, &total), "");
}

// In four tests, so that ctest may give each to a core.
class SimulationPart : public SimulationTest, public testing::WithParamInterface<uint64_t> {};

TEST_P(SimulationPart, WholeCoreAgreesWithAPlainMap) {
  const uint64_t count = from_environment("QUIRE_SIM_SEEDS", 1000) / 4;
  run_seeds(1 + GetParam() * count, count);
}

INSTANTIATE_TEST_SUITE_P(Seeds, SimulationPart, testing::Values(0, 1, 2, 3));

TEST_F(SimulationTest, OneSeedIsOneRun) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    Simulation first(seed);
    Simulation second(seed);
    for (int i = 0; i < 1000; ++i) {
      ASSERT_TRUE(first.step());
      ASSERT_TRUE(second.step());
      ASSERT_EQ(first.fingerprint(), second.fingerprint()) << "seed " << seed << " step " << i;
    }
    EXPECT_NE(first.fingerprint(), 0u);
  }
}

// Of `seeds` runs, in how many the judge noticed what `harm` does to each object every some steps.
uint32_t noticed(uint64_t seeds, const std::function<void(SimCore&, model::NodeId)>& harm) {
  uint32_t count = 0;
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    Simulation simulation(seed);
    for (uint64_t s = 0; s < kSteps; ++s) {
      if (!simulation.step()) {
        ++count;
        break;
      }
      if (s % 100 != 99 || !simulation.is_strict()) continue;
      for (const model::NodeId node : simulation.core().inspector().objects()) {
        harm(simulation.core(), node);
      }
    }
  }
  return count;
}

TEST_F(SimulationTest, BytesThatChangeAreNoticed) {
  EXPECT_GE(noticed(6,
                    [](SimCore& core, model::NodeId node) {
                      if (core.inspector().in_ram(node)) Meddler(core.cache()).corrupt(node, 20);
                    }),
            3u);
}

TEST_F(SimulationTest, SlotsThatNobodyHasAreNoticed) {
  EXPECT_GE(noticed(6, [](SimCore& core,
                          model::NodeId) { (void)core.pool().allocate(allocator::ClassId{0}); }),
            3u);
}

// Its doorbell rings in vain.
TEST_F(SimulationTest, RingsThatAreNotPolledAreNoticed) {
  const auto lose_wakeups = [](SimCore& core, model::NodeId) {
    for (server::Attachment* attachment : core.core().registry().attachments()) {
      attachment->active = true;
    }
  };
  EXPECT_GE(noticed(6, lose_wakeups), 3u);
}

TEST_F(SimulationTest, PinnedObjectsThatGoAreNoticed) {
  EXPECT_GE(noticed(6,
                    [](SimCore& core, model::NodeId node) {
                      const ObjectState state = core.inspector().object(node);
                      if (state.pins > 0 && !state.quarantined)
                        Meddler(core.cache()).quarantine(node);
                    }),
            3u);
}

}  // namespace
}  // namespace quire::tests::simulation_test
