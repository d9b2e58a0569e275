// What the tier does when the cluster does not do what it should (law 9): real daemons are killed,
// halted and cut off, real pools filled and deleted. RAM goes on; nothing wrong is served.
#include <gtest/gtest.h>

#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/cluster/cluster_rig.h"

namespace quire::tests::cluster_fault_test {

namespace {

using model::Errc;
using model::NodeId;
using tiering::TierMode;

// They hang for as long as this stands.
class HaltedOsds {
 public:
  explicit HaltedOsds(std::vector<std::string> names) : names_(std::move(names)) {
    for (const std::string& name : names_) scratch_ceph_do("halt", name);
  }
  ~HaltedOsds() {
    for (const std::string& name : names_) scratch_ceph_do("resume", name);
  }
  HaltedOsds(const HaltedOsds&) = delete;
  HaltedOsds& operator=(const HaltedOsds&) = delete;

 private:
  std::vector<std::string> names_;
};

// All of them take so many seconds more for each message, for as long as this stands.
class SlowOsds {
 public:
  explicit SlowOsds(const std::string& seconds) {
    scratch_ceph_do("await_osds", "");
    tell("duration", seconds);
    tell("probability", "1");
  }
  ~SlowOsds() { tell("probability", "0"); }
  SlowOsds(const SlowOsds&) = delete;
  SlowOsds& operator=(const SlowOsds&) = delete;

