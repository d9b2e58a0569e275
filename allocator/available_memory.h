// How much memory this process may still take before the kernel starts to kill.
//
// fallocate on a memfd is refused only when every last page is gone, and by then the OOM killer has
// run. So a segment asks here first, and shortage stays an error.
#pragma once

#include <cstdint>

namespace quire::allocator {

// Left to the rest of the host (page tables, sockets, the daemon's own tables).
inline constexpr uint64_t kMemoryReserveBytes = 64ull << 20;

// MemAvailable, and the room below memory.max of each cgroup (v2) above this process, whichever is
// less; page cache that can be dropped counts as room. A limit that cannot be read is no limit.
// Threads: any. Reads /proc and /sys: for once a segment, not for once a request.
uint64_t available_memory_bytes();

}  // namespace quire::allocator
