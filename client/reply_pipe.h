// The client's end of a verb that answers with a pipe (server/control/pipe_reply.h).
#pragma once

#include "client/frame_socket.h"
#include "model/fd_guard.h"
#include "model/result.h"

namespace quire::client {

// The read end that came with the reply; blocking, and at its end when the daemon has said all.
// kResourceExhausted: this process is at its open-file limit. kMalformedFrame: there is none.
model::Result<model::FdGuard> take_pipe(Frame& reply);

}  // namespace quire::client
