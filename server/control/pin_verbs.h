// The verb by which operators keep namespaces in RAM for a while, and see what is kept
// (cache/accounts/namespace_pins.h). Each change is a line of the log, with who made it, and
// survives a restart. Threads: core only.
#pragma once

#include "cache/cache.h"
#include "model/clock.h"
#include "model/metrics.h"
#include "model/result.h"
#include "model/wire.h"
#include "server/control/state_keeper.h"
#include "server/control/verb_call.h"
#include "server/status/status_desk.h"

namespace quire::server {

class PinVerbs {
 public:
  struct Parts {
    cache::Cache* cache = nullptr;
    StatusDesk* desk = nullptr;
    StateKeeper* keeper = nullptr;
    const model::Clock* clock = nullptr;
  };
  explicit PinVerbs(const Parts& parts) : parts_(parts) {}

  // kInvalidArgument: no such action, no user named, no budget. kNotFound: it is not pinned.
  // kResourceExhausted: above the bound of all budgets, or too many.
  model::Result<void> pin(const VerbCall& call);

 private:
  model::Result<void> change(const VerbCall& call, const model::PinRequest& request);
  model::Result<void> set(const VerbCall& call, const model::PinRequest& request);
  void describe(model::MetricSink& sink) const;

  Parts parts_;
};

}  // namespace quire::server
