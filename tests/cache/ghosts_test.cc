// Ghosts as one: which conversations they see, what they hold, and that commits tell them the same
// as prompts.
#include "cache/ghosts/ghosts.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace quire::cache::ghosts_test {
namespace {

constexpr BlockShape kShape{.tokens = 16, .bytes = 4096};

uint64_t key_of(uint64_t conversation, uint64_t block) {
  uint64_t key = conversation * 1'000'003 + block + 1;
  for (int i = 0; i < 3; ++i) key = (key ^ key >> 29) * 0x9e3779b97f4a7c15ull;
  return key;
}

// `shared` blocks are of all conversations.
std::vector<uint64_t> path_of(uint64_t conversation, uint32_t blocks, uint32_t shared = 0) {
  std::vector<uint64_t> keys;
  for (uint32_t i = 0; i < blocks; ++i) keys.push_back(key_of(i < shared ? 0 : conversation, i));
  return keys;
}

class Rig {
 public:
  explicit Rig(GhostsOptions options) {
    if (options.capacity_bytes == 0) options.capacity_bytes = 64 * kShape.bytes;
    ghosts_ = Ghosts::create(options).value();
  }
  void match(const std::vector<uint64_t>& keys, uint32_t found, uint32_t known) {
    ghosts_->matched({.time_us = ++time_us_ * 1000,
                      .keys = keys,
                      .shape = kShape,
                      .prompt_tokens = static_cast<uint32_t>(keys.size()) * kShape.tokens,
                      .found_blocks = found,
                      .known_blocks = known});
  }
  void match(const std::vector<uint64_t>& keys) {
    match(keys, 0, static_cast<uint32_t>(keys.size()));
  }
  void commit(const std::vector<uint64_t>& keys, size_t block) {
    ghosts_->committed({.time_us = ++time_us_ * 1000,
                        .parent_key = block == 0 ? 0 : keys[block - 1],
                        .key = keys[block],
                        .shape = kShape});
  }
  // Hit tokens by policy and size.
  std::map<std::pair<std::string, int>, double> hits() const {
    std::map<std::pair<std::string, int>, double> found;
    for (const GhostRow& row : ghosts_->rows(HitWindow::kSinceStart, time_us_ * 1000)) {
      found[{std::string(row.policy), row.size_percent}] = row.hits.hit_tokens;
    }
    return found;
  }
  Ghosts& operator*() { return *ghosts_; }
  Ghosts* operator->() { return ghosts_.get(); }

