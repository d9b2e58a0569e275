// What a daemon's clients do reaches its ghosts, and what they say reaches its operator.
#include "server/runtime/ghost_feed.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "cache/tree/chain_view.h"
#include "tests/support/manual_clock.h"
#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::ghost_feed_test {
namespace {

using model::TierId;
using server::GhostFeed;
using server::GhostReport;

constexpr uint64_t kMiB = 1 << 20;
constexpr cache::BlockShape kShape{.tokens = 8, .bytes = 4096};

class Feed {
 public:
  explicit Feed(uint64_t ssd_bytes = 0)
      : feed_(
            GhostFeed::create({.ram_bytes = kMiB, .ssd_bytes = ssd_bytes, .clock = &clock_}, false)
                .value()) {}
  // Prompts of two units a block.
  void match(const std::vector<model::Hash256>& hashes, uint32_t in_ram, uint32_t in_all) {
    feed_->matched({.owner = this,
                    .chain = {hashes.data(), static_cast<uint32_t>(hashes.size())},
                    .units_per_block = 2,
                    .shape = kShape,
                    .prompt_tokens = static_cast<uint32_t>(hashes.size()) * 4,
                    .ram_blocks = in_ram,
                    .all_blocks = in_all},
                   clock_.now_ns());
  }
  // A second later, at which it is made anew.
  GhostReport report(TierId tier) {
    while (feed_->step()) {
    }
    while (feed_->run_once()) {
    }
    clock_.advance(std::chrono::seconds(1));
    EXPECT_FALSE(feed_->run_once()) << "nothing came, and it is said what is known";
    return feed_->report(tier);
  }
  GhostFeed& operator*() { return *feed_; }
  ManualClock& clock() { return clock_; }

