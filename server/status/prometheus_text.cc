#include "server/status/prometheus_text.h"

#include <array>
#include <charconv>
#include <unordered_map>

#include "model/check.h"

namespace quire::server {

using model::Metric;
using model::MetricKind;

namespace {

constexpr double kNsPerSecond = 1e9;
constexpr std::string_view kTotal = "_total";
constexpr std::string_view kPerMicrosecond = "_per_us";

// The shortest text that reads back as the same number.
std::string number_text(double value) {
  std::array<char, 32> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value);
  return {text.data(), end.ptr};
}

std::string value_text(const Metric& metric) {
  if (metric.kind() != MetricKind::kRatio) return std::to_string(metric.whole());
  const bool per_us = metric.unit() == model::MetricUnit::kBytesPerMicrosecond;
  return number_text(metric.ratio() * (per_us ? 1e6 : 1));
}

// The key with the endings that the format's conventions ask for: "_total" of counters and of
// nothing else, base units.
std::string name_of(const Metric& metric) {
  std::string name(metric.key());
  if (metric.unit() == model::MetricUnit::kBytesPerMicrosecond) {
    QUIRE_CHECK(name.ends_with(kPerMicrosecond));
    return name.replace(name.size() - kPerMicrosecond.size(), std::string::npos, "_per_second");
  }
  const bool ends_so = name.ends_with(kTotal);
  if (metric.kind() == MetricKind::kCounter) return ends_so ? name : name.append(kTotal);
  if (ends_so) name.resize(name.size() - kTotal.size());
  return name;
}

// As the format wants it: in help texts quotes stand as they are.
std::string escaped(std::string_view text, bool quoted) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '\\' || (quoted && c == '"')) out += '\\';
    out += c;
  }
  return out;
}

std::string label_text(std::string_view name, std::string_view value) {
  return std::string(name) + "=\"" + escaped(value, true) + '"';
}

// The samples of one name must stand together, whatever row they come from.
class PrometheusSink final : public model::MetricSink {
 public:
  std::string text() const {
    std::string out;
    for (const Family& family : families_) out += family.head + family.samples;
    return out;
  }

  void metric(const Metric& metric) override {
    const bool counter = metric.kind() == MetricKind::kCounter;
    sample({name_of(metric), metric.help(), counter ? "counter" : "gauge"}, "", value_text(metric));
  }
  // A label of it would make a new series each time that the text changes.
  void text(const char*, std::string_view) override {}
  void state(const char* key, std::string_view value, const char* help) override {
    sample({key, help, "gauge"}, label_text("state", value), "1");
  }
  // Quantiles of a window: without a running sum it is none of the format's own summaries.
  void summary(const model::MetricSummary& what, std::span<const int64_t> samples_ns) override {
    const Described described{std::string(what.key) + "_seconds", what.help, "gauge"};
    for (const double part : {0.5, 0.99}) {
      sample(described, label_text("quantile", number_text(part)),
             number_text(model::quantile(samples_ns, part) / kNsPerSecond));
    }
  }

 protected:
  void enter_section(const char* key) override { enter(std::string(key) + '_', ""); }
  void enter_list(const model::MetricList& list) override {
    enter(std::string(list.prefix) + '_', "");
  }
  void enter_row(std::span<const model::MetricLabel> labels) override {
    std::string text;
    for (const model::MetricLabel& label : labels) {
      append_label(text, label_text(label.name, label.number ? std::to_string(*label.number)
                                                             : std::string(label.text)));
    }
    enter("", text);
  }
  void leave() override { scopes_.pop_back(); }

 private:
  struct Scope {
    std::string name;
    std::string labels;
  };
  struct Described {
    std::string name;  // in its scope
    std::string_view help;
    std::string_view type;
  };
  struct Family {
    std::string head;
    std::string samples;
  };

  static void append_label(std::string& labels, std::string_view label) {
    if (label.empty()) return;
    if (!labels.empty()) labels += ',';
    labels += label;
  }
  // Names and labels of all scopes around, put together once for each scope.
  void enter(std::string_view name, std::string_view label) {
    Scope scope = scopes_.back();
    scope.name += name;
    append_label(scope.labels, label);
    scopes_.push_back(std::move(scope));
  }
  // The first that names a family describes it; others of its name have the same line of code.
  Family& family(const std::string& name, const Described& described) {
    const auto [found, added] = by_name_.try_emplace(name, families_.size());
    if (added) {
      families_.push_back({.head = "# HELP " + name + ' ' + escaped(described.help, false) +
                                   "\n# TYPE " + name + ' ' + std::string(described.type) + '\n',
                           .samples = {}});
    }
    return families_[found->second];
  }
  void sample(const Described& described, std::string_view label, const std::string& value) {
    const std::string name = scopes_.back().name + described.name;
    std::string labels = scopes_.back().labels;
    append_label(labels, label);
    Family& one = family(name, described);
    one.samples += name;
    if (!labels.empty()) one.samples.append("{").append(labels).append("}");
    one.samples.append(" ").append(value).append("\n");
  }

  std::vector<Scope> scopes_{{"quire_", ""}};
  std::vector<Family> families_;  // in the order in which they were named first
  std::unordered_map<std::string, size_t> by_name_;
};

}  // namespace

std::string prometheus_of(const MetricTape& tape) {
  PrometheusSink sink;
  tape.replay(sink);
  return sink.text();
}

}  // namespace quire::server
