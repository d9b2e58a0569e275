// Tenants of one user in a daemon whose RAM is smaller than what they write: who floods it costs a
// tenant within its guarantee nothing.
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::quota_test {
namespace {

using model::Errc;
using model::FillKind;
using model::TierId;

constexpr uint64_t kPage = 1 << 20;
constexpr uint32_t kBlock = 4;   // tokens
constexpr uint32_t kBlocks = 8;  // of each context, so that eight contexts fill the RAM

model::Layout layout() {
  model::Layout layout = small_append_layout();
  layout.name = "quota";
  layout.groups[0].page_bytes = kPage;
  layout.groups[0].layers = {{.layer = 0, .offset = 0, .bytes = kPage}};
  return layout;
}

class Quotas : public testing::Test {
 protected:
  std::unique_ptr<client::Session> open(uint64_t context, const std::string& tenant) {
    auto options = session_options(layout(), "model", tenant);
    options.staging_bytes = 2 * kPage;
    auto session = open_session(*client_, options);
    QUIRE_CHECK(session->append_tokens(context_tokens(kBlock * kBlocks + 1, context)).ok());
    return session;
  }
  // The tokens that it found; what it did not find it writes.
  uint32_t turn(uint64_t context, const std::string& tenant) {
    const auto session = open(context, tenant);
    const auto match = session->match(kBlock * kBlocks + 1);
    EXPECT_TRUE(match.ok()) << match.error().text;
    EXPECT_TRUE(match->exact_tokens == 0 || check_hit(*session, *match) > 0) << "a wrong byte";
    for (uint32_t end = match->exact_tokens + kBlock; end <= kBlocks * kBlock; end += kBlock) {
      const auto written = commit_object(*session, FillKind::kSpan, end);
      EXPECT_TRUE(written.ok()) << tenant << ": " << written.error().text;
    }
    return match->exact_tokens;
  }
  client::ScopeOptions scope(const std::string& tenant) const {
    return {.domain = "uid:" + std::to_string(::geteuid()), .tenant = tenant};
  }

  TestDaemon daemon_;
  std::unique_ptr<client::Client> client_ = daemon_.connect();
};

TEST_F(Quotas, FloodCostsATenantWithinItsGuaranteeNothing) {
  turn(0, "calm");  // the domain is there
  ASSERT_TRUE(client_->set_quota(TierId::kRam, scope("calm"), {.guaranteed = 32 * kPage}).ok());
  uint32_t found = 0;
  uint32_t asked = 0;
  for (uint64_t round = 0; round < 3; ++round) {
    for (uint64_t context = 0; context < 3; ++context) {
      found += turn(context, "calm");
      asked += round > 0 ? kBlocks * kBlock : 0;
      for (uint64_t i = 0; i < 3; ++i) turn(1000 + round * 10 + context * 3 + i, "flood");
    }
  }
  EXPECT_GE(found, asked * 95 / 100);
  EXPECT_GT(daemon_.counters().evictions, 20u) << "else nothing was short";
}

// The same without a quota: the test above would pass whatever the code does, otherwise.
TEST_F(Quotas, WithoutAGuaranteeTheFloodTakesIt) {
  for (uint64_t context = 0; context < 3; ++context) turn(context, "calm");
  for (uint64_t i = 0; i < 9; ++i) turn(1000 + i, "flood");
  EXPECT_EQ(turn(0, "calm"), 0u);
}

TEST_F(Quotas, WhoIsAtItsBurstMakesRoomForItself) {
  turn(0, "small");
  ASSERT_TRUE(client_->set_quota(TierId::kRam, scope("small"), {.burst = 16 * kPage}).ok());
  for (uint64_t context = 1; context < 5; ++context) turn(context, "small");
  daemon_.on_core([&](server::Daemon& d) {
    const cache::ScopeName name{TierId::kRam, scope("small").domain, "small"};
    const auto owner = d.cache().rules().owner_of(name);
    ASSERT_TRUE(owner.has_value());
    EXPECT_LE(d.cache().quotas().held_bytes(TierId::kRam, *owner), 16 * kPage);
  });
  EXPECT_EQ(turn(4, "small"), kBlocks * kBlock);
  EXPECT_NE(client_->quota_json().value().find("\"burst_bytes\":16777216"), std::string::npos);
}

TEST_F(Quotas, WhatMakesNoSenseIsRefused) {
  const auto code = [&](const client::ScopeOptions& who, const client::QuotaBytes& quota) {
    return client_->set_quota(TierId::kRam, who, quota).code();
  };
  EXPECT_EQ(code({}, {}), Errc::kInvalidArgument) << "nobody named";
  EXPECT_EQ(code({.domain = "", .tenant = "t"}, {}), Errc::kInvalidArgument);
  EXPECT_EQ(code(scope("t"), {.guaranteed = 2, .burst = 1}), Errc::kInvalidArgument);
  EXPECT_EQ(code(scope("t"), {.guaranteed = 60 * kPage}), Errc::kInvalidArgument)
      << "more than nine tenths of the RAM";
  for (const std::string who :
       {"uid:abc", "uid:-1", "uid:", "abc", "uid:4294967296", "uid:1 ", "uid:0x10", "uid:007"}) {
    EXPECT_EQ(code({.domain = who, .tenant = std::nullopt}, {}), Errc::kInvalidArgument) << who;
  }
  EXPECT_EQ(code(scope("t"), {.weight = 0}), Errc::kInvalidArgument);
  EXPECT_EQ(code(scope("t"), {.weight = 1001}), Errc::kInvalidArgument);
  EXPECT_EQ(code(scope("a\nb"), {}), Errc::kInvalidArgument);
  EXPECT_EQ(client_->quota_json().value().find("guaranteed"), std::string::npos);
}

}  // namespace
}  // namespace quire::tests::quota_test
