// A daemon whose RAM is smaller than what is written to it, under each of the policies.
#include "cache/eviction/policy.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <deque>
#include <string>
#include <thread>

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
      const cache::Owner own{model::DomainId{0}, {}};
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

// One of several clients: writes contexts, and checks every byte of those that are there.
class Worker {
 public:
  explicit Worker(TestDaemon& daemon, uint32_t number)
      : client_(daemon.connect()), thread_([this, number](const std::stop_token& stop) {
          for (uint32_t i = 0; !stop.stop_requested(); ++i) turn((number + i * 5) % kContexts);
        }) {}
  // Ends it. What went wrong; nothing on success.
  std::string end() {
    thread_.request_stop();
    thread_.join();
    return failure_;
  }
  uint32_t hits() const { return hits_; }

 private:
  void turn(uint32_t context) {
    const auto session = open(*client_, context);
    const auto match = session->match(kBlock * kBlocks + 1);
    if (!match.ok()) return fail("match: " + match.error().text);
    if (match->exact_tokens > 0) {
      if (check_hit(*session, *match) <= 0) return fail("a wrong byte");
      ++hits_;
    }
    for (uint32_t end = match->exact_tokens + kBlock; end <= kBlocks * kBlock; end += kBlock) {
      const auto written = commit_object(*session, FillKind::kSpan, end);
      // Its parent may have gone to make room for another client's.
      if (!written.ok() && written.code() != model::Errc::kNoParent) {
        return fail("commit: " + written.error().text);
      }
      if (!written.ok()) return;
    }
  }
  void fail(const std::string& text) {
    if (failure_.empty()) failure_ = text;
  }

  std::unique_ptr<client::Client> client_;
  std::string failure_;
  uint32_t hits_ = 0;
  std::jthread thread_;
};

// By the verb that operators use, of all domains and of one, through every policy that there is.
TEST(PolicySwitch, Law01_AThousandSwitchesUnderEightClientsLoseNothing) {
  constexpr uint32_t kSwitches = 1000;
  auto options = small_options();
  TestDaemon daemon(options);
  const auto operating = daemon.connect();
  std::deque<Worker> workers;
  for (uint32_t i = 0; i < 8; ++i) workers.emplace_back(daemon, i);
  const std::string own = "uid:" + std::to_string(::getuid());
  const auto policies = cache::all_policies();
  for (uint32_t done = 0; done < kSwitches;) {
    const auto set =
        operating->set_policy(model::TierId::kRam, policies[done % policies.size()].name,
                              {.domain = done % 3 == 0 ? own : std::string(), .tenant = {}});
    if (set.code() == model::Errc::kBusy) continue;  // the one before goes on
    ASSERT_TRUE(set.ok()) << set.error().text;
    ++done;
  }
  uint32_t hits = 0;
  for (Worker& worker : workers) {
    EXPECT_EQ(worker.end(), "");
    hits += worker.hits();
  }
  EXPECT_GT(hits, 0u);
  EXPECT_GT(daemon.counters().evictions, 100u);
  daemon.on_core([](server::Daemon& d) { d.cache().check_invariants(); });
}

TEST(PolicySwitch, WhatMakesNoSenseIsRefusedByName) {
  TestDaemon daemon(small_options());
  const auto client = daemon.connect();
  const auto refused = [&](model::TierId tier, std::string_view policy, std::string_view domain) {
    const auto set =
        client->set_policy(tier, policy, {.domain = std::string(domain), .tenant = {}});
    EXPECT_FALSE(set.ok());
    return set.error().text;
  };
  EXPECT_NE(refused(model::TierId::kRam, "best", "").find("there are: arc"), std::string::npos);
  EXPECT_NE(refused(model::TierId::kRam, "arc", "uid:77").find("uid:77"), std::string::npos);
  EXPECT_NE(refused(model::TierId::kSsd, "arc", "").find("not in use"), std::string::npos);
  EXPECT_NE(client->policy_json().value().find("\"policy\":\"lru\""), std::string::npos);
}

}  // namespace
}  // namespace quire::tests::policy_test
