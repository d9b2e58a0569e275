// `quirectl trace replay`: lets a live daemon serve the requests of a trace, at the trace's own
// pace or another, and tells what it hit and how long it took.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>

#include "client/quire.h"
#include "model/result.h"

namespace quire::client {

struct TraceReplayOptions {
  std::string path;
  double speed = 1;         // times as fast as the trace; what comes late is not skipped
  bool asap = false;        // without pauses
  uint64_t limit = 0;       // the first so many requests; 0: all
  std::string layout_path;  // empty: one small page a block
  uint32_t sessions = 1;    // requests served at once
};

inline constexpr uint32_t kMostReplaySessions = 256;

// Prints a table, or JSON. kExitDegraded when a page was not what was written; kExitFailed when
// requests failed. An error when nothing could be replayed: the file, the layout, the daemon.
model::Result<int> run_trace_replay(const ClientOptions& daemon, const TraceReplayOptions& options,
                                    bool as_json, std::ostream& out, std::ostream& err);

}  // namespace quire::client
