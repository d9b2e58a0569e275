// What the daemon counts and shows, described where it is counted and nowhere else.
//
// A part keeps its figures in structs of which every field is a Counter, Gauge, Flag or Ratio with
// its own key and help text:
//
//   struct WriterCounters {
//     model::Counter duplicates{"duplicates", "Fills refused: the object is there already"};
//
// and hands them to a MetricSink by describe(). So a new figure is one line, and a field that says
// nothing of itself does not compile. What is computed when somebody looks is one line in the
// part's describe(MetricSink&). A key is the one of the status document; what Prometheus calls it
// follows from the sections around it (server/status/prometheus_text.h), or is the family's that
// the figure names (model/metric_family.h).
// Threads: as whoever holds them; texts are literals, so copies may go to any thread.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include "model/metric_family.h"
#include "model/time_histogram.h"

namespace quire::model {

enum class MetricKind : uint8_t {
  kCounter,  // only grows, from 0 at the daemon's start
  kGauge,    // as it is now
  kFlag,     // 0 or 1
  kRatio,    // a fraction, or an estimate: a double
};

// Where a key does not end in the base unit of Prometheus: what it ends in instead.
enum class MetricUnit : uint8_t {
  kBase,                 // a number, or bytes
  kBytesPerMicrosecond,  // "..._per_us"
  kMicroseconds,         // "..._us"
};

// One figure and what it is called. 40 bytes; a copy is a snapshot.
class Metric {
 public:
  constexpr Metric(MetricKind kind, const char* key, const char* help, MetricUnit unit,
                   uint64_t bits, MetricName name = {})
      : bits_(bits),
        key_(key),
        help_(help),
        labels_(name.labels),
        family_(name.family),
        kind_(kind),
        unit_(unit) {}

  MetricName name() const { return {family_, labels_}; }
  MetricKind kind() const { return kind_; }
  MetricUnit unit() const { return unit_; }
  std::string_view key() const { return key_; }
  std::string_view help() const { return help_; }
  uint64_t whole() const { return bits_; }                       // not of a ratio
  double ratio() const { return std::bit_cast<double>(bits_); }  // of a ratio

 protected:
  uint64_t bits_;

 private:
  const char* key_;   // literals, all three
  const char* help_;  // a line, no full stop
  const char* labels_;
  MetricFamily family_;
  MetricKind kind_;
  MetricUnit unit_;
};

// In every expression the number that it holds. Assigning a number keeps the name; assigning
// another metric takes over its name too, as copying the struct around it does.
template <MetricKind kKind>
class WholeMetric : public Metric {
 public:
  constexpr WholeMetric(const char* key, const char* help, MetricName name = {})
      : Metric(kKind, key, help, MetricUnit::kBase, 0, name) {}

  constexpr operator uint64_t() const { return bits_; }  // NOLINT(google-explicit-constructor)
  WholeMetric& operator=(uint64_t value) { return bits_ = value, *this; }
  WholeMetric& operator++() { return ++bits_, *this; }
  WholeMetric& operator+=(uint64_t more) { return bits_ += more, *this; }
  WholeMetric& operator--() requires(kKind == MetricKind::kGauge) { return --bits_, *this; }
  WholeMetric& operator-=(uint64_t less) requires(kKind == MetricKind::kGauge) {
    return bits_ -= less, *this;
  }
  // The largest that was ever seen.
  void raise_to(uint64_t value) requires(kKind == MetricKind::kGauge) {
    if (value > bits_) bits_ = value;
  }
};
using Counter = WholeMetric<MetricKind::kCounter>;
using Gauge = WholeMetric<MetricKind::kGauge>;

// 0 or 1; in every expression a bool.
class Flag : public Metric {
 public:
  constexpr Flag(const char* key, const char* help)
      : Metric(MetricKind::kFlag, key, help, MetricUnit::kBase, 0) {}

  constexpr operator bool() const { return bits_ != 0; }  // NOLINT(google-explicit-constructor)
  Flag& operator=(bool value) { return bits_ = value ? 1 : 0, *this; }
};

// In every expression a double.
class Ratio : public Metric {
 public:
  constexpr Ratio(const char* key, const char* help, MetricUnit unit = MetricUnit::kBase)
      : Metric(MetricKind::kRatio, key, help, unit, 0) {}

