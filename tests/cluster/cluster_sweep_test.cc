#include "tiering/cluster/cluster_sweeper.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/cluster/cluster_rig.h"
#include "tests/cluster/rados_rig.h"

namespace quire::tests::cluster_sweep_test {

namespace {

using model::Errc;
using tiering::TierMode;

// A pool of its own: sweeps look at all of it.
class ClusterSweep : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (scratch_ceph().empty()) return;
    pool_ = "sweep" + std::to_string(::getpid());
    scratch_ceph_do("pool", pool_);
  }
  static void TearDownTestSuite() {
    if (scratch_ceph().empty()) return;
    scratch_ceph_do("ceph",
                    "osd pool rm " + pool_ + " " + pool_ + " --yes-i-really-really-mean-it");
  }
  void SetUp() override { QUIRE_NEEDS_CEPH(); }

  HostChoice choice(tiering::SweepOptions sweep = {}, uint64_t epoch = 0) const {
    sweep.period_ns = INT64_MAX / 4;  // when a test says so
    return {.namespace_name = name_,
            .weights_epoch = epoch,
            .tier = {.rados = scratch_options(pool_), .sweep = sweep}};
  }
  // The one with which a tier begins may take its time.
  static bool rests(ClusterHost& host) {
    return host.until([&] { return host.tier().sweeper().is_resting() && host.tier().idle(); });
  }
  static void sweep(ClusterHost& host) {
    ASSERT_TRUE(rests(host));
    const uint64_t before = host.tier().sweeper().counters().sweeps;
    host.tier().sweeper().sweep_soon();
    ASSERT_TRUE(host.until([&] {
      return host.tier().sweeper().counters().sweeps > before &&
             host.tier().sweeper().is_resting() && host.tier().idle();
    }));
  }
  static size_t run_count() {
    RadosRig rados(scratch_options(pool_));
    QUIRE_CHECK(rados.connect().error == 0);
    const std::vector<std::string> names = rados.list();
    return static_cast<size_t>(std::count_if(names.begin(), names.end(), [](const auto& name) {
      return tiering::root_of_run(name).has_value();
    }));
  }
  static inline std::string pool_;
  const std::string name_ = fresh_name();
};

TEST_F(ClusterSweep, WhatIsInUseStays) {
  ClusterHost host(choice({.capacity_bytes = 1ull << 40, .max_age_s = 3600}));
  ASSERT_TRUE(host.connect());
  host.add_chain(4, 1);
  ASSERT_TRUE(host.settle());
  sweep(host);
  EXPECT_GE(host.tier().sweeper().counters().runs, 1u);
  EXPECT_EQ(host.search(ClusterHost::chain_of(4, 1)).objects.size(), 4u);
}

TEST_F(ClusterSweep, AnOlderEpochGoesWithItsEntries) {
  const size_t before = run_count();
  ClusterHost older(choice({}, 1));
  ASSERT_TRUE(older.connect());
  older.add_chain(4, 1);
  ASSERT_TRUE(older.settle());
  ASSERT_EQ(run_count(), before + 1);
  ClusterHost later(choice({}, 2));
  ASSERT_TRUE(later.connect());
  later.search(ClusterHost::chain_of(1, 1));
  sweep(later);
  EXPECT_EQ(later.tier().sweeper().counters().by_epoch, 1u);
  EXPECT_EQ(run_count(), before);
}

TEST_F(ClusterSweep, ARunThatNobodyNamesGoesWhenItIsOld) {
  ClusterHost host(choice({.orphan_s = 0}));
  ASSERT_TRUE(host.connect());
  host.add_chain(4, 1);
  ASSERT_TRUE(host.settle());
  RadosRig rados(scratch_options(pool_));
  ASSERT_EQ(rados.connect().error, 0);
  const auto& root = host.cache().names().root(model::RootId{0}).hash;
  ASSERT_EQ(rados.remove(tiering::segment_object(root, ClusterHost::hash_of(1))), 0);
  const size_t before = run_count();
  sweep(host);
  EXPECT_GE(host.tier().sweeper().counters().orphans, 1u);
  EXPECT_LT(run_count(), before);
}

TEST_F(ClusterSweep, ANoteThatNobodyWritesAnyMoreGoesAndOneThatLivesStays) {
  ClusterHost host(choice());
  ASSERT_TRUE(host.connect());
  RadosRig rados(scratch_options(pool_));
  ASSERT_EQ(rados.connect().error, 0);
  const auto is_there = [&](const std::string& note) {
    rados.read(note, 64);
    return rados.error == 0;
  };
  ASSERT_EQ(rados.write("h/left", "beat 1"), 0);
  ASSERT_EQ(rados.write("h/lives", "beat 1"), 0);
  sweep(host);
  host.clock.advance(std::chrono::minutes(59));
  sweep(host);
  EXPECT_TRUE(is_there("h/left")) << "not an hour old";
  ASSERT_EQ(rados.write("h/lives", "beat 2"), 0);
  host.clock.advance(std::chrono::minutes(2));
  sweep(host);
  EXPECT_FALSE(is_there("h/left"));
  EXPECT_TRUE(is_there("h/lives"));
  EXPECT_EQ(host.tier().sweeper().counters().notes, 1u);
  ASSERT_EQ(rados.remove("h/lives"), 0);
}

TEST_F(ClusterSweep, TwoHostsMaySweepAtOnce) {
  ClusterHost first(choice({}, 1));
  ASSERT_TRUE(first.connect());
  for (uint64_t number = 1; number <= 8; ++number) {
    first.add_span(first.root(), 10 * number);
    ASSERT_TRUE(first.settle());
  }
  const size_t before = run_count();
  ClusterHost a(choice({}, 2));
  ClusterHost b(choice({}, 2));
  ASSERT_TRUE(a.connect() && b.connect());
  a.search(ClusterHost::chain_of(1, 1));
  a.tier().sweeper().sweep_soon();
  b.tier().sweeper().sweep_soon();
  const auto done = [](ClusterHost& host) {
    return host.tier().sweeper().counters().sweeps > 0 && host.tier().sweeper().is_resting() &&
           host.tier().idle();
  };
  ASSERT_TRUE(a.until([&] {
    b.step();
    return done(a) && done(b);
  }));
  sweep(a);  // what one of them left to the other, if anything
  EXPECT_EQ(run_count(), before - 8);
  EXPECT_EQ(a.tier().mode(), TierMode::kOk);
  EXPECT_EQ(b.tier().mode(), TierMode::kOk);
}

TEST_F(ClusterSweep, ATooFullPoolLosesItsOldest) {
  ClusterHost host(choice({.capacity_bytes = 4096}));
  ASSERT_TRUE(host.connect());
  for (uint64_t number = 1; number <= 8; ++number) {
    host.add_span(host.root(), 10 * number);
    ASSERT_TRUE(host.settle());
  }
  // The pool's figures come seconds later.
  ASSERT_TRUE(rests(host));
  const uint64_t removed = host.tier().sweeper().counters().by_capacity;
  const size_t before = run_count();
  ASSERT_TRUE(host.until([&] {
    if (host.tier().sweeper().is_resting()) host.tier().sweeper().sweep_soon();
    return host.tier().sweeper().counters().by_capacity > removed;
  }));
  ASSERT_TRUE(rests(host));
  EXPECT_LT(run_count(), before);
  EXPECT_GT(run_count(), 0u) << "not all of it at once";
}

}  // namespace

}  // namespace quire::tests::cluster_sweep_test
