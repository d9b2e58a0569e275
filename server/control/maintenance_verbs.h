// How operators look after what the daemon holds: verify, scrub, kept. All of them are
// administrators' by the table of verbs (model/socket_verbs.h), which was asked before. Threads:
// core only.
#pragma once

#include "model/clock.h"
#include "model/result.h"
#include "server/control/verb_call.h"
#include "server/rings/memory_check.h"
#include "server/status/status_desk.h"
#include "tiering/tier_set.h"

namespace quire::server {

class MaintenanceVerbs {
 public:
  struct Parts {
    tiering::TierSet* tiers = nullptr;  // null: none
    MemoryCheck* memory_check = nullptr;
    const model::Clock* clock = nullptr;
    StatusDesk* desk = nullptr;  // prints what parts say
  };
  explicit MaintenanceVerbs(const Parts& parts) : parts_(parts) {}

  // Each sends its own reply; an error becomes the reply's status. kInvalidArgument for an action
  // or scope that is none; kNotFound where there is no tier to look after.
  // Starts to read; the client asks again until the pass is over.
  model::Result<void> verify(const VerbCall& call);
  // Starts, stops or tells of a pass over the device.
  model::Result<void> scrub(const VerbCall& call);
  // Shows what the tier keeps and does not serve, or begins to drop it.
  model::Result<void> kept(const VerbCall& call);

 private:
  // Of what the verbs below look after; null: there is no such tier.
  tiering::Upkeep* upkeep() const;
  void reply_with_scrub(const VerbCall& call);

  Parts parts_;
};

}  // namespace quire::server