  operator double() const { return ratio(); }  // NOLINT(google-explicit-constructor)
  Ratio& operator=(double value) { return bits_ = std::bit_cast<uint64_t>(value), *this; }
};

// A row's name among those of its list: text, or a number.
struct MetricLabel {
  const char* name = nullptr;
  std::string_view text = {};           // lent for the call
  std::optional<uint64_t> number = {};  // instead of a text
};

// A list ends there, whatever clients made; "..._total" beside it says how long it is.
inline constexpr size_t kMaxMetricRows = 256;

struct MetricList {
  const char* key = nullptr;     // in the document: "domains"
  const char* prefix = nullptr;  // of the metrics' names: "domain"; null: no metrics are made of it
  bool by_label = false;         // an object by its rows' only label, instead of an array
  // Rows come and go with names that clients choose: as labels they would be series without end, so
  // whoever scrapes has to ask for them.
  bool wide = false;
};

// Times, of which the document shows two quantiles ("..._ms_p50", "..._ms_p99").
struct MetricSummary {
  const char* key = nullptr;
  const char* help = nullptr;
  MetricName name = {};
};

// One of a few words, and its number: what stays one series when the word changes.
struct MetricState {
  std::string_view word;
  uint8_t number = 0;
};

// Leaves what was entered when it goes.
class MetricScope {
 public:
  explicit MetricScope(class MetricSink* sink) : sink_(sink) {}
  MetricScope(const MetricScope&) = delete;
  MetricScope& operator=(const MetricScope&) = delete;
  ~MetricScope();

 private:
  MetricSink* sink_;
};

// Takes what parts have to say, in the order in which people shall read it. What it is given is
// lent for the call, but for literals: keys and help texts.
class MetricSink {
 public:
  virtual ~MetricSink() = default;

  virtual void metric(const Metric& metric) = 0;
  // For people: why, what to do. No figure.
  virtual void text(const char* key, std::string_view value) = 0;
  // The help names the words by their numbers: "0 ok, 1 degraded".
  virtual void state(const char* key, const MetricState& value, const char* help) = 0;
  // Samples are in no order. Whoever prints sorts them, so that whoever describes only copies.
  virtual void summary(const MetricSummary& what, std::span<const int64_t> samples_ns) = 0;
  // Of all since the start; a key as a summary's.
  virtual void histogram(const MetricSummary& what, const TimeHistogram& times) = 0;

  // What follows belongs to it until the scope ends. Rows stand in lists only.
  [[nodiscard]] MetricScope section(const char* key);
  [[nodiscard]] MetricScope list(const MetricList& list);
  [[nodiscard]] MetricScope row(std::span<const MetricLabel> labels);
  [[nodiscard]] MetricScope row(const MetricLabel& label) { return row({&label, 1}); }

  // Of what is not kept but computed when somebody looks.
  void counter(const char* key, uint64_t value, const char* help, MetricName name = {}) {
    metric(Metric(MetricKind::kCounter, key, help, MetricUnit::kBase, value, name));
  }
  void gauge(const char* key, uint64_t value, const char* help, MetricName name = {}) {
    metric(Metric(MetricKind::kGauge, key, help, MetricUnit::kBase, value, name));
  }
  // A point in time, or a span of it; the document has microseconds.
  void gauge_us(const char* key, uint64_t value_us, const char* help, MetricName name = {}) {
    metric(Metric(MetricKind::kGauge, key, help, MetricUnit::kMicroseconds, value_us, name));
  }
  void flag(const char* key, bool value, const char* help) {
    metric(Metric(MetricKind::kFlag, key, help, MetricUnit::kBase, value ? 1 : 0));
  }
  void ratio(const char* key, double value, const char* help, MetricUnit unit = MetricUnit::kBase) {
    metric(Metric(MetricKind::kRatio, key, help, unit, std::bit_cast<uint64_t>(value)));
  }

 protected:
  // What the scopes above call: a sink need not know that guards exist.
  virtual void enter_section(const char* key) = 0;
  virtual void enter_list(const MetricList& list) = 0;
  virtual void enter_row(std::span<const MetricLabel> labels) = 0;
  // The end of the section, list or row that was entered last.
  virtual void leave() = 0;

 private:
  friend class MetricScope;
};

// Becomes any metric, and nothing else: what a struct of metrics alone can be made of.
struct AnyMetric {
  template <std::derived_from<Metric> M>
  constexpr operator M() const;  // NOLINT(google-explicit-constructor): never called
};

template <typename Figures, size_t... I>
constexpr bool made_of_metrics(std::index_sequence<I...>) {
  return requires { Figures{(static_cast<void>(I), AnyMetric{})...}; };
}

// A struct with nothing in it but metrics: so many as its size says can be initialised one by one.
template <typename Figures>
concept MetricFields =
    std::is_trivially_copyable_v<Figures> && sizeof(Figures) % sizeof(Metric) == 0 &&
    made_of_metrics<Figures>(std::make_index_sequence<sizeof(Figures) / sizeof(Metric)>());

// Hands over all fields, in their order.
template <MetricFields Figures>
void describe(MetricSink& sink, const Figures& figures) {
  using Fields = std::array<Metric, sizeof(Figures) / sizeof(Metric)>;
  for (const Metric& field : std::bit_cast<Fields>(figures)) sink.metric(field);
}

// The value below which this part of the samples lies; 0 when there are none.
double quantile(std::span<const int64_t> samples, double part);

}  // namespace quire::model
