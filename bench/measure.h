// Small tools that every bench shares: time, percentiles, huge pages, JSON.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace quire::bench {

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  double us() const { return seconds() * 1e6; }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Processor time of this thread: what a call costs, whoever else uses the machine meanwhile.
class ThreadStopwatch {
 public:
  double us() const { return now_us() - start_us_; }
  double seconds() const { return us() / 1e6; }

 private:
  static double now_us();

  double start_us_ = now_us();
};

// The calling thread gets what nobody else wants (SCHED_IDLE): beside it is measured what Quire
// does with its work, and not how the kernel divides two processors.
void run_when_idle();

// Percentile 0..1 by rank; sorts its copy. 0 for no samples.
double percentile(std::vector<double> samples, double rank);

// Reserves 2 MiB pages for this run where root allows it, and gives back what it added.
class HugePageReserve {
 public:
  explicit HugePageReserve(uint64_t bytes);
  ~HugePageReserve();
  uint64_t granted_bytes() const { return granted_bytes_; }

 private:
  uint64_t before_ = 0;
  uint64_t granted_bytes_ = 0;
  bool changed_ = false;
};

// One flat or nested JSON object, written in order.
class JsonObject {
 public:
  JsonObject& add(const std::string& name, double value);
  JsonObject& add(const std::string& name, const std::string& text);
  JsonObject& add_raw(const std::string& name, const std::string& json);
  std::string str() const { return "{" + body_ + "}"; }

 private:
  std::string body_;
};

// {"p50", "p99", "max"} of samples in us, and the same as a line that is read.
std::string percentiles_json(const std::vector<double>& samples_us);
void print_percentiles(const char* what, const std::vector<double>& samples_us);

}  // namespace quire::bench
