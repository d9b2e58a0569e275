// The verb by which people ask why a turn's hit went no further. Anybody asks about turns of its
// own domain; readers and administrators about all. What is not the asker's does not exist for it:
// the answer is that of a turn that never was. Threads: core only.
#pragma once

#include "cache/cache.h"
#include "model/clock.h"
#include "model/result.h"
#include "server/control/miss_answer.h"
#include "server/control/verb_call.h"
#include "server/rings/turn_memory.h"
#include "server/status/status_desk.h"

namespace quire::server {

class WhyVerbs {
 public:
  struct Parts {
    cache::Cache* cache = nullptr;
    const TurnMemory* memory = nullptr;  // null: turns are not remembered
    StatusDesk* desk = nullptr;
    const model::Clock* clock = nullptr;
  };
  explicit WhyVerbs(const Parts& parts) : parts_(parts) {}

  // kInvalidArgument: no such action or domain, a prompt that is not whole. kNotFound: nothing is
  // remembered, or no such turn. kPermissionDenied: a prompt of another user.
  model::Result<void> why(const VerbCall& call);

 private:
  model::Result<void> why_prompt(const VerbCall& call, const model::WhyRequest& request);
  Parts parts_;
};

}  // namespace quire::server
