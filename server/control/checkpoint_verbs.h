// The part of the policy verb that is about checkpoints: which ones engines are asked for, by which
// rule, and what other policies would cost and bring. A change reaches sessions in the core's steps
// (CheckpointTeller), is a line of the log with who made it, and survives a restart. Threads: core
// only.
#pragma once

#include "cache/cache.h"
#include "model/clock.h"
#include "model/metrics.h"
#include "model/result.h"
#include "model/wire.h"
#include "server/control/state_keeper.h"
#include "server/control/verb_call.h"
#include "server/runtime/ghost_feed.h"
#include "server/sessions/checkpoint_teller.h"
#include "server/status/status_desk.h"

namespace quire::server {

class CheckpointVerbs {
 public:
  struct Parts {
    cache::Cache* cache = nullptr;
    StateKeeper* keeper = nullptr;
    CheckpointTeller* teller = nullptr;
    const model::Clock* clock = nullptr;
    StatusDesk* desk = nullptr;
    const GhostFeed* ghosts = nullptr;  // null: there is no advice
  };
  explicit CheckpointVerbs(const Parts& parts) : parts_(parts) {}

  // kInvalidArgument: no such word, or a tenant without its domain. kNotFound: no such domain.
  // kResourceExhausted: too many rules.
  model::Result<void> set(const VerbCall& call, const model::PolicyRequest& request);
  // Sends the reply. kInvalidArgument: no such window. kNotFound: it needs ghosts.
  model::Result<void> advise(const VerbCall& call, const model::PolicyRequest& request) const;
  // The rules, the default first.
  void describe(model::MetricSink& sink) const;
  bool is_telling() const { return parts_.teller->is_telling(); }

 private:
  Parts parts_;
};

}  // namespace quire::server
