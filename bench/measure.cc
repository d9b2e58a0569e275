#include "bench/measure.h"

#include <sched.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

namespace quire::bench {

namespace {

constexpr char kHugePages[] = "/proc/sys/vm/nr_hugepages";
constexpr uint64_t kHugePageBytes = 2 << 20;

uint64_t read_number(const char* path) {
  std::ifstream file(path);
  uint64_t number = 0;
  file >> number;
  return number;
}

}  // namespace

double ThreadStopwatch::now_us() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

void run_when_idle() {
  const sched_param parameters{};
  ::sched_setscheduler(0, SCHED_IDLE, &parameters);
}

double percentile(std::vector<double> samples, double rank) {
  if (samples.empty()) return 0;
  const auto index =
      std::min(samples.size() - 1, static_cast<size_t>(rank * static_cast<double>(samples.size())));
  std::nth_element(samples.begin(), samples.begin() + static_cast<ptrdiff_t>(index), samples.end());
  return samples[index];
}

HugePageReserve::HugePageReserve(uint64_t bytes) : before_(read_number(kHugePages)) {
  std::ofstream file(kHugePages);
  file << before_ + bytes / kHugePageBytes << std::flush;
  changed_ = file.good();
  granted_bytes_ = (read_number(kHugePages) - before_) * kHugePageBytes;
}

HugePageReserve::~HugePageReserve() {
  if (changed_) std::ofstream(kHugePages) << before_ << std::flush;
}

JsonObject& JsonObject::add(const std::string& name, double value) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.6g", value);
  return add_raw(name, text);
}

JsonObject& JsonObject::add(const std::string& name, const std::string& text) {
  return add_raw(name, "\"" + text + "\"");
}

JsonObject& JsonObject::add_raw(const std::string& name, const std::string& json) {
  if (!body_.empty()) body_ += ", ";
  body_ += "\"" + name + "\": " + json;
  return *this;
}

std::string percentiles_json(const std::vector<double>& samples_us) {
  return JsonObject()
      .add("p50", percentile(samples_us, 0.5))
      .add("p99", percentile(samples_us, 0.99))
      .add("max", percentile(samples_us, 1))
      .str();
}

void print_percentiles(const char* what, const std::vector<double>& samples_us) {
  std::printf("  %-44s p50 %9.2f us   p99 %9.2f us   max %9.2f us\n", what,
              percentile(samples_us, 0.5), percentile(samples_us, 0.99), percentile(samples_us, 1));
}

}  // namespace quire::bench
