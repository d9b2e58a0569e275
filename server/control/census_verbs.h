// The verbs by which readers see who uses the daemon: `sessions` and `tenants`.
//
// What they say is gathered by server/status/census.h, in bounded steps. Threads: core only.
#pragma once

#include "cache/cache.h"
#include "model/clock.h"
#include "model/result.h"
#include "server/control/verb_call.h"
#include "server/sessions/session_registry.h"
#include "server/status/status_desk.h"

namespace quire::server {

class CensusVerbs {
 public:
  struct Parts {
    cache::Cache* cache = nullptr;
    const SessionRegistry* registry = nullptr;
    StatusDesk* desk = nullptr;
    const model::Clock* clock = nullptr;
  };
  explicit CensusVerbs(const Parts& parts) : parts_(parts) {}

  // No request; both are answered like a status.
  model::Result<void> sessions(const VerbCall& call);
  model::Result<void> tenants(const VerbCall& call);

 private:
  Parts parts_;
};

}  // namespace quire::server
