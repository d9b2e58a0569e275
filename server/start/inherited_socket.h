// The listening socket that a service manager opened before the daemon (sd_listen_fds(3)): clients
// that connect while no daemon runs wait in it.
#pragma once

#include <optional>

#include "model/fd_guard.h"
#include "model/result.h"

namespace quire::server {

// LISTEN_FDS of this process, which is taken out of the environment, as LISTEN_PID and
// LISTEN_FDNAMES are. None: no socket was passed. kInvalidArgument: more than one was, all of which
// are closed. What it is, its user checks. Once, before anything else opens descriptors.
model::Result<std::optional<model::FdGuard>> take_inherited_socket();

}  // namespace quire::server
