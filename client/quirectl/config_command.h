// `quirectl config show | set KEY VALUE`: the daemon's flags as they are in force, and those that
// need no restart changed.
#pragma once

#include <iosfwd>
#include <string>

#include "client/quirectl/daemon_command.h"

namespace quire::client {

// What the parsed command line fills. Outlives the CLI::App.
struct ConfigCommandLine {
  std::string key;  // empty: only show
  std::string value;
};

// Prints every flag as `quired --print_config` does, or as the daemon's JSON. kExitNotAuthorised
// for others than administrators.
int run_config(const DaemonCommandLine& daemon, const ConfigCommandLine& line, std::ostream& out,
               std::ostream& err);

// `daemon`: which one, and --output; gets the exit code.
void add_config_command(CLI::App& app, ConfigCommandLine& line, DaemonCommandLine& daemon,
                        std::ostream& out, std::ostream& err);

}  // namespace quire::client
