// What the status says, and how much of it in one step.
#include "server/status/status.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <functional>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "server/status/prometheus_text.h"
#include "server/status/status_json.h"
#include "tests/server/status_rig.h"

namespace quire::server::status_test {
namespace {

namespace json = boost::json;

// A turn of the core has so many figures at most, whatever clients made.
constexpr size_t kMostOfAStep = 5000;

class Counted final : public model::MetricSink {
 public:
  size_t count = 0;
  void metric(const model::Metric&) override { ++count; }
  void text(const char*, std::string_view) override { ++count; }
  void state(const char*, const model::MetricState&, const char*) override { ++count; }
  void summary(const model::MetricSummary&, std::span<const int64_t>) override { ++count; }
  void histogram(const model::MetricSummary&, const model::TimeHistogram&) override { ++count; }

 protected:
  void enter_section(const char*) override {}
  void enter_list(const model::MetricList&) override {}
  void enter_row(std::span<const model::MetricLabel>) override {}
  void leave() override {}
};

class Status : public testing::Test {
 protected:
  MetricTape whole() {
    MetricTape tape;
    const StatusSources sources = rig_.sources();
    WholeStatus status(&sources, &tape);
    while (!status.step()) ++steps_;
    return tape;
  }
  json::value whole_json() { return json::parse(json_of(whole())); }
  void add_layouts(uint32_t count, uint32_t groups) {
    for (uint32_t i = 0; i < count; ++i) {
      const auto id =
          rig_.cache().layouts().add(StatusRig::layout("layout" + std::to_string(i), groups));
      ASSERT_TRUE(id.ok());
      rig_.cache().layouts().hold(*id);
    }
  }
  void add_users(uint32_t count) {
    for (uint32_t uid = 1; uid <= count; ++uid) {
      rig_.shares().take(20000 + uid, Shared::kConnections, 1);
    }
  }

