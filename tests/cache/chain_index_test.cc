#include "cache/tree/chain_index.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cstring>
#include <map>
#include <random>
#include <vector>

namespace quire::cache::chain_index_test {
namespace {

using model::Hash256;
using model::NodeId;

ChainIndex make_index(uint64_t max_nodes, uint64_t seed = 7) {
  return ChainIndex::create(max_nodes, seed).value();
}

Hash256 numbered_key(uint64_t number) {
  Hash256 key;
  std::memcpy(key.bytes.data(), &number, sizeof(number));
  return key;
}

std::optional<NodeId> find_node(const ChainIndex& index, uint64_t hash, NodeId node) {
  return index.find(hash, [&](NodeId candidate) { return candidate == node; });
}

TEST(ChainIndex, EmptyIndexFindsNothing) {
  const ChainIndex index = make_index(10);
  EXPECT_FALSE(index.find(0, [](NodeId) { return true; }));
  EXPECT_EQ(index.size(), 0u);
  index.check_invariants();
}

TEST(ChainIndex, Law01_KeysAreComparedWhole) {
  Hash256 stored = numbered_key(1);
  Hash256 asked = stored;
  asked.bytes[31] ^= 1;
  ChainIndex index = make_index(10);
  index.insert(42, NodeId{0});  // the worst case: both keys have this hash
  const auto holds = [&](const Hash256& key) { return [&](NodeId) { return stored == key; }; };
  EXPECT_EQ(index.find(42, holds(stored)), NodeId{0});
  EXPECT_FALSE(index.find(42, holds(asked)));
}

TEST(ChainIndex, Law01_NodesWithEqualHashAreToldApartByMatches) {
  constexpr uint32_t kCount = 100;  // far beyond one bucket
  ChainIndex index = make_index(kCount);
  for (uint32_t i = 0; i < kCount; ++i) index.insert(42, NodeId{i});
  for (uint32_t i = 0; i < kCount; ++i) EXPECT_EQ(find_node(index, 42, NodeId{i}), NodeId{i});
  index.check_invariants();
  for (uint32_t i = 0; i < kCount; i += 2) EXPECT_TRUE(index.erase(42, NodeId{i}));
  for (uint32_t i = 0; i < kCount; ++i) {
    EXPECT_EQ(find_node(index, 42, NodeId{i}).has_value(), i % 2 == 1);
  }
  index.check_invariants();
}

TEST(ChainIndex, EraseOfAbsentNodeIsFalse) {
  ChainIndex index = make_index(10);
  index.insert(1, NodeId{1});
  EXPECT_FALSE(index.erase(1, NodeId{2}));
  EXPECT_FALSE(index.erase(2, NodeId{1}));
  EXPECT_TRUE(index.erase(1, NodeId{1}));
  EXPECT_FALSE(index.erase(1, NodeId{1}));
  EXPECT_EQ(index.size(), 0u);
}

TEST(ChainIndex, HashDependsOnEveryByteSeedAndDiscriminator) {
  const ChainIndex index = make_index(10, 1);
  const ChainIndex other_seed = make_index(10, 2);
  const Hash256 key = numbered_key(99);
  const uint64_t hash = index.hash(key, 5);
  EXPECT_EQ(hash, index.hash(key, 5));
  EXPECT_NE(hash, index.hash(key, 6));
  EXPECT_NE(hash, other_seed.hash(key, 5));
  for (size_t byte = 0; byte < key.bytes.size(); ++byte) {
    Hash256 changed = key;
    changed.bytes[byte] ^= 1;
    EXPECT_NE(static_cast<uint32_t>(hash), static_cast<uint32_t>(index.hash(changed, 5))) << byte;
  }
}

// Keys that a client may choose at will, e.g. counters, must not pile up in a few buckets.
TEST(ChainIndex, RegularKeysSpreadLikeRandomOnes) {
  constexpr uint32_t kCount = 200'000;
  for (const size_t byte : {0, 8, 16, 24, 28}) {
    ChainIndex index = make_index(kCount);
    for (uint32_t i = 0; i < kCount; ++i) {
      Hash256 key;
      std::memcpy(key.bytes.data() + byte, &i, sizeof(i));
      index.insert(index.hash(key, 0), NodeId{i});
    }
    EXPECT_LE(index.shape().longest_chain, 5u) << byte;
  }
}

TEST(ChainIndex, GrowsByOneBucketAnInsertAndChainsStayShort) {
  constexpr uint32_t kCount = 1'000'000;
  ChainIndex index = make_index(kCount);
  for (uint32_t i = 0; i < kCount; ++i) {
    const uint64_t before = index.bucket_count();
    index.insert(index.hash(numbered_key(i), 0), NodeId{i});
    ASSERT_LE(index.bucket_count() - before, 1u);
    // Sampled through a whole doubling, where the load of buckets not yet split peaks.
    if (i % 50'000 == 49'999) {
      ASSERT_LE(index.shape().longest_chain, 5u) << i;
    }
  }
  const ChainIndexShape shape = index.shape();
  const uint64_t bytes = (shape.bucket_count + shape.overflow_count) * 64;
  EXPECT_LE(bytes, kCount * 14ull);
  for (uint32_t i = 0; i < kCount; ++i) {
    ASSERT_EQ(find_node(index, index.hash(numbered_key(i), 0), NodeId{i}), NodeId{i});
  }
  index.check_invariants();
}

TEST(ChainIndex, OverflowBucketsAreReusedWhenTheIndexTurnsOver) {
  constexpr uint32_t kCount = 100'000;
  ChainIndex index = make_index(kCount);
  uint32_t next = 0;
  for (; next < kCount; ++next) index.insert(index.hash(numbered_key(next), 0), NodeId{next});
  const uint64_t buckets = index.bucket_count();
  for (; next < 5 * kCount; ++next) {
    const uint32_t oldest = next - kCount;
    ASSERT_TRUE(index.erase(index.hash(numbered_key(oldest), 0), NodeId{oldest}));
    index.insert(index.hash(numbered_key(next), 0), NodeId{next});
  }
  EXPECT_EQ(index.bucket_count(), buckets);
  EXPECT_LE(index.shape().longest_chain, 5u);
  index.check_invariants();
}

// Few hash values, so that chains, shared tags and every kind of gap occur.
TEST(ChainIndex, BehavesLikeAMap) {
  rc::check([](uint64_t seed) {
    std::mt19937_64 random(seed);
    constexpr uint32_t kNodes = 300;
    const uint64_t hash_count = 1 + random() % 500;
    ChainIndex index = make_index(kNodes);
    std::map<uint32_t, uint64_t> model;  // node to hash
    for (int step = 0; step < 2000; ++step) {
      const uint32_t node = static_cast<uint32_t>(random() % kNodes);
      const auto known = model.find(node);
      if (known == model.end()) {
        const uint64_t hash = random() % hash_count * 0x9e3779b97f4a7c15;
        index.insert(hash, NodeId{node});
        model[node] = hash;
      } else if (random() % 8 < 4) {
        RC_ASSERT(index.erase(known->second, NodeId{node}));
        model.erase(known);
      } else {
        RC_ASSERT(find_node(index, known->second, NodeId{node}) == NodeId{node});
      }
      RC_ASSERT(index.size() == model.size());
      if (step % 100 == 0) index.check_invariants();
    }
    for (const auto& [node, hash] : model) RC_ASSERT(find_node(index, hash, NodeId{node}));
    index.check_invariants();
  });
}

TEST(ChainIndexDeathTest, InsertBeyondTheBoundIsABug) {
  ChainIndex index = make_index(1);
  index.insert(1, NodeId{0});
  EXPECT_DEATH(index.insert(2, NodeId{1}), "check failed");
}

}  // namespace
}  // namespace quire::cache::chain_index_test
