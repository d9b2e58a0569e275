// How a ring of io_uring comes to be: opened disabled, restricted to what an engine does, enabled.
// And what a refusal of the kernel means to an operator. Threads: any; no state.
#pragma once

#include <cstdint>
#include <string_view>

#include "model/result.h"

struct io_uring;

namespace quire::tiering {

// kUnavailable: refused or too old here, use the thread engine; kResourceExhausted: a limit of the
// process; kIoError. `error`: an errno.
model::Error setup_error(std::string_view what, int error);

// Returns 0 or an errno. The ring takes no work before restrict_and_enable().
int open_ring(uint32_t queue_depth, ::io_uring* ring);

// Lets the ring of this descriptor, created with IORING_SETUP_R_DISABLED, do what an engine does
// and nothing else, for ever, and enables it.
model::Result<void> restrict_and_enable(int ring_fd);

}  // namespace quire::tiering
