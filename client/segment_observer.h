// Who is told of the segments that a client maps.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quire::client {

// Memory of a segment as it is mapped here, read-only.
struct SegmentMemory {
  uint64_t daemon_epoch = 0;  // an id is one segment's within it
  uint32_t segment = 0;
  const std::byte* data = nullptr;
  uint64_t bytes = 0;
};

// Told of segments, so that an engine can register them with a device and take them back. Each is
// mapped() once, before any page view points into it, and unmapping() once, while it is still
// there. Called on whichever thread maps or unmaps, for different segments possibly at once; must
// not call the client or a session. Not called in a forked child.
class SegmentObserver {
 public:
  virtual ~SegmentObserver() = default;
  virtual void mapped(const SegmentMemory& memory) = 0;
  virtual void unmapping(const SegmentMemory& memory) = 0;
};

}  // namespace quire::client
