// The verb by which operators see and change who decides what is evicted, and which checkpoints are
// written (CheckpointVerbs). A switch goes on in the core's steps (EvictionBoard); the answer says
// how far it is. Each change is a line of the log, with who made it, and survives a restart.
// Threads: core only.
#pragma once

#include <string>

#include "cache/cache.h"
#include "model/clock.h"
#include "model/metrics.h"
#include "model/result.h"
#include "server/control/checkpoint_verbs.h"
#include "server/control/state_keeper.h"
#include "server/control/verb_call.h"
#include "server/runtime/ghost_feed.h"
#include "server/status/status_desk.h"

namespace quire::server {

class PolicyVerbs {
 public:
  struct Parts {
    cache::Cache* cache = nullptr;
    StatusDesk* desk = nullptr;
    StateKeeper* keeper = nullptr;
    GhostFeed* ghosts = nullptr;  // null: there is no advice, and no `auto`
    const model::Clock* clock = nullptr;
    CheckpointTeller* teller = nullptr;
  };
  explicit PolicyVerbs(const Parts& parts)
      : cache_(parts.cache),
        desk_(parts.desk),
        keeper_(parts.keeper),
        ghosts_(parts.ghosts),
        clock_(parts.clock),
        checkpoints_({.cache = parts.cache,
                      .keeper = parts.keeper,
                      .teller = parts.teller,
                      .clock = parts.clock,
                      .desk = parts.desk,
                      .ghosts = parts.ghosts}) {}

  // kInvalidArgument: no such action, tier, policy or word. kNotFound: no such domain. kBusy: a
  // switch is under way there. kResourceExhausted: too many rules. kNotFound: it needs ghosts.
  model::Result<void> policy(const VerbCall& call);

 private:
  model::Result<void> advise(const VerbCall& call, const model::PolicyRequest& request);
  model::Result<void> set_auto(const cache::ScopeName& name);
  model::Result<void> set(const VerbCall& call, const model::PolicyRequest& request);
  void describe(model::MetricSink& sink) const;

  cache::Cache* cache_;
  StatusDesk* desk_;
  StateKeeper* keeper_;
  GhostFeed* ghosts_;
  const model::Clock* clock_;
  CheckpointVerbs checkpoints_;
};

}  // namespace quire::server
