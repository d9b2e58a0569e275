// Options from the command line and --flagfile (gflags). Included by quired's main only.
#pragma once

#include <string>
#include <vector>

#include "model/result.h"
#include "server/start/live_config.h"
#include "server/start/options.h"

namespace quire::server {

struct CommandLine {
  std::vector<std::string> arguments;  // as given, without the program's name
  Options options;
  bool check_config = false;
  bool check_machine = false;
  bool print_config = false;
  bool print_man = false;
  bool rebuild = false;  // and rebuild_dry_run: offline, instead of serving
  bool rebuild_dry_run = false;
  std::string export_ledger;  // likewise: which part of it; empty: it is not asked for
};

// Parses and validates; kInvalidArgument names a flag that is not known, also in a flag file.
// gflags itself ends the process for --help and for values that are no number, with a message.
model::Result<CommandLine> parse_command_line(int argc, char** argv);

// What SIGHUP finds when it reads command line and flag files again, in their order.
struct Reload {
  Options options;
  std::vector<std::string> changed;       // flags that are safe to change while serving
  std::vector<std::string> need_restart;  // changed too, and not in force before the next start
};
// Changes nothing when it fails. One thread.
model::Result<Reload> reload_flags(const CommandLine& line);
// The functions of LiveConfig.
std::vector<ConfigRow> config_rows();
model::Result<ConfigChange> plan_config(const std::string& key, const std::string& value);
void keep_config(const ConfigChange& change);
// One line a flag: "--name=value  # origin", origin as of a ConfigRow.
std::string describe_config();
// quired(8), from the flags' own help.
std::string man_page();

}  // namespace quire::server