 private:
  ManualClock clock_;
  std::unique_ptr<GhostFeed> feed_;
};

std::vector<model::Hash256> chain(uint8_t first, size_t units) {
  std::vector<model::Hash256> hashes(units);
  for (size_t i = 0; i < units; ++i) {
    hashes[i].bytes.fill(static_cast<uint8_t>(first + i));
  }
  return hashes;
}

TEST(GhostFeed, TellsEachTierWhatItFound) {
  Feed feed(8 * kMiB);
  const auto hashes = chain(1, 20);
  feed.match(hashes, 0, 0);
  feed.match(hashes, 3, 5);
  const auto ram = feed.report(TierId::kRam).windows[1].totals;
  const auto all = feed.report(TierId::kSsd).windows[1].totals;
  EXPECT_EQ(ram.prompt_tokens, 2 * 80);
  EXPECT_EQ(ram.hit_tokens, 3 * 8);
  EXPECT_EQ(all.hit_tokens, 5 * 8);
  EXPECT_EQ(ram.ceiling_tokens, 80) << "all of the second one came before";
}

TEST(GhostFeed, SaysWhatCameLastThoughNothingComesAfterIt) {
  Feed feed;
  const auto first = chain(1, 20);
  const auto second = chain(50, 40);
  feed.match(first, 0, 0);
  EXPECT_EQ(feed.report(TierId::kRam).windows[0].totals.prompt_tokens, 80u);
  feed.match(second, 0, 0);
  EXPECT_EQ(feed.report(TierId::kRam).windows[0].totals.prompt_tokens, 240u);
}

TEST(GhostFeed, WindowsEndNowAlsoWhereNobodyAsks) {
  Feed feed;
  const auto hashes = chain(1, 20);
  feed.match(hashes, 0, 0);
  feed.report(TierId::kRam);
  feed.clock().advance(std::chrono::minutes(20));
  const GhostReport report = feed.report(TierId::kRam);
  EXPECT_EQ(report.windows[0].totals.prompt_tokens, 0u) << "of the last quarter of an hour";
  EXPECT_EQ(report.windows[1].totals.prompt_tokens, 80u) << "of the last hour";
}

TEST(GhostFeed, CommitsMakeGhostsHit) {
  Feed feed;
  const auto hashes = chain(1, 20);
  feed.match(hashes, 0, 0);
  feed.report(TierId::kRam);
  for (uint32_t block = 1; block <= 10; ++block) {
    (*feed).wrote({.time_us = 1,
                   .parent_key = block == 1 ? 0 : hashes[2 * block - 3].word(1),
                   .key = hashes[2 * block - 1].word(1),
                   .shape = kShape});
  }
  feed.match(hashes, 0, 0);
  feed.match(hashes, 0, 0);
  const GhostReport report = feed.report(TierId::kRam);
  for (const cache::GhostRow& row : report.windows[0].rows) {
    EXPECT_EQ(row.hits.hit_tokens, 2 * 80) << row.policy << row.size_percent;
  }
}

TEST(GhostFeed, HashesOfWhoIsGoneAreNotRead) {
  Feed feed;
  {
    const auto hashes = chain(1, 20);
    feed.match(hashes, 0, 0);
    (*feed).forget(&feed);
  }
  EXPECT_FALSE((*feed).has_work());
  EXPECT_TRUE(feed.report(TierId::kRam).windows[0].rows.empty()) << "nothing was told";
}

TEST(GhostFeed, WhatFindsNoRoomIsCountedAndDropped) {
  Feed feed;
  const auto hashes = chain(1, 4);
  for (uint32_t i = 0; i <= GhostFeed::kMaxWaiting; ++i) feed.match(hashes, 0, 0);
  EXPECT_EQ((*feed).dropped(), 1u);
  while ((*feed).step()) {
  }
  for (uint32_t i = 0; i < GhostFeed::kQueueWords; ++i) (*feed).wrote({.key = i, .shape = kShape});
  EXPECT_GT((*feed).dropped(), 1u);
  feed.report(TierId::kRam);
}

TEST(GhostFeed, DaemonTellsItsGhostsAndShowsAdvice) {
  auto options = small_options();
  options.ghost_bytes = 64 * kMiB;
  TestDaemon daemon(options);
  const auto client = daemon.connect();
  const auto layout = small_append_layout();
  for (int turn = 0; turn < 3; ++turn) {
    const auto session = open_session(*client, session_options(layout));
    ASSERT_TRUE(session->append_tokens(context_tokens(8 * layout.block_tokens + 1, 1)).ok());
    ASSERT_TRUE(session->match(8 * layout.block_tokens + 1).ok());
    for (uint32_t block = 1; turn == 0 && block <= 8; ++block) {
      ASSERT_TRUE(
          commit_object(*session, model::FillKind::kSpan, block * layout.block_tokens).ok());
    }
  }
  std::string text;
  // The report that has all of it is made within a second of the next prompt.
  while (text.find("\"now\":true") == std::string::npos ||
         text.find("\"hit_percent\":0,") != std::string::npos) {
    const auto session = open_session(*client, session_options(layout));
    ASSERT_TRUE(session->append_tokens(context_tokens(8 * layout.block_tokens + 1, 1)).ok());
    ASSERT_TRUE(session->match(8 * layout.block_tokens + 1).ok());
    text = client->advice_json(TierId::kRam, model::AdviceWindow::kHour).value();
  }
  EXPECT_NE(text.find("ceiling_percent"), std::string::npos);
}

TEST(GhostFeed, AutoIsSetShownAndLeft) {
  auto options = small_options();
  options.ghost_bytes = 64 * kMiB;
  options.ram_policy = "auto";
  TestDaemon daemon(options);
  const auto client = daemon.connect();
  EXPECT_NE(client->policy_json().value().find("auto (gittins)"), std::string::npos);
  ASSERT_TRUE(client->set_policy(TierId::kRam, "lru").ok());
  EXPECT_EQ(client->policy_json().value().find("auto ("), std::string::npos);
  EXPECT_EQ(client->set_policy(TierId::kRam, "auto", {.domain = "uid:0", .tenant = {}}).code(),
            model::Errc::kInvalidArgument);
  ASSERT_TRUE(daemon.eventually([](server::Daemon& d) { return !d.cache().board().step(0); }));
  ASSERT_TRUE(client->set_policy(TierId::kRam, "auto").ok());
  EXPECT_NE(client->policy_json().value().find("auto (gittins)"), std::string::npos);
}

TEST(GhostFeed, WithoutGhostsThereIsNoAdviceAndNoAuto) {
  auto options = small_options();
  options.ghost_bytes = 0;
  TestDaemon daemon(options);
  const auto client = daemon.connect();
  EXPECT_EQ(client->advice_json(TierId::kRam, model::AdviceWindow::kHour).code(),
            model::Errc::kNotFound);
  EXPECT_EQ(client->set_policy(TierId::kRam, "auto").code(), model::Errc::kNotFound);
}

}  // namespace
}  // namespace quire::tests::ghost_feed_test
