// What `top` says for programs: a line a look, with what happened since the one before.
#pragma once

#include <string>
#include <string_view>

#include "client/quirectl/status/status_screen.h"

namespace quire::client {

// Of top_line(), those that stay the same whatever tiers and sessions there are.
inline constexpr std::string_view kTopColumns =
    "time_us,interval_ms,state,connected,sessions,leases,matches,prompt_tokens,hit_tokens,"
    "committed_bytes,ram.used_bytes,ram.capacity_bytes,ssd.state,ssd.used_bytes,ssd.capacity_bytes,"
    "ssd.written_bytes,ssd.read_bytes,cluster.state,cluster.used_bytes,cluster.written_bytes,"
    "cluster.read_bytes";

// An object, quire.top.v1, with its line end. Counters are those of the interval: 0 in the first
// one, and after a restart.
std::string top_line(const StatusFacts& facts, const Between& between, int64_t time_us);

}  // namespace quire::client