  StatusRig rig_;
  int steps_ = 0;
};

TEST_F(Status, HasTheSectionsThatPeopleAndScriptsRead) {
  ++rig_.clients().connections_refused;
  const json::value status = whole_json();
  std::vector<std::string> keys;
  for (const auto& [key, value] : status.as_object()) keys.emplace_back(key);
  EXPECT_EQ(keys, (std::vector<std::string>{
                      "schema",        "scope",        "state",    "daemon_epoch", "started_us",
                      "build",         "clients",      "memory",   "tiers",        "domains",
                      "cache",         "groups_total", "groups",   "uids_total",   "uids",
                      "tenants_total", "tenants",      "sessions", "requests",     "verbs",
                      "turns",         "ledger",       "events",   "off_core",     "log"}));
  EXPECT_EQ(status.at("schema").as_string(), "quire.status.v1");
  EXPECT_EQ(status.at("scope").as_string(), "all");
  EXPECT_EQ(status.at("state").as_string(), "ok");
  EXPECT_EQ(status.at("daemon_epoch").to_number<uint64_t>(), 42u);
  EXPECT_EQ(status.at_pointer("/clients/refused").to_number<uint64_t>(), 1u);
  EXPECT_EQ(status.at_pointer("/tiers/0/tier").as_string(), "ram");
  EXPECT_FALSE(status.at_pointer("/tiers/0/verify/running").as_bool());
}

TEST_F(Status, Law10_AStepIsBoundedWhateverClientsMade) {
  add_layouts(900, 64);
  add_users(1000);
  Counted sink;
  const StatusSources sources = rig_.sources();
  WholeStatus status(&sources, &sink);
  bool done = false;
  size_t steps = 0;
  while (!done) {
    const size_t before = sink.count;
    done = status.step();
    ++steps;
    EXPECT_LE(sink.count - before, kMostOfAStep) << "step " << steps;
  }
  EXPECT_GT(steps, 900u / 64) << "57,600 groups are not looked at in a few";
}

TEST_F(Status, ListsEndAtTheirBoundAndSayHowLongTheyAre) {
  add_layouts(8, 64);
  add_users(600);
  const json::value status = whole_json();
  EXPECT_EQ(status.at("groups").as_array().size(), model::kMaxMetricRows);
  EXPECT_EQ(status.at("groups_total").to_number<uint64_t>(), 512u);
  EXPECT_EQ(status.at("uids").as_array().size(), model::kMaxMetricRows);
  EXPECT_EQ(status.at("uids_total").to_number<uint64_t>(), 600u);
}

TEST_F(Status, LargestAnswersFitAFrame) {
  const std::string longest(model::kMaxNameBytes, 'n');
  for (uint32_t i = 0; i < 8; ++i) {
    model::Layout layout = StatusRig::layout(longest.substr(1) + std::to_string(i), 64);
    for (model::Group& group : layout.groups) group.name.resize(model::kMaxNameBytes, 'g');
    ASSERT_TRUE(rig_.cache().layouts().add(std::move(layout)).ok());
  }
  add_users(600);
  for (uint32_t d = 0; d < cache::kMaxDomains; ++d) {
    const auto domain = rig_.cache().add_domain("uid:" + std::to_string(4'000'000'000 + d));
    ASSERT_TRUE(domain.ok());
    rig_.cache().names().hold_domain(*domain);
  }
  const MetricTape tape = whole();
  EXPECT_LT(json_of(tape).size(), model::kMaxFrameBytes / 2);
  EXPECT_LT(prometheus_of(tape).size(), model::kMaxFrameBytes / 2);
}

// Law 13: nothing that others do changes what one user is told.
TEST_F(Status, Law13_OwnStatusSaysNothingOfOthers) {
  const model::DomainId own = *rig_.cache().add_domain("uid:20001");
  rig_.shares().take(20001, Shared::kSessions, 2);
  const auto told = [&] {
    MetricTape tape;
    say_own_status(rig_.sources(), own, 20001, tape);
    return json_of(tape);
  };
  const std::string before = told();
  add_layouts(3, 2);
  ASSERT_TRUE(rig_.cache().add_domain("uid:20002").ok());
  rig_.shares().take(20002, Shared::kSessions, 5);
  ++rig_.clients().connections_accepted;
  ASSERT_NE(rig_.events().sit(std::nullopt), nullptr);
  rig_.events().ended({});
  EXPECT_EQ(told(), before);
  const json::value status = json::parse(before);
  EXPECT_EQ(status.at("scope").as_string(), "own");
  EXPECT_EQ(status.at_pointer("/domains/0/domain").as_string(), "uid:20001");
  EXPECT_EQ(status.at_pointer("/uids/0/uid").to_number<uint64_t>(), 20001u);
  EXPECT_EQ(status.at_pointer("/uids/0/sessions").to_number<uint64_t>(), 2u);
}

TEST_F(Status, EventsOfOwnSubscriptionsAreTheUsersAndAllAreAnAdministrators) {
  const model::DomainId own = *rig_.cache().add_domain("uid:20001");
  EventSeat* seat = rig_.events().sit(own);
  ASSERT_NE(rig_.events().sit(std::nullopt), nullptr);
  seat->sent_count = 12;
  seat->missed_count = 3;
  MetricTape tape;
  say_own_status(rig_.sources(), own, 20001, tape);
  const json::value told = json::parse(json_of(tape));
  EXPECT_EQ(told.at_pointer("/events/subscribers").to_number<uint64_t>(), 1u);
  EXPECT_EQ(told.at_pointer("/events/sent_records").to_number<uint64_t>(), 12u);
  EXPECT_EQ(told.at("events").as_object().count("furthest_behind_records"), 0u)
      << "how much of the ring others fill is theirs";
  const json::value whole = whole_json();
  EXPECT_EQ(whole.at_pointer("/events/subscribers").to_number<uint64_t>(), 2u);
  EXPECT_EQ(whole.at_pointer("/events/missed_events").to_number<uint64_t>(), 3u);
}

// What a scraper would refuse: two families of one name, a sample twice, a malformed name.
TEST_F(Status, PrometheusTextIsWellFormed) {
  add_layouts(3, 2);
  add_users(3);
  ASSERT_TRUE(rig_.cache().add_domain("uid:20001").ok());
  std::istringstream lines(prometheus_of(whole()));
  std::set<std::string> families;
  std::set<std::string> samples;
  std::string family;
  const std::regex type(R"(# TYPE (quire_[a-z0-9_]+) (counter|gauge|histogram))");
  const std::regex sample(
      R"re((quire_[a-z0-9_]+)(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9.e+-]+)re");
  std::smatch match;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# HELP ")) continue;
    if (std::regex_match(line, match, type)) {
      family = match[1];
      EXPECT_TRUE(families.insert(family).second) << line;
      EXPECT_EQ(family.ends_with("_total"), match[2] == "counter") << line;
      continue;
    }
    ASSERT_TRUE(std::regex_match(line, match, sample)) << line;
    // A histogram's have endings of their own.
    static const std::regex ending("(_bucket|_sum|_count)?");
    EXPECT_TRUE(match[1].str().starts_with(family) &&
                std::regex_match(match[1].str().substr(family.size()), ending))
        << "samples of a family stand together: " << line;
    EXPECT_TRUE(samples.insert(match[1].str() + match[2].str()).second) << line;
  }
  EXPECT_GT(families.size(), 60u);
  EXPECT_TRUE(samples.contains("quire_stored_bytes_total{tier=\"ram\"}"));
  EXPECT_TRUE(samples.contains("quire_events_dropped_total"));
  EXPECT_TRUE(samples.contains("quire_uid_connections{uid=\"20001\"}"));
  EXPECT_TRUE(samples.contains("quire_tier_spans{tier=\"ram\"}"));
}

}  // namespace
}  // namespace quire::server::status_test
