// `quirectl meter`: verbs about what was metered, and what it costs.
#pragma once

#include <iosfwd>
#include <string>

#include "client/quirectl/meter/quote_command.h"

namespace CLI {
class App;
}

namespace quire::client {

// What the parsed command line fills. Outlives the CLI::App.
struct MeterCommandLine {
  // The program's --output: "table", "json"; empty: $QUIRECTL_OUTPUT, else "table".
  const std::string* output = nullptr;
  QuoteOptions quote;
  int exit_code = 0;  // of the command that ran
};
// Adds "meter" with its subcommands; parsing runs the one named. Gives it, for others to add theirs
// (ledger_verbs.h).
CLI::App& add_meter_commands(CLI::App& app, MeterCommandLine& line, std::ostream& out,
                             std::ostream& err);

}  // namespace quire::client
