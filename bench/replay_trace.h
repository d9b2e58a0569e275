// A serving trace as a forest of blocks: what `bench replay` replays, whatever file it came from.
//
// Every block id always has the same predecessor, so an id names its whole prefix and a request is
// the id of its last block. Blocks are numbered in the order in which they first come.
//
// Files: Mooncake's .jsonl (one request a line: timestamp in ms, hash_ids of 512 tokens), and
// Claude Code's .tar (one session a file, hash_ids of 64 tokens that are the session's own, times
// from its start; sub-agents nest), both also as .zst. Sessions have no absolute start: it is drawn
// from a window. Exact copies of a session are left out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/result.h"

namespace quire::bench {

struct ReplayRequest {
  int64_t time_us = 0;
  uint32_t last_block = 0;
  uint32_t block_count = 0;
};

struct ReplayTrace {
  static constexpr uint32_t kNoParent = UINT32_MAX;
  std::string name;
  uint32_t block_tokens = 0;
  std::vector<uint32_t> parents;        // by block
  std::vector<ReplayRequest> requests;  // in order of time
  uint64_t references = 0;

  // Blocks of a request, the first one first.
  void path(const ReplayRequest& request, std::vector<uint32_t>& blocks) const;
  // Only the first so many requests from now on, and their blocks.
  void cut(size_t requests);
};

struct ReplayTraceOptions {
  std::string path;
  double window_hours = 0.5;  // in which sessions begin
  uint64_t seed = 1;
  size_t requests = 0;  // the first so many; 0 = all
};

// kIoError, kInvalidArgument: what is wrong with the file.
model::Result<ReplayTrace> read_replay_trace(const ReplayTraceOptions& options);
// Chats with pauses of minutes, agent loops with pauses of seconds, and long prompts that nobody
// asks for again, over some system prompts; always the same.
ReplayTrace mixed_trace(uint32_t sessions, uint64_t seed);

// Adds requests to a trace by the ids of a file; ids of other scopes are other blocks.
class ReplayTraceBuilder {
 public:
  ReplayTraceBuilder(std::string name, uint32_t block_tokens);
  void begin_scope();
  // False: an id has another predecessor than before, so it names no prefix.
  [[nodiscard]] bool add(int64_t time_us, const std::vector<uint32_t>& ids);
  ReplayTrace finish();

 private:
  ReplayTrace trace_;
  std::vector<uint32_t> blocks_;  // of the scope, by id; +1
};

}  // namespace quire::bench
