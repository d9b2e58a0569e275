// Whether the daemon does all that it should, and if not, why: what /readyz answers, taken from
// what the parts say of themselves in the status. Threads: any.
#pragma once

#include <string>
#include <vector>

#include "server/status/metric_tape.h"

namespace quire::server {

struct Readiness {
  struct Reason {
    std::string what;    // "ssd", "ledger", "core"
    std::string state;   // "read-only", "off", ...
    std::string reason;  // why
    std::string action;  // what to do
  };
  std::vector<Reason> reasons;  // empty: ready

  bool ready() const { return reasons.empty(); }
  // {"ready": false, "reasons": [{"what", "state", "reason", "action"}]}
  std::string json() const;

  static Readiness of(const MetricTape& status);
  // The core does not answer.
  static Readiness without_core(const std::string& reason);
};

}  // namespace quire::server
