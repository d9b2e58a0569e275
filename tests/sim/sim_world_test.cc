#include "tests/sim/sim_world.h"

#include <gtest/gtest.h>

#include <vector>

namespace quire::tests::sim_world_test {
namespace {

SimPageHead head(uint32_t bytes) {
  SimRandom random(1);
  return {.hash = sim_chain(random, 1)[0], .root = 2, .group = 1, .version = 9, .bytes = bytes};
}

TEST(SimWorld, EveryBitOfAPageCounts) {
  std::vector<std::byte> page(4097);
  fill_sim_page(page, head(4097));
  EXPECT_TRUE(is_whole_sim_page(page));
  EXPECT_EQ(head_of(page), head(4097));
  for (const size_t at : {size_t{0}, sizeof(SimPageHead), size_t{2000}, page.size() - 1}) {
    page[at] ^= std::byte{0x10};
    EXPECT_FALSE(is_whole_sim_page(page)) << at;
    page[at] ^= std::byte{0x10};
  }
}

TEST(SimWorld, EndsTellAPageThatWasOverwritten) {
  std::vector<std::byte> page(4097);
  fill_sim_page(page, head(4097));
  EXPECT_TRUE(has_sim_ends(page, head(4097)));
  page.back() ^= std::byte{1};
  EXPECT_FALSE(has_sim_ends(page, head(4097)));
  SimPageHead other = head(4097);
  other.version = 10;
  fill_sim_page(page, other);
  EXPECT_TRUE(is_whole_sim_page(page));
  EXPECT_FALSE(has_sim_ends(page, head(4097)));
}

TEST(SimWorld, ContextsShareTheirBeginningsAndPart) {
  SimRandom random(3);
  const SimChain first = sim_chain(random, kSimMaxUnits);
  bool shares = false;
  bool parts = false;
  for (int i = 0; i < 20; ++i) {
    const SimChain other = sim_chain(random, kSimMaxUnits);
    shares = shares || other.front() == first.front();
    parts = parts || other.back() != first.back();
    // Once parted, they never meet again.
    bool apart = false;
    for (size_t u = 0; u < first.size(); ++u) {
      apart = apart || first[u] != other[u];
      EXPECT_EQ(apart, first[u] != other[u]);
    }
  }
  EXPECT_TRUE(shares);
  EXPECT_TRUE(parts);
}

TEST(SimWorld, LayoutsAreValid) {
  SimRandom random(1);
  const SimWorld world(random);
  for (const model::Layout& layout : world.layouts) EXPECT_TRUE(model::validate(layout).ok());
}

}  // namespace
}  // namespace quire::tests::sim_world_test
