// The audit log: a line of logfmt for each change that an operator made, and for each attempt that
// was refused.
//
//   audit=change uid=0 pid=4711 verb=policy action=set tier=ram domain=* policy=arc from=lru to=arc
//   audit=denied uid=1000 pid=4712 verb=quota action=clear role=administrator tier=ram domain=*
//
// Lines of changes are warnings, so that they are there also where --log_level leaves out what goes
// well, and have a bound of their own that no client reaches (server/runtime/log_limiter.h).
// Threads: core only.
#pragma once

#include <string_view>

#include "model/socket_verbs.h"
#include "server/control/verb_call.h"
#include "server/sessions/connection.h"

namespace quire::server {

// `action`: what was asked for, or null.
void audit_change(const PeerIdentity& peer, const model::SocketVerb& verb,
                  const model::VerbAction* action, std::string_view payload,
                  const VerbChange& change);
void audit_denied(const PeerIdentity& peer, const model::SocketVerb& verb,
                  const model::VerbAction* action, std::string_view payload);

}  // namespace quire::server
