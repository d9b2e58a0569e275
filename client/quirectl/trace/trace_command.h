// `quirectl trace record | replay`, on the command line.
#pragma once

#include <iosfwd>
#include <string>

#include "client/quirectl/daemon_command.h"
#include "client/quirectl/trace/record_command.h"
#include "client/quirectl/trace/replay_command.h"

namespace quire::client {

// What the parsed command line fills. Outlives the CLI::App.
struct TraceCommandLine {
  TraceRecordOptions record;
  TraceReplayOptions replay;
};

// `daemon`: which one, and --output; gets the exit code.
void add_trace_commands(CLI::App& app, TraceCommandLine& line, DaemonCommandLine& daemon,
                        std::ostream& out, std::ostream& err);

}  // namespace quire::client