 private:
  std::unique_ptr<Ghosts> ghosts_;
  int64_t time_us_ = 0;
};

TEST(Ghosts, EveryPolicyAndSizeHasARow) {
  Rig ghosts({});
  std::set<std::pair<std::string, int>> rows;
  for (const auto& [name, hits] : ghosts.hits()) rows.insert(name);
  EXPECT_EQ(rows.size(), all_policies().size() * 6);
  EXPECT_TRUE(rows.contains({"lru", 400}));
  EXPECT_EQ(ghosts->near_rows(HitWindow::kHour, 0).size(), all_policies().size());
}

TEST(Ghosts, LargerOnesHitWhatSmallerOnesLost) {
  Rig ghosts({});
  for (int round = 0; round < 4; ++round) {
    for (uint64_t conversation = 1; conversation <= 6; ++conversation) {
      ghosts.match(path_of(conversation, 20));
    }
  }
  auto hits = ghosts.hits();
  EXPECT_EQ((hits[{"lru", 0}]), 0) << "120 blocks in turns, room for 64";
  EXPECT_EQ((hits[{"lru", 100}]), 3 * 120 * kShape.tokens);
  ghosts->check_invariants();
}

TEST(Ghosts, PromptIsServedAsFarAsItIsKnownToCome) {
  Rig ghosts({});
  ghosts.match(path_of(1, 20), 0, 8);
  ghosts.match(path_of(1, 20), 8, 8);
  EXPECT_EQ((ghosts.hits()[{"lru", 0}]), 8 * kShape.tokens);
  ghosts->check_invariants();
}

TEST(Ghosts, CommitsTellThemWhatPromptsDo) {
  Rig prompts({});
  Rig commits({});
  std::mt19937 random(5);
  for (int i = 0; i < 300; ++i) {
    const auto path = path_of(1 + random() % 9, 4 + random() % 30, 2);
    prompts.match(path);
    commits.match(path, 0, 0);
    for (size_t block = 0; block < path.size(); ++block) commits.commit(path, block);
  }
  // Blocks that come one by one have a time each, so that ties go another way.
  for (const int size : {-50, 0, 100}) {
    const std::pair<std::string, int> lru("lru", size);
    EXPECT_GT(prompts.hits()[lru], 10'000);
    EXPECT_NEAR(prompts.hits()[lru], commits.hits()[lru], 0.01 * prompts.hits()[lru]);
  }
  prompts->check_invariants();
  commits->check_invariants();
}

TEST(Ghosts, PathsThatPartShareTheirBeginning) {
  Rig ghosts({});
  ghosts.match(path_of(1, 12, 5));
  ghosts.match(path_of(2, 12, 5));
  EXPECT_EQ((ghosts.hits()[{"lru", 0}]), 5 * kShape.tokens);
  ghosts.match(path_of(1, 7, 5));
  EXPECT_EQ((ghosts.hits()[{"lru", 0}]), 12 * kShape.tokens) << "ends in the middle of a stretch";
  ghosts->check_invariants();
}

// Conversations that share a system prompt, a quarter of them sampled.
TEST(Ghosts, SampleIsOfConversationsBelowWhatTheyShare) {
  Rig all({.capacity_bytes = 4000 * kShape.bytes});
  Rig some({.capacity_bytes = 4000 * kShape.bytes, .halvings = 2});
  std::mt19937 random(7);
  std::map<uint64_t, uint32_t> lengths;
  for (int i = 0; i < 6000; ++i) {
    const uint64_t conversation = 1 + random() % 800;
    uint32_t& length = lengths[conversation];
    length = length == 0 ? 12 : length + 2;
    const auto path = path_of(conversation, length, 8);
    all.match(path);
    some.match(path);
  }
  const std::pair<std::string, int> lru("lru", 0);
  const double exact = all.hits()[lru];
  const double total = all->totals(HitWindow::kSinceStart, 0).prompt_tokens;
  const double sampled = some->totals(HitWindow::kSinceStart, 0).sampled_tokens / total;
  EXPECT_NEAR(sampled, 0.25, 0.06) << "not all or nothing, as by the first block";
  EXPECT_NEAR(100 * some.hits()[lru] / total, 100 * exact / total, 3);
  all->check_invariants();
  some->check_invariants();
}

TEST(Ghosts, MoreWorkThanItsShareHalvesTheSample) {
  Rig ghosts({.pace_period_us = 1000});
  for (uint64_t i = 0; i < 2000; ++i) {
    ghosts.match(path_of(i, 20));
    ghosts->pace(20);
  }
  EXPECT_LT(ghosts->near_rate(), 0.5);
  EXPECT_LE(ghosts->far_rate(), ghosts->near_rate());
  ghosts->check_invariants();
  Rig quiet({.pace_period_us = 1000});
  for (uint64_t i = 0; i < 2000; ++i) {
    quiet.match(path_of(i, 20));
    quiet->pace(100'000);
  }
  EXPECT_EQ(quiet->near_rate(), 1);
}

TEST(Ghosts, MoreThanFitsTheMemoryHalvesTheSampleAndForgets) {
  constexpr uint64_t kMemory = 16 << 20;
  Rig ghosts({.memory_bytes = kMemory, .capacity_bytes = 4ull << 30, .paced = false});
  for (uint64_t i = 0; i < 40'000; ++i) ghosts.match(path_of(i, 10));
  EXPECT_LT(ghosts->near_rate(), 1);
  EXPECT_LE(ghosts->held_bytes(), kMemory);
  ghosts->check_invariants();
}

TEST(Ghosts, TooLittleMemoryIsRefused) {
  EXPECT_EQ(Ghosts::create({.memory_bytes = 1 << 20}).code(), model::Errc::kInvalidArgument);
}

TEST(Ghosts, CapacityFollowsTheTier) {
  Rig ghosts({});
  for (int i = 0; i < 2; ++i) {
    for (uint64_t conversation = 1; conversation <= 6; ++conversation) {
      ghosts.match(path_of(conversation, 20));
    }
  }
  EXPECT_EQ((ghosts.hits()[{"lru", 0}]), 0);
  ghosts->set_capacity(128 * kShape.bytes);
  for (int i = 0; i < 2; ++i) {
    for (uint64_t conversation = 1; conversation <= 6; ++conversation) {
      ghosts.match(path_of(conversation, 20));
    }
  }
  EXPECT_GT((ghosts.hits()[{"lru", 0}]), 100 * kShape.tokens);
  ghosts->check_invariants();
}

// Anything may come: keys that repeat, prompts that end anywhere, commits whose parent is gone.
TEST(Ghosts, RandomPromptsAndCommitsKeepEverythingInOrder) {
  for (const uint32_t halvings : {0u, 1u}) {
    Rig ghosts({.memory_bytes = 12 << 20, .halvings = halvings, .paced = false});
    std::mt19937 random(halvings + 3);
    for (int i = 0; i < 3000; ++i) {
      const auto path = path_of(1 + random() % 40, 1 + random() % 50, random() % 6);
      if (random() % 3 == 0) {
        ghosts.commit(path, random() % path.size());
      } else {
        const auto known = static_cast<uint32_t>(random() % (path.size() + 1));
        ghosts.match(path, random() % (known + 1), known);
      }
      if (i % 500 == 0) ghosts->check_invariants();
    }
    ghosts->check_invariants();
  }
}

TEST(AnchorFinder, AnchorLiesBehindWhatManyShare) {
  AnchorFinder finder;
  for (uint64_t conversation = 1; conversation <= 200; ++conversation) {
    finder.find(path_of(conversation, 12, 5));
  }
  const Anchor one = finder.find(path_of(300, 12, 5));
  const Anchor other = finder.find(path_of(301, 12, 5));
  EXPECT_EQ(one.blocks_above, 5u);
  EXPECT_NE(one.hash, other.hash);
  EXPECT_EQ(finder.find(path_of(300, 40, 5)).hash, one.hash) << "the same conversation goes on";
}

TEST(AnchorFinder, ConversationThatGoesOnAloneKeepsItsAnchor) {
  AnchorFinder finder;
  const uint32_t first = finder.find(path_of(7, 4)).hash;
  for (uint32_t blocks = 5; blocks < 120; ++blocks) {
    EXPECT_EQ(finder.find(path_of(7, blocks)).hash, first);
  }
}

}  // namespace
}  // namespace quire::cache::ghosts_test
