#include "client/quirectl/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ostream>
#include <string>

#include "client/quirectl/daemon_command.h"
#include "client/quirectl/layout_command.h"
#include "client/quirectl/meter/ledger_verbs.h"
#include "client/quirectl/meter/meter_command.h"
#include "client/quirectl/trace/trace_command.h"

namespace quire::client {

int run_command_line(int argc, const char* const* argv, const char* version, std::ostream& out,
                     std::ostream& err) {
  DaemonCommandLine daemon;
  LayoutCommandLine layout;
  MeterCommandLine meter{.output = &daemon.output};
  MeterOptions ledger;
  TraceCommandLine trace;
  CLI::App app("Operates Quire, the KV cache daemon", "quirectl");
  app.set_version_flag("--version", std::string("quirectl ") + version);
  app.require_subcommand(1);
  // Before any verb is added: they inherit it, and hand on to the program what they do not know.
  app.fallthrough();
  app.add_option("-o,--output", layout.output_before_verb,
                 "table or json; layouts also toml (QUIRECTL_OUTPUT, but for layouts)")
      ->check(CLI::IsMember({"table", "json", "toml"}))
      ->each([&daemon](const std::string& given) { daemon.output = given; });
  add_daemon_commands(app, daemon, out, err);
  add_trace_commands(app, trace, daemon, out, err);
  add_layout_commands(app, layout, out, err);
  add_ledger_verbs(add_meter_commands(app, meter, out, err), ledger, daemon, out, err);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // --help and --version come as errors with code 0.
    return app.exit(error, out, err) == 0 ? kExitOk : kExitUsage;
  }
  // One command ran; the others' codes are still 0.
  return std::max({daemon.exit_code, layout.exit_code, meter.exit_code});
}

}  // namespace quire::client
