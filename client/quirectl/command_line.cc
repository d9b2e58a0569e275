#include "client/quirectl/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ostream>
#include <string>
#include <vector>

#include "client/quirectl/config_command.h"
#include "client/quirectl/daemon_command.h"
#include "client/quirectl/doctor/doctor_command.h"
#include "client/quirectl/exit_codes.h"
#include "client/quirectl/layout_command.h"
#include "client/quirectl/manual/manual_command.h"
#include "client/quirectl/meter/ledger_verbs.h"
#include "client/quirectl/meter/meter_command.h"
#include "client/quirectl/routing/routing_command.h"
#include "client/quirectl/trace/trace_command.h"
#include "client/quirectl/why/why_command.h"
#include "model/nearest_name.h"

namespace quire::client {

namespace {

std::string exit_code_lines() {
  std::string text = "Exit codes:\n";
  for (const ExitCode& code : kExitCodes) {
    text += "  " + std::to_string(code.code) + "  " + std::string(code.meaning) + "\n";
  }
  return text;
}

// A command that there is none of, or that is not whole: which there are. CLI11 says that some
// command is required, whatever was typed. False: something else is wrong.
bool print_unknown_command(const CLI::App& app, std::ostream& err) {
  const CLI::App* known = &app;
  std::string path = "quirectl";
  while (!known->get_subcommands().empty()) {
    known = known->get_subcommands().front();
    path += " " + known->get_name();
  }
  std::vector<std::string_view> names;
  for (const CLI::App* command : known->get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  if (names.empty()) return false;
  const std::vector<std::string> rest = app.remaining(/*recurse=*/true);
  const auto word = std::find_if(rest.begin(), rest.end(),
                                 [](const std::string& one) { return !one.starts_with('-'); });
  if (word != rest.end()) {
    err << path << ": no command \"" << *word << "\"; did you mean "
        << model::nearest_name(*word, names) << "? There are:";
  } else {
    err << path << ": which command? There are:";
  }
  for (const std::string_view name : names) err << ' ' << name;
  err << "\nRun with --help for more information.\n";
  return true;
}

}  // namespace

int run_command_line(int argc, const char* const* argv, const char* version, std::ostream& out,
                     std::ostream& err) {
  DaemonCommandLine daemon;
  LayoutCommandLine layout;
  MeterCommandLine meter{.output = &daemon.output};
  MeterOptions ledger;
  TraceCommandLine trace;
  RoutingCommandLine routing;
  ConfigCommandLine config;
  WhyCommandLine why;
  DoctorCommandLine doctor{.doctor = {}, .bundle = {}, .version = version};
  ManualCommandLine manual{.shell = {}, .version = version};
  CLI::App app("Operates Quire, the KV cache daemon", "quirectl");
  app.set_version_flag("--version", std::string("quirectl ") + version);
  app.require_subcommand(1);
  // Before any verb is added: they inherit it, and hand on to the program what they do not know.
  app.fallthrough();
  app.add_option("-o,--output", layout.output_before_verb,
                 "table, json or csv; layouts also toml (QUIRECTL_OUTPUT, but for layouts)")
      ->check(CLI::IsMember({"table", "json", "csv", "toml"}))
      ->each([&daemon](const std::string& given) { daemon.output = given; });
  app.add_option("--color", daemon.color,
                 "colours of screens; auto: on a terminal, unless NO_COLOR is set")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->envname("QUIRECTL_COLOR");
  add_daemon_commands(app, daemon, out, err);
  add_trace_commands(app, trace, daemon, out, err);
  add_routing_commands(app, routing, daemon, out, err);
  add_config_command(app, config, daemon, out, err);
  add_why_command(app, why, daemon, out, err);
  add_layout_commands(app, layout, out, err);
  add_ledger_verbs(add_meter_commands(app, meter, out, err), ledger, daemon, out, err);
  add_doctor_commands(app, doctor, daemon, out, err);
  add_manual_commands(app, manual, out);
  // Last: commands that are added inherit it.
  app.footer(exit_code_lines());
  try {
    app.parse(argc, argv);
  } catch (const CLI::RequiredError& error) {
    if (!print_unknown_command(app, err)) app.exit(error, out, err);
    return kExitUsage;
  } catch (const CLI::ParseError& error) {
    // --help and --version come as errors with code 0.
    return app.exit(error, out, err) == 0 ? kExitOk : kExitUsage;
  }
  // One command ran; the others' codes are still 0.
  return std::max({daemon.exit_code, layout.exit_code, meter.exit_code});
}

}  // namespace quire::client
