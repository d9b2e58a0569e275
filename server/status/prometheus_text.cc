#include "server/status/prometheus_text.h"

#include <array>
#include <charconv>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "model/check.h"

namespace quire::server {

using model::Metric;
using model::MetricFamily;
using model::MetricKind;

namespace {

constexpr double kNsPerSecond = 1e9;
constexpr std::string_view kTotal = "_total";
constexpr std::string_view kPerMicrosecond = "_per_us";
constexpr std::string_view kMicroseconds = "_us";

// The shortest text that reads back as the same number.
void append_number(std::string& out, double value) {
  std::array<char, 32> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value);
  out.append(text.data(), end.ptr);
}

void append_number(std::string& out, uint64_t value) {
  std::array<char, 20> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value);
  out.append(text.data(), end.ptr);
}

// As people write it: "0.0001". A bound is part of a series' name.
std::string bound_label(int64_t bound_ns) {
  std::array<char, 32> text;
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(),
                    static_cast<double>(bound_ns) / kNsPerSecond, std::chars_format::fixed);
  return "le=\"" + std::string(text.data(), end.ptr) + '"';
}

std::vector<std::string> bound_labels(const model::TimeHistogram::Bounds& bounds_ns) {
  std::vector<std::string> labels;
  for (const int64_t bound_ns : bounds_ns) labels.push_back(bound_label(bound_ns));
  return labels;
}

void append_value(std::string& out, const Metric& metric) {
  if (metric.unit() == model::MetricUnit::kMicroseconds) {
    return append_number(out, static_cast<double>(metric.whole()) / 1e6);
  }
  if (metric.kind() != MetricKind::kRatio) return append_number(out, metric.whole());
  const bool per_us = metric.unit() == model::MetricUnit::kBytesPerMicrosecond;
  append_number(out, metric.ratio() * (per_us ? 1e6 : 1));
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
void append_escaped(std::string& out, std::string_view text, bool quoted) {
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '\\' || (quoted && c == '"')) out += '\\';
    out += c;
  }
}

// The samples of one name must stand together, whatever row they come from. A thousand rows have
// the same few names: a name is put together once for each scope and key that has it, and samples
// are written where they stay.
class PrometheusSink final : public model::MetricSink {
 public:
  explicit PrometheusSink(bool wide) : wide_(wide) { named_.fill(kNone); }

  std::string text() const {
    size_t bytes = 0;
    for (const Family& family : families_) bytes += family.head.size() + family.samples.size();
    std::string out;
    out.reserve(bytes);
    for (const Family& family : families_) out.append(family.head).append(family.samples);
    return out;
  }

  void metric(const Metric& metric) override {
    Family* family = find(
        metric.name(), {metric.key().data(), Shape::kMetric, metric.kind()},
        [&] { return name_of(metric); }, metric.help(),
        metric.kind() == MetricKind::kCounter ? "counter" : "gauge");
    if (family == nullptr) return;
    begin_sample(*family, "", metric.name().labels, "");
    append_value(family->samples, metric);
    family->samples += '\n';
  }
  // A label of it would make a new series each time that the text changes.
  void text(const char*, std::string_view) override {}
  void state(const char* key, const model::MetricState& value, const char* help) override {
    Family* family = find(
        {}, {key, Shape::kState, MetricKind::kGauge}, [&] { return std::string(key); }, help,
        "gauge");
    if (family != nullptr) sample(*family, "", "", "", uint64_t{value.number});
  }
  // Quantiles of a window: without a running sum it is none of the format's own summaries.
  void summary(const model::MetricSummary& what, std::span<const int64_t> samples_ns) override {
    Family* family = find_times(what, Shape::kSummary, "gauge");
    if (family == nullptr) return;
    sample(*family, "", what.name.labels, R"(part="0.5")",
           model::quantile(samples_ns, 0.5) / kNsPerSecond);
    sample(*family, "", what.name.labels, R"(part="0.99")",
           model::quantile(samples_ns, 0.99) / kNsPerSecond);
  }
  // Each class counts those below its bound, too.
  void histogram(const model::MetricSummary& what, const model::TimeHistogram& times) override {
    Family* family = find_times(what, Shape::kHistogram, "histogram");
    if (family == nullptr) return;
    const std::vector<std::string>& labels = labels_of(times.bounds_ns());
    uint64_t up_to = 0;
    for (size_t i = 0; i < labels.size(); ++i) {
      up_to += times.count_of(i);
      sample(*family, "_bucket", what.name.labels, labels[i], up_to);
    }
    sample(*family, "_bucket", what.name.labels, R"(le="+Inf")", times.count());
    sample(*family, "_sum", what.name.labels, "",
           static_cast<double>(times.sum_ns()) / kNsPerSecond);
    sample(*family, "_count", what.name.labels, "", times.count());
  }

