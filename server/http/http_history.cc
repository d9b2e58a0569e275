#include "server/http/http_history.h"

#include <algorithm>
#include <vector>

#include "model/check.h"

namespace quire::server {

// Takes out of a status what a sample keeps; a figure is known by the path of its scopes.
class HttpHistory::Picker final : public model::MetricSink {
 public:
  explicit Picker(Sample* sample) : sample_(sample) {}

  void metric(const model::Metric& metric) override {
    for (size_t i = 0; i < kHistoryColumns.size(); ++i) {
      std::string_view path = kHistoryColumns[i].path;
      if (!path.ends_with(metric.key())) continue;
      path.remove_suffix(metric.key().size());
      if (path != path_) continue;
      sample_->figures[i] = metric.whole();
      sample_->known[i] = true;
    }
  }
  void text(const char*, std::string_view) override {}
  void state(const char*, const model::MetricState&, const char*) override {}
  void summary(const model::MetricSummary&, std::span<const int64_t>) override {}
  void histogram(const model::MetricSummary&, const model::TimeHistogram&) override {}

 protected:
  void enter_section(const char* key) override { enter(key); }
  void enter_list(const model::MetricList& list) override { enter(list.key); }
  void enter_row(std::span<const model::MetricLabel> labels) override {
    enter(labels.empty() ? std::string_view() : labels.front().text);
  }
  void leave() override {
    path_.resize(lengths_.back());
    lengths_.pop_back();
  }

 private:
  void enter(std::string_view name) {
    lengths_.push_back(path_.size());
    path_.append(name).append(".");
  }

  Sample* sample_;
  std::string path_;  // "tiers.ssd.", of the scopes around
  std::vector<size_t> lengths_;
};

void HttpHistory::add(int64_t unix_s, const MetricTape& status) {
  Sample sample{.unix_s = unix_s};
  Picker picker(&sample);
  status.replay(picker);
  // The first one begins the day, too: a page has something to draw.
  if (recent_.count % kDaySteps == 0) day_.add(sample);
  recent_.add(sample);
}

uint64_t HttpHistory::last(std::string_view column) const {
  const auto found =
      std::find_if(kHistoryColumns.begin(), kHistoryColumns.end(),
                   [column](const HistoryColumn& one) { return one.name == column; });
  QUIRE_CHECK(found != kHistoryColumns.end());
  if (recent_.count == 0) return 0;
  const Sample& newest = recent_.samples[(recent_.count - 1) % kRecentPoints];
  return newest.figures[static_cast<size_t>(found - kHistoryColumns.begin())];
}

std::string HttpHistory::json() const {
  std::string out = R"({"schema":"quire.history.v1","columns":["time")";
  for (const HistoryColumn& column : kHistoryColumns) out.append(",\"").append(column.name) += '"';
  out += R"(],"recent":)";
  print(recent_, kRecentStepS, out);
  out += R"(,"day":)";
  print(day_, kRecentStepS * kDaySteps, out);
  out += '}';
  return out;
}

template <size_t kSize>
void HttpHistory::print(const Ring<kSize>& ring, uint32_t step_s, std::string& out) {
  out += "{\"step_seconds\":" + std::to_string(step_s) + ",\"points\":[";
  const size_t first = ring.count - std::min(ring.count, kSize);
  for (size_t i = first; i < ring.count; ++i) {
    if (i > first) out += ',';
    print(ring.samples[i % kSize], out);
  }
  out += "]}";
}

void HttpHistory::print(const Sample& sample, std::string& out) {
  out += '[' + std::to_string(sample.unix_s);
  for (size_t i = 0; i < kHistoryColumns.size(); ++i) {
    out += ',';
    out += sample.known[i] ? std::to_string(sample.figures[i]) : std::string("null");
  }
  out += ']';
}

}  // namespace quire::server