 private:
  static void tell(const std::string& option, const std::string& value) {
    for (const char* osd : {"osd.0", "osd.1", "osd.2"}) {
      scratch_ceph_do("ceph", std::string("tell ") + osd +
                                  " config set osd_debug_inject_dispatch_delay_" + option + " " +
                                  value);
    }
  }
};

class ClusterFault : public testing::Test {
 protected:
  void SetUp() override { QUIRE_NEEDS_CEPH(); }
  HostChoice choice(tiering::RadosOptions rados = scratch_options()) const {
    HostChoice made{.namespace_name = name_, .tier = {.rados = std::move(rados)}};
    made.tier.health.first_probe_ns = 100'000'000;
    made.tier.health.last_probe_ns = 500'000'000;
    return made;
  }
  // One whose operations may take a minute.
  HostChoice patient() const {
    HostChoice made = choice();
    made.tier.rados.operation_ms = 60'000;
    return made;
  }
  // By a host that goes then.
  void store_chain(uint32_t count) const {
    ClusterHost host(choice());
    ASSERT_TRUE(host.connect());
    host.add_chain(count, 1);
    ASSERT_TRUE(host.settle());
  }
  static bool reaches(ClusterHost& host, TierMode mode) {
    return host.until([&] { return host.tier().mode() == mode; });
  }
  // A pool of its own, and its user.
  static std::string make_pool() {
    static int count = 0;
    const std::string pool = "fault" + std::to_string(::getpid()) + "x" + std::to_string(++count);
    scratch_ceph_do("pool", pool);
    return pool;
  }
  static void remove_pool(const std::string& pool) {
    scratch_ceph_do("ceph", "osd pool rm " + pool + " " + pool + " --yes-i-really-really-mean-it");
  }
  static void expect_ram_serves(ClusterHost& host) {
    const NodeId node = host.add_span(host.root(), 900);
    EXPECT_TRUE(host.is_right(node));
  }
  // Everything that is there comes back, right, to a host that knows nothing.
  void expect_all_served(uint32_t count, tiering::RadosOptions rados = scratch_options()) {
    ClusterHost host(choice(std::move(rados)));
    ASSERT_TRUE(host.connect());
    const std::vector<NodeId> nodes = host.join(host.search(ClusterHost::chain_of(count, 1)), 1);
    ASSERT_EQ(nodes.size(), count);
    EXPECT_EQ(host.load(nodes), Errc::kOk);
    for (const NodeId node : nodes) EXPECT_TRUE(host.is_right(node));
  }
  const std::string name_ = fresh_name();
};

TEST_F(ClusterFault, Law09_AWrongKeyIsSaidAndARightOneTaken) {
  tiering::RadosOptions rados = scratch_options();
  const std::string folder = ::testing::TempDir();
  const std::string keyring = folder + "/" + name_ + ".keyring";
  const std::string right = scratch_ceph() + "/client.quire.keyring";
  rados.conf = folder + "/" + name_ + ".conf";
  std::ifstream from(scratch_ceph() + "/client.quire.conf");
  std::ofstream to(rados.conf);
  for (std::string line; std::getline(from, line);) {
    to << (line.starts_with("keyring") ? "keyring = " + keyring : line) << "\n";
  }
  to.close();
  std::ofstream(keyring) << "[client.quire]\n\tkey = AQBZbTtmAAAAABAAw5o4pRaVbKvVWbPIbYeFPA==\n";
  ClusterHost host(choice(rados));
  ASSERT_TRUE(host.until([&] { return host.tier().state().reason != "not connected yet"; }));
  EXPECT_EQ(host.tier().mode(), TierMode::kOff);
  EXPECT_NE(host.tier().state().reason.find("client.quire"), std::string::npos)
      << host.tier().state().reason;
  EXPECT_NE(host.tier().state().action.find("keyring"), std::string::npos)
      << host.tier().state().action;
  expect_ram_serves(host);
  std::ofstream(keyring) << std::ifstream(right).rdbuf();
  EXPECT_TRUE(host.connect()) << host.tier().state().reason;
}

TEST_F(ClusterFault, Law09_ADeletedPoolTurnsItOffAndANewOneOn) {
  const std::string pool = make_pool();
  ClusterHost host(choice(scratch_options(pool)));
  ASSERT_TRUE(host.connect()) << host.tier().state().reason;
  host.add_chain(3, 1);
  ASSERT_TRUE(host.settle());
  remove_pool(pool);
  host.tier().sweeper().sweep_soon();
  ASSERT_TRUE(reaches(host, TierMode::kOff));
  EXPECT_NE(host.tier().state().reason.find(pool), std::string::npos);
  expect_ram_serves(host);
  scratch_ceph_do("pool", pool);
  EXPECT_TRUE(host.connect()) << host.tier().state().reason;
  EXPECT_EQ(host.search(ClusterHost::chain_of(3, 1)).objects.size(), 0u) << "it is empty";
  remove_pool(pool);
}

TEST_F(ClusterFault, Law09_AFullPoolIsReadAndWrittenAgainWhenThereIsRoom) {
  const std::string pool = make_pool();
  {
    ClusterHost host(choice(scratch_options(pool)));
    ASSERT_TRUE(host.connect()) << host.tier().state().reason;
    host.add_chain(4, 1);
    ASSERT_TRUE(host.settle());
    scratch_ceph_do("ceph", "osd pool set-quota " + pool + " max_bytes 4096");
    scratch_ceph_do("await_full", pool);
    uint64_t number = 100;
    NodeId kept = host.add_span(host.root(), number);
    // Who has not heard yet that it is full writes on, and hears of it with the answer.
    ASSERT_TRUE(host.until([&] {
      if (host.on_cluster() == host.inspect().counters().spans) {
        kept = host.add_span(host.root(), ++number);
      }
      return host.tier().mode() == TierMode::kReadOnly;
    })) << host.on_cluster();
    EXPECT_TRUE(host.is_right(kept));
    EXPECT_NE(host.tier().state().action.find("make room"), std::string::npos)
        << host.tier().state().action;
    EXPECT_EQ(host.search(ClusterHost::chain_of(4, 1)).objects.size(), 4u) << "it is read";
    scratch_ceph_do("ceph", "osd pool set-quota " + pool + " max_bytes 0");
    EXPECT_TRUE(host.connect()) << host.tier().state().reason;
    EXPECT_TRUE(host.settle()) << "what could not be written is";
  }
  expect_all_served(4, scratch_options(pool));
  remove_pool(pool);
}

TEST_F(ClusterFault, Law09_AKilledOsdCostsNothingThatWasWritten) {
  ClusterHost host(choice());
  ASSERT_TRUE(host.connect());
  host.add_chain(6, 1);
  ASSERT_TRUE(host.settle());
  scratch_ceph_do("kill", "osd.1");
  NodeId last = *host.inspect().find(model::FillKind::kSpan, ClusterHost::hash_of(6));
  for (uint64_t number = 7; number <= 10; ++number) last = host.add_span(last, number);
  EXPECT_TRUE(host.settle()) << "written to those that are left";
  expect_all_served(10);
  scratch_ceph_do("revive", "osd.1");
}

TEST_F(ClusterFault, Law09_WithoutAMonitorWhatIsConnectedGoesOn) {
  ClusterHost host(choice());
  ASSERT_TRUE(host.connect());
  host.add_chain(3, 1);
  ASSERT_TRUE(host.settle());
  scratch_ceph_do("halt", "mon");
  NodeId last = *host.inspect().find(model::FillKind::kSpan, ClusterHost::hash_of(3));
  host.add_span(last, 4);
  EXPECT_TRUE(host.settle());
  EXPECT_EQ(host.search(ClusterHost::chain_of(4, 1)).objects.size(), 4u);
  EXPECT_EQ(host.tier().mode(), TierMode::kOk);
  ClusterHost late(choice());
  ASSERT_TRUE(late.until([&] { return late.tier().state().reason != "not connected yet"; }));
  EXPECT_EQ(late.tier().mode(), TierMode::kOff);
  expect_ram_serves(late);
  scratch_ceph_do("resume", "mon");
  EXPECT_TRUE(late.connect()) << late.tier().state().reason;
}

TEST_F(ClusterFault, Law09_OsdsThatHangTurnItOffAndItComesBack) {
  ClusterHost host(choice());
  ASSERT_TRUE(host.connect());
  host.add_chain(4, 1);
  ASSERT_TRUE(host.settle());
  auto halted = std::make_optional<HaltedOsds>(std::vector<std::string>{"osd.0", "osd.1", "osd.2"});
  const tiering::FoundChain found = host.search(ClusterHost::chain_of(4, 1));
  EXPECT_TRUE(found.objects.empty()) << "nothing is announced that cannot be had";
  uint64_t number = 200;
  EXPECT_TRUE(host.until([&] {
    if (host.set().idle() && number < 206) host.add_span(host.root(), number++);
    if (number == 200) host.tier().sweeper().sweep_soon();
    return host.tier().mode() == TierMode::kOff;
  }));
  expect_ram_serves(host);
  halted.reset();
  EXPECT_TRUE(host.connect()) << host.tier().state().reason;
  EXPECT_EQ(host.search(ClusterHost::chain_of(4, 1)).objects.size(), 4u);
}

// One of three hangs: what it had is waited for until the others take over from it. Loads and
// writes fail meanwhile, or come late; in the end nothing is lost, and no byte is wrong.
TEST_F(ClusterFault, Law09_AnOsdThatHangsAloneCostsNothingThatWasWritten) {
  ClusterHost host(choice());
  ASSERT_TRUE(host.connect());
  const std::vector<NodeId> chain = host.add_chain(6, 1);
  ASSERT_TRUE(host.settle());
  {
    const HaltedOsds halted({"osd.1"});
    NodeId last = chain.back();
    for (uint64_t number = 7; number <= 10; ++number) last = host.add_span(last, number);
    for (const NodeId node : chain) EXPECT_TRUE(host.is_right(node));
    EXPECT_TRUE(host.settle()) << host.tier().state().reason;
    expect_all_served(10);
  }
  EXPECT_TRUE(host.connect()) << host.tier().state().reason;
}

// They hang for less than an operation may take: nothing fails.
TEST_F(ClusterFault, Law15_ALoadFromOsdsThatHangEndsByItsDeadlineAndWhatComesLateIsRight) {
  store_chain(6);
  ClusterHost host(patient());
  ASSERT_TRUE(host.connect());
  const std::vector<NodeId> nodes = host.join(host.search(ClusterHost::chain_of(6, 1)), 1);
  ASSERT_EQ(nodes.size(), 6u);
  const std::vector<NodeId> head(nodes.begin(), nodes.begin() + 3);
  const std::vector<NodeId> rest(nodes.begin() + 3, nodes.end());
  ASSERT_EQ(host.load(head), Errc::kOk);
  {
    const HaltedOsds halted({"osd.0", "osd.1", "osd.2"});
    const int64_t deadline_ns = host.clock.now_ns() + model::kNsPerMs;
    ASSERT_TRUE(host.loads().start({.tag = 77, .deadline_ns = deadline_ns, .nodes = rest}).ok());
    EXPECT_EQ(host.end_of(77), Errc::kDeadlineExceeded);
    for (const NodeId node : head) EXPECT_TRUE(host.is_right(node)) << "RAM is untouched";
    for (const NodeId node : rest) EXPECT_FALSE(host.inspect().in_ram(node));
    EXPECT_EQ(host.tier().mode(), TierMode::kOk);
  }
  EXPECT_EQ(host.load(rest), Errc::kOk);
  for (const NodeId node : nodes) EXPECT_TRUE(host.is_right(node));
}

// By Ceph's own means: every message to an OSD lies there for a while before it is looked at.
TEST_F(ClusterFault, Law15_SlowOsdsAreWaitedForAndTheEstimateSaysSo) {
  store_chain(8);
  ClusterHost host(patient());
  ASSERT_TRUE(host.connect());
  const std::vector<NodeId> nodes = host.join(host.search(ClusterHost::chain_of(8, 1)), 1);
  ASSERT_EQ(nodes.size(), 8u);
  ASSERT_EQ(host.load({nodes[0], nodes[1]}), Errc::kOk);
  cache::TierBytes bytes;
  bytes[model::TierId::kCluster] = 1 << 20;
  const uint64_t usual_us = host.loads().estimate_us(bytes);
  {
    const SlowOsds slow("0.1");
    for (size_t i = 2; i < nodes.size(); ++i) {
      ASSERT_EQ(host.load({nodes[i]}), Errc::kOk) << host.tier().state().reason;
    }
    EXPECT_GT(host.loads().estimate_us(bytes), usual_us) << "an engine may recompute instead";
    EXPECT_EQ(host.tier().mode(), TierMode::kOk);
    NodeId last = nodes.back();
    for (uint64_t number = 9; number <= 10; ++number) last = host.add_span(last, number);
    EXPECT_TRUE(host.settle()) << host.tier().state().reason;
    for (const NodeId node : nodes) EXPECT_TRUE(host.is_right(node));
  }
  expect_all_served(10);
}

}  // namespace

}  // namespace quire::tests::cluster_fault_test
