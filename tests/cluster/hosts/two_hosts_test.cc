// What one host computed another one resumes, bit for bit, also when the first and an OSD are gone:
// the demo's text with real logits, and a million tokens of V4-Flash's geometry byte by byte. And
// what a host does whose network is cut.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "client/engines/reference/demo_text.h"
#include "model/layout_toml.h"
#include "tests/cluster/hosts/cluster_host.h"
#include "tests/support/writer.h"

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

TEST_F(TwoHosts, TheSecondResumesTheDemosTextAndAThirdWhenTheFirstAndAnOsdAreKilled) {
  constexpr uint32_t kTextTokens = 65'536;
  const auto text = client::read_demo_text("", QUIRE_SOURCE_DIR, kTextTokens);
  ASSERT_TRUE(text.ok());
  const std::vector<uint32_t> tokens = client::to_tokens(*text);
  ASSERT_EQ(tokens.size(), kTextTokens);
  auto first = std::make_unique<HostDaemon>(1);
  ASSERT_TRUE(first->reaches("ok"));
  const client::RunOutcome cold = first->run(decoder_, space_, tokens);
  ASSERT_EQ(cold.hit_tokens, 0u);
  ASSERT_TRUE(first->settles());

  HostDaemon second(2);
  ASSERT_TRUE(second.reaches("ok"));
  const client::RunOutcome resumed = second.run(decoder_, space_, tokens);
  EXPECT_EQ(resumed.hit_tokens, kTextTokens - kUnit);
  EXPECT_TRUE(same_bits(resumed.logits, cold.logits));

  first->process().crash();
  const KilledOsd killed("osd.2");
  HostDaemon third(3, {.timeout_ms = 30'000});
  ASSERT_TRUE(third.reaches("ok"));
  const auto engine = third.process().connect("engine");
  const auto session =
      open_session(*engine, HostDaemon::session_of(decoder_, space_, tokens.size()));
  ASSERT_TRUE(session->append_tokens(tokens).ok());
  ASSERT_TRUE(HostDaemon::finds(*session, kTextTokens, kTextTokens - kUnit));
  const client::RunOutcome again = third.run(decoder_, space_, tokens);
  EXPECT_EQ(again.hit_tokens, kTextTokens - kUnit);
  EXPECT_TRUE(same_bits(again.logits, cold.logits));
}

// 4,096 spans and a checkpoint, 3.8 GiB. The first host has a third of that as RAM, so what it
// computes goes up while it computes.
class LongSession : public TwoHosts {
 protected:
  static constexpr uint32_t kSessionTokens = 1 << 20;
  static constexpr uint32_t kAtOnce = 512;  // blocks of a load

  void SetUp() override {
    TwoHosts::SetUp();
    if (IsSkipped()) return;
    const auto layout =
        model::load_layout_file(QUIRE_SOURCE_DIR "/configs/models/deepseek-v4-flash-fp8.toml");
    ASSERT_TRUE(layout.ok());
    options_ = session_options(*layout, space_);
    options_.max_tokens = kSessionTokens;
    options_.max_load_pages = 8192;
    options_.staging_bytes = 8 << 20;
  }
  std::unique_ptr<client::Session> open(client::Client& client) {
    auto session = open_session(client, options_);
    QUIRE_CHECK(session->append_tokens(tokens_).ok());
    return session;
  }
  // All of it, from the cluster, each byte and checksum as it was written.
  void expect_resumed(int host) {
    HostDaemon daemon(host, {.ram_mib = 4608, .timeout_ms = 30'000});
    ASSERT_TRUE(daemon.reaches("ok"));
    const auto client = daemon.process().connect("engine");
    const auto session = open(*client);
    const uint32_t whole = model::last_resume_point(options_.layout, kSessionTokens);
    ASSERT_TRUE(HostDaemon::finds(*session, kSessionTokens, whole));
    const auto match = session->match(kSessionTokens);
    ASSERT_TRUE(match.ok());
    EXPECT_EQ(match->exact_tokens, whole);
    const uint32_t blocks = whole / options_.layout.block_tokens;
    EXPECT_EQ(match->tokens[model::TierId::kCluster], blocks * options_.layout.block_tokens);
    for (uint32_t first = 0; first < blocks; first += kAtOnce) {
      load(*session, *match, first, std::min(kAtOnce, blocks - first));
    }
  }
  void load(client::Session& session, const model::MatchResult& match, uint32_t first,
            uint32_t count) {
    const bool last = (first + count + 1) * options_.layout.block_tokens > match.exact_tokens;
    const auto loaded = session.load(match.lease, {.first_block = first,
                                                   .block_count = count,
                                                   .include_checkpoint = last,
                                                   .deadline_ms = kPatienceMs});
    ASSERT_TRUE(loaded.ok()) << loaded.error().text;
    ASSERT_EQ(loaded->limited_by, model::Errc::kOk);
    ASSERT_EQ(loaded->block_count, count);
    EXPECT_EQ(loaded->checkpoint_count > 0, last);
    const size_t spans = loaded->pages.size() - loaded->checkpoint_count;
    ASSERT_EQ(spans, count) << "one page a span";
    for (size_t i = 0; i < loaded->pages.size(); ++i) {
      const client::PageView& page = loaded->pages[i];
      const uint64_t key =
          i < spans
              ? object_key(session,
                           static_cast<uint32_t>(first + i + 1) * options_.layout.block_tokens,
                           model::FillKind::kSpan)
              : object_key(session, match.exact_tokens, model::FillKind::kCheckpoint);
      ASSERT_TRUE(client::verify_page(page) && check_content(session, page, key)) << first + i;
    }
  }

  client::SessionOptions options_;
  const std::vector<uint32_t> tokens_ = context_tokens(kSessionTokens, 14);
};

TEST_F(LongSession, AMillionTokensOfV4FlashAreResumedByASecondAndAThirdHost) {
  auto first =
      std::make_unique<HostDaemon>(1, HostDaemon::Options{.ram_mib = 1280, .write_delay_ms = 200});
  ASSERT_TRUE(first->reaches("ok"));
  {
    const auto client = first->process().connect("engine");
    const auto session = open(*client);
    const auto committed = commit_context(*session, kSessionTokens);
    ASSERT_TRUE(committed.ok()) << committed.error().text;
    ASSERT_TRUE(first->settles());
  }
  expect_resumed(2);
  first->process().crash();
  const KilledOsd killed("osd.1");
  expect_resumed(3);
}

TEST_F(TwoHosts, ARouterIsToldWhatTheClusterHasAndNothingIsLoaded) {
  HostDaemon first(1);
  ASSERT_TRUE(first.reaches("ok"));
  ASSERT_EQ(first.run(decoder_, space_, text_).hit_tokens, 0u);
  ASSERT_TRUE(first.settles());
  HostDaemon second(2);
  ASSERT_TRUE(second.reaches("ok"));
  const client::SessionOptions options = HostDaemon::session_of(decoder_, space_, kTokens);
  client::ChainNames names;
  names.layout = options.layout;
  names.namespace_name = space_;
  const auto router = second.process().connect("router");
  EXPECT_FALSE(router->locate(names, text_, model::kMaxLocateWaitMs)->known);
  const auto session = open_session(*router, options);
  EXPECT_EQ(router->locate(names, text_)->span_tokens, 0u) << "it is asked for on request alone";
  const auto held = router->locate(names, text_, model::kMaxLocateWaitMs);
  ASSERT_TRUE(held.ok()) << held.error().text;
  EXPECT_EQ(held->cluster, model::ClusterAnswer::kAnswered);
  EXPECT_EQ(held->span_tokens, kTokens);
  EXPECT_EQ(held->tier_tokens[model::index_of(model::TierId::kCluster)], kTokens);
  EXPECT_GE(held->exact_tokens, kWholeHit);
  EXPECT_EQ(second.process().status().spans, 0u) << "nothing joined, nothing was loaded";
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
