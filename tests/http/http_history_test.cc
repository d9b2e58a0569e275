// What is kept of figures over time, and what the status says of readiness.
#include "server/http/http_history.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <string>

#include "server/http/http_site.h"
#include "server/http/readiness.h"
#include "server/http/saved_money.h"
#include "server/http/status_page.h"

namespace quire::server::http_history_test {
namespace {

namespace json = boost::json;

MetricTape status_of(uint64_t hit_tokens) {
  MetricTape tape;
  {
    const auto list = tape.list({.key = "tiers", .prefix = "tier"});
    const auto row = tape.row({.name = "tier", .text = "ram"});
    tape.gauge("used_bytes", 7 * hit_tokens, "Bytes");
    const auto section = tape.section("verify");
    tape.gauge("used_bytes", 1, "Of something else");
  }
  const auto section = tape.section("turns");
  tape.counter("hit_tokens", hit_tokens, "Hits");
  return tape;
}

size_t column_of(const json::value& history, std::string_view name) {
  size_t at = 0;
  for (const json::value& column : history.at("columns").as_array()) {
    if (column.as_string() == json::string_view(name.data(), name.size())) return at;
    ++at;
  }
  ADD_FAILURE() << "no column " << name;
  return 0;
}

TEST(HttpHistory, KeepsWhatAStatusSaidByItsPath) {
  HttpHistory history;
  history.add(1000, status_of(5));
  const json::value said = json::parse(history.json());
  const json::array& points = said.at_pointer("/recent/points").as_array();
  ASSERT_EQ(points.size(), 1u);
  EXPECT_EQ(points[0].at(0).as_int64(), 1000);
  EXPECT_EQ(points[0].at(column_of(said, "hit_tokens")).as_int64(), 5);
  EXPECT_EQ(points[0].at(column_of(said, "ram_bytes")).as_int64(), 35);
  EXPECT_TRUE(points[0].at(column_of(said, "ssd_bytes")).is_null()) << "there is no SSD";
  EXPECT_EQ(points[0].as_array().size(), kHistoryColumns.size() + 1);
  EXPECT_EQ(history.last("hit_tokens"), 5u);
}

TEST(HttpHistory, IsBoundedAndTheOldestGoFirst) {
  HttpHistory history;
  const size_t count = HttpHistory::kDaySteps * HttpHistory::kDayPoints + 70;
  for (size_t i = 0; i < count; ++i) history.add(static_cast<int64_t>(5 * i), status_of(i));
  const json::value said = json::parse(history.json());
  const json::array& recent = said.at_pointer("/recent/points").as_array();
  ASSERT_EQ(recent.size(), HttpHistory::kRecentPoints);
  EXPECT_EQ(recent.back().at(0).as_int64(), static_cast<int64_t>(5 * (count - 1)));
  EXPECT_EQ(recent.front().at(0).as_int64(),
            static_cast<int64_t>(5 * (count - HttpHistory::kRecentPoints)));
  const json::array& day = said.at_pointer("/day/points").as_array();
  ASSERT_EQ(day.size(), HttpHistory::kDayPoints);
  const int64_t step = HttpHistory::kRecentStepS * HttpHistory::kDaySteps;
  for (size_t i = 1; i < day.size(); ++i) {
    EXPECT_EQ(day[i].at(0).as_int64() - day[i - 1].at(0).as_int64(), step);
  }
}

TEST(HttpHistory, OfNothingIsEmpty) {
  const json::value said = json::parse(HttpHistory().json());
  EXPECT_TRUE(said.at_pointer("/recent/points").as_array().empty());
  EXPECT_EQ(HttpHistory().last("hit_tokens"), 0u);
}

void say_tier(MetricTape& tape, const char* name, const char* state, const char* reason) {
  const auto row = tape.row({.name = "tier", .text = name});
  tape.state("state", {state}, "What it can do");
  tape.text("reason", reason);
  tape.text("action", *reason == '\0' ? "" : "mend it");
  const auto section = tape.section("scrub");
  tape.state("state", {"broken", 1}, "Of a part of it");
}

MetricTape status_with(const char* ssd, const char* reason, const char* ledger) {
  MetricTape tape;
  {
    const auto list = tape.list({.key = "tiers", .prefix = "tier"});
    say_tier(tape, "ram", "ok", "");
    say_tier(tape, "ssd", ssd, reason);
  }
  const auto section = tape.section("ledger");
  tape.state("state", {ledger}, "Whether receipts are kept");
  return tape;
}

TEST(Readiness, AllIsWell) {
  EXPECT_TRUE(Readiness::of(status_with("ok", "", "ok")).ready());
  EXPECT_TRUE(Readiness::of(status_with("ok", "", "off")).ready()) << "nobody asked for receipts";
  EXPECT_EQ(Readiness::of(status_with("ok", "", "ok")).json(), R"({"ready":true,"reasons":[]})");
}

TEST(Readiness, SaysWhatIsWrongAndWhatToDo) {
  EXPECT_EQ(Readiness::of(status_with("read-only", "it is full", "failed")).json(),
            R"({"ready":false,"reasons":[{"what":"ssd","state":"read-only","reason":"it is full",)"
            R"("action":"mend it"},{"what":"ledger","state":"failed","reason":"","action":""}]})");
}

TEST(StatusPage, HasAPolicyThatNamesItsOnlyScriptAndStyle) {
  const std::string policy = content_policy("<style>b{}</style><script>let a = 1;</script>");
  // Of printf 'let a = 1;' | openssl dgst -sha256 -binary | base64, and 'b{}'.
  EXPECT_NE(policy.find("script-src 'sha256-xY6QKfH9PRsQnLz56nj6MBwiK5oHg+im1Jkpdp1x/Ck='"),
            std::string::npos)
      << policy;
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
}

TEST(StatusPage, IsOneSmallFileWithoutOthers) {
  EXPECT_LE(kStatusPage.size(), 60u << 10);
  EXPECT_GT(kStatusPage.size(), 8u << 10);
  for (const char* foreign : {"https://", "src=", "@import", "url(", "onclick=", "onload=",
                              "style=", "PAGE_SCRIPT", "PAGE_STYLE", "innerHTML"}) {
    EXPECT_EQ(kStatusPage.find(foreign), std::string_view::npos) << foreign;
  }
}

constexpr int64_t kNovemberUs = 1'795'000'000'000'000;  // of 2026

TEST(SavedMoney, IsWhatHitsWouldHaveCostAsMisses) {
  auto saved = SavedMoney::create(QUIRE_SOURCE_DIR "/configs/prices/anthropic.toml",
                                  "claude-sonnet-5-5", kNovemberUs)
                   .value();
  // 2 USD a million as a miss, 0.1 as a hit.
  EXPECT_EQ(saved->json(10'000'000, kNovemberUs),
            R"({"schema":"quire.prices.v1","model":"claude-sonnet-5-5","currency":"USD",)"
            R"("hit_price":"0.1","miss_price":"2","hit_tokens":10000000,"saved":"19.00"})");
}

TEST(SavedMoney, NeedsAPriceOfTheModel) {
  EXPECT_EQ(SavedMoney::create(QUIRE_SOURCE_DIR "/configs/prices/anthropic.toml", "no-such-model",
                               kNovemberUs)
                .code(),
            model::Errc::kNotFound);
}

}  // namespace
}  // namespace quire::server::http_history_test
