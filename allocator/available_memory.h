// How much memory this process may still take before the kernel starts to kill.
//
// fallocate on a memfd is refused only when every last page is gone, and by then the OOM killer has
// run. So a segment asks here first, and shortage stays an error.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

namespace quire::allocator {

// Left to the rest of the host (page tables, sockets, the daemon's own tables).
inline constexpr uint64_t kMemoryReserveBytes = 64ull << 20;

struct MemoryRoom {
  uint64_t bytes = std::numeric_limits<uint64_t>::max();
  std::string source;  // the file that says so; empty: nothing does
};

// MemAvailable, and the room below the limit of each control group above this process (memory.max
// of version 2, memory.limit_in_bytes of version 1, both mounted wherever /proc/self/mountinfo
// says), whichever is less; page cache that can be dropped counts as room. A limit that cannot be
// read is no limit: who knows of one gives it as `limit_bytes` (0: none), and what this process
// holds is counted against it. `root` stands before every path: for tests.
// Threads: any. Reads /proc and /sys: for once a segment, not for once a request.
MemoryRoom memory_room(uint64_t limit_bytes = 0, const std::string& root = {});

}  // namespace quire::allocator
