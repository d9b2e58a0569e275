// Looks at everything of a machine that a daemon there depends on.
#pragma once

#include <optional>
#include <string>

#include "client/quire.h"
#include "client/quirectl/doctor/health_check.h"
#include "client/quirectl/doctor/quired_output.h"
#include "client/quirectl/status/status_facts.h"

namespace quire::client {

struct DoctorOptions {
  std::string flagfile;  // instead of the running daemon's flags
  std::string quired;    // the program; else beside this one, or in PATH
  bool no_disk = false;  // its speed is not measured
};

// What a daemon says of itself, where one answers.
struct DaemonWord {
  std::string error;                 // why none does; empty: one does
  std::optional<DaemonFacts> facts;  // none: not for this caller
};
DaemonWord ask_daemon(Client& client);

// Writes and reads 64 MiB in the directory of the SSD tier, unless told not to.
HealthChecks examine(const DoctorOptions& options, const QuiredFlags& flags,
                     const DaemonWord& daemon);

// Of the machine's clocks; `root` stands before the paths of /sys: for tests.
HealthCheck clock_check(const std::string& root = {});

}  // namespace quire::client
