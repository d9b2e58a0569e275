// That an operator wants everything in RAM on a tier now (`quirectl flush`): how far it is, and
// what could not be written.
//
//   start --> sweeping: all that wants a copy becomes a candidate
//         --> writing:  who was one by then is written, or refused
//         --> over;     at once when the tier takes no writes
//
// 1. Who becomes a candidate later is not waited for: a flush ends however much is committed.
// 2. It only counts and decides when it is over; Demotion writes as ever, but without its delay.
// Threads: core only.
#pragma once

#include <cstdint>
#include <limits>

#include "model/metrics.h"

namespace quire::tiering {

struct FlushCounts {
  model::Gauge written_objects{"written_objects", "Objects that became durable on the tier"};
  model::Gauge written_bytes{"written_bytes", "Bytes of their pages"};
  model::Gauge too_large{"too_large_objects", "Not written: larger than the tier can hold"};
  model::Gauge too_deep{"too_deep_objects",
                        "Not written: the tier cannot hold them with all before them"};
  model::Gauge over_burst{"over_burst_objects",
                          "Not written: their owner is at its burst on the tier"};
  model::Gauge by_rule{"refused_by_rule_objects", "Not written: the admission rule refused them"};
  model::Gauge by_budget{"refused_by_budget_objects",
                         "Not written: the budget of bytes a day is spent"};
  model::Gauge behind_refused{"behind_refused_objects",
                              "Not written: what stands before them on their path is not there"};
  model::Gauge corrupt{"corrupt_objects", "Not written, and dropped: their checksum is wrong"};

  uint64_t refused() const {
    return too_large + too_deep + over_burst + by_rule + by_budget + behind_refused + corrupt;
  }
};

class Flush {
 public:
  static constexpr int64_t kNone = std::numeric_limits<int64_t>::max();

  void start() { *this = Flush(Phase::kSweeping); }
  bool is_running() const { return phase_ == Phase::kSweeping || phase_ == Phase::kWriting; }
  bool is_sweeping() const { return phase_ == Phase::kSweeping; }
  // It ran to its end, and everything was written.
  bool is_complete() const { return phase_ == Phase::kOver && counts_.refused() == 0; }
  const FlushCounts& counts() const { return counts_; }

  // Everything is a candidate that has to be one.
  void note_swept(int64_t now_ns) {
    until_ns_ = now_ns;
    phase_ = Phase::kWriting;
  }
  // Since when the oldest of those who wait, or are under way, is a candidate; kNone: nobody.
  void note_oldest(int64_t since_ns) {
    if (phase_ == Phase::kWriting && since_ns > until_ns_) phase_ = Phase::kOver;
  }
  // The tier takes no writes.
  void stop() {
    if (is_running()) phase_ = Phase::kStopped;
  }
  void note_written(uint64_t bytes) {
    if (!is_running()) return;
    ++counts_.written_objects;
    counts_.written_bytes += bytes;
  }
  // `why`: a field of the counts.
  void note_refused(model::Gauge FlushCounts::*why, uint64_t objects) {
    if (is_running()) counts_.*why += objects;
  }

  Flush() = default;

 private:
  enum class Phase : uint8_t { kNone, kSweeping, kWriting, kOver, kStopped };
  explicit Flush(Phase phase) : phase_(phase) {}

  Phase phase_ = Phase::kNone;
  int64_t until_ns_ = kNone;
  FlushCounts counts_;
};

}  // namespace quire::tiering
