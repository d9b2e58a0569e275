// Memory that a client process writes what it commits into, shared by the sessions that it is
// attached to. The client may write it at any time, and decides which part is whose; the daemon
// only reads it, by offsets that it checks, in copy workers.
//
// Threads: core only; the workers read the bytes. Lifetime: that of its connection, or of the last
// attachment that copies from it (server/sessions/staging_areas.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "server/rings/shared_region.h"

namespace quire::server {

struct StagingArea {
  uint64_t id = 0;   // in its connection
  uint32_t uid = 0;  // charged for it
  uint64_t bytes = 0;
  uint32_t users = 0;        // attachments
  bool client_left = false;  // nobody but those will use it
  SharedRegion region;

  const std::byte* data() const { return region.data(); }
};

}  // namespace quire::server
