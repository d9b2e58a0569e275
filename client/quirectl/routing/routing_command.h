// `quirectl events tail` and `quirectl locate`, on the command line.
#pragma once

#include <iosfwd>

#include "client/quirectl/daemon_command.h"
#include "client/quirectl/routing/events_tail.h"
#include "client/quirectl/routing/locate_command.h"

namespace quire::client {

// What the parsed command line fills. Outlives the CLI::App.
struct RoutingCommandLine {
  EventsTailOptions tail;
  LocateOptions locate;
};

// `daemon`: which one, and --output; gets the exit code.
void add_routing_commands(CLI::App& app, RoutingCommandLine& line, DaemonCommandLine& daemon,
                          std::ostream& out, std::ostream& err);

}  // namespace quire::client
