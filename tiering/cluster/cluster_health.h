// What the cluster tier may do now, and why (law 9). The counterpart of SsdHealth, for a store that
// is reached over a network: it begins off, and a probe, which connects, takes it to ok.
//
//   off --probe reads and writes--> ok --a write finds no room, or no right to write--> read-only
//    ^ ^--probe reads only---------------------------------------------------------------^  |
//    |      ok, read-only --so many operations fail in a row, or the pool is gone--> off    |
//    +--------------------------------------- probe of a write succeeds: ok <---------------+
//
// Operations that were answered count: an object that is not there is an answer. Probes are spaced
// by a doubling interval. Manual clock in. Threads: core only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "model/metrics.h"
#include "tiering/tier.h"

namespace quire::tiering {

struct ClusterHealthOptions {
  uint32_t failed_to_off = 3;              // in a row
  int64_t first_probe_ns = 1'000'000'000;  // doubles up to last_probe_ns
  int64_t last_probe_ns = 30'000'000'000;
};

struct ClusterHealthCounters {
  model::Counter failed{"operations",
                        "Operations that failed",
                        {model::MetricFamily::kIoErrors, R"(op="any",errno="other")"}};
  model::Counter timeouts{"timeouts",
                          "Of these, those that were not answered in time",
                          {model::MetricFamily::kIoDeadlineExceeded}};
  model::Counter full{"space",
                      "Writes for which the pool had no room",
                      {model::MetricFamily::kIoErrors, R"(op="write",errno="ENOSPC")"}};
  model::Counter probes{"probes", "Looks whether the cluster can be had"};
  model::Counter recoveries{"recoveries", "Times that it could, after it could not"};
};

class ClusterHealth {
 public:
  ClusterHealth(const ClusterHealthOptions& options, std::string pool)
      : options_(options), pool_(std::move(pool)) {}

  TierMode mode() const { return mode_; }
  const std::string& reason() const { return reason_; }  // one line; empty when ok
  const std::string& action() const { return action_; }  // what an operator can do
  const ClusterHealthCounters& counters() const { return counters_; }

  void succeeded() { failed_in_row_ = 0; }
  // `what`: "write of d/...". Errors of the pool's room make it read-only at once.
  void failed(int error, std::string_view what, int64_t now_ns);
  // The pool answered that it is not there: at once.
  void pool_gone(int64_t now_ns);

  // Something failed, and nothing was answered since.
  bool suspects() const { return failed_in_row_ > 0 && mode_ != TierMode::kOff; }

  // True once when it is time for a probe, whose end the caller reports.
  bool probe_due(int64_t now_ns);
  // A probe that was due cannot begin yet: it is due again at once.
  void put_probe_off() { probing_ = false; }
  // `what`: of the failure, as RadosPool says it.
  void probe_finished(bool can_read, int error, std::string_view what, int64_t now_ns);

 private:
  void degrade(TierMode mode, int error, std::string reason, int64_t now_ns);
  void set(TierMode mode, int error, std::string reason);
  std::string action_for(int error) const;

  ClusterHealthOptions options_;
  std::string pool_;
  TierMode mode_ = TierMode::kOff;
  bool probing_ = false;
  bool was_ok_ = false;
  uint32_t failed_in_row_ = 0;
  int64_t next_probe_ns_ = INT64_MIN;
  int64_t probe_interval_ns_ = 0;
  std::string reason_ = "not connected yet";
  std::string action_ = "none: it connects by itself";
  ClusterHealthCounters counters_;
};

}  // namespace quire::tiering
