// The verb by which operators see and change who decides what is evicted. A switch goes on in the
// core's steps (EvictionBoard); the answer says how far it is. Each change is a line of the log,
// with who made it, and survives a restart. Threads: core only.
#pragma once

#include <string>

#include "cache/cache.h"
#include "model/metrics.h"
#include "model/result.h"
#include "server/control/state_keeper.h"
#include "server/control/verb_call.h"
#include "server/status/status_desk.h"

namespace quire::server {

class PolicyVerbs {
 public:
  PolicyVerbs(cache::Cache* cache, StatusDesk* desk, StateKeeper* keeper)
      : cache_(cache), desk_(desk), keeper_(keeper) {}

  // kInvalidArgument: no such action, tier or policy. kNotFound: no such domain. kBusy: a switch is
  // under way there. kResourceExhausted: too many rules.
  model::Result<void> policy(const VerbCall& call);

 private:
  model::Result<void> set(const VerbCall& call, const model::PolicyRequest& request);
  void describe(model::MetricSink& sink) const;

  cache::Cache* cache_;
  StatusDesk* desk_;
  StateKeeper* keeper_;
};

}  // namespace quire::server
