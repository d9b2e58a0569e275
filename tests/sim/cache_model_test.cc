#include "tests/sim/cache_model.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace quire::tests::cache_model_test {

namespace {

// QUIRE_SIM_SEEDS and QUIRE_SIM_STEPS lengthen the run; QUIRE_SIM_SEED repeats one.
uint64_t from_environment(const char* name, uint64_t fallback) {
  const char* text = std::getenv(name);
  return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

}  // namespace

TEST(CacheModel, RandomOperationsAgreeWithAPlainMap) {
  const uint64_t only = from_environment("QUIRE_SIM_SEED", 0);
  const uint64_t seeds = only != 0 ? 1 : from_environment("QUIRE_SIM_SEEDS", 40);
  const uint64_t steps = from_environment("QUIRE_SIM_STEPS", 1500);
  CacheModel::Coverage total;
  for (uint64_t i = 1; i <= seeds; ++i) {
    const uint64_t seed = only != 0 ? only : i;
    CacheModel model(seed);
    for (uint64_t s = 0; s < steps; ++s) {
      ASSERT_TRUE(model.step()) << "QUIRE_SIM_SEED=" << seed << " step " << s << ": "
                                << model.failure();
    }
    ASSERT_TRUE(model.finish()) << "QUIRE_SIM_SEED=" << seed << ": " << model.failure();
    total.hits += model.coverage().hits;
    total.loads += model.coverage().loads;
    total.commits += model.coverage().commits;
    total.duplicates += model.coverage().duplicates;
    total.evicted += model.coverage().evicted;
    total.superseded += model.coverage().superseded;
    total.kills += model.coverage().kills;
    total.no_memory += model.coverage().no_memory;
    total.no_parent += model.coverage().no_parent;
  }
  if (only != 0) return;
  EXPECT_GT(total.hits, 1000u);
  EXPECT_GT(total.loads, 1000u);
  EXPECT_GT(total.commits, 1000u);
  EXPECT_GT(total.duplicates, 100u);
  EXPECT_GT(total.evicted, 100u);
  EXPECT_GT(total.superseded, 10u);
  EXPECT_GT(total.kills, 100u);
  EXPECT_GT(total.no_memory, 0u);
  EXPECT_GT(total.no_parent, 100u);
}

}  // namespace quire::tests::cache_model_test
