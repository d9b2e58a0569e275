// What the daemon's program says with the flags of a daemon that runs, or of a file: of the machine
// and of its configuration.
#pragma once

#include <string>
#include <vector>

#include "client/quirectl/doctor/health_check.h"
#include "model/result.h"

namespace quire::client {

// Whose flags these are.
struct QuiredFlags {
  std::vector<std::string> flags;
  std::string origin;  // "of the daemon with pid 4711", "of /etc/quire/quired.flags"
  int pid = 0;         // 0: no daemon runs
};

// Those of the daemon behind the socket, where it runs and lets itself be looked at; else those of
// the file, which may be empty: then the program's own.
QuiredFlags find_flags(const std::string& socket_path, const std::string& flagfile);

// Runs the program with these flags and some more, under the limits of the daemon where it runs;
// what it wrote to standard output. kNotFound: there is no such program. kIoError: it failed.
model::Result<std::string> output_of_quired(const std::string& quired, const QuiredFlags& flags,
                                            const std::string& what);

// Of `quired --check_machine`.
HealthChecks read_machine(const std::string& text);
// The value of a flag in what `quired --print_config` wrote; empty: it is not there.
std::string flag_in(const std::string& config, const std::string& name);

}  // namespace quire::client
