#include "model/metrics.h"

#include <algorithm>
#include <vector>

namespace quire::model {

// describe() sees a struct of metrics as an array of them: no kind may have a field of its own.
static_assert(sizeof(Metric) == 40 && sizeof(Gauge) == sizeof(Metric) &&
              sizeof(Ratio) == sizeof(Metric) && sizeof(Flag) == sizeof(Metric));

MetricScope::~MetricScope() { sink_->leave(); }

MetricScope MetricSink::section(const char* key) {
  enter_section(key);
  return MetricScope(this);
}

MetricScope MetricSink::list(const MetricList& list) {
  enter_list(list);
  return MetricScope(this);
}

MetricScope MetricSink::row(std::span<const MetricLabel> labels) {
  enter_row(labels);
  return MetricScope(this);
}

double quantile(std::span<const int64_t> samples, double part) {
  if (samples.empty()) return 0;
  std::vector<int64_t> sorted(samples.begin(), samples.end());
  // The sample at that part of the order; no value between two is made up.
  const auto at = static_cast<std::ptrdiff_t>(part * static_cast<double>(sorted.size() - 1));
  // Only the one that is asked for has to stand in its place.
  std::nth_element(sorted.begin(), sorted.begin() + at, sorted.end());
  return static_cast<double>(sorted[static_cast<size_t>(at)]);
}

}  // namespace quire::model
