#include "tests/sim/sim_copies.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "tiering/io/crc_copy.h"

namespace quire::tests::sim_copies_test {
namespace {

using tiering::CopyPage;
using tiering::CopyTask;

// Tasks of two clients in turn; returns the ids in the order in which they are done.
std::vector<uint64_t> order_of(uint64_t seed, bool hurry) {
  SimRandom random(seed);
  SimCopies copies(&random, 8);
  std::array<CopyTask, 8> tasks{};
  for (size_t i = 0; i < tasks.size(); ++i) {
    tasks[i].id = i;
    tasks[i].client = i % 2;
    EXPECT_TRUE(copies.submit(&tasks[i]));
  }
  if (hurry) copies.hurry();
  std::vector<uint64_t> order;
  for (int polls = 0; polls < 1000 && copies.in_flight() > 0; ++polls) {
    std::array<CopyTask*, 3> done{};
    const size_t count = copies.poll(done);
    for (size_t i = 0; i < count; ++i) order.push_back(done[i]->id);
  }
  return order;
}

TEST(SimCopies, EveryTaskIsDoneOnceInAnOrderOfTheSeed) {
  std::vector<std::vector<uint64_t>> orders;
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    std::vector<uint64_t> order = order_of(seed, false);
    EXPECT_EQ(order, order_of(seed, false));
    orders.push_back(order);
    std::sort(order.begin(), order.end());
    EXPECT_EQ(order, (std::vector<uint64_t>{0, 1, 2, 3, 4, 5, 6, 7}));
  }
  EXPECT_TRUE(std::any_of(orders.begin(), orders.end(),
                          [&](const auto& order) { return order != orders[0]; }));
}

TEST(SimCopies, TasksOfOneClientKeepTheirOrder) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    std::vector<uint64_t> order = order_of(seed, false);
    std::erase_if(order, [](uint64_t id) { return id % 2 == 1; });
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  }
}

TEST(SimCopies, InAHurryNothingWaits) {
  EXPECT_EQ(order_of(1, true), (std::vector<uint64_t>{0, 1, 2, 3, 4, 5, 6, 7}));
}

TEST(SimCopies, BytesAreReadWhenItIsDoneAndNotBefore) {
  SimRandom random(1);
  SimCopies copies(&random, 1);
  copies.hurry();
  std::array<std::byte, 64> source{};
  std::array<std::byte, 64> target{};
  std::array<CopyPage, 1> pages{CopyPage{source.data(), target.data(), source.size()}};
  CopyTask task{.pages = pages};
  ASSERT_TRUE(copies.submit(&task));
  EXPECT_FALSE(copies.submit(&task)) << "law 10: its bound";
  source.fill(std::byte{3});
  std::array<CopyTask*, 1> done{};
  EXPECT_EQ(copies.poll(done), 1u);
  EXPECT_EQ(target, source);
  EXPECT_EQ(pages[0].crc32c, tiering::crc32c(source.data(), source.size()));
}

}  // namespace
}  // namespace quire::tests::sim_copies_test
