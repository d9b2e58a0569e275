// The tape and what is printed from it.
#include <gtest/gtest.h>

#include <array>
#include <boost/json.hpp>
#include <string>

#include "server/status/metric_tape.h"
#include "server/status/prometheus_text.h"
#include "server/status/status_json.h"

namespace quire::server::metric_sinks_test {
namespace {

using model::MetricLabel;
using model::MetricSink;

struct Written {
  model::Counter bytes{"bytes", "Bytes written"};
  model::Gauge largest{"largest_bytes", "The largest of them"};
};

// Some of everything that a sink can be told.
void say_all(MetricSink& sink) {
  sink.text("schema", "test.v1");
  sink.state("state", {"ok", 2}, "How it is: 2 ok");
  sink.gauge("epoch", ~uint64_t{0}, "Which start");
  {
    const auto list = sink.list({.key = "tiers", .prefix = "tier"});
    for (const char* name : {"ram", "ssd"}) {
      const auto row = sink.row({.name = "tier", .text = name});
      sink.flag("direct", true, "Past the page cache");
      const auto section = sink.section("written");
      Written written;
      written.bytes = 7;
      written.largest = 5;
      model::describe(sink, written);
      const std::array<int64_t, 3> lags{1'000'000, 2'500'000, 4'000'000};
      sink.summary({.key = "lag", .help = "From here to there"}, lags);
    }
  }
  sink.gauge("uids_total", 1, "Users");
  {
    const auto list = sink.list({.key = "uids", .prefix = "uid"});
    const auto row = sink.row({.name = "uid", .number = 1000});
    sink.ratio("bytes_per_us", 0.25, "Speed", model::MetricUnit::kBytesPerMicrosecond);
  }
  { const auto list = sink.list({.key = "none", .prefix = "none"}); }
  {
    const auto list = sink.list({.key = "verbs", .prefix = "request", .by_label = true});
    const auto row = sink.row({.name = "op", .text = "match"});
    model::TimeHistogram times;
    times.add(1'500'000, 3);
    times.add(11'000'000'000);
    sink.histogram({.key = "duration", .help = "Time"}, times);
  }
  sink.gauge_us("durable_us", 2'500'000, "When");
  {
    const auto list = sink.list({.key = "tenants", .prefix = "tenant", .wide = true});
    const auto row = sink.row({.name = "tenant", .text = "acme"});
    sink.gauge("tokens", 9, "Tokens");
  }
  {
    const auto list = sink.list({.key = "sessions", .prefix = nullptr});
    const auto row = sink.row({.name = "session", .number = 5});
    sink.gauge("tokens", 8, "Tokens");
  }
  const auto list = sink.list({.key = "reasons", .prefix = "reason", .by_label = true});
  const auto row = sink.row({.name = "reason", .text = "no_data"});
  sink.gauge("runs", 2, "Runs");
}

MetricTape recorded(void (*say)(MetricSink&)) {
  MetricTape tape;
  say(tape);
  return tape;
}

TEST(MetricTape, TellsAnotherTapeTheSame) {
  const MetricTape tape = recorded(say_all);
  MetricTape again;
  tape.replay(again);
  EXPECT_EQ(json_of(again), json_of(tape));
  EXPECT_EQ(prometheus_of(again), prometheus_of(tape));
}

TEST(MetricTape, HoldsNothingOfWhatItWasTold) {
  MetricTape tape;
  {
    std::string reason = "a text that does not fit into a string's own room";
    std::array<int64_t, 2> samples{1'000'000, 1'000'000};
    const auto list = tape.list({.key = "rows", .prefix = "row"});
    const auto row = tape.row({.name = "name", .text = reason});
    tape.text("why", reason);
    tape.summary({.key = "lag", .help = ""}, samples);
    reason.assign(reason.size(), 'x');
    samples.fill(0);
  }
  EXPECT_EQ(json_of(tape),
            R"({"rows":[{"name":"a text that does not fit into a string's own room",)"
            R"("why":"a text that does not fit into a string's own room",)"
            R"("lag_ms_p50":1E0,"lag_ms_p99":1E0}]})");
}

TEST(MetricTape, IsEmptyOnceCleared) {
  MetricTape tape = recorded(say_all);
  EXPECT_FALSE(tape.empty());
  tape.clear();
  EXPECT_TRUE(tape.empty());
  EXPECT_EQ(json_of(tape), "{}");
  EXPECT_EQ(prometheus_of(tape), "");
}

TEST(StatusJson, NestsAsScopesDo) {
  EXPECT_EQ(
      json_of(recorded(say_all)),
      R"({"schema":"test.v1","state":"ok","epoch":18446744073709551615,"tiers":[)"
      R"({"tier":"ram","direct":true,"written":{"bytes":7,"largest_bytes":5,)"
      R"("lag_ms_p50":2.5E0,"lag_ms_p99":2.5E0}},)"
      R"({"tier":"ssd","direct":true,"written":{"bytes":7,"largest_bytes":5,)"
      R"("lag_ms_p50":2.5E0,"lag_ms_p99":2.5E0}}],)"
      R"("uids_total":1,"uids":[{"uid":1000,"bytes_per_us":2.5E-1}],"none":[],)"
      R"("verbs":{"match":{"duration_count":4,"duration_ms_sum":1.10045E4,"duration_ms_p50":2E0,)"
      R"("duration_ms_p99":2E0}},"durable_us":2500000,"tenants":[{"tenant":"acme","tokens":9}],)"
      R"("sessions":[{"session":5,"tokens":8}],)"
      R"("reasons":{"no_data":{"runs":2}}})");
}

TEST(PrometheusText, HasOneFamilyANameWithARowEachLabel) {
  EXPECT_EQ(prometheus_of(recorded(say_all)),
            "# HELP quire_state How it is: 2 ok\n"
            "# TYPE quire_state gauge\n"
            "quire_state 2\n"
            "# HELP quire_epoch Which start\n"
            "# TYPE quire_epoch gauge\n"
            "quire_epoch 18446744073709551615\n"
            "# HELP quire_tier_direct Past the page cache\n"
            "# TYPE quire_tier_direct gauge\n"
            "quire_tier_direct{tier=\"ram\"} 1\n"
            "quire_tier_direct{tier=\"ssd\"} 1\n"
            "# HELP quire_tier_written_bytes_total Bytes written\n"
            "# TYPE quire_tier_written_bytes_total counter\n"
            "quire_tier_written_bytes_total{tier=\"ram\"} 7\n"
            "quire_tier_written_bytes_total{tier=\"ssd\"} 7\n"
            "# HELP quire_tier_written_largest_bytes The largest of them\n"
            "# TYPE quire_tier_written_largest_bytes gauge\n"
            "quire_tier_written_largest_bytes{tier=\"ram\"} 5\n"
            "quire_tier_written_largest_bytes{tier=\"ssd\"} 5\n"
            "# HELP quire_tier_written_lag_seconds From here to there\n"
            "# TYPE quire_tier_written_lag_seconds gauge\n"
            "quire_tier_written_lag_seconds{tier=\"ram\",part=\"0.5\"} 0.0025\n"
            "quire_tier_written_lag_seconds{tier=\"ram\",part=\"0.99\"} 0.0025\n"
            "quire_tier_written_lag_seconds{tier=\"ssd\",part=\"0.5\"} 0.0025\n"
            "quire_tier_written_lag_seconds{tier=\"ssd\",part=\"0.99\"} 0.0025\n"
            "# HELP quire_uids Users\n"
            "# TYPE quire_uids gauge\n"
            "quire_uids 1\n"
            "# HELP quire_uid_bytes_per_second Speed\n"
            "# TYPE quire_uid_bytes_per_second gauge\n"
            "quire_uid_bytes_per_second{uid=\"1000\"} 250000\n"
            "# HELP quire_request_duration_seconds Time\n"
            "# TYPE quire_request_duration_seconds histogram\n"
            "quire_request_duration_seconds_bucket{op=\"match\",le=\"0.000001\"} 0\n"
            "quire_request_duration_seconds_bucket{op=\"match\",le=\"0.000002\"} 0\n"
            "quire_request_duration_seconds_bucket{op=\"match\",le=\"0.000005\"} 0\n"
            "quire_request_duration_seconds_bucket{op=\"match\",le=\"0.00001\"} 0\n"
            "quire_request_duration_seconds_bucket{op=\"match\",le=\"0.00002\"} 0\n"
            "quire_request_duration_seconds_bucket{op=\"match\",le=\"0.00005\"} 0\n"
            "quire_request_duration_seconds_bucket{op=\"match\",le=\"0.0001\"} 0\n"
            "quire_request_duration_seconds_bucket{op=\"match\",le=\"0.0002\"} 0\n"
            "quire_request_duration_seconds_bucket{op=\"match\",le=\"0.0005\"} 0\n"
            "quire_request_duration_seconds_bucket{op=\"match\",le=\"0.001\"} 0\n"
            "quire_request_duration_seconds_bucket{op=\"match\",le=\"0.002\"} 3\n"
            "quire_request_duration_seconds_bucket{op=\"match\",le=\"0.005\"} 3\n"
            "quire_request_duration_seconds_bucket{op=\"match\",le=\"0.01\"} 3\n"
            "quire_request_duration_seconds_bucket{op=\"match\",le=\"0.02\"} 3\n"
            "quire_request_duration_seconds_bucket{op=\"match\",le=\"0.05\"} 3\n"
            "quire_request_duration_seconds_bucket{op=\"match\",le=\"0.1\"} 3\n"
            "quire_request_duration_seconds_bucket{op=\"match\",le=\"0.2\"} 3\n"
            "quire_request_duration_seconds_bucket{op=\"match\",le=\"0.5\"} 3\n"
            "quire_request_duration_seconds_bucket{op=\"match\",le=\"1\"} 3\n"
            "quire_request_duration_seconds_bucket{op=\"match\",le=\"2\"} 3\n"
            "quire_request_duration_seconds_bucket{op=\"match\",le=\"5\"} 3\n"
            "quire_request_duration_seconds_bucket{op=\"match\",le=\"10\"} 3\n"
            "quire_request_duration_seconds_bucket{op=\"match\",le=\"+Inf\"} 4\n"
            "quire_request_duration_seconds_sum{op=\"match\"} 11.0045\n"
            "quire_request_duration_seconds_count{op=\"match\"} 4\n"
            "# HELP quire_durable_seconds When\n"
            "# TYPE quire_durable_seconds gauge\n"
            "quire_durable_seconds 2.5\n"
            "# HELP quire_reason_runs Runs\n"
            "# TYPE quire_reason_runs gauge\n"
            "quire_reason_runs{reason=\"no_data\"} 2\n");
}

TEST(PrometheusText, HasRowsThatClientsNameWhereTheyAreAskedFor) {
  const std::string narrow = prometheus_of(recorded(say_all));
  const std::string wide = prometheus_of(recorded(say_all), true);
  EXPECT_EQ(narrow.find("acme"), std::string::npos);
  EXPECT_NE(wide.find("quire_tenant_tokens{tenant=\"acme\"} 9\n"), std::string::npos);
  EXPECT_EQ(wide.find("session"), std::string::npos) << "of people alone";
}

// Figures of three parts, of which two have a name that others know them by.
void say_named(MetricSink& sink) {
  using model::MetricFamily;
  sink.counter("written", 3, "Of RAM", {MetricFamily::kStoredBytes, R"(tier="ram")"});
  sink.counter("all", 12, "A sum", {MetricFamily::kDocument});
  sink.counter("tokens", 9, "Of all", {MetricFamily::kHitTokens, R"(tier="ssd")"});
  {
    const auto list = sink.list({.key = "tiers", .prefix = "tier"});
    const auto row = sink.row({.name = "tier", .text = "ssd"});
    const auto section = sink.section("written");
    sink.counter("bytes", 9, "Of the SSD", {MetricFamily::kStoredBytes});
    model::TimeHistogram ages(model::TimeHistogram::kAgeBoundsNs);
    ages.add(3 * model::TimeHistogram::kHour);
    sink.histogram(
        {.key = "gap", .help = "Ages", .name = {MetricFamily::kGroupReuseGap, R"(kind="any")"}},
        ages);
  }
  const auto list = sink.list({.key = "tenants", .prefix = "tenant", .wide = true});
  const auto row = sink.row({.name = "tenant", .text = "acme"});
  sink.counter("tokens", 9, "Of one", {MetricFamily::kHitTokens, R"(tier="ssd")"});
}

TEST(PrometheusText, WhatNamesAFamilyHasItsNameAndNoOther) {
  const std::string text = prometheus_of(recorded(say_named));
  EXPECT_NE(text.find("# TYPE quire_stored_bytes_total counter\n"
                      "quire_stored_bytes_total{tier=\"ram\"} 3\n"
                      "quire_stored_bytes_total{tier=\"ssd\"} 9\n"),
            std::string::npos)
      << text;
  EXPECT_EQ(text.find("_written"), std::string::npos) << text;
  EXPECT_EQ(text.find(" 12\n"), std::string::npos) << "of the document alone: " << text;
  EXPECT_NE(json_of(recorded(say_named)).find(R"("all":12)"), std::string::npos);
}

TEST(PrometheusText, AgesHaveClassesOfHours) {
  const std::string text = prometheus_of(recorded(say_named));
  const std::string series = R"(quire_group_reuse_gap_seconds_bucket{tier="ssd",kind="any",le=)";
  EXPECT_NE(text.find(series + "\"7200\"} 0\n"), std::string::npos) << text;
  EXPECT_NE(text.find(series + "\"14400\"} 1\n"), std::string::npos) << text;
}

// Else their sum would count each token twice.
TEST(PrometheusText, AFamilyOfTenantsIsOfThemAloneWhereTheyAreAskedFor) {
  const std::string narrow = prometheus_of(recorded(say_named));
  const std::string wide = prometheus_of(recorded(say_named), true);
  EXPECT_NE(narrow.find("quire_hit_tokens_total{tier=\"ssd\"} 9\n"), std::string::npos);
  EXPECT_EQ(wide.find("quire_hit_tokens_total{tier=\"ssd\"}"), std::string::npos);
  EXPECT_NE(wide.find("quire_hit_tokens_total{tenant=\"acme\",tier=\"ssd\"} 9\n"),
            std::string::npos);
}

TEST(PrometheusText, EscapesWhatClientsNamed) {
  MetricTape tape;
  {
    const auto list = tape.list({.key = "groups", .prefix = "group"});
    const auto row = tape.row({.name = "group", .text = "a\"b\\c\nd"});
    tape.counter("pages_total", 1, "One \\ line\nor \"two\"");
  }
  EXPECT_EQ(prometheus_of(tape),
            "# HELP quire_group_pages_total One \\\\ line\\nor \"two\"\n"
            "# TYPE quire_group_pages_total counter\n"
            "quire_group_pages_total{group=\"a\\\"b\\\\c\\nd\"} 1\n");
}

}  // namespace
}  // namespace quire::server::metric_sinks_test
