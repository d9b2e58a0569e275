// What a peer may do, from who the kernel says it is and whom the operator named.
//
// Nothing that a peer says counts. Threads: core only.
#pragma once

#include "model/socket_verbs.h"
#include "server/sessions/connection.h"
#include "server/start/options.h"

namespace quire::server {

// Asked anew for each frame, so that a reload of the rules holds at once. A peer's groups are those
// that it had when it connected; the kernel is asked for them only where a rule names groups.
model::PeerRoles roles_of(const Connection& connection, const RoleRules& rules);

}  // namespace quire::server
