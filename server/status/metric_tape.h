// What parts said to a sink, kept to be told to another one later: the snapshot that the core fills
// and another thread prints. It holds values and literals only, nothing of the parts, so it may go
// to any thread. Bound: that of whoever records; clear() keeps the memory for the next one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "model/metrics.h"

namespace quire::server {

class MetricTape final : public model::MetricSink {
 public:
  // Tells `sink` everything, in the same order. Precondition: every scope has ended.
  void replay(model::MetricSink& sink) const;
  // Forgets what was said. The memory stays.
  void clear();
  bool empty() const { return events_.empty(); }

  void metric(const model::Metric& metric) override { events_.emplace_back(metric); }
  // Texts are copied; keys and help texts are literals, and kept as pointers.
  void text(const char* key, std::string_view value) override;
  void state(const char* key, const model::MetricState& value, const char* help) override;
  void summary(const model::MetricSummary& what, std::span<const int64_t> samples_ns) override;
  void histogram(const model::MetricSummary& what, const model::TimeHistogram& times) override;

 protected:
  void enter_section(const char* key) override { events_.emplace_back(Section{key}); }
  void enter_list(const model::MetricList& list) override { events_.emplace_back(list); }
  void enter_row(std::span<const model::MetricLabel> labels) override;
  void leave() override { events_.emplace_back(Leave{}); }

 private:
  // A part of texts_, samples_ or labels_: events stay small and of one size, and what they name
  // may move when more is recorded.
  struct Piece {
    uint32_t first = 0;
    uint32_t count = 0;
  };
  struct Text {
    const char* key;
    const char* help;  // null: a text; else a state
    Piece value;
    uint8_t number;  // of a state
  };
  struct Summary {
    model::MetricSummary what;
    Piece samples;
  };
  struct Histogram {
    model::MetricSummary what;
    size_t index = 0;  // in histograms_
  };
  struct Section {
    const char* key;
  };
  // Ends, as the scopes that lists and sections begin, with a Leave.
  struct Row {
    Piece labels;
  };
  struct Leave {};
  struct Label {
    const char* name;
    Piece text;
    std::optional<uint64_t> number;
  };
  using Event =
      std::variant<model::Metric, Text, Summary, Histogram, Section, model::MetricList, Row, Leave>;

  class Player;  // of one replay()

  Piece keep(std::string_view text);
  std::string_view text_of(Piece piece) const {
    return std::string_view(texts_).substr(piece.first, piece.count);
  }

  std::vector<Event> events_;  // 48 bytes each
  // What events name, one behind the other.
  std::string texts_;
  std::vector<int64_t> samples_;
  std::vector<Label> labels_;
  std::vector<model::TimeHistogram> histograms_;
};

}  // namespace quire::server
