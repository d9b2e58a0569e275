// How figures of the status went over the last quarter of an hour and the last day: what the status
// page draws. Samples of the whole status, in two rings of fixed size.
//
//   status tape --kRecentStepS--> recent (15 min) --each kDaySteps-th--> day (24 h)
//
// A sample keeps what the status said: counters as they stand, so that whoever draws takes
// differences, and a gap is a gap. Threads: one. Memory: kRecentPoints + kDayPoints samples.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "server/status/metric_tape.h"

namespace quire::server {

// A figure of a sample: what it is called in /history, and where it stands in the status document.
struct HistoryColumn {
  std::string_view name;
  std::string_view path;  // sections, a list's row by its first label, the key
};
inline constexpr std::array kHistoryColumns{
    HistoryColumn{"prompt_tokens", "turns.prompt_tokens"},
    HistoryColumn{"hit_tokens", "turns.hit_tokens"},
    HistoryColumn{"missed_tokens", "turns.missed_tokens"},
    HistoryColumn{"ram_tokens", "turns.delivered_ram_tokens"},
    HistoryColumn{"ssd_tokens", "turns.delivered_ssd_tokens"},
    HistoryColumn{"turns", "turns.ended"},
    HistoryColumn{"written_bytes", "turns.written_bytes"},
    HistoryColumn{"submissions", "requests.submissions"},
    HistoryColumn{"sessions", "clients.sessions"},
    HistoryColumn{"ram_bytes", "tiers.ram.used_bytes"},
    HistoryColumn{"ssd_bytes", "tiers.ssd.used_bytes"},
    HistoryColumn{"ssd_read_bytes", "tiers.ssd.read.bytes"},
    HistoryColumn{"ssd_written_bytes", "tiers.ssd.written.bytes"}};

class HttpHistory {
 public:
  static constexpr uint32_t kRecentStepS = 5;
  static constexpr size_t kRecentPoints = 180;
  static constexpr size_t kDaySteps = 60;
  static constexpr size_t kDayPoints = 288;

  // Once each kRecentStepS. `unix_s`: now.
  void add(int64_t unix_s, const MetricTape& status);
  // {"schema": "quire.history.v1", "columns": [...], "recent": {"step_seconds", "points": [[time,
  // figures...], ...]}, "day": likewise}, oldest first. A figure that the status did not have (no
  // SSD) is null.
  std::string json() const;
  // Of the newest sample; 0: there is none, or it does not have it. Precondition: a column's name.
  uint64_t last(std::string_view column) const;

 private:
  struct Sample {
    int64_t unix_s = 0;
    std::array<uint64_t, kHistoryColumns.size()> figures{};
    std::array<bool, kHistoryColumns.size()> known{};
  };
  template <size_t kSize>
  struct Ring {
    std::array<Sample, kSize> samples;
    size_t count = 0;  // ever added
    void add(const Sample& sample) { samples[count++ % kSize] = sample; }
  };
  class Picker;
  template <size_t kSize>
  static void print(const Ring<kSize>& ring, uint32_t step_s, std::string& out);
  static void print(const Sample& sample, std::string& out);

  Ring<kRecentPoints> recent_;
  Ring<kDayPoints> day_;
};

}  // namespace quire::server
