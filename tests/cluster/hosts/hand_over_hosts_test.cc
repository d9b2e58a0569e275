// Prefill on one host, decode on another: the decode holds what the prefill computes run by run,
// resumes within a run of its end, and keeps what is sealed of a prefill that dies.
#include <gtest/gtest.h>

#include <latch>
#include <thread>
#include <vector>

#include "tests/cluster/hosts/cluster_host.h"
#include "tests/support/writer.h"

namespace quire::tests::hand_over_hosts_test {

namespace {

constexpr uint32_t kTokens = 16'384;
constexpr uint32_t kBlockTokens = 256;

class HandOverHosts : public testing::Test {
 protected:
  void SetUp() override {
    QUIRE_NEEDS_CEPH();
    QUIRE_NEEDS_HOSTS();
    prefill_ = std::make_unique<HostDaemon>(1, options());
    decode_ = std::make_unique<HostDaemon>(2, options());
    ASSERT_TRUE(prefill_->reaches("ok") && decode_->reaches("ok"));
    prefill_client_ = prefill_->process().connect("prefill");
    decode_client_ = decode_->process().connect("decode");
    given_ = open_session(*prefill_client_, session_options_);
    following_ = open_session(*decode_client_, session_options_);
    const auto address = given_->hand_over();
    ASSERT_TRUE(address.ok()) << address.error().text;
    address_ = *address;
  }
  // What went up for a hand-over alone: nothing else does by the rule of the second use.
  static HostDaemon::Options options() {
    HostDaemon::Options options;
    options.admission = "second-use";
    return options;
  }
  void commit(uint32_t tokens) {
    const auto committed = commit_context(*given_, tokens);
    ASSERT_TRUE(committed.ok()) << committed.error().text;
  }

  const std::string space_ = fresh_name();
  reference::Decoder decoder_{reference::tiny_config(), 1};
  const std::vector<uint32_t> text_ = reference::make_text(kTokens);
  const client::SessionOptions session_options_ = HostDaemon::session_of(decoder_, space_, kTokens);
  std::unique_ptr<HostDaemon> prefill_;
  std::unique_ptr<HostDaemon> decode_;
  std::unique_ptr<client::Client> prefill_client_;
  std::unique_ptr<client::Client> decode_client_;
  std::unique_ptr<client::Session> given_;
  std::unique_ptr<client::Session> following_;
  model::HandOverAddress address_;
};

TEST_F(HandOverHosts, TheDecodeHoldsRunsAsTheyBecomeDurableAndResumesAtTheEnd) {
  // Half of the prompt is computed before the decode has seen any, the rest not.
  std::latch seen(1);
  client::RunOptions computes;
  computes.chunk_tokens = 512;
  computes.on_chunk = [&](uint32_t position) {
    if (position >= kTokens / 2) seen.wait();
  };
  client::RunOutcome computed;
  std::thread prefill([&] {
    client::ReferenceRun engine(decoder_, *given_, computes);
    computed = engine.prefill(text_).value();
  });
  reference::Decoder decoder(reference::tiny_config(), 1);
  client::RunOptions options;
  options.verify_pages = true;
  options.follows = address_;
  client::ReferenceRun engine(decoder, *following_, options);
  std::vector<uint32_t> held;
  const auto resumed = engine.follow(text_, kPatienceMs, [&](uint32_t blocks) {
    held.push_back(blocks);
    if (held.size() == 1) seen.count_down();
  });
  if (held.empty()) seen.count_down();
  prefill.join();
  ASSERT_TRUE(resumed.ok()) << resumed.error().text;
  EXPECT_GE(held.size(), 2u) << "it came in parts";
  EXPECT_LT(held.front(), kTokens / kBlockTokens);
  EXPECT_GE(held.back(), (kTokens - 1) / kBlockTokens) << "the last one may lie in the checkpoint";
  EXPECT_TRUE(reference::same_bits(resumed->logits, computed.logits));
}

TEST_F(HandOverHosts, WhatAPrefillThatDiesHasSealedStaysAndTheRestIsUnavailable) {
  constexpr uint32_t kHalf = kTokens / 2;
  ASSERT_TRUE(given_->append_tokens(text_).ok());
  ASSERT_TRUE(following_->append_tokens(text_).ok());
  ASSERT_TRUE(following_->follow(address_, kTokens).ok());
  commit(kHalf);
  given_.reset();
  prefill_client_.reset();
  EXPECT_TRUE(following_->wait_for_tokens(kHalf, kPatienceMs).ok());
  const auto rest = following_->wait_for_tokens(kTokens, kPatienceMs);
  EXPECT_EQ(rest.code(), model::Errc::kUnavailable) << rest.error().text;
  EXPECT_EQ(following_->progress().handover, model::Handover::kEnded);
  const auto match = following_->match(kTokens);
  ASSERT_TRUE(match.ok());
  EXPECT_EQ(match->span_tokens, kHalf);
  EXPECT_GT(check_hit(*following_, *match), 0);
}

TEST_F(HandOverHosts, AHostThatIsKilledIsNoticed) {
  constexpr uint32_t kHalf = kTokens / 2;
  ASSERT_TRUE(given_->append_tokens(text_).ok());
  ASSERT_TRUE(following_->append_tokens(text_).ok());
  ASSERT_TRUE(following_->follow(address_, kTokens).ok());
  commit(kHalf);
  ASSERT_TRUE(following_->wait_for_tokens(kHalf, kPatienceMs).ok());
  prefill_->process().crash();
  EXPECT_EQ(following_->wait_for_tokens(kTokens, kPatienceMs).code(), model::Errc::kUnavailable);
  EXPECT_EQ(following_->progress().handover, model::Handover::kAbandoned);
  EXPECT_EQ(following_->match(kTokens)->span_tokens, kHalf) << "what is sealed stays";
}

TEST_F(HandOverHosts, AnAddressIsOfOneTreeAndOneStore) {
  ASSERT_TRUE(following_->append_tokens(text_).ok());
  auto options = session_options_;
  options.namespace_name += "-other";
  const auto other = open_session(*decode_client_, options);
  ASSERT_TRUE(other->append_tokens(text_).ok());
  EXPECT_EQ(other->follow(address_, kTokens).code(), model::Errc::kInvalidArgument);
  auto elsewhere = address_;
  elsewhere.store[0] ^= 1;
  EXPECT_EQ(following_->follow(elsewhere, kTokens).code(), model::Errc::kInvalidArgument);
  auto unknown = address_;
  unknown.token[0] ^= 1;
  ASSERT_TRUE(following_->follow(unknown, kTokens).ok());
  EXPECT_EQ(following_->wait_for_tokens(1, kPatienceMs).code(), model::Errc::kUnavailable);
}

}  // namespace

}  // namespace quire::tests::hand_over_hosts_test
