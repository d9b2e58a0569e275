#include "tiering/cluster/cluster_tier.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/cluster/cluster_rig.h"
#include "tests/cluster/rados_rig.h"

namespace quire::tests::cluster_tier_test {

namespace {

using model::Errc;
using model::NodeId;
using tiering::FoundChain;
using tiering::TierMode;

class ClusterTier : public testing::Test {
 protected:
  void SetUp() override { QUIRE_NEEDS_CEPH(); }
  HostChoice choice(uint64_t epoch = 0) const {
    return {.namespace_name = name_, .weights_epoch = epoch, .tier = {.rados = scratch_options()}};
  }
  // Objects of what the host's root has in the pool.
  static std::vector<std::string> runs_of(ClusterHost& host, RadosRig& rados) {
    const model::Hash256 root = host.cache().names().root(model::RootId{0}).hash;
    const std::string prefix = tiering::run_object(root, {}, 0).substr(0, 66);
    std::vector<std::string> runs = rados.list();
    std::erase_if(runs, [&](const std::string& one) { return !one.starts_with(prefix); });
    return runs;
  }
  const std::string name_ = fresh_name();
};

TEST_F(ClusterTier, ASecondHostReadsWhatTheFirstWrote) {
  ClusterHost first(choice());
  ASSERT_TRUE(first.connect()) << first.tier().state().reason;
  first.add_chain(12, 1);
  ASSERT_TRUE(first.settle());

  ClusterHost second(choice());
  ASSERT_TRUE(second.connect());
  const FoundChain found = second.search(ClusterHost::chain_of(12, 1));
  ASSERT_EQ(found.objects.size(), 12u);
  const std::vector<NodeId> nodes = second.join(found, 1);
  EXPECT_EQ(second.load(nodes), Errc::kOk);
  for (const NodeId node : nodes) EXPECT_TRUE(second.is_right(node));
  EXPECT_EQ(second.tier().read_counters().objects, 12u);
}

TEST_F(ClusterTier, AHostThatForgotEverythingFindsItsOwn) {
  {
    ClusterHost host(choice());
    ASSERT_TRUE(host.connect());
    host.add_chain(3, 1);
    ASSERT_TRUE(host.settle());
  }
  ClusterHost again(choice());
  ASSERT_TRUE(again.connect());
  EXPECT_EQ(again.search(ClusterHost::chain_of(3, 1)).objects.size(), 3u);
}

TEST_F(ClusterTier, WhatIsThereIsNotWrittenAgain) {
  ClusterHost first(choice());
  ClusterHost second(choice());
  ASSERT_TRUE(first.connect() && second.connect());
  first.add_chain(8, 1);
  ASSERT_TRUE(first.settle());
  second.add_chain(8, 1);
  ASSERT_TRUE(second.settle()) << "it counts as written";
  EXPECT_EQ(second.tier().write_counters().duplicates, 8u);
  EXPECT_EQ(second.tier().write_counters().runs, 0u);
}

TEST_F(ClusterTier, TwoThatWriteTheSameAtOnceNameItOnce) {
  ClusterHost first(choice());
  ClusterHost second(choice());
  ASSERT_TRUE(first.connect() && second.connect());
  // The segment's index is there, so that both change it, and none makes it.
  NodeId a = first.add_span(first.root(), 1);
  ASSERT_TRUE(first.settle());
  NodeId b = second.add_span(second.root(), 1);
  ASSERT_TRUE(second.settle());
  for (uint64_t number = 2; number <= 8; ++number) {
    a = first.add_span(a, number);
    b = second.add_span(b, number);
  }
  const auto done = [](ClusterHost& host) { return host.on_cluster() == 8 && host.set().idle(); };
  ASSERT_TRUE(first.until([&] {
    second.step();
    return done(first) && done(second);
  }));
  const uint64_t named =
      first.tier().write_counters().objects + second.tier().write_counters().objects;
  EXPECT_EQ(named, 8u);
  ClusterHost third(choice());
  ASSERT_TRUE(third.connect());
  const std::vector<NodeId> nodes = third.join(third.search(ClusterHost::chain_of(8, 1)), 1);
  ASSERT_EQ(nodes.size(), 8u);
  EXPECT_EQ(third.load(nodes), Errc::kOk);
  for (const NodeId node : nodes) EXPECT_TRUE(third.is_right(node));
}

// Thirty runs of one segment at once: the cluster changes its index once at a time.
TEST_F(ClusterTier, RunsThatAreDoneTogetherAreNamedTogether) {
  constexpr uint32_t kSpans = 60;
  HostChoice small = choice();
  small.page_bytes = 32 << 10;
  small.tier.run_bytes = 80 << 10;  // two spans
  ClusterHost host(small);
  ASSERT_TRUE(host.connect());
  host.add_chain(kSpans, 1);
  ASSERT_TRUE(host.settle());
  const tiering::ClusterWriteCounters& counters = host.tier().write_counters();
  EXPECT_EQ(counters.objects, kSpans);
  EXPECT_EQ(counters.runs, kSpans / 2);
  EXPECT_LT(counters.namings, counters.runs / 2);
  ClusterHost second(small);
  ASSERT_TRUE(second.connect());
  const std::vector<NodeId> nodes = second.join(second.search(ClusterHost::chain_of(kSpans, 1)), 1);
  ASSERT_EQ(nodes.size(), kSpans);
  EXPECT_EQ(second.load(nodes), Errc::kOk);
  for (const NodeId node : nodes) EXPECT_TRUE(second.is_right(node));
}

TEST_F(ClusterTier, ASearchEndsWhereTheChainDoes) {
  ClusterHost host(choice());
  ASSERT_TRUE(host.connect());
  host.add_chain(5, 1);
  ASSERT_TRUE(host.settle());
  EXPECT_EQ(host.search(ClusterHost::chain_of(9, 1)).objects.size(), 5u) << "a longer prompt";
  EXPECT_EQ(host.search(ClusterHost::chain_of(3, 1)).objects.size(), 3u) << "a shorter one";
  EXPECT_EQ(host.search(ClusterHost::chain_of(5, 1), 2).objects.size(), 3u) << "two were known";
  EXPECT_EQ(host.search(ClusterHost::chain_of(5, 100)).objects.size(), 0u) << "another one";
}

TEST_F(ClusterTier, AnObjectLargerThanARadosObjectIsStriped) {
  HostChoice large = choice();
  large.page_bytes = 20 << 20;
  large.segment_bytes = 64 << 20;
  ClusterHost first(large);
  ASSERT_TRUE(first.connect());
  first.add_chain(2, 1);
  ASSERT_TRUE(first.settle());
  ClusterHost second(large);
  ASSERT_TRUE(second.connect());
  const std::vector<NodeId> nodes = second.join(second.search(ClusterHost::chain_of(2, 1)), 1);
  ASSERT_EQ(nodes.size(), 2u);
  EXPECT_EQ(second.load(nodes), Errc::kOk);
  for (const NodeId node : nodes) EXPECT_TRUE(second.is_right(node));
  EXPECT_EQ(second.tier().read_counters().reads, 4u) << "two pieces each";
}

TEST_F(ClusterTier, Law04_WhatIsDamagedIsNotServedAndLosesItsEntry) {
  ClusterHost first(choice());
  ASSERT_TRUE(first.connect());
  first.add_chain(4, 1);
  ASSERT_TRUE(first.settle());
  RadosRig rados(scratch_options());
  ASSERT_EQ(rados.connect().error, 0);
  const std::string object = runs_of(first, rados).front();
  std::string bytes = rados.read(object, 16 << 20);
  // In the pages of the third object.
  bytes[4096 + 2 * (4096 + (256 << 10)) + 4096 + 77] ^= 1;
  ASSERT_EQ(rados.write(object, bytes), 0);

  ClusterHost second(choice());
  ASSERT_TRUE(second.connect());
  const std::vector<NodeId> nodes = second.join(second.search(ClusterHost::chain_of(4, 1)), 1);
  ASSERT_EQ(nodes.size(), 4u) << "headers are whole";
  EXPECT_EQ(second.load(nodes), Errc::kCorrupt);
  EXPECT_TRUE(second.is_right(nodes[0]) && second.is_right(nodes[1]));
  ASSERT_TRUE(second.until([&] { return second.tier().idle(); }));
  EXPECT_EQ(second.search(ClusterHost::chain_of(4, 1)).objects.size(), 2u) << "no host finds it";
}

// A run that stands where another one should: of the same root, as long, and whole.
TEST_F(ClusterTier, Law01_WhatIsNotWhatItsNameSaysIsAMiss) {
  ClusterHost first(choice());
  ASSERT_TRUE(first.connect());
  RadosRig rados(scratch_options());
  ASSERT_EQ(rados.connect().error, 0);
  first.add_chain(4, 1);
  ASSERT_TRUE(first.settle());
  const std::vector<std::string> before = runs_of(first, rados);
  ASSERT_EQ(before.size(), 1u);
  first.add_chain(4, 101);
  ASSERT_TRUE(first.settle());
  std::vector<std::string> others = runs_of(first, rados);
  std::erase(others, before.front());
  ASSERT_EQ(others.size(), 1u);
  ClusterHost second(choice());
  ASSERT_TRUE(second.connect());
  const std::vector<NodeId> nodes = second.join(second.search(ClusterHost::chain_of(4, 1)), 1);
  ASSERT_EQ(nodes.size(), 4u);

  ASSERT_EQ(rados.write(before.front(), rados.read(others.front(), 16 << 20)), 0);
  EXPECT_NE(second.load(nodes), Errc::kOk) << "found before";
  for (const NodeId node : nodes) EXPECT_FALSE(second.inspect().in_ram(node));
  ClusterHost third(choice());
  ASSERT_TRUE(third.connect());
  EXPECT_EQ(third.search(ClusterHost::chain_of(4, 1)).objects.size(), 0u);
  EXPECT_EQ(third.search(ClusterHost::chain_of(4, 101)).objects.size(), 4u) << "it is right there";
}

TEST_F(ClusterTier, Law02_OfARunThatIsCutOffNoPartOfASpanIsServed) {
  ClusterHost first(choice());
  ASSERT_TRUE(first.connect());
  first.add_chain(4, 1);
  ASSERT_TRUE(first.settle());
  RadosRig rados(scratch_options());
  ASSERT_EQ(rados.connect().error, 0);
  const std::string run = runs_of(first, rados).front();
  // In the middle of the third span.
  constexpr size_t kSpanBytes = 4096 + (256 << 10);
  ASSERT_EQ(rados.write(run, rados.read(run, 4096 + 2 * kSpanBytes + kSpanBytes / 2)), 0);

  ClusterHost second(choice());
  ASSERT_TRUE(second.connect());
  const std::vector<NodeId> nodes = second.join(second.search(ClusterHost::chain_of(4, 1)), 1);
  ASSERT_EQ(nodes.size(), 4u);
  EXPECT_NE(second.load(nodes), Errc::kOk);
  for (const NodeId node : nodes) {
    EXPECT_TRUE(!second.inspect().in_ram(node) || second.is_right(node));
  }
  EXPECT_LE(second.inspect().counters().spans, 2u) << "the others went whole";
  ASSERT_TRUE(second.until([&] { return second.tier().idle(); }));
  EXPECT_LE(second.search(ClusterHost::chain_of(4, 1)).objects.size(), 2u) << "no host finds them";
}

TEST_F(ClusterTier, Law09_WhatHasGoneIsNotAnnounced) {
  ClusterHost first(choice());
  ASSERT_TRUE(first.connect());
  first.add_chain(4, 1);
  ASSERT_TRUE(first.settle());
  RadosRig rados(scratch_options());
  ASSERT_EQ(rados.connect().error, 0);
  ClusterHost second(choice());
  ASSERT_TRUE(second.connect());
  const std::vector<NodeId> nodes = second.join(second.search(ClusterHost::chain_of(4, 1)), 1);
  ASSERT_EQ(nodes.size(), 4u);
  for (const std::string& run : runs_of(first, rados)) ASSERT_EQ(rados.remove(run), 0);
  ClusterHost third(choice());
  ASSERT_TRUE(third.connect());
  EXPECT_EQ(third.search(ClusterHost::chain_of(4, 1)).objects.size(), 0u) << "named, but not there";
  EXPECT_EQ(third.tier().search_counters().unproved, 1u);
  EXPECT_NE(second.load(nodes), Errc::kOk) << "found once, and gone";
  EXPECT_EQ(second.tier().mode(), TierMode::kOk) << "an answer is no failure";
  EXPECT_EQ(second.search(ClusterHost::chain_of(4, 1)).objects.size(), 0u);
}

TEST_F(ClusterTier, ALaterEpochOfOneHostEndsTheOlderOneOnAll) {
  ClusterHost older(choice(1));
  ASSERT_TRUE(older.connect());
  older.add_chain(4, 1);
  ASSERT_TRUE(older.settle());
  ASSERT_EQ(older.search(ClusterHost::chain_of(4, 1)).objects.size(), 4u);

  ClusterHost later(choice(2));
  ASSERT_TRUE(later.connect());
  EXPECT_EQ(later.search(ClusterHost::chain_of(4, 1)).objects.size(), 0u);
  ASSERT_TRUE(later.until([&] { return later.tier().idle(); }));

  EXPECT_EQ(older.search(ClusterHost::chain_of(4, 1)).objects.size(), 0u);
  EXPECT_EQ(older.tier().search_counters().stale, 1u);
  EXPECT_TRUE(older.cache().names().root(model::RootId{0}).dead) << "what is in RAM too";
}

TEST_F(ClusterTier, AChainOfManySegmentsTakesFewRoundTrips) {
  ClusterHost first(
      {.namespace_name = name_, .tier = {.rados = scratch_options()}, .page_bytes = 4096});
  ASSERT_TRUE(first.connect());
  constexpr uint32_t kBlocks = 1000;
  first.add_chain(kBlocks, 1);
  ASSERT_TRUE(first.settle());
  ClusterHost second(choice());
  ASSERT_TRUE(second.connect());
  HostChoice small = choice();
  small.page_bytes = 4096;
  ClusterHost third(small);
  ASSERT_TRUE(third.connect());
  const FoundChain found = third.search(ClusterHost::chain_of(kBlocks, 1));
  EXPECT_EQ(found.objects.size(), kBlocks);
  EXPECT_LE(found.round_trips, 3u);
  EXPECT_EQ(second.search(ClusterHost::chain_of(kBlocks, 1)).objects.size(), 0u)
      << "another layout is another root";
}

}  // namespace

}  // namespace quire::tests::cluster_tier_test
