#include "server/status/status_json.h"

#include <boost/json.hpp>

#include "model/clock.h"

namespace quire::server {

namespace json = boost::json;

namespace {

json::string_view json_text(std::string_view text) { return {text.data(), text.size()}; }

json::value value_of(const model::Metric& metric) {
  switch (metric.kind()) {
    case model::MetricKind::kFlag:
      return metric.whole() != 0;
    case model::MetricKind::kRatio:
      return metric.ratio();
    default:
      return metric.whole();
  }
}

json::value value_of(const model::MetricLabel& label) {
  if (label.number) return *label.number;
  return json_text(label.text);
}

// boost::json objects keep the order of insertion, and so do the documents.
// A scope's value is made apart and moved into its parent when it ends.
class JsonSink final : public model::MetricSink {
 public:
  JsonSink() { scopes_.push_back({.value = json::object()}); }

  std::string serialized() const { return json::serialize(scopes_.front().value); }

  void metric(const model::Metric& metric) override { put(metric.key(), value_of(metric)); }
  void text(const char* key, std::string_view value) override { put(key, json_text(value)); }
  void state(const char* key, const model::MetricState& value, const char*) override {
    put(key, json_text(value.word));
  }
  // In milliseconds, as the keys of the schema say.
  void summary(const model::MetricSummary& what, std::span<const int64_t> samples_ns) override {
    put(std::string(what.key) + "_ms_p50", model::quantile(samples_ns, 0.5) / model::kNsPerMs);
    put(std::string(what.key) + "_ms_p99", model::quantile(samples_ns, 0.99) / model::kNsPerMs);
  }
  void histogram(const model::MetricSummary& what, const model::TimeHistogram& times) override {
    const std::string key(what.key);
    const auto ms = [](auto ns) { return static_cast<double>(ns) / model::kNsPerMs; };
    put(key + "_count", times.count());
    put(key + "_ms_sum", ms(times.sum_ns()));
    put(key + "_ms_p50", ms(times.quantile_ns(0.5)));
    put(key + "_ms_p99", ms(times.quantile_ns(0.99)));
  }

 protected:
  void enter_section(const char* key) override {
    scopes_.push_back({.key = key, .value = json::object()});
  }
  void enter_list(const model::MetricList& list) override {
    scopes_.push_back({.key = list.key,
                       .value = list.by_label ? json::value(json::object()) : json::array(),
                       .by_label = list.by_label});
  }
  void enter_row(std::span<const model::MetricLabel> labels) override {
    Scope row{.value = json::object()};
    if (scopes_.back().by_label) {
      row.key = labels.front().text;  // its only one
    } else {
      for (const model::MetricLabel& label : labels) {
        row.value.as_object()[label.name] = value_of(label);
      }
    }
    scopes_.push_back(std::move(row));
  }
  void leave() override {
    Scope ended = std::move(scopes_.back());
    scopes_.pop_back();
    // Rows of a list have no key; all else has one.
    json::value& parent = scopes_.back().value;
    if (parent.is_array()) {
      parent.as_array().push_back(std::move(ended.value));
    } else {
      put(ended.key, std::move(ended.value));
    }
  }

 private:
  struct Scope {
    std::string key = {};
    json::value value;
    bool by_label = false;
  };

  // Into the object that was entered last.
  void put(std::string_view key, json::value value) {
    scopes_.back().value.as_object()[json_text(key)] = std::move(value);
  }

  std::vector<Scope> scopes_;  // the document, and what was entered
};

}  // namespace

std::string json_of(const MetricTape& tape) {
  JsonSink sink;
  tape.replay(sink);
  return sink.serialized();
}

}  // namespace quire::server
