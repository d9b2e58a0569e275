// One screen out of a daemon's documents: what is wrong first, figures in units.
#include "client/quirectl/status/status_screen.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace quire::client::status_screen_test {
namespace {

constexpr std::string_view kStatus = R"({
  "schema":"quire.status.v1","scope":"all","state":"degraded","daemon_epoch":7,
  "clients":{"connected":3,"sessions":1},
  "memory":{"budget_bytes":1073741824,"failure":""},
  "tiers":[
    {"tier":"ram","state":"ok","reason":"","action":"","used_bytes":536870912,
     "capacity_bytes":1073741824,"spans":1500,"checkpoints":2},
    {"tier":"ssd","state":"read-only","reason":"write: I/O error","action":"replace the device",
     "used_bytes":536870912,"capacity_bytes":1073741824,"spans":900,"checkpoints":1,"queued":12,
     "waits_for":"","limited_by":"room","written":{"bytes":2097152},"read":{"bytes":1048576}}],
  "domains":[{"domain":"uid:1","page_bytes":268435456},{"domain":"uid:2","page_bytes":268439552}],
  "cache":{"leases":4,"matches":100,"committed_bytes":1048576},
  "turns":{"ended":10,"prompt_tokens":1000000,"hit_tokens":250000,"recent_prompt_tokens":1000,
           "recent_hit_tokens":900},
  "ledger":{"state":"failed","reason":"No space left","action":"make room","waiting":5,
            "lost_receipts":2}})";

StatusFacts facts() { return {.daemon = read_status(kStatus).value()}; }

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

TEST(StatusScreen, WhatIsWrongComesFirstWithWhatToDo) {
  const std::string screen = status_screen(facts(), {});
  EXPECT_TRUE(
      screen.starts_with("quired degraded   3 clients, 1 session, 4 leases   receipts "
                         "failed, 5 waiting\n"
                         "ssd is read-only: write: I/O error\n"
                         "  to do: replace the device\n"
                         "ledger is failed: No space left\n"
                         "  to do: make room\n"
                         "2 receipts were lost since the start\n"))
      << screen;
}

TEST(StatusScreen, TiersAreInUnits) {
  const std::string screen = status_screen(facts(), {});
  EXPECT_TRUE(contains(screen, "ram   ok         512 MiB  1.00 GiB  50.0 %  1.50 k")) << screen;
  EXPECT_TRUE(contains(screen,
                       "ssd   read-only  512 MiB  1.00 GiB  50.0 %     900            1"
                       "        12  room"))
      << screen;
}

TEST(StatusScreen, HitRateIsOfNowOfAQuarterAndTheCeiling) {
  StatusFacts seen = facts();
  EXPECT_TRUE(contains(status_screen(seen, {}),
                       "now 90.0 %   15 min -   ceiling -   since start 25.0 % of 1.00 M tokens"));
  seen.window =
      read_window(R"({"prompt_tokens":5,"hit_percent":6.25E1,"ceiling_percent":75})").value();
  EXPECT_TRUE(contains(status_screen(seen, {}), "15 min 62.5 %   ceiling 75.0 %"));
}

TEST(StatusScreen, TenantsBeyondTheFirstAreCounted) {
  StatusFacts seen = facts();
  seen.tenants.emplace();
  for (size_t i = 0; i < kMostTenants + 3; ++i) {
    seen.tenants->rows.push_back({.domain = "uid:1", .tenant = "t" + std::to_string(i)});
  }
  seen.tenants->total = 1000;
  const std::string screen = status_screen(seen, {});
  EXPECT_TRUE(contains(screen, "t9 "));
  EXPECT_FALSE(contains(screen, "t10"));
  EXPECT_TRUE(screen.ends_with("and 990 more\n")) << screen;
}

TEST(StatusScreen, AClientIsShownThatThereIsMoreForReaders) {
  const std::string screen =
      status_screen({.daemon = read_status(R"({"scope":"own","state":"ok"})").value()}, {});
  EXPECT_TRUE(contains(screen, "quired ok")) << screen;
  EXPECT_TRUE(contains(screen, "--reader_uids")) << screen;
}

TEST(TopScreen, RatesAreOfWhatWentOnInBetween) {
  const StatusFacts now = facts();
  Between between{.before = now.daemon, .seconds = 2};
  between.before.matches -= 50;
  between.before.prompt_tokens -= 4000;
  between.before.hit_tokens -= 1000;
  between.before.tiers[1].read_bytes -= 1 << 20;
  const std::string screen = top_screen(now, between, {}, {});
  EXPECT_TRUE(contains(screen, "requests 25/s   prompts 2.00 k tokens/s   hit 25.0 %")) << screen;
  EXPECT_TRUE(contains(screen, "512 KiB/s")) << screen;
  EXPECT_TRUE(contains(top_screen(now, {}, {}, {}), "requests -   prompts -   hit -"))
      << "the first";
}

TEST(TopScreen, CountersThatBeganAnewGiveNoRate) {
  Between between{.before = facts().daemon, .seconds = 1};
  StatusFacts now = facts();
  now.daemon.matches = 1;
  now.daemon.prompt_tokens = 1;
  EXPECT_TRUE(contains(top_screen(now, between, {}, {}), "requests -   prompts -   hit -"));
}

TEST(TopScreen, FitsTheScreen) {
  StatusFacts now = facts();
  now.sessions.emplace();
  now.tenants.emplace();
  for (uint64_t i = 0; i < 200; ++i) {
    now.sessions->rows.push_back({.number = i, .domain = "uid:1"});
    now.tenants->rows.push_back({.domain = "uid:1", .tenant = "t" + std::to_string(i)});
  }
  now.sessions->total = now.tenants->total = 200;
  for (const size_t rows : {30, 50, 120}) {
    const std::string screen = top_screen(now, {}, {.rows = rows, .columns = 80}, {});
    const auto lines = static_cast<size_t>(std::count(screen.begin(), screen.end(), '\n'));
    EXPECT_LE(lines, rows);
    EXPECT_GE(lines, rows - 4) << "it is full";
  }
}

TEST(StatusFacts, WhatIsNoDocumentIsRefusedAndWhatIsMissingIsZero) {
  EXPECT_EQ(read_status("[]").code(), model::Errc::kMalformedFrame);
  EXPECT_EQ(read_tenants("no").code(), model::Errc::kMalformedFrame);
  EXPECT_TRUE(read_status("{}").value().tiers.empty());
  EXPECT_EQ(
      read_sessions(R"({"sessions":[{"session":"x","idle_ms":-1}]})").value().rows.at(0).number,
      0u);
}

}  // namespace
}  // namespace quire::client::status_screen_test
