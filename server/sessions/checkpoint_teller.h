// Tells sessions which checkpoints are asked for of them, by the rule that names who pays
// (cache/fill/checkpoint_rules.h): each before its client hears of it, and all again after a rule
// was changed, in steps, so that no turn of the core is longer for thousands of sessions.
//
//   rules change --> begin(): the first kToldPerStep at once --> step() each turn --> all know it
//
// A client sees the word in the session's shared memory; no frame is sent. Threads: core only.
#pragma once

#include <cstddef>

#include "cache/cache.h"
#include "server/sessions/session_registry.h"

namespace quire::server {

class CheckpointTeller {
 public:
  static constexpr size_t kToldPerStep = 64;  // some 15 us

  CheckpointTeller(cache::Cache* cache, SessionRegistry* registry)
      : cache_(cache), registry_(registry) {}

  // Precondition: who pays for the session is set.
  void tell(Session& session) const;
  // A rule changed.
  void begin();
  // True when some have not been told yet.
  bool step();
  bool is_telling() const { return left_ > 0; }

 private:
  cache::Cache* cache_;
  SessionRegistry* registry_;
  size_t left_ = 0;  // of the registry's attachments, those before this one know nothing yet
};

}  // namespace quire::server
