#include "model/metrics.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

namespace quire::model::metrics_test {
namespace {

struct Base {
  Counter taken{"taken", "Things taken"};
  Gauge held{"held", "Things held"};
};
struct All : Base {
  Flag full{"full", "No more fit"};
  Ratio part{"part", "Held by taken"};
};
struct WithNumber {
  Counter taken{"taken", "Things taken"};
  // As large as a metric, so that the size alone would not tell.
  uint64_t silent[4] = {};
};
struct WithText {
  Counter taken{"taken", "Things taken"};
  std::string reason;
};

static_assert(MetricFields<Base> && MetricFields<All>);
static_assert(!MetricFields<WithNumber>, "a field that says nothing of itself");
static_assert(!MetricFields<WithText>);

class Recorder final : public MetricSink {
 public:
  std::vector<std::string> said;

  void metric(const Metric& metric) override {
    said.push_back(std::string(metric.key()) + "=" +
                   (metric.kind() == MetricKind::kRatio ? std::to_string(metric.ratio())
                                                        : std::to_string(metric.whole())));
  }
  void text(const char* key, std::string_view value) override {
    said.push_back(key + ("=" + std::string(value)));
  }
  void state(const char* key, const MetricState& value, const char*) override {
    text(key, value.word);
  }
  void summary(const MetricSummary&, std::span<const int64_t>) override {}
  void histogram(const MetricSummary&, const TimeHistogram&) override {}

 protected:
  void enter_section(const char* key) override { said.push_back(std::string(key) + "{"); }
  void enter_list(const MetricList& list) override { said.push_back(std::string(list.key) + "["); }
  void enter_row(std::span<const MetricLabel> labels) override {
    said.push_back(std::string(labels[0].text) + "(");
  }
  void leave() override { said.push_back("."); }
};

TEST(Metrics, FieldsAreToldInTheirOrderThoseOfBasesFirst) {
  All all;
  ++all.taken;
  all.taken += 2;
  all.held = 5;
  --all.held;
  all.full = true;
  all.part = 0.5;
  Recorder sink;
  describe(sink, all);
  EXPECT_EQ(sink.said, (std::vector<std::string>{"taken=3", "held=4", "full=1", "part=0.500000"}));
}

TEST(Metrics, PartOfAStructIsToldAlone) {
  All all;
  Recorder sink;
  describe(sink, static_cast<const Base&>(all));
  EXPECT_EQ(sink.said, (std::vector<std::string>{"taken=0", "held=0"}));
}

TEST(Metrics, CountsAsTheNumberItHolds) {
  Base base;
  base.held += 7;
  base.held.raise_to(3);
  EXPECT_EQ(base.held, 7u);
  base.held.raise_to(9);
  base.held -= 1;
  EXPECT_EQ(base.held + base.taken, 8u);
  const Base copy = base;
  ++base.taken;
  EXPECT_EQ(copy.taken, 0u) << "a copy is a snapshot";
  EXPECT_EQ(copy.taken.key(), "taken");
  base.held = std::numeric_limits<uint64_t>::max();
  EXPECT_EQ(base.held, std::numeric_limits<uint64_t>::max()) << "no bit is lost";
}

TEST(Metrics, ScopesEndWhereTheirGuardsDo) {
  Recorder sink;
  {
    const auto section = sink.section("outer");
    const auto list = sink.list({.key = "rows", .prefix = "row"});
    { const auto row = sink.row({.name = "name", .text = "first"}); }
    const auto row = sink.row({.name = "name", .text = "second"});
    sink.gauge("size", 3, "How many");
  }
  EXPECT_EQ(sink.said, (std::vector<std::string>{"outer{", "rows[", "first(", ".", "second(",
                                                 "size=3", ".", ".", "."}));
}

TEST(Metrics, QuantileIsOneOfTheSamples) {
  EXPECT_EQ(quantile({}, 0.5), 0);
  const std::vector<int64_t> samples{50, 10, 40, 20, 30};
  EXPECT_EQ(quantile(samples, 0), 10);
  EXPECT_EQ(quantile(samples, 0.5), 30);
  EXPECT_EQ(quantile(samples, 0.99), 40);
  EXPECT_EQ(quantile(samples, 1), 50);
}

}  // namespace
}  // namespace quire::model::metrics_test