 protected:
  void enter_section(const char* key) override { enter(place_of(scopes_.back().place, key)); }
  void enter_list(const model::MetricList& list) override {
    Scope scope = scopes_.back();
    scope.left_out = scope.left_out || list.prefix == nullptr || (list.wide && !wide_);
    scope.by_tenant = scope.by_tenant || list.wide;
    if (list.prefix != nullptr) scope.place = place_of(scope.place, list.prefix);
    scopes_.push_back(scope);
  }
  void enter_row(std::span<const model::MetricLabel> labels) override {
    for (const model::MetricLabel& label : labels) {
      if (!labels_.empty()) labels_ += ',';
      labels_.append(label.name).append("=\"");
      if (label.number) append_number(labels_, *label.number);
      append_escaped(labels_, label.text, true);
      labels_ += '"';
    }
    enter(scopes_.back().place);
  }
  void leave() override {
    scopes_.pop_back();
    labels_.resize(scopes_.back().label_bytes);
  }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  enum class Shape : uint8_t { kMetric, kState, kSummary, kHistogram };
  // Keys are literals: one address is one text. Two may be one text, and find one family.
  struct Described {
    const char* key;
    Shape shape;
    MetricKind kind;
  };
  struct Known {
    uint32_t place;
    const char* key;
    uint16_t shape;  // and kind
    bool operator==(const Known&) const = default;
  };
  struct KnownHash {
    size_t operator()(const Known& known) const {
      return std::hash<const void*>()(known.key) * 31 + known.place * 8191 + known.shape;
    }
  };
  struct Scope {
    uint32_t place = 0;  // in prefixes_
    size_t label_bytes = 0;
    bool left_out = false;
    bool by_tenant = false;
  };
  struct Family {
    std::string name;
    std::string head;
    std::string samples;
  };

  // Where sections and lists lead to: what the names of figures there begin with.
  uint32_t place_of(uint32_t parent, const char* key) {
    const auto [found, added] = places_.try_emplace({parent, key, 0}, prefixes_.size());
    if (added) prefixes_.push_back(prefixes_[parent] + key + '_');
    return found->second;
  }
  void enter(uint32_t place) {
    Scope scope = scopes_.back();
    scope.place = place;
    scope.label_bytes = labels_.size();
    scopes_.push_back(scope);
  }

  // Null: it is not printed. `make_name`: without what is in front of it, where it has no family.
  template <typename MakeName>
  Family* find(model::MetricName name, const Described& described, MakeName&& make_name,
               std::string_view help, std::string_view type) {
    const Scope& scope = scopes_.back();
    if (scope.left_out || name.family == MetricFamily::kDocument) return nullptr;
    if (name.family != MetricFamily::kOwn) return find_named(name.family, type);
    const auto shape = static_cast<uint16_t>(static_cast<unsigned>(described.shape) << 8 |
                                             static_cast<unsigned>(described.kind));
    const auto [found, added] = known_.try_emplace({scope.place, described.key, shape}, kNone);
    if (added) found->second = add_family(prefixes_[scope.place] + make_name(), help, type);
    return &families_[found->second];
  }
  Family* find_named(MetricFamily family, std::string_view type) {
    const model::MetricFamilyText& text = model::family_text(family);
    if (text.by_tenant && wide_ && !scopes_.back().by_tenant) return nullptr;
    uint32_t& index = named_[static_cast<size_t>(family)];
    if (index == kNone) {
      QUIRE_CHECK(text.name.ends_with(kTotal) == (type == "counter"));
      index = add_family(std::string(text.name), text.help, type);
    }
    return &families_[index];
  }
  Family* find_times(const model::MetricSummary& what, Shape shape, std::string_view type) {
    return find(
        what.name, {what.key, shape, MetricKind::kGauge},
        [&] { return std::string(what.key) + "_seconds"; }, what.help, type);
  }
  // The first that names a family describes it; others of its name have the same line of code.
  uint32_t add_family(std::string name, std::string_view help, std::string_view type) {
    const auto [found, added] = by_name_.try_emplace(name, static_cast<uint32_t>(families_.size()));
    if (!added) return found->second;
    Family family{.name = std::move(name), .head = {}, .samples = {}};
    family.head.append("# HELP ").append(family.name) += ' ';
    append_escaped(family.head, help, false);
    family.head.append("\n# TYPE ").append(family.name).append(" ").append(type) += '\n';
    families_.push_back(std::move(family));
    return found->second;
  }
  // Bounds are part of series' names; there are two sets of them.
  const std::vector<std::string>& labels_of(const model::TimeHistogram::Bounds& bounds_ns) {
    std::vector<std::string>& labels = bound_labels_[&bounds_ns];
    if (labels.empty()) labels = bound_labels(bounds_ns);
    return labels;
  }

  // `ending`: of the sample's name, where it has another than its family. All but the value.
  void begin_sample(Family& family, std::string_view ending, std::string_view own,
                    std::string_view last) const {
    std::string& out = family.samples;
    out.append(family.name).append(ending);
    char separator = '{';
    for (const std::string_view labels : {std::string_view(labels_), own, last}) {
      if (labels.empty()) continue;
      out += std::exchange(separator, ',');
      out += labels;
    }
    out += separator == '{' ? " " : "} ";
  }
  template <typename Number>
  void sample(Family& family, std::string_view ending, std::string_view own, std::string_view last,
              Number value) const {
    begin_sample(family, ending, own, last);
    append_number(family.samples, value);
    family.samples += '\n';
  }

  const bool wide_;
  std::vector<Scope> scopes_{{}};
  std::string labels_;  // of the rows around, each scope's behind the one before
  std::vector<std::string> prefixes_{"quire_"};
  std::unordered_map<Known, uint32_t, KnownHash> places_;
  std::unordered_map<Known, uint32_t, KnownHash> known_;  // what stands where is in which family
  std::array<uint32_t, model::kMetricFamilies.size()> named_;
  std::vector<Family> families_;  // in the order in which they were named first
  std::unordered_map<std::string, uint32_t> by_name_;
  std::unordered_map<const void*, std::vector<std::string>> bound_labels_;
};

}  // namespace

std::string prometheus_of(const MetricTape& tape, bool wide) {
  PrometheusSink sink(wide);
  tape.replay(sink);
  return sink.text();
}

}  // namespace quire::server
