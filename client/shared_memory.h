// Mapping what the daemon shares with its clients.
#pragma once

#include <cstdint>

#include "model/fd_guard.h"
#include "model/result.h"

namespace quire::client {

// Of [offset, offset + bytes). kCorrupt: the memfd is smaller; a mapping beyond its end would kill
// this process with SIGBUS at the first touch.
model::Result<model::Mapping> map_checked(const model::FdGuard& fd, uint64_t bytes, bool writable,
                                          uint64_t offset = 0);
// What this process writes, before its first use: the daemon leaves it to its clients, or it would
// keep others waiting. kResourceExhausted.
model::Result<void> allocate_shared(const model::Mapping& area);

}  // namespace quire::client
