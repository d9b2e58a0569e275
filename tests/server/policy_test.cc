// A daemon whose RAM is smaller than what is written to it, under each of the policies.
#include "cache/eviction/policy.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::policy_test {
namespace {

using model::FillKind;

constexpr uint64_t kPage = 1 << 20;
constexpr uint32_t kBlock = 4;   // tokens
constexpr uint32_t kBlocks = 8;  // of each context
constexpr uint32_t kContexts = 12;

model::Layout layout() {
  model::Layout layout = small_append_layout();
  layout.name = "policy";
  layout.groups[0].page_bytes = kPage;
  layout.groups[0].layers = {{.layer = 0, .offset = 0, .bytes = kPage}};
  return layout;
}

std::unique_ptr<client::Session> open(client::Client& client, uint64_t context) {
  auto options = session_options(layout());
  options.staging_bytes = 2 * kPage;
  auto session = open_session(client, options);
  const auto appended = session->append_tokens(context_tokens(kBlock * kBlocks + 1, context));
  QUIRE_CHECK(appended.ok());
  return session;
}

class EveryPolicyInADaemon : public testing::TestWithParam<cache::NamedPolicy> {};

INSTANTIATE_TEST_SUITE_P(Policies, EveryPolicyInADaemon,
                         testing::ValuesIn(cache::all_policies().begin(),
                                           cache::all_policies().end()),
                         [](const auto& entry) { return std::string(entry.param.name); });

// Half as much again as there is room for; what is a hit is right in every byte. In the middle the
// policy is switched, and back.
TEST_P(EveryPolicyInADaemon, Law01_HitsAreRightWhoeverMakesRoom) {
  auto options = small_options();
  options.ram_policy = GetParam().name;
  TestDaemon daemon(options);
  const auto client = daemon.connect();
  for (uint32_t context = 0; context < kContexts; ++context) {
    const auto session = open(*client, context);
    for (uint32_t block = 1; block <= kBlocks; ++block) {
      ASSERT_TRUE(commit_object(*session, FillKind::kSpan, block * kBlock).ok());
    }
    if (context % 4 != 2) continue;
    daemon.on_core([&](server::Daemon& d) {
      const std::string_view next = context == 2 ? "lru" : GetParam().name;
      const model::DomainId own{0};
      EXPECT_TRUE(d.cache().board().set_policy(model::TierId::kRam, own, next).ok());
    });
    ASSERT_TRUE(daemon.eventually([](server::Daemon& d) { return !d.cache().board().step(0); }));
  }
  EXPECT_GT(daemon.counters().evictions, kContexts * kBlocks / 4);
  uint32_t hits = 0;
  for (uint32_t context = 0; context < kContexts; ++context) {
    const auto session = open(*client, context);
    const auto match = session->match(kBlock * kBlocks + 1);
    ASSERT_TRUE(match.ok());
    if (match->exact_tokens == 0) continue;
    EXPECT_GT(check_hit(*session, *match), 0);
    ++hits;
  }
  EXPECT_GT(hits, 0u);
}

}  // namespace
}  // namespace quire::tests::policy_test
