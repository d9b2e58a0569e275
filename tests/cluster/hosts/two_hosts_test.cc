// What one host computed another one resumes, bit for bit, also when the first is gone; and what a
// host does whose network is cut.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "tests/cluster/hosts/cluster_host.h"

namespace quire::tests::two_hosts_test {

namespace {

constexpr uint32_t kTokens = 4096;
constexpr uint32_t kUnit = 128;
constexpr uint32_t kWholeHit = (kTokens - 1) / kUnit * kUnit;

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

class TwoHosts : public testing::Test {
 protected:
  void SetUp() override {
    QUIRE_NEEDS_CEPH();
    QUIRE_NEEDS_HOSTS();
  }
  const std::string space_ = fresh_name();
  reference::Decoder decoder_{reference::tiny_config(), 2};
  const std::vector<uint32_t> text_ = reference::make_text(kTokens);
};

TEST_F(TwoHosts, TheSecondResumesWhatTheFirstComputedAndAThirdWhenThatIsGone) {
  auto first = std::make_unique<HostDaemon>(1);
  ASSERT_TRUE(first->reaches("ok"));
  const client::RunOutcome cold = first->run(decoder_, space_, text_);
  ASSERT_EQ(cold.hit_tokens, 0u);
  ASSERT_TRUE(first->settles());

  HostDaemon second(2);
  ASSERT_TRUE(second.reaches("ok"));
  const client::RunOutcome resumed = second.run(decoder_, space_, text_);
  EXPECT_EQ(resumed.hit_tokens, kWholeHit);
  EXPECT_TRUE(same_bits(resumed.logits, cold.logits));

  first->process().crash();
  scratch_ceph_do("kill", "osd.2");
  HostDaemon third(3);
  ASSERT_TRUE(third.reaches("ok"));
  const client::RunOutcome again = third.run(decoder_, space_, text_);
  EXPECT_EQ(again.hit_tokens, kWholeHit);
  EXPECT_TRUE(same_bits(again.logits, cold.logits));
  scratch_ceph_do("revive", "osd.2");
  first->process().start();  // its end is a clean one
}

TEST_F(TwoHosts, AHostThatIsCutOffServesItsRamAndComesBack) {
  HostDaemon host(1);
  ASSERT_TRUE(host.reaches("ok"));
  const client::RunOutcome cold = host.run(decoder_, space_, text_);
  ASSERT_TRUE(host.settles());
  host_networks_do("cut", 1);
  EXPECT_TRUE(host.reaches("off"));
  EXPECT_NE(host.cluster().at("reason").as_string(), "");
  const client::RunOutcome warm = host.run(decoder_, space_, text_);
  EXPECT_EQ(warm.hit_tokens, kWholeHit) << "RAM is untouched";
  EXPECT_TRUE(same_bits(warm.logits, cold.logits));
  const client::RunOutcome fresh = host.run(decoder_, space_ + "-fresh", text_);
  EXPECT_EQ(fresh.hit_tokens, 0u) << "it computes, and waits for nothing";
  host_networks_do("mend", 1);
  EXPECT_TRUE(host.reaches("ok"));
  EXPECT_TRUE(host.settles()) << "what came meanwhile goes up";
}

}  // namespace

}  // namespace quire::tests::two_hosts_test
