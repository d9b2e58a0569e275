#include "model/reference/thread_team.h"

#include <gtest/gtest.h>

namespace quire::reference::thread_team_test {
namespace {

TEST(ThreadTeam, EveryItemRunsOnce) {
  for (uint32_t threads : {1u, 2u, 5u}) {
    ThreadTeam team(threads);
    EXPECT_EQ(team.size(), threads);
    for (uint32_t items : {0u, 1u, 2u, 3u, 100u}) {
      std::vector<int> runs(items, 0);  // plain ints: a second writer would be a data race
      team.run(items, [&](uint32_t item, uint32_t worker) {
        EXPECT_LT(worker, threads);
        ++runs[item];
      });
      EXPECT_EQ(runs, std::vector<int>(items, 1));
    }
  }
}

TEST(ThreadTeam, LoopsFollowOneAnotherWithoutMixing) {
  ThreadTeam team(3);
  std::vector<uint32_t> values(8, 0);
  for (uint32_t round = 0; round < 500; ++round) {
    team.run(8, [&](uint32_t item, uint32_t) { values[item] += item + round; });
  }
  for (uint32_t item = 0; item < 8; ++item) EXPECT_EQ(values[item], 500 * item + 499 * 250);
}

}  // namespace
}  // namespace quire::reference::thread_team_test
