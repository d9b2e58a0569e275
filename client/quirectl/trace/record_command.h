// `quirectl trace record`: writes what a live daemon's clients ask for to a trace
// (client/quirectl/trace/trace_file.h), until its time is over or a signal ends it.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>

#include "client/quire.h"
#include "model/result.h"

namespace quire::client {

struct TraceRecordOptions {
  std::string out;           // a file; empty: the stream that run_trace_record() is given
  uint64_t for_seconds = 0;  // 0: until SIGINT or SIGTERM, or the daemon's end
  ScopeOptions scope;
};

// kExitDegraded when records were lost, or the daemon went. SIGINT and SIGTERM end the recording,
// and the program when what was recorded is written; the second of them at once.
model::Result<int> run_trace_record(const ClientOptions& daemon, const TraceRecordOptions& options,
                                    std::ostream& out, std::ostream& err);

}  // namespace quire::client
