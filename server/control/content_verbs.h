// What operators do to content at once: evict, flush. All of it is administrators' by the table of
// verbs (model/socket_verbs.h), which was asked before. What takes something away is a line of the
// log, at level warning, with who did it. Threads: core only.
#pragma once

#include "cache/cache.h"
#include "model/metrics.h"
#include "model/result.h"
#include "server/control/verb_call.h"
#include "server/status/status_desk.h"
#include "tiering/tier_set.h"

namespace quire::server {

class ContentVerbs {
 public:
  struct Parts {
    cache::Cache* cache = nullptr;
    tiering::TierSet* tiers = nullptr;  // null: none
    StatusDesk* desk = nullptr;
  };
  explicit ContentVerbs(const Parts& parts) : parts_(parts) {}

  // In the policy's order: at once, at most kMaxEvictedPerFrame, which bounds its part of a turn.
  // By name: begins a sweep in the core's steps, or tells how far the last one is.
  // kInvalidArgument: no such action or tier, a tenant without its domain. kNotFound: no such
  // domain. kBusy: a sweep is under way.
  model::Result<void> evict(const VerbCall& call);
  // Begins it, or tells how far the last one is. kInvalidArgument: no such action. kNotFound: no
  // tier below RAM. kBusy: none takes writes now, or one is under way.
  model::Result<void> flush(const VerbCall& call);

 private:
  void evict_next(const VerbCall& call, uint64_t count);
  model::Result<void> start_sweep(const model::EvictRequest& request);
  void describe_sweep(model::MetricSink& sink) const;

  Parts parts_;
};

}  // namespace quire::server
