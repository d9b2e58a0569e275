// `quirectl why`: which turn is meant, and the daemon's answer in words or as JSON (docs/why.md).
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>

#include "client/quire.h"
#include "client/quirectl/daemon_command.h"

namespace quire::client {

// What the parsed command line fills. Outlives the CLI::App.
struct WhyCommandLine {
  WhyOptions options;
  WhyPrompt prompt;         // of --tokens
  std::string tokens_path;  // "-": standard input
  std::string layout_path;
  bool last = false;
  bool by_request = false;
  bool by_session = false;
};

// kExitUsage unless one of request, session, last and tokens says what is meant. kExitNotFound: no
// turn fits.
int run_why(const WhyCommandLine& line, const DaemonCommandLine& daemon, std::ostream& out,
            std::ostream& err);

void add_why_command(CLI::App& app, WhyCommandLine& line, DaemonCommandLine& daemon,
                     std::ostream& out, std::ostream& err);

}  // namespace quire::client
