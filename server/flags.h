// Options from the command line and --flagfile (gflags). Included by quired's main only.
#pragma once

#include <string>

#include "model/result.h"
#include "server/options.h"

namespace quire::server {

struct CommandLine {
  Options options;
  bool check_config = false;
  bool print_config = false;
  bool rebuild = false;  // and rebuild_dry_run: offline, instead of serving
  bool rebuild_dry_run = false;
};

// Parses and validates. gflags itself ends the process for unknown flags and --help, with a
// message.
model::Result<CommandLine> parse_command_line(int argc, char** argv);
// One line a flag: "--name=value  # origin", origin = default or given.
std::string describe_config();
// "64MiB", "1 GiB", "4096" -> bytes. kInvalidArgument.
model::Result<uint64_t> parse_bytes(const std::string& flag, const std::string& text);

}  // namespace quire::server
