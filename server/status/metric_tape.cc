#include "server/status/metric_tape.h"

#include "model/check.h"

namespace quire::server {

using model::MetricLabel;
using model::MetricSink;

// Goes along the tape once; scopes nest as calls do.
class MetricTape::Player {
 public:
  Player(const MetricTape& tape, MetricSink& sink) : tape_(tape), sink_(sink) {}

  // To the end of the present scope, or of the tape.
  void play() {
    while (at_ < tape_.events_.size()) {
      const Event& event = tape_.events_[at_++];
      if (std::holds_alternative<Leave>(event)) return;
      std::visit([this](const auto& what) { tell(what); }, event);
    }
  }

 private:
  void tell(const model::Metric& metric) { sink_.metric(metric); }
  void tell(const Text& text) {
    const std::string_view value = tape_.text_of(text.value);
    if (text.help == nullptr) return sink_.text(text.key, value);
    sink_.state(text.key, {value, text.number}, text.help);
  }
  void tell(const Summary& summary) {
    sink_.summary(summary.what,
                  std::span(tape_.samples_).subspan(summary.samples.first, summary.samples.count));
  }
  void tell(const Histogram& histogram) {
    sink_.histogram(histogram.what, tape_.histograms_[histogram.index]);
  }
  void tell(const Section& section) {
    const auto scope = sink_.section(section.key);
    play();
  }
  void tell(const model::MetricList& list) {
    const auto scope = sink_.list(list);
    play();
  }
  void tell(const Row& row) {
    // Rows nest, but a sink has taken its labels before the next one is told.
    labels_.clear();
    for (uint32_t i = 0; i < row.labels.count; ++i) {
      const Label& label = tape_.labels_[row.labels.first + i];
      labels_.push_back({label.name, tape_.text_of(label.text), label.number});
    }
    const auto scope = sink_.row(labels_);
    play();
  }
  void tell(const Leave&) {}  // play() returned before it

  const MetricTape& tape_;
  MetricSink& sink_;
  size_t at_ = 0;
  std::vector<MetricLabel> labels_;  // scratch
};

void MetricTape::replay(MetricSink& sink) const { Player(*this, sink).play(); }

// Vectors keep their capacity.
void MetricTape::clear() {
  events_.clear();
  texts_.clear();
  samples_.clear();
  labels_.clear();
  histograms_.clear();
}

MetricTape::Piece MetricTape::keep(std::string_view text) {
  const Piece piece{static_cast<uint32_t>(texts_.size()), static_cast<uint32_t>(text.size())};
  texts_ += text;
  return piece;
}

void MetricTape::text(const char* key, std::string_view value) {
  events_.emplace_back(Text{key, nullptr, keep(value), 0});
}

void MetricTape::state(const char* key, const model::MetricState& value, const char* help) {
  // Without one it would be told as a text.
  QUIRE_CHECK(help != nullptr);
  events_.emplace_back(Text{key, help, keep(value.word), value.number});
}

void MetricTape::summary(const model::MetricSummary& what, std::span<const int64_t> samples_ns) {
  const Piece piece{static_cast<uint32_t>(samples_.size()),
                    static_cast<uint32_t>(samples_ns.size())};
  samples_.insert(samples_.end(), samples_ns.begin(), samples_ns.end());
  events_.emplace_back(Summary{what, piece});
}

void MetricTape::histogram(const model::MetricSummary& what, const model::TimeHistogram& times) {
  events_.emplace_back(Histogram{what, histograms_.size()});
  histograms_.push_back(times);
}

void MetricTape::enter_row(std::span<const MetricLabel> labels) {
  const Piece piece{static_cast<uint32_t>(labels_.size()), static_cast<uint32_t>(labels.size())};
  for (const MetricLabel& label : labels) {
    labels_.push_back({label.name, keep(label.text), label.number});
  }
  events_.emplace_back(Row{piece});
}

}  // namespace quire::server
