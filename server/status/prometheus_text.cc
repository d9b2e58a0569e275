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
constexpr std::string_view kMicroseconds = "_us";

// The shortest text that reads back as the same number.
std::string number_text(double value) {
  std::array<char, 32> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value);
  return {text.data(), end.ptr};
}

// As people write it: "0.0001". A bound is part of a series' name.
std::string bound_text(int64_t bound_ns) {
  std::array<char, 32> text;
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(),
                    static_cast<double>(bound_ns) / kNsPerSecond, std::chars_format::fixed);
  return {text.data(), end.ptr};
}

std::string value_text(const Metric& metric) {
  if (metric.unit() == model::MetricUnit::kMicroseconds) {
    return number_text(static_cast<double>(metric.whole()) / 1e6);
  }
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
  if (metric.unit() == model::MetricUnit::kMicroseconds) {
    QUIRE_CHECK(name.ends_with(kMicroseconds));
    return name.replace(name.size() - kMicroseconds.size(), std::string::npos, "_seconds");
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
  explicit PrometheusSink(bool wide) : wide_(wide) {}

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
      sample(described, label_text("part", number_text(part)),
             number_text(model::quantile(samples_ns, part) / kNsPerSecond));
    }
  }
  // Each class counts those below its bound, too.
  void histogram(const model::MetricSummary& what, const model::TimeHistogram& times) override {
    const Described described{std::string(what.key) + "_seconds", what.help, "histogram"};
    uint64_t up_to = 0;
    for (size_t i = 0; i < model::TimeHistogram::kBoundsNs.size(); ++i) {
      up_to += times.count_of(i);
      sample(described, label_text("le", bound_text(model::TimeHistogram::kBoundsNs[i])),
             std::to_string(up_to), "_bucket");
    }
    const std::string count = std::to_string(times.count());
    sample(described, label_text("le", "+Inf"), count, "_bucket");
    const auto sum_ns = static_cast<double>(times.sum_ns());
    sample(described, "", number_text(sum_ns / kNsPerSecond), "_sum");
    sample(described, "", count, "_count");
  }

 protected:
  void enter_section(const char* key) override { enter(std::string(key) + '_', ""); }
  void enter_list(const model::MetricList& list) override {
    const bool left_out = list.prefix == nullptr || (list.wide && !wide_);
    enter(left_out ? std::string() : std::string(list.prefix) + '_', "");
    if (left_out) scopes_.back().left_out = true;
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
    bool left_out = false;
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
  // `ending`: of the sample's name, where it has another than its family.
  void sample(const Described& described, std::string_view label, const std::string& value,
              std::string_view ending = "") {
    if (scopes_.back().left_out) return;
    const std::string name = scopes_.back().name + described.name;
    std::string labels = scopes_.back().labels;
    append_label(labels, label);
    Family& one = family(name, described);
    one.samples.append(name).append(ending);
    if (!labels.empty()) one.samples.append("{").append(labels).append("}");
    one.samples.append(" ").append(value).append("\n");
  }

  const bool wide_;
  std::vector<Scope> scopes_{{"quire_", "", false}};
  std::vector<Family> families_;  // in the order in which they were named first
  std::unordered_map<std::string, size_t> by_name_;
};

}  // namespace

std::string prometheus_of(const MetricTape& tape, bool wide) {
  PrometheusSink sink(wide);
  tape.replay(sink);
  return sink.text();
}

}  // namespace quire::server
