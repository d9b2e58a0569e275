// Requests of an agent trace, session by session: what `bench trace` replays.
//
// The format is that of public Claude Code traces: one JSON document a session, "requests" with
// "in" (prompt tokens) and "hash_ids" (one id per 64 tokens, an id names its whole prefix within
// the session), and sub-agents that nest requests of their own.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "model/result.h"

namespace quire::bench {

inline constexpr uint32_t kTraceBlockTokens = 64;

struct TraceRequest {
  uint32_t prompt_tokens = 0;
  int64_t time_us = 0;        // from the start of its session, or of the trace
  std::vector<uint32_t> ids;  // of whole blocks
};
// Turns of one conversation, in order.
using TraceStream = std::vector<TraceRequest>;
// What shares prefixes: the conversation and its sub-agents.
using TraceSession = std::vector<TraceStream>;

// Calls visit for each session of a JSON file, or of a .tar.zst of such files (by tar and zstd);
// exact copies of an earlier session are left out. kIoError, kInvalidArgument name what is wrong.
model::Result<void> for_each_session(const std::string& path, uint32_t limit,
                                     const std::function<void(const TraceSession&)>& visit);

// A small one of the same kind, always the same: prompts grow by a turn, and now and then a
// template rewrites the tail of the one before.
std::vector<TraceSession> synthetic_trace();

}  // namespace quire::bench
